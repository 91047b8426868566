"""A value gap is measured in units of what rounding the inputs forces, where one map approximates another.

One unit is a unit in the last place of the value, and what one rounding of every input does to it: to the value, or to
the terms that cancel in both maps alike. It is measured in balls, as `shown.py` measures the gaps of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import CONDITIONING_DRAWS, CONDITIONING_FACTOR, FINE, SHOWN_ULPS
from backprove.harness.numbers.balls.arrays import BallArray, zeros
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.shown import INFINITE, blurred, effects, nudged, ulp, wider
from backprove.harness.oracles.vectors import full

Values = Callable[[list[Array]], list[Array]]
"""Values of a map in balls, shape + points."""


@dataclass(frozen=True)
class ValueGap:
    """What rounding the inputs does to the values of two maps at one point.

    Attributes:
        left, right: the approximation, and what it approximates.
        x: the point in balls, points axis of size 1; integers as they are.
        unit: unit roundoff of the format in which inputs are rounded.
    """

    left: Values
    right: Values
    x: list[Array]
    unit: float

    def units(self, argument: int, entry: tuple[int, ...], left: arb, right: arb) -> float:
        """The gap of two values in units; infinite where the left one has none."""
        gap, hull, drawn = abs(left - right), self._hull[argument][(*entry, 0)], self._drawn[argument][(*entry, 0)]
        forced = CONDITIONING_FACTOR * drawn
        allowed = SHOWN_ULPS * ulp(right, self.unit) + (hull if hull > forced else forced)
        found = float((SHOWN_ULPS * gap / allowed).mid())
        return found if np.isfinite(found) else np.inf

    @cached_property
    def _values(self) -> list[BallArray]:
        return full(self.right(self.x), 1)

    @cached_property
    def _hull(self) -> list[BallArray]:
        """Half the width of the values under a rounding of all inputs, of the map in which it is less."""
        found = [self._width(side) for side in (self.left, self.right)]
        known = [widths for widths in found if widths is not None]
        if not known:
            return [zeros(v.shape) for v in self._values]
        return [np.asarray(_LESS(p, q), dtype=object) for p, q in zip(known[0], known[-1], strict=True)]

    def _width(self, side: Values) -> list[BallArray] | None:
        try:
            return effects(full(side(blurred(self.x, self.unit)), 1))
        except (Undecided, UnsupportedPrimitive):
            return None  # a branch is not decided

    @cached_property
    def _drawn(self) -> list[BallArray]:
        """How far rounding the inputs moves the right side in some draws."""
        rng, worst = np.random.Generator(np.random.Philox(key=[83, 89])), [zeros(v.shape) for v in self._values]
        for _ in range(CONDITIONING_DRAWS):
            try:
                moved = full(self.right(nudged(self.x, self.unit, rng)), 1)
            except (Undecided, UnsupportedPrimitive):
                continue
            for w, m, v in zip(worst, moved, self._values, strict=True):
                w[...] = wider(w, (m - v) / FINE)
        return worst


def _less(a: arb, b: arb) -> arb:
    if a.is_nan() or a == INFINITE:
        return b if b.is_finite() else arb(0)
    return a if not b.is_finite() or a < b else b


_LESS = np.frompyfunc(_less, 2, 1)
