"""Small shared pieces of the statements: inner products, outer products, matrix forms and the softmax family."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from backprove.harness.statements.claims import Equality
from backprove.rules.lazy import jax, jnp

Tensor: TypeAlias = "jax.Array"


def inner(a: Any, b: Any) -> Tensor:
    """`<a, b>`, the sum of entrywise products; of two tuples of tensors the sum over the tuple."""
    if isinstance(a, tuple):
        pieces = [inner(p, q) for p, q in zip(a, b, strict=True)]
        return functools.reduce(operator.add, pieces)
    return jnp.sum(a * b)


def outer(a: Tensor, b: Tensor) -> Tensor:
    """`a b^T` of two vectors."""
    return a[:, None] * b[None, :]


def identity(x: Tensor) -> Tensor:
    """The identity matrix `I` on the space of the vector `x`, in the dtype of `x`."""
    return jnp.eye(x.shape[0], dtype=x.dtype)


def diagonal(v: Tensor) -> Tensor:
    """The matrix `diag(v)`."""
    return identity(v) * v


def over(a: Tensor, count: int) -> Tensor:
    """`(1/count) a` with `1/0 := 0`; dividing by the whole number costs one rounding less than its inverse."""
    return a / count if count else jnp.zeros_like(a)


def mask(x: Tensor) -> Tensor:
    """The ReLU mask `m(x) = 1` where `x > 0`, else 0, in the dtype of `x`."""
    return (x > 0).astype(x.dtype)


def shifted(x: Tensor) -> Tensor:
    """`x - max x` over the last axis; softmax and log-softmax do not see the shift, exp does not overflow."""
    return x - jax.lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))


def softmax(x: Tensor) -> Tensor:
    """`e^{x_i} / sum_j e^{x_j}` over the last axis, max-shifted; a vector of length 0 maps to itself."""
    if x.shape[-1] == 0:
        return x
    e = jnp.exp(shifted(x))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def log_softmax(x: Tensor) -> Tensor:
    """`x_i - log sum_j e^{x_j}` over the last axis, max-shifted; a vector of length 0 maps to itself."""
    if x.shape[-1] == 0:
        return x
    z = shifted(x)
    return z - jnp.log(jnp.sum(jnp.exp(z), axis=-1, keepdims=True))


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The Jacobian of `f: R^n -> R^n` at `x` as JAX has it; row i is the pullback of the i-th unit vector."""
    pullback = jax.vjp(f, x)[1]
    rows: Tensor = jax.vmap(lambda e: pullback(e)[0])(identity(x))
    return rows


def pairing(jvp: Callable[..., Any], vjp: Callable[..., Any], *, tangents: int = 1) -> Equality:
    """The duality law `<jvp(x, dx), d> = <dx, vjp(x, d)>`.

    Args:
        jvp: `jvp(*primals, *tangents)` -> one output tangent.
        vjp: `vjp(*primals, d)` -> one cotangent, or a tuple with one per tangent.
        tangents: number of tangents. The claim's inputs are the primals, the tangents, then the cotangent `d`.
    """

    def left(*args: Any) -> Tensor:
        return inner(jvp(*args[:-1]), args[-1])

    def right(*args: Any) -> Tensor:
        primals, directions, d = args[: -1 - tangents], args[-1 - tangents : -1], args[-1]
        pulled = vjp(*primals, d)
        return inner(directions, pulled if isinstance(pulled, tuple) else (pulled,))

    return Equality(left, right)
