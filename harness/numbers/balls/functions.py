"""Powers and functions of two variables on balls are computed here, with their derivatives.

Each takes and returns python-flint `arb` balls at the current precision `flint.ctx.prec`; the result encloses the image
of every number in the arguments. The derivatives are our own, independent of JAX.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Code
from backprove.harness.numbers.elementary.powers import square
from backprove.harness.numbers.elementary.row import Unary
from backprove.harness.numbers.elementary.steps import trunc

ZERO, ONE, TWO = arb(0), arb(1), arb(2)


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
    """x**y log(x), and its limit 0 at 0, where every power of a positive exponent is 0."""
    if x == 0 and y > 0:
        return ZERO
    return power(x, y) * x.log()


def rem(x: arb, y: arb) -> arb:
    """x - y trunc(x/y): the remainder with the dividend's sign (fmod)."""
    return x - y * trunc(x / y)


def maximum(a: arb, b: arb) -> arb:
    return a.max(b)


def logaddexp(a: arb, b: arb) -> arb:
    return maximum(a, b) + (-abs(a - b)).exp().log1p()


BINARY: dict[str, Code] = {
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
