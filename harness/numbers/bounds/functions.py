"""Elementary functions give the running error bound their value in a wide format and the growth of an
argument's error.

For each function f of one variable: f itself in float64 or `np.longdouble`, and a bound on |f(x') - f(x)| over all x'
with |x' - x| <= e, from the largest slope on that interval or from f's modulus of continuity. Values come in and go
out in the wide format, bounds are float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array

LN2 = float(np.log(2.0))
TWO_OVER_SQRT_PI = "1.12837916709551257389615890312154517"
SERIES_TERMS = 60
"""The Maclaurin series of erf has converged to 2**-70 after so many terms for |x| <= 2."""


@dataclass(frozen=True)
class Elementary:
    """One function.

    Attributes:
        value: f at an array, in the array's own format.
        growth: `growth(v, e)` bounds |f(x) - f(v)| for all x of the domain with |x - v| <= e.
        inside: `inside(v, e)`: no x with |x - v| <= e lies outside the domain (None: f is defined everywhere).
    """

    value: Callable[[Array], Array]
    growth: Callable[[Array, Array], Array]
    inside: Callable[[Array, Array], Array] | None = None


def float64(x: Array) -> NDArray[np.float64]:
    """Rounded to float64; overflow becomes infinite."""
    return np.asarray(x, dtype=np.float64)


def _far(v: Array, e: Array) -> Array:
    """Distance from 0 of the nearest point of the interval."""
    return np.asarray(np.maximum(np.abs(v) - e, 0))


def _logistic(v: Array) -> Array:
    q = np.exp(-np.abs(v))
    return np.asarray(np.where(v >= 0, 1, q) / (1 + q))


def _logistic_slope(a: Array) -> Array:
    q = np.exp(-a)
    return np.asarray(q / (1 + q) ** 2)


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


def erf(v: Array) -> Array:
    """The error function in the format of `v`."""
    v = np.asarray(v)
    a = np.abs(v)
    out = np.full_like(v, np.nan)
    out[a < 2] = _erf_series(v[a < 2])
    out[a >= 2] = np.copysign(1 - _erfc_positive(a[a >= 2]), v[a >= 2])
    return out


def erfc(v: Array) -> Array:
    """The complementary error function in the format of `v`."""
    v = np.asarray(v)
    out = np.full_like(v, np.nan)
    out[v >= 0] = _erfc_positive(v[v >= 0])
    out[v < 0] = 1 + erf(-v[v < 0])
    return out


def _expm1(e: Array) -> Array:
    """exp(e) - 1 for e >= 0, or slightly more: e (1 + e) where that is the same to 2**-40."""
    return np.asarray(e * (1 + e) if (e < 2.0**-40).all() else np.expm1(e))


def _minus_log1p(q: Array) -> Array:
    """-log(1 - q) for 0 <= q < 1, or slightly more."""
    return np.asarray(q * (1 + q) if (q < 2.0**-40).all() else -np.log1p(-q))


def _exp_growth(v: Array, e: Array) -> Array:
    return np.asarray(np.exp(float64(v)) * _expm1(e))


def _tan_growth(v: Array, e: Array) -> Array:
    least = float64(np.abs(np.cos(v))) - e
    return np.where(least > 0, e / (least * least), np.inf)


def _sqrt_growth(v: Array, e: Array) -> Array:
    a = float64(v)
    return np.where(e > 0, e / (np.sqrt(a) + np.sqrt(np.maximum(a - e, 0))), 0.0)


def _cbrt_growth(v: Array, e: Array) -> Array:
    near = np.cbrt(float64(_far(v, e)))
    # |cbrt(a) - cbrt(b)| <= 2**(2/3) cbrt|a - b| everywhere
    return np.asarray(np.fmin(e / (3 * near * near), 1.6 * np.cbrt(e)))


def _rsqrt_growth(v: Array, e: Array) -> Array:
    low = float64(v) - e
    return np.where(low > 0, 0.5 * e / low / np.sqrt(low), np.inf)


def _arcsine_growth(v: Array, e: Array) -> Array:
    edge = float64(1 - np.abs(v)) - e
    # acos has its modulus of continuity at 1: acos(1 - d) = 2 asin(sqrt(d / 2))
    worst = 2 * np.arcsin(np.sqrt(np.minimum(e / 2, 1.0)))
    return np.where(edge > 0, np.fmin(e / np.sqrt(edge), worst), worst)


def _acosh_growth(v: Array, e: Array) -> Array:
    above = float64(v - 1) - e
    worst = np.log1p(e + np.sqrt(e) * np.sqrt(e + 2))  # acosh(1 + e)
    return np.asarray(np.where(above > 0, np.fmin(e / np.sqrt(above) / np.sqrt(above + 2), worst), worst))


def _atanh_growth(v: Array, e: Array) -> Array:
    edge = float64(1 - np.abs(v)) - e
    return np.where(edge > 0, e / edge, np.inf)


def _log_growth(distance: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    def growth(v: Array, e: Array) -> Array:
        d = float64(distance(v))
        return np.where(e < d, _minus_log1p(e / d), np.inf)

    return growth


def _round_growth(f: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """A step function: the steps between the ends of the interval, which are widened by one ulp of the wide format."""

    def growth(v: Array, e: Array) -> Array:
        inf = np.asarray(v).dtype.type(np.inf)
        low, high = np.nextafter(v - e, -inf), np.nextafter(v + e, inf)
        return np.where(e > 0, float64(f(high) - f(low)), 0.0)

    return growth


def round_half_away(v: Array) -> Array:
    """Nearest integer, ties away from zero (`lax.round`'s default)."""
    # floor(|v| + 1/2) would be wrong just below 1/2, where the sum rounds up
    whole = np.trunc(v)
    return np.asarray(whole + np.where(np.abs(v - whole) >= 0.5, np.sign(v), 0))


FUNCTIONS: dict[str, Elementary] = {
    "exp": Elementary(np.exp, _exp_growth),
    "exp2": Elementary(np.exp2, lambda v, e: np.exp2(float64(v)) * _expm1(e * LN2)),
    "expm1": Elementary(np.expm1, _exp_growth),
    "log": Elementary(np.log, _log_growth(lambda v: v), lambda v, e: e < v),
    "log1p": Elementary(np.log1p, _log_growth(lambda v: 1 + v), lambda v, e: e < 1 + v),
    "logistic": Elementary(_logistic, lambda v, e: np.minimum(1.0, e * _logistic_slope(float64(_far(v, e))))),
    "tanh": Elementary(np.tanh, lambda v, e: np.minimum(2.0, 4 * e * _logistic_slope(2 * float64(_far(v, e))))),
    "sinh": Elementary(np.sinh, lambda v, e: np.cosh(np.abs(float64(v)) + e) * e),
    "cosh": Elementary(np.cosh, lambda v, e: np.sinh(np.abs(float64(v)) + e) * e),
    "asinh": Elementary(np.arcsinh, lambda v, e: e / np.hypot(1.0, float64(_far(v, e)))),
    "acosh": Elementary(np.arccosh, _acosh_growth, lambda v, e: v - 1 >= e),
    "atanh": Elementary(np.arctanh, _atanh_growth, lambda v, e: 1 - np.abs(v) > e),
    "sin": Elementary(np.sin, lambda v, e: np.minimum(e, 2.0)),
    "cos": Elementary(np.cos, lambda v, e: np.minimum(e * np.minimum(float64(np.abs(np.sin(v))) + e, 1.0), 2.0)),
    "tan": Elementary(np.tan, _tan_growth),
    "asin": Elementary(np.arcsin, _arcsine_growth, lambda v, e: 1 - np.abs(v) >= e),
    "acos": Elementary(np.arccos, _arcsine_growth, lambda v, e: 1 - np.abs(v) >= e),
    "atan": Elementary(np.arctan, lambda v, e: e / np.hypot(1.0, float64(_far(v, e))) ** 2),
    "sqrt": Elementary(np.sqrt, _sqrt_growth, lambda v, e: e <= v),
    "rsqrt": Elementary(lambda v: 1 / np.sqrt(v), _rsqrt_growth, lambda v, e: e < v),
    "cbrt": Elementary(np.cbrt, _cbrt_growth),
    "erf": Elementary(erf, lambda v, e: np.minimum(2.0, 1.13 * e * np.exp(-(float64(_far(v, e)) ** 2)))),
    "erfc": Elementary(erfc, lambda v, e: np.minimum(2.0, 1.13 * e * np.exp(-(float64(_far(v, e)) ** 2)))),
    "floor": Elementary(np.floor, _round_growth(np.floor)),
    "ceil": Elementary(np.ceil, _round_growth(np.ceil)),
    "round": Elementary(round_half_away, _round_growth(round_half_away)),
    "round_even": Elementary(np.rint, _round_growth(np.rint)),
}
"""By name of the JAX primitive (`round_even` is `round` with ties to even)."""

EXACT = frozenset({"floor", "ceil", "round", "round_even"})
"""Functions whose result is always a floating-point number: nothing is rounded."""
