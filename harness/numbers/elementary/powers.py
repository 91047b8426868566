"""These rows hold fixed powers and roots, and the sign and size of a number."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import (
    FLAT,
    NOT_IN_NUMPY,
    OWN_METHOD,
    OWN_RULE,
    POSITIVE,
    Chain,
    Elementary,
    Interval,
    float64,
    nearest_to_zero,
)

if TYPE_CHECKING:
    from flint import arb


def square(x: arb) -> arb:
    r = x * x
    return r if x.is_exact() else r.nonnegative_part()


def cbrt(x: arb) -> arb:
    if x.is_zero() or not x.is_finite():
        return x
    if x >= 0:
        return x.root(3)
    if x < 0:
        return -((-x).root(3))
    return cbrt(x.lower()).union(cbrt(x.upper()))


def at_zero(x: arb) -> bool:
    """Whether 0 may be in the ball."""
    return not (x > 0 or x < 0)


def _abs_slope(x: arb, y: arb) -> arb:
    """The hull [-1, 1] at zero and where the sign is not known."""
    return type(x)(0, 1) if at_zero(x) else x.sgn()


def _sign(x: Array) -> Array:
    return np.where(x == 0, x, np.sign(x))


def _sqrt_growth(v: Array, e: Array) -> Array:
    a = float64(v)
    return np.where(e > 0, e / (np.sqrt(a) + np.sqrt(np.maximum(a - e, 0))), 0.0)


def _rsqrt_growth(v: Array, e: Array) -> Array:
    low = float64(v) - e
    return np.where(low > 0, 0.5 * e / low / np.sqrt(low), np.inf)


def _cbrt_growth(v: Array, e: Array) -> Array:
    near = np.cbrt(nearest_to_zero(v, e))
    # |cbrt(a) - cbrt(b)| <= 2**(2/3) cbrt|a - b| everywhere
    return np.asarray(np.fmin(e / (3 * near * near), 1.6 * np.cbrt(e)))


ROWS = (
    Elementary(
        name="neg",
        numpy=np.negative,
        ball=operator.neg,
        slope=lambda x, y: type(x)(-1),
        exact=True,
        holes={"growth": OWN_RULE, "numpy_name": OWN_METHOD},
    ),
    Elementary(
        name="abs",
        numpy=np.abs,
        ball=abs,
        slope=_abs_slope,
        kink=at_zero,
        exact=True,
        holes={"growth": OWN_RULE, "numpy_name": OWN_METHOD},
    ),
    Elementary(
        name="sign",
        numpy=_sign,
        ball="sgn",
        kink=at_zero,
        exact=True,
        holes={"slope": FLAT, "growth": OWN_RULE, "numpy_name": OWN_METHOD},
    ),
    Elementary(
        name="square",
        numpy=np.square,
        ball=square,
        slope=lambda x, y: 2 * x,
        holes={"growth": OWN_RULE, "numpy_name": OWN_METHOD},
    ),
    Elementary(
        name="sqrt",
        numpy=np.sqrt,
        ball="sqrt",
        slope=lambda x, y: 0.5 / y,
        growth=_sqrt_growth,
        domain=Interval(0.0, closed=True),
        numpy_name="sqrt",
    ),
    Elementary(
        name="rsqrt",
        numpy=Chain(np.sqrt, (np.divide, 1)),
        ball="rsqrt",
        slope=lambda x, y: -0.5 * y / x,
        growth=_rsqrt_growth,
        domain=POSITIVE,
        holes={"numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(
        name="cbrt",
        numpy=np.cbrt,
        ball=cbrt,
        slope=lambda x, y: y / (3 * x),
        growth=_cbrt_growth,
        numpy_name="cbrt",
    ),
)
