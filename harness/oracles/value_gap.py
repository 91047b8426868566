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
from backprove.harness.oracles.shown import blurred, effects, nudged, ulp, wider
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
        drawn = CONDITIONING_FACTOR * self._drawn[argument][(*entry, 0)]
        hull = self._width_at(argument, entry, left, right)
        allowed = SHOWN_ULPS * ulp(right, self.unit) + (hull if hull > drawn else drawn)
        found = float((SHOWN_ULPS * abs(left - right) / allowed).mid())
        return found if np.isfinite(found) else np.inf

    def is_shown(self, argument: int, entry: tuple[int, ...], left: arb, right: arb) -> bool:
        """Whether two values are visibly apart, by more than `SHOWN_ULPS` units."""
        gap, allowed = abs(left - right), SHOWN_ULPS * ulp(right, self.unit)
        if not gap > allowed:
            return False
        widths = [w[argument][(*entry, 0)] for w in self._widths if w is not None]
        if len(widths) == 2 and all(gap > allowed + CONDITIONING_FACTOR * w for w in widths):
            return True  # draws lie within the widths
        return self.units(argument, entry, left, right) > SHOWN_ULPS

    def _width_at(self, argument: int, entry: tuple[int, ...], left: arb, right: arb) -> arb:
        """How far rounding the inputs moves an entry, or the terms that cancel in it, at most.

        It is that of the side that moves less. Zero may be written as such: there the terms of the other side count,
        and how far each may be off.
        """
        known = [w[argument][(*entry, 0)] for w in self._widths if w is not None]
        known = [w for w in known if w.is_finite()]
        if not known:
            return arb(0)
        one: arb = known[0]
        other: arb = known[-1]
        most, least = (one, other) if one > other else (other, one)
        return SHOWN_ULPS * most if left.contains(0) or right.contains(0) else least

    @cached_property
    def _values(self) -> list[BallArray]:
        return full(self.right(self.x), 1)

    @cached_property
    def _widths(self) -> list[list[BallArray] | None]:
        """Half the width of the values of each side under a rounding of all inputs; None where it cannot be told."""
        return [self._width(side) for side in (self.left, self.right)]

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
