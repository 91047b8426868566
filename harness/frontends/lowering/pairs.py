"""Pairs of reals compute as complex numbers do: arithmetic and elementary functions on real and imaginary parts.

    mul: (a + bi)(c + di) = (ac - bd) + (ad + bc)i

Cuts and zeros (of sqrt, log, size, sign) are kinks of the parts, as any others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import jax


class Pair(NamedTuple):
    """A complex array: its real and its imaginary part."""

    re: Any
    im: Any


Value = Any
"""An array or a `Pair`."""


def scaled(a: Pair, n: int) -> Pair:
    return Pair(a.re / n, a.im / n)


def mul(a: Pair, b: Pair) -> Pair:
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def div(a: Pair, b: Pair) -> Pair:
    size = b.re * b.re + b.im * b.im
    return Pair((a.re * b.re + a.im * b.im) / size, (a.im * b.re - a.re * b.im) / size)


def square(a: Pair) -> Pair:
    return Pair((a.re - a.im) * (a.re + a.im), 2 * a.re * a.im)


def one(like: Pair) -> Pair:
    import jax.numpy as jnp

    return Pair(jnp.ones_like(like.re), jnp.zeros_like(like.re))


def integer_pow(a: Pair, y: int) -> Pair:
    if y == 0:
        return one(a)
    out: Pair | None = None
    n = abs(y)
    base = a
    while n:
        if n & 1:
            out = base if out is None else mul(out, base)
        n >>= 1
        if n:
            base = mul(base, base)
    assert out is not None
    return out if y > 0 else div(one(a), out)


def product(a: Pair, axes: Sequence[int]) -> Pair:
    """The factors are joined one after the other, in row-major order."""
    import jax.numpy as jnp

    rest = [n for i, n in enumerate(a.re.shape) if i not in axes]
    ends = tuple(range(len(axes)))
    parts = (jnp.moveaxis(x, axes, ends).reshape((-1, *rest)) for x in a)
    out, factors = one(Pair(jnp.zeros(rest, a.re.dtype), None)), Pair(*parts)
    for k in range(factors.re.shape[0]):
        factor = Pair(factors.re[k], factors.im[k])
        out = mul(out, factor) if k else factor
    return out


def size(a: Pair) -> jax.Array:
    import jax.numpy as jnp

    return jnp.sqrt(a.re * a.re + a.im * a.im)


def sign(a: Pair) -> Pair:
    import jax.numpy as jnp

    length = size(a)
    zero = length == 0
    safe = jnp.where(zero, 1, length)
    return Pair(jnp.where(zero, a.re, a.re / safe), jnp.where(zero, a.im, a.im / safe))


def exp(a: Pair) -> Pair:
    import jax.numpy as jnp

    size = jnp.exp(a.re)
    return Pair(size * jnp.cos(a.im), size * jnp.sin(a.im))


def expm1(a: Pair) -> Pair:
    import jax.numpy as jnp

    half = jnp.sin(a.im / 2)
    return Pair(jnp.expm1(a.re) * jnp.cos(a.im) - 2 * half * half, jnp.exp(a.re) * jnp.sin(a.im))


def log(a: Pair) -> Pair:
    import jax.numpy as jnp

    return Pair(jnp.log(a.re * a.re + a.im * a.im) / 2, jnp.arctan2(a.im, a.re))


def log1p(a: Pair) -> Pair:
    import jax.numpy as jnp

    return Pair(jnp.log1p(a.re * (2 + a.re) + a.im * a.im) / 2, jnp.arctan2(a.im, 1 + a.re))


def sqrt(a: Pair) -> Pair:
    """The principal root, without cancellation away from 0."""
    import jax.numpy as jnp

    larger = jnp.sqrt((size(a) + jnp.abs(a.re)) / 2)
    smaller = jnp.abs(a.im) / (2 * larger)
    right = a.re >= 0
    im = jnp.where(right, smaller, larger)
    return Pair(jnp.where(right, larger, smaller), jnp.where(a.im < 0, -im, im))


def power(a: Value, b: Value) -> Pair:
    a, b = (x if isinstance(x, Pair) else Pair(x, 0 * x) for x in (a, b))
    return exp(mul(b, log(a)))


def cosh(a: Pair) -> Pair:
    import jax.numpy as jnp

    return Pair(jnp.cosh(a.re) * jnp.cos(a.im), jnp.sinh(a.re) * jnp.sin(a.im))


def sinh(a: Pair) -> Pair:
    import jax.numpy as jnp

    return Pair(jnp.sinh(a.re) * jnp.cos(a.im), jnp.cosh(a.re) * jnp.sin(a.im))


def turned(a: Pair) -> Pair:
    """i a."""
    return Pair(-a.im, a.re)


def sin(a: Pair) -> Pair:
    back = sinh(turned(a))
    return Pair(back.im, -back.re)


def cos(a: Pair) -> Pair:
    return cosh(turned(a))


def back(a: Pair) -> Pair:
    """-i a."""
    return Pair(a.im, -a.re)


def added(a: Pair, b: Pair, sign: int = 1) -> Pair:
    return Pair(a.re + sign * b.re, a.im + sign * b.im)


def asinh(a: Pair) -> Pair:
    """log(a + sqrt(1 + ia) sqrt(1 - ia))."""
    unit, ia = one(a), turned(a)
    return log(added(a, mul(sqrt(added(unit, ia)), sqrt(added(unit, ia, -1)))))


def acosh(a: Pair) -> Pair:
    """log(a + sqrt(a + 1) sqrt(a - 1))."""
    unit = one(a)
    return log(added(a, mul(sqrt(added(a, unit)), sqrt(added(a, unit, -1)))))


def atanh(a: Pair) -> Pair:
    """(log(1 + a) - log(1 - a)) / 2."""
    return scaled(added(log1p(a), log1p(Pair(-a.re, -a.im)), -1), 2)


def asin(a: Pair) -> Pair:
    return back(asinh(turned(a)))


def acos(a: Pair) -> Pair:
    """pi/2 - asin(a)."""
    import jax.numpy as jnp

    right, arc = 2 * jnp.arctan(jnp.ones_like(a.re)), asin(a)
    return Pair(right - arc.re, -arc.im)


def logistic(a: Pair) -> Pair:
    e = exp(Pair(-a.re, -a.im))
    return div(one(a), Pair(1 + e.re, e.im))
