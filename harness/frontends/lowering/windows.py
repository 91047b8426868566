"""Convolutions and pooling are gathers of windows at fixed places, and a contraction or a reduction of each window.

A window's *taps* are the entries that it reads. Padding and the holes of a dilated operand are taps without an entry:
a sum reads 0 there, and a maximum reads another tap of the same window, since no ball encloses an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import jax

Positions = NDArray[np.int64]
Padding = Sequence[tuple[int, int]]

ABSENT = -1
"""Stands in a table of taps where the window reads padding or a hole."""


def taps(
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> tuple[Positions, tuple[int, ...]]:
    """Where windows read an operand.

    Args:
        shape: of the operand; the others have one entry per axis. Negative padding crops.

    Returns:
        the flat positions, one row per window and one column per tap, and how many windows there are along each axis.
    """
    table = np.zeros((1, 1), np.int64)
    counts = []
    axes = zip(shape, window, strides, padding, base_dilation, window_dilation, strict=True)
    for n, size, stride, (low, high), base, spread in axes:
        places = np.full((n - 1) * base + 1 if n else 0, ABSENT)
        places[::base] = np.arange(n)
        places = np.pad(places, (max(low, 0), max(high, 0)), constant_values=ABSENT)
        places = places[max(-low, 0) : len(places) - max(-high, 0)]
        reach = (size - 1) * spread + 1
        count = (len(places) - reach) // stride + 1 if len(places) >= reach else 0
        here = places[np.arange(count)[:, None] * stride + np.arange(size) * spread]
        far, near = table[:, None, :, None], here[None, :, None, :]
        joined = np.where((far == ABSENT) | (near == ABSENT), ABSENT, far * n + near)
        table = joined.reshape(table.shape[0] * count, table.shape[1] * size)
        counts.append(count)
    return table, tuple(counts)


def _read(flat: jax.Array, table: Positions) -> jax.Array:
    """Entries on the last axis at fixed places; the axis becomes those of `table`."""
    return flat.at[..., table].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _read_or_zero(flat: jax.Array, table: Positions) -> jax.Array:
    import jax.numpy as jnp
    from jax import lax

    if (table == ABSENT).any():
        flat = lax.pad(flat, jnp.zeros((), flat.dtype), [(0, 0, 0)] * (flat.ndim - 1) + [(0, 1, 0)])
        table = np.where(table == ABSENT, flat.shape[-1] - 1, table)
    return _read(flat, table)


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    preferred_element_type: Any = None,
    **_: Any,
) -> jax.Array:
    """`conv_general_dilated` with its parameters."""
    import jax.numpy as jnp
    from jax import lax

    x = lax.transpose(x, dimension_numbers.lhs_spec)  # batch, features, space
    kernel = lax.transpose(kernel, dimension_numbers.rhs_spec)  # features out, features in, space
    batch, features, *space = x.shape
    out, into, *window = kernel.shape
    table, counts = taps(space, window, window_strides, padding, lhs_dilation, rhs_dilation)
    windows = _read_or_zero(lax.reshape(x, (batch, features, math.prod(space))), table)
    places, size = table.shape
    of_batch, of_features = batch_group_count, feature_group_count
    if of_batch > 1:
        left = lax.reshape(windows, (of_batch, batch // of_batch, features, places, size))
        groups, batch_axis = of_batch, 0
    else:
        left = lax.reshape(windows, (batch, of_features, features // of_features, places, size))
        groups, batch_axis = of_features, 1
    right = lax.reshape(kernel, (groups, out // groups, into, size))
    dims = (((2, 4), (2, 3)), ((batch_axis,), (0,)))
    y = lax.dot_general(left, right, dims, preferred_element_type=preferred_element_type)  # group, batch, place, out
    y = lax.reshape(lax.transpose(y, (1, 0, 3, 2)), (batch // of_batch, out, *counts))
    return lax.transpose(y, [int(i) for i in np.argsort(dimension_numbers.out_spec)]) if y.ndim else jnp.asarray(y)


def window_sum(x: jax.Array, **window: Any) -> jax.Array:
    """`reduce_window_sum`."""
    table, counts = _of_operand(x.shape, window)
    return _read_or_zero(x.reshape(-1), table).sum(1).reshape(counts)


def window_extreme(lowest: bool) -> Callable[..., jax.Array]:
    """`reduce_window_min` if `lowest`, else `reduce_window_max`; a window of padding alone gives an infinity."""

    def rule(x: jax.Array, **window: Any) -> jax.Array:
        from jax import lax

        table, counts = _of_operand(x.shape, window)
        end = np.inf if lowest else -np.inf
        if not table.size:
            return lax.full(counts, end, x.dtype)
        y = _read(x.reshape(-1), _present(table))
        y = (y.min(1) if lowest else y.max(1)).reshape(counts)
        empty = (table == ABSENT).all(1).reshape(counts)
        return lax.select(empty, lax.full(counts, end, x.dtype), y) if empty.any() else y

    return rule


def window_fold(x: jax.Array, *start: jax.Array, jaxpr: Any, consts: Sequence[Any], **window: Any) -> jax.Array:
    """`reduce_window` of one operand by a function of two variables; the taps are folded in their order."""
    import jax
    import jax.numpy as jnp
    from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

    (first,) = start
    join = jax.vmap(jaxpr_as_fun(ClosedJaxpr(jaxpr, consts)))
    table, counts = _of_operand(x.shape, window)
    flat, places = jnp.append(x.reshape(-1), first), np.where(table == ABSENT, x.size, table)
    y = jnp.broadcast_to(first, (places.shape[0],))
    for column in places.T:
        (y,) = join(y, _read(flat, column))
    return y.reshape(counts)


def scatter_to_selected(source: jax.Array, x: jax.Array, *, select_prim: Any, **window: Any) -> jax.Array:
    """`select_and_scatter_add`: each entry of `source` goes to the first extreme tap of its window."""
    import jax.numpy as jnp

    window = {"base_dilation": (1,) * x.ndim, "window_dilation": (1,) * x.ndim, **window}
    where = _selected(x, select_prim, window)
    # a window of padding alone gives its entry to the place behind the last
    received = jnp.zeros(x.size + 1, x.dtype).at[where].add(source.reshape(-1), mode="promise_in_bounds")
    return received[: x.size].reshape(x.shape)


def gather_selected(tangents: jax.Array, x: jax.Array, *, select_prim: Any, **window: Any) -> jax.Array:
    """`select_and_gather_add`: of each window the entry of `tangents` at the first extreme tap."""
    import jax.numpy as jnp

    where = _selected(x, select_prim, window)
    _, counts = _of_operand(x.shape, window)
    return _read_at(jnp.append(tangents.reshape(-1), 0), where).reshape(counts)


def _read_at(flat: jax.Array, where: jax.Array) -> jax.Array:
    return flat.at[where].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _selected(x: jax.Array, select_prim: Any, window: dict[str, Any]) -> jax.Array:
    """Flat position of the first extreme tap of every window; of windows without any the number of entries."""
    import jax.numpy as jnp
    from jax import lax

    table, _ = _of_operand(x.shape, window)
    highest = select_prim.name == "ge"
    absent = table == ABSENT
    values = _read(x.reshape(-1), np.maximum(table, 0)) if x.size else jnp.zeros(table.shape, x.dtype)
    if absent.any():
        # not another tap of the window, as for its value: its place would be a tie
        values = lax.select(absent, lax.full(table.shape, -np.inf if highest else np.inf, x.dtype), values)
    best = (lax.argmax if highest else lax.argmin)(values, 1, np.dtype(np.int32))
    rows = np.arange(len(table), dtype=np.int32) * table.shape[1]
    return _read_at(jnp.asarray(np.where(absent, x.size, table).reshape(-1)), best + rows)


def _of_operand(shape: Sequence[int], window: dict[str, Any]) -> tuple[Positions, tuple[int, ...]]:
    return taps(
        shape,
        window["window_dimensions"],
        window["window_strides"],
        window["padding"],
        window["base_dilation"],
        window["window_dilation"],
    )


def _present(table: Positions) -> Positions:
    """Taps without an entry read the first of their window that has one; windows without any read the first entry."""
    first = np.argmax(table != ABSENT, axis=1) if table.size else np.zeros(len(table), int)
    some = np.maximum(np.take_along_axis(table, first[:, None], 1), 0) if table.size else table
    return np.where(table == ABSENT, some, table)
