"""These rows hold functions that round to an integer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import FLAT, NOT_IN_NUMPY, Elementary, Growth, Unary, float64

if TYPE_CHECKING:
    from flint import arb


def floor(x: arb) -> arb:
    lo, hi = x.lower().floor(), x.upper().floor()
    return lo if lo == hi else lo.union(hi)


def ceil(x: arb) -> arb:
    return -floor(-x)


def trunc(x: arb) -> arb:
    if x >= 0:
        return floor(x)
    if x < 0:
        return ceil(x)
    return floor(x).union(ceil(x))


def round_half_even(x: arb) -> arb:
    """The nearest integer, ties to even; a hull where a tie is not decided."""
    f = floor(x)
    d = x - f
    if not f.is_exact() or not (d < 0.5 or d > 0.5 or (d == 0.5 and d.is_exact())):
        return floor(x - 0.5).union(ceil(x + 0.5))
    if d < 0.5:
        return f
    if d > 0.5:
        return f + 1
    return f if (f / 2).is_integer() else f + 1


def round_half_away(x: arb) -> arb:
    return floor(x + 0.5) if not x < 0 else -floor(-x + 0.5)


def float_round_half_away(x: Array) -> Array:
    """Nearest integer, ties away from zero (`lax.round`'s default), with the sign of `x`."""
    # floor(|x| + 1/2) would be wrong just below 1/2, where the sum rounds up
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.copysign(x.dtype.type(1), x), whole)


def at_integers(x: arb) -> bool:
    """Whether an integer may be in the ball."""
    return bool(x.contains_integer())


def at_halves(x: arb) -> bool:
    """Whether a number half-way between two integers may be in the ball."""
    return bool((x - 0.5).contains_integer())


def at_integers_but_zero(x: arb) -> bool:
    return at_integers(x) and not -1 < x < 1


def _growth(f: Callable[[Array], Array]) -> Growth:
    """The steps between the ends of the interval, which are widened by one ulp of the wide format."""

    def growth(v: Array, e: Array) -> Array:
        inf = np.asarray(v).dtype.type(np.inf)
        low, high = np.nextafter(v - e, -inf), np.nextafter(v + e, inf)
        return np.where(e > 0, float64(f(high) - f(low)), 0.0)

    return growth


def _step(
    name: str,
    numpy: Callable[[Array], Array],
    ball: Unary,
    kink: Callable[[arb], bool],
    numpy_name: str | None = None,
    wide: Callable[[Array], Array] | None = None,
) -> Elementary:
    holes = {"slope": FLAT} if numpy_name else {"slope": FLAT, "numpy_name": NOT_IN_NUMPY}
    return Elementary(
        name=name,
        numpy=numpy,
        ball=ball,
        kink=kink,
        growth=_growth(numpy),
        wide=wide,
        exact=True,
        numpy_name=numpy_name,
        holes=holes,
    )


ROWS = (
    _step("floor", np.floor, floor, at_integers, "floor"),
    _step("ceil", np.ceil, ceil, at_integers, "ceil"),
    _step("trunc", np.trunc, trunc, at_integers_but_zero, "trunc"),
    # a nominal value has no sign of zero
    _step("round", float_round_half_away, round_half_away, at_halves, wide=lambda v: float_round_half_away(v) + 0),
    _step("round_even", np.rint, round_half_even, at_halves, "rint"),
)
