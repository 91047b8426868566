"""Real functions on balls and their derivatives form the table on which the exact layer rests.

Each function takes and returns python-flint `arb` balls at the current precision `flint.ctx.prec`; the result encloses
the image of every number in the arguments. The derivatives are our own, independent of JAX; the mean-value form
cross-checks every row (tests/harness/oracles/test_mean_value.py).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb

ZERO, ONE, TWO = arb(0), arb(1), arb(2)
HALF = arb(0.5)

Unary = Callable[[arb], arb]


def logistic(x: arb) -> arb:
    """1/(1+e^-x), without overflow on either side; wide balls by monotonicity."""
    if not x.is_exact() and x.rad() > 1:
        return logistic(x.lower()).union(logistic(x.upper()))
    if x > 0:
        return ONE / (ONE + (-x).exp())
    e = x.exp()
    return e / (ONE + e)


def logistic_slope(x: arb) -> arb:
    e = (-abs(x)).exp()
    return e / (ONE + e) ** 2


def tanh_slope(x: arb) -> arb:
    return square(x.sech())


def square(x: arb) -> arb:
    r = x * x
    return r if x.is_exact() else r.nonnegative_part()


def integer_pow(x: arb, n: int) -> arb:
    if n < 0:
        return ONE / integer_pow(x, -n)
    r = x**n if x.is_exact() or not x.contains(0) else _power_by_squaring(x, n)
    return r.nonnegative_part() if n % 2 == 0 and not (x.is_exact() or x > 0 or x < 0) else r


@lru_cache(maxsize=64)
def power_of(n: int) -> Unary:
    """x -> x**n."""
    return square if n == 2 else lambda x: integer_pow(x, n)


@lru_cache(maxsize=64)
def power_of_slope(n: int) -> Unary:
    """x -> n x**(n-1)."""
    return (lambda x: TWO * x) if n == 2 else lambda x: n * integer_pow(x, n - 1)


def _power_by_squaring(x: arb, n: int) -> arb:
    """x**n for n >= 0 by multiplications alone: arb's own power is not a number on balls around zero."""
    out = ONE
    while n:
        if n & 1:
            out = out * x
        n >>= 1
        if n:
            x = square(x)
    return out


def power(x: arb, y: arb) -> arb:
    """x**y for x > 0, and for every x where y is an integer."""
    if y.is_exact() and y.is_integer() and abs(y) < 2**31:
        n = y.unique_fmpz()
        if n is not None:
            return integer_pow(x, int(n))
    return x**y


def power_slope_in_base(x: arb, y: arb) -> arb:
    return y * power(x, y - 1)


def power_slope_in_exponent(x: arb, y: arb) -> arb:
    return power(x, y) * x.log()


def sign(x: arb) -> arb:
    """sign(0) = 0; the hull [-1, 1] where the sign is not known."""
    if x > 0:
        return ONE
    if x < 0:
        return -ONE
    return ZERO if x == 0 and x.is_exact() else arb(0, 1)


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
    if not f.is_exact() or not (d < HALF or d > HALF or (d == HALF and d.is_exact())):
        return floor(x - HALF).union(ceil(x + HALF))
    if d < HALF:
        return f
    if d > HALF:
        return f + 1
    return f if (f / 2).is_integer() else f + 1


def round_half_away(x: arb) -> arb:
    return floor(x + HALF) if not x < 0 else -floor(-x + HALF)


def rem(x: arb, y: arb) -> arb:
    """x - y trunc(x/y): the remainder with the dividend's sign (fmod)."""
    return x - y * trunc(x / y)


def cbrt(x: arb) -> arb:
    if x.is_zero():
        return ZERO
    if x >= 0:
        return x.root(3)
    if x < 0:
        return -((-x).root(3))
    return cbrt(x.lower()).union(cbrt(x.upper())) if x.is_finite() else arb("nan")


def erf_inv_slope(y: arb) -> arb:
    return arb.const_sqrt_pi() / 2 * (y * y).exp()


