"""These rows hold hyperbolic functions and their inverses."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.exponential import float_logistic_slope
from backprove.harness.numbers.elementary.powers import square
from backprove.harness.numbers.elementary.row import UNIT, Elementary, Interval, float64, nearest_to_zero


def _acosh_growth(v: Array, e: Array) -> Array:
    above = float64(v - 1) - e
    worst = np.log1p(e + np.sqrt(e) * np.sqrt(e + 2))  # acosh(1 + e)
    return np.asarray(np.where(above > 0, np.fmin(e / np.sqrt(above) / np.sqrt(above + 2), worst), worst))


def _atanh_growth(v: Array, e: Array) -> Array:
    edge = float64(1 - np.abs(v)) - e
    return np.where(edge > 0, e / edge, np.inf)


ROWS = (
    Elementary(
        name="tanh",
        numpy=np.tanh,
        ball="tanh",
        slope=lambda x, y: square(x.sech()),
        growth=lambda v, e: np.minimum(2.0, 4 * e * float_logistic_slope(2 * nearest_to_zero(v, e))),
        numpy_name="tanh",
    ),
    Elementary(
        name="sinh",
        numpy=np.sinh,
        ball="sinh",
        slope=lambda x, y: x.cosh(),
        growth=lambda v, e: np.cosh(np.abs(float64(v)) + e) * e,
        numpy_name="sinh",
    ),
    Elementary(
        name="cosh",
        numpy=np.cosh,
        ball="cosh",
        slope=lambda x, y: x.sinh(),
        growth=lambda v, e: np.sinh(np.abs(float64(v)) + e) * e,
        numpy_name="cosh",
    ),
    Elementary(
        name="asinh",
        numpy=np.arcsinh,
        ball="asinh",
        slope=lambda x, y: 1 / (1 + x * x).sqrt(),
        growth=lambda v, e: e / np.hypot(1.0, nearest_to_zero(v, e)),
        numpy_name="arcsinh",
    ),
    Elementary(
        name="acosh",
        numpy=np.arccosh,
        ball="acosh",
        slope=lambda x, y: 1 / (x * x - 1).sqrt(),
        growth=_acosh_growth,
        domain=Interval(1.0, closed=True),
        numpy_name="arccosh",
    ),
    Elementary(
        name="atanh",
        numpy=np.arctanh,
        ball="atanh",
        slope=lambda x, y: 1 / (1 - x * x),
        growth=_atanh_growth,
        domain=UNIT,
        numpy_name="arctanh",
    ),
)
