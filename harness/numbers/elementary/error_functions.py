"""These rows hold the error function and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import (
    NO_BOUND,
    NOT_IN_NUMPY,
    UNIT,
    Elementary,
    SciPy,
    float64,
    nearest_to_zero,
)

if TYPE_CHECKING:
    from flint import arb

TWO_OVER_SQRT_PI = "1.12837916709551257389615890312154517"
SERIES_TERMS = 60
"""The Maclaurin series of erf has converged to 2**-70 after so many terms for |x| <= 2."""


def _gauss(x: Array) -> Array:
    """exp(-x**2) with a small relative error: x is split so that the square of its leading part is exact."""
    x = np.minimum(np.abs(x), 1e4).astype(x.dtype)
    head = x.astype(np.float32).astype(x.dtype)
    return np.asarray(np.exp(-head * head) * np.exp((head - x) * (head + x)))


def _erf_series(x: Array) -> Array:
    """erf for |x| <= 2: 2/sqrt(pi) x exp(-x^2) sum_n (2 x^2)^n / (2n+1)!!, all terms positive (DLMF 7.6.2)."""
    term = np.ones_like(x)
    total = np.ones_like(x)
    for n in range(1, SERIES_TERMS):
        term = term * (2 * x * x / (2 * n + 1))
        total = total + term
    return np.asarray(x.dtype.type(TWO_OVER_SQRT_PI) * x * _gauss(x) * total)


def _erfc_fraction(x: Array, terms: int) -> Array:
    """erfc for x >= 1 from Laplace's continued fraction (DLMF 7.9.1), evaluated backwards."""
    f = x
    for n in range(terms, 0, -1):
        f = x + x.dtype.type(n) / 2 / f
    return np.asarray(x.dtype.type(TWO_OVER_SQRT_PI) / 2 * _gauss(x) / f)


def _erfc_positive(x: Array) -> Array:
    out = np.full_like(x, np.nan)
    for low, high, terms in ((1.0, 2.0, 260), (2.0, np.inf, 70)):
        here = (x >= low) & (x < high)
        out[here] = _erfc_fraction(x[here], terms)
    out[x < 1] = 1 - _erf_series(x[x < 1])
    out[np.isposinf(x)] = 0
    return out


def wide_erf(v: Array) -> Array:
    """The error function in the format of `v`."""
    v = np.asarray(v)
    a = np.abs(v)
    out = np.full_like(v, np.nan)
    out[a < 2] = _erf_series(v[a < 2])
    out[a >= 2] = np.copysign(1 - _erfc_positive(a[a >= 2]), v[a >= 2])
    return out


def wide_erfc(v: Array) -> Array:
    """The complementary error function in the format of `v`."""
    v = np.asarray(v)
    out = np.full_like(v, np.nan)
    out[v >= 0] = _erfc_positive(v[v >= 0])
    out[v < 0] = 1 + wide_erf(-v[v < 0])
    return out


def wide_erf_inv(v: Array) -> Array:
    """The inverse of the error function in the format of `v`: SciPy's float64 value and two steps of Newton's method.

    In the outer half the equation is erfc(y) = 1 - |v|: that difference is exact, and erf(y) would be near 1.
    """
    v = np.asarray(v)
    a = np.abs(v)
    y = np.where(a < 0.5, SciPy("erfinv")(float64(a)), SciPy("erfcinv")(float64(1 - a))).astype(v.dtype)
    for _ in range(2):
        residual = np.where(a < 0.5, wide_erf(y) - a, (1 - a) - wide_erfc(y))
        y = np.where(np.isfinite(y), y - residual / (v.dtype.type(TWO_OVER_SQRT_PI) * _gauss(y)), y)
    return np.asarray(np.copysign(y, v))


def _erf_inv_growth(v: Array, e: Array) -> Array:
    """The slope sqrt(pi)/2 exp(y^2) at the end further from 0, with y from above."""
    edge = (float64(1 - np.abs(v)) - e) * (1 - 2.0**-50)
    y = SciPy("erfcinv")(edge) * (1 + 2.0**-48)
    return np.where(edge > 0, 0.8863 * e * np.exp(y * y), np.inf)


def _erf_growth(v: Array, e: Array) -> Array:
    return np.asarray(np.minimum(2.0, 1.13 * e * np.exp(-(nearest_to_zero(v, e) ** 2))))


def log_of_normal(x: arb) -> arb:
    """log of the probability that a normal number is below x."""
    scaled = x / type(x)(2).sqrt()
    return (-scaled.erfc() / 2).log1p() if x > 0 else ((-scaled).erfc() / 2).log()


def _slope_of_log_of_normal(x: arb, y: arb) -> arb:
    return (-x * x / 2 - y).exp() / (2 * type(x).pi()).sqrt()


def scaled_complement(x: arb) -> arb:
    """exp(x^2) erfc(x)."""
    return (x * x).exp() * x.erfc()


NO_GROWTH = {"growth": NO_BOUND, "numpy_name": NOT_IN_NUMPY}

ROWS = (
    Elementary(
        name="erf",
        numpy=SciPy("erf"),
        ball="erf",
        slope=lambda x, y: 2 / x.const_sqrt_pi() * (-x * x).exp(),
        growth=_erf_growth,
        wide=wide_erf,
        wide_k=32.0,
        holes={"numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(
        name="erfc",
        numpy=SciPy("erfc"),
        ball="erfc",
        slope=lambda x, y: -2 / x.const_sqrt_pi() * (-x * x).exp(),
        growth=_erf_growth,
        wide=wide_erfc,
        wide_k=64.0,
        holes={"numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(
        name="erf_inv",
        numpy=SciPy("erfinv"),
        ball="erfinv",
        slope=lambda x, y: x.const_sqrt_pi() / 2 * (y * y).exp(),
        growth=_erf_inv_growth,
        wide=wide_erf_inv,
        wide_k=64.0,
        domain=UNIT,
        holes={"numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(
        name="erfcx",
        numpy=SciPy("erfcx"),
        ball=scaled_complement,
        slope=lambda x, y: 2 * x * y - 2 / x.const_sqrt_pi(),
        holes=NO_GROWTH,
    ),
    Elementary(
        name="log_ndtr",
        numpy=SciPy("log_ndtr"),
        ball=log_of_normal,
        slope=_slope_of_log_of_normal,
        holes=NO_GROWTH,
    ),
)
