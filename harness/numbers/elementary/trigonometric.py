"""These rows hold circular functions and their inverses."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import Elementary, Interval, float64, nearest_to_zero

CLOSED_UNIT = Interval(-1.0, 1.0, closed=True)


def _tan_growth(v: Array, e: Array) -> Array:
    least = float64(np.abs(np.cos(v))) - e
    return np.where(least > 0, e / (least * least), np.inf)


def _arcsine_growth(v: Array, e: Array) -> Array:
    edge = float64(1 - np.abs(v)) - e
    # acos has its modulus of continuity at 1: acos(1 - d) = 2 asin(sqrt(d / 2))
    worst = 2 * np.arcsin(np.sqrt(np.minimum(e / 2, 1.0)))
    return np.where(edge > 0, np.fmin(e / np.sqrt(edge), worst), worst)


ROWS = (
    Elementary(
        name="sin",
        numpy=np.sin,
        ball="sin",
        slope=lambda x, y: x.cos(),
        growth=lambda v, e: np.minimum(e, 2.0),
        numpy_name="sin",
    ),
    Elementary(
        name="cos",
        numpy=np.cos,
        ball="cos",
        slope=lambda x, y: -x.sin(),
        growth=lambda v, e: np.minimum(e * np.minimum(float64(np.abs(np.sin(v))) + e, 1.0), 2.0),
        numpy_name="cos",
    ),
    Elementary(
        name="tan", numpy=np.tan, ball="tan", slope=lambda x, y: 1 + y * y, growth=_tan_growth, numpy_name="tan"
    ),
    Elementary(
        name="asin",
        numpy=np.arcsin,
        ball="asin",
        slope=lambda x, y: 1 / (1 - x * x).sqrt(),
        growth=_arcsine_growth,
        domain=CLOSED_UNIT,
        numpy_name="arcsin",
    ),
    Elementary(
        name="acos",
        numpy=np.arccos,
        ball="acos",
        slope=lambda x, y: -1 / (1 - x * x).sqrt(),
        growth=_arcsine_growth,
        domain=CLOSED_UNIT,
        numpy_name="arccos",
    ),
    Elementary(
        name="atan",
        numpy=np.arctan,
        ball="atan",
        slope=lambda x, y: 1 / (1 + x * x),
        growth=lambda v, e: e / np.hypot(1.0, nearest_to_zero(v, e)) ** 2,
        numpy_name="arctan",
    ),
)
