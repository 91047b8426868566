"""These rows hold exponentials and logarithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import (
    NOT_IN_NUMPY,
    POSITIVE,
    Chain,
    Elementary,
    Growth,
    Interval,
    float64,
    nearest_to_zero,
)

if TYPE_CHECKING:
    from flint import arb

LN2 = float(np.log(2.0))


def logistic(x: arb) -> arb:
    """1/(1+e^-x), without overflow on either side; wide balls by monotonicity."""
    if not x.is_exact() and x.rad() > 1:
        return logistic(x.lower()).union(logistic(x.upper()))
    if x > 0:
        return 1 / (1 + (-x).exp())
    e = x.exp()
    return e / (1 + e)


def logistic_slope(x: arb) -> arb:
    e = (-abs(x)).exp()
    return e / (1 + e) ** 2


def _wide_logistic(v: Array) -> Array:
    q = np.exp(-np.abs(v))
    return np.asarray(np.where(v >= 0, 1, q) / (1 + q))


def float_logistic_slope(a: Array) -> Array:
    """The logistic function's slope at `a` >= 0."""
    q = np.exp(-a)
    return np.asarray(q / (1 + q) ** 2)


def _expm1(e: Array) -> Array:
    """exp(e) - 1 for e >= 0, or slightly more: e (1 + e) where that is the same to 2**-40."""
    return np.asarray(e * (1 + e) if (e < 2.0**-40).all() else np.expm1(e))


def _minus_log1p(q: Array) -> Array:
    """-log(1 - q) for 0 <= q < 1, or slightly more."""
    return np.asarray(q * (1 + q) if (q < 2.0**-40).all() else -np.log1p(-q))


def _growth_of(exp: Callable[[Array], Array], rate: float) -> Growth:
    """b**x with log b = `rate`: b**v (b**e - 1), or b**(v + e) beyond e = 1, which is finite where the former is 0 inf.

    The sum v + e is rounded, which 2**-30 of the result is enough for wherever that is a number of float64.
    """

    def growth(v: Array, e: Array) -> Array:
        w = float64(v)
        near = exp(w) * _expm1(e * rate)
        far = np.asarray(e) > 1
        return np.asarray(np.where(far, exp(w + e) * (1 + 2.0**-30), near) if far.any() else near)

    return growth


_exp_growth = _growth_of(np.exp, 1.0)


def _log_growth(distance: Callable[[Array], Array]) -> Growth:
    def growth(v: Array, e: Array) -> Array:
        d = float64(distance(v))
        return np.where(e < d, _minus_log1p(e / d), np.inf)

    return growth


ROWS = (
    Elementary(name="exp", numpy=np.exp, ball="exp", slope=lambda x, y: y, growth=_exp_growth, numpy_name="exp"),
    Elementary(
        name="exp2",
        numpy=np.exp2,
        ball=lambda x: 2**x,
        slope=lambda x, y: y * x.const_log2(),
        growth=_growth_of(np.exp2, LN2),
        wide_k=8.0,
        numpy_name="exp2",
    ),
    Elementary(
        name="expm1",
        numpy=np.expm1,
        ball="expm1",
        slope=lambda x, y: x.exp(),
        growth=_exp_growth,
        numpy_name="expm1",
    ),
    Elementary(
        name="log",
        numpy=np.log,
        ball="log",
        slope=lambda x, y: y if x <= 0 else 1 / x,  # y is not a number there
        growth=_log_growth(lambda v: v),
        domain=POSITIVE,
        numpy_name="log",
    ),
    Elementary(
        name="log1p",
        numpy=np.log1p,
        ball="log1p",
        slope=lambda x, y: y if x <= -1 else 1 / (1 + x),
        growth=_log_growth(lambda v: 1 + v),
        domain=Interval(-1.0),
        numpy_name="log1p",
    ),
    Elementary(
        name="logistic",
        numpy=Chain(np.negative, np.exp, (np.add, 1), (np.divide, 1)),
        ball=logistic,
        slope=lambda x, y: logistic_slope(x),
        growth=lambda v, e: np.minimum(1.0, e * float_logistic_slope(nearest_to_zero(v, e))),
        wide=_wide_logistic,
        wide_k=8.0,
        holes={"numpy_name": NOT_IN_NUMPY},
    ),
)
