"""A `Dual` holds enclosures of a value and of its derivative along a direction.

Dual(lift(x), lift(v))      # x + v eps, entry by entry
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.exact import ONE_SLOPE_BITS
from backprove.harness.numbers.balls.arrays import BallArray, zeros


@dataclass(frozen=True)
class Dual:
    """Value and tangent; `t is None` means identically zero, `fixed` that the value stays the same around the point."""

    v: BallArray
    t: BallArray | None = None
    fixed: bool = False

    @property
    def tangent(self) -> BallArray:
        """The tangent in the shape of the value, its points axis 1 or as wide as the directions."""
        return zeros((*self.v.shape[:-1], 1)) if self.t is None else self.t

    @property
    def shape(self) -> tuple[int, ...]:
        return self.v.shape

    @property
    def dtype(self) -> np.dtype[np.object_]:
        return self.v.dtype


STEPS = ("floor", "ceil", "round")
"""Primitives whose values are the same all around a point where they do not jump."""

_NARROW = arb(2) ** -ONE_SLOPE_BITS
NOTHING = zeros(())


def is_fixed(x: Dual | Array) -> bool:
    """Whether a value is the same all around the point; integers and truth values are, apart from watched jumps."""
    return x.fixed if isinstance(x, Dual) else True


def same_number(a: arb, b: arb) -> bool:
    """Whether two enclosures are one, or one exact number."""
    return a is b or bool(a.is_exact() and b.is_exact() and a == b)


def agree(a: arb, b: arb) -> bool:
    """Equal as far as the exact layer resolves anything (2**-90 relative): no kink, and their hull is narrow."""
    if same_number(a, b):
        return True
    if not (a.overlaps(b) and a.is_finite() and b.is_finite()):
        return False
    return bool(a.union(b).rad() <= (abs(a) + abs(b)).abs_lower() * _NARROW)


def common_width(*arrays: Array) -> int:
    """The widest points axis."""
    return max(int(a.shape[-1]) for a in arrays)
