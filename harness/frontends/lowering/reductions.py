"""Reductions by any function, largest entries and tridiagonal systems become code of common primitives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax


def fold(*operands: jax.Array, jaxpr: Any, dimensions: Sequence[int], consts: Sequence[Any] = (), **_: Any) -> Any:
    """`reduce`: the entries of the arrays (first half of the operands) are joined in row-major order to the starts.

    Raises:
        TypeError: where several arrays are reduced at once.
    """
    import jax
    import jax.numpy as jnp
    from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

    if len(operands) != 2:
        raise TypeError("reduce of several arrays at once")
    x, start = operands
    closed = jaxpr if hasattr(jaxpr, "consts") else ClosedJaxpr(jaxpr, consts)
    ends = tuple(range(len(dimensions)))
    rest = [n for i, n in enumerate(x.shape) if i not in dimensions]
    entries = jnp.moveaxis(x, dimensions, ends).reshape((-1, math.prod(rest)))
    join = jax.vmap(jaxpr_as_fun(closed))
    y = jnp.broadcast_to(start, (math.prod(rest),))
    for entry in entries:
        (y,) = join(y, entry)
    return [y.reshape(rest)]


def top_k(x: jax.Array, *, k: int, reduction_dimension: int, is_max_k: bool, **_: Any) -> tuple[jax.Array, jax.Array]:
    """`approx_top_k`, whose results are the true ones where they are not approximate, as on CPU."""
    import jax.numpy as jnp
    from jax import lax

    moved = jnp.moveaxis(x, reduction_dimension, -1)
    values, places = lax.top_k(moved if is_max_k else -moved, k)
    back = jnp.moveaxis(values if is_max_k else -values, -1, reduction_dimension)
    return back, jnp.moveaxis(places, -1, reduction_dimension)


def tridiagonal_solve(dl: jax.Array, d: jax.Array, du: jax.Array, b: jax.Array, **_: Any) -> jax.Array:
    """Elimination from the first row to the last, and substitution back.

    Args:
        dl, d, du: the diagonals `(..., n)`; the first of the lower and the last of the upper one are not read.
        b: `(..., n, m)`.
    """
    import jax.numpy as jnp

    n = d.shape[-1]
    ratios: list[jax.Array] = []
    rights: list[jax.Array] = []
    for i in range(n):
        pivot, right = d[..., i], b[..., i, :]
        if i:
            pivot = pivot - dl[..., i] * ratios[-1]
            right = right - dl[..., i, None] * rights[-1]
        ratios.append(du[..., i] / pivot)
        rights.append(right / pivot[..., None])
    found = rights[-1:]
    for i in range(n - 2, -1, -1):
        found.append(rights[i] - ratios[i][..., None] * found[-1])
    return jnp.stack(found[::-1], axis=-2) if n else b