def maximum(a: arb, b: arb) -> arb:
    return a.max(b)


def minimum(a: arb, b: arb) -> arb:
    return a.min(b)


def logaddexp(a: arb, b: arb) -> arb:
    return maximum(a, b) + (-abs(a - b)).exp().log1p()


@dataclass(frozen=True)
class Smooth:
    """A differentiable function of one variable: value, and slope from the argument and the value."""

    value: Unary
    slope: Callable[[arb, arb], arb]


SMOOTH: dict[str, Smooth] = {
    "neg": Smooth(operator.neg, lambda x, y: -ONE),
    "exp": Smooth(arb.exp, lambda x, y: y),
    "exp2": Smooth(lambda x: TWO**x, lambda x, y: y * arb.const_log2()),
    "expm1": Smooth(arb.expm1, lambda x, y: x.exp()),
    "log": Smooth(arb.log, lambda x, y: ONE / x if not x <= 0 else arb("nan")),
    "log1p": Smooth(arb.log1p, lambda x, y: ONE / (ONE + x) if not x <= -1 else arb("nan")),
    "logistic": Smooth(logistic, lambda x, y: logistic_slope(x)),
    "tanh": Smooth(arb.tanh, lambda x, y: tanh_slope(x)),
    "sinh": Smooth(arb.sinh, lambda x, y: x.cosh()),
    "cosh": Smooth(arb.cosh, lambda x, y: x.sinh()),
    "asinh": Smooth(arb.asinh, lambda x, y: ONE / (ONE + x * x).sqrt()),
    "acosh": Smooth(arb.acosh, lambda x, y: ONE / (x * x - 1).sqrt()),
    "atanh": Smooth(arb.atanh, lambda x, y: ONE / (ONE - x * x)),
    "sin": Smooth(arb.sin, lambda x, y: x.cos()),
    "cos": Smooth(arb.cos, lambda x, y: -x.sin()),
    "tan": Smooth(arb.tan, lambda x, y: ONE + y * y),
    "asin": Smooth(arb.asin, lambda x, y: ONE / (ONE - x * x).sqrt()),
    "acos": Smooth(arb.acos, lambda x, y: -ONE / (ONE - x * x).sqrt()),
    "atan": Smooth(arb.atan, lambda x, y: ONE / (ONE + x * x)),
    "sqrt": Smooth(arb.sqrt, lambda x, y: HALF / y),
    "rsqrt": Smooth(arb.rsqrt, lambda x, y: -HALF * y / x),
    "cbrt": Smooth(cbrt, lambda x, y: y / (3 * x)),
    "square": Smooth(square, lambda x, y: 2 * x),
    "erf": Smooth(arb.erf, lambda x, y: 2 / arb.const_sqrt_pi() * (-x * x).exp()),
    "erfc": Smooth(arb.erfc, lambda x, y: -2 / arb.const_sqrt_pi() * (-x * x).exp()),
    "erf_inv": Smooth(arb.erfinv, lambda x, y: erf_inv_slope(y)),
    "lgamma": Smooth(arb.lgamma, lambda x, y: x.digamma()),
    "digamma": Smooth(arb.digamma, lambda x, y: TWO.zeta(x)),
}
"""Differentiable functions of one variable, by the name of the JAX primitive."""

WITHOUT_SLOPE: dict[str, Unary] = {
    "bessel_i0e": lambda x: (-abs(x)).exp() * x.bessel_i(0),
    "bessel_i1e": lambda x: (-abs(x)).exp() * x.bessel_i(1),
}
"""Functions of one variable with values only: the exact layer judges rules of such code by the mean-value form."""

PIECEWISE: dict[str, Unary] = {
    "abs": abs,
    "sign": sign,
    "floor": floor,
    "ceil": ceil,
}
"""Functions of one variable with kinks or jumps."""

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": arb.max,
    "min": arb.min,
    "pow": power,
    "rem": rem,
    "atan2": arb.atan2,
}
"""Functions of two variables; the four operations as NumPy's, which call the balls' own operators."""
