"""These rows are operations that move entries: views, transpositions, slices, joins, padding."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from backprove.harness.frontends.torch_trace.table import axes, row, tuple_of, with_axis


@row("view", "_unsafe_view", "reshape", "view_copy", "_reshape_copy", "_reshape_alias")
def _view(x: Any, size: Any, *_: Any) -> Any:
    if not isinstance(size, (list, tuple)):
        raise NotImplementedError("a view of the same bits in another dtype")
    return x.reshape(tuple(size))


@row("unsqueeze", "unsqueeze_copy")
def _unsqueeze(x: Any, dim: int) -> Any:
    return jnp.expand_dims(x, dim)


@row("squeeze", "squeeze_copy")
def _squeeze(x: Any, dim: Any = None) -> Any:
    if dim is None:
        return jnp.squeeze(x)
    return jnp.squeeze(x, tuple(d for d in tuple_of(dim) if x.ndim and x.shape[d] == 1))


@row("expand", "expand_copy")
def _expand(x: Any, size: Any, *_: Any, **__: Any) -> Any:
    ahead = len(size) - x.ndim
    return jnp.broadcast_to(x, tuple(x.shape[i - ahead] if n == -1 else n for i, n in enumerate(size)))


@row("transpose", "transpose_copy")
def _transpose(x: Any, a: int, b: int) -> Any:
    return jnp.swapaxes(x, a, b) if x.ndim else x


@row("permute", "permute_copy")
def _permute(x: Any, dims: Any) -> Any:
    return jnp.transpose(x, tuple(dims))


@row("t", "t_copy")
def _t(x: Any) -> Any:
    return x.T


@row("cat")
def _cat(arrays: Any, dim: int = 0) -> Any:
    # torch lets arrays of shape (0,) stand beside any others
    return jnp.concatenate([a for a in arrays if a.shape != (0,)] or list(arrays), dim)


@row("stack")
def _stack(arrays: Any, dim: int = 0) -> Any:
    return jnp.stack(list(arrays), dim)


@row("select", "select_copy")
def _select(x: Any, dim: int, index: int) -> Any:
    return lax.index_in_dim(x, index % x.shape[dim], dim % x.ndim, keepdims=False)


def _part(x: Any, dim: int, start: Any, end: Any, step: int) -> tuple[slice, ...]:
    whole = [slice(None)] * x.ndim
    whole[dim] = slice(*slice(start, end, step).indices(x.shape[dim]))
    return tuple(whole)


@row("slice", "slice_copy")
def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[_part(x, dim, start, end, step)]


@row("slice_scatter")
def _slice_scatter(x: Any, src: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x.at[_part(x, dim, start, end, step)].set(src)


@row("slice_backward")
def _slice_backward(g: Any, sizes: Any, dim: int, start: int, end: int, step: int) -> Any:
    zeros = jnp.zeros(tuple(sizes), g.dtype)
    return zeros.at[_part(zeros, dim, start, end, step)].set(g)


def _row_at(x: Any, dim: int, index: int) -> tuple[Any, ...]:
    whole: list[Any] = [slice(None)] * x.ndim
    whole[dim] = index
    return tuple(whole)


@row("select_scatter")
def _select_scatter(x: Any, src: Any, dim: int, index: int) -> Any:
    return x.at[_row_at(x, dim, index)].set(src)


@row("select_backward")
def _select_backward(g: Any, sizes: Any, dim: int, index: int) -> Any:
    zeros = jnp.zeros(tuple(sizes), g.dtype)
    return zeros.at[_row_at(zeros, dim, index)].set(g)


@row("split_with_sizes", "split_with_sizes_copy")
def _split_with_sizes(x: Any, sizes: Any, dim: int = 0) -> Any:
    return jnp.split(x, np.cumsum(sizes)[:-1].tolist(), axis=dim)


@row("split", "split_copy")
def _split(x: Any, size: int, dim: int = 0) -> Any:
    return jnp.split(x, list(range(size, x.shape[dim], size)), axis=dim)


@row("unbind", "unbind_copy")
def _unbind(x: Any, dim: int = 0) -> Any:
    return [lax.index_in_dim(x, i, dim % x.ndim, keepdims=False) for i in range(x.shape[dim])]


@row("flip")
@with_axis
def _flip(x: Any, dims: Any) -> Any:
    return jnp.flip(x, tuple(dims))


@row("roll")
@with_axis
def _roll(x: Any, shifts: Any, dims: Any = ()) -> Any:
    return jnp.roll(x, tuple_of(shifts), axes(dims)) if axes(dims) else jnp.roll(x, tuple_of(shifts)[0])


@row("repeat")
def _repeat(x: Any, repeats: Any) -> Any:
    return jnp.tile(x, tuple(repeats))


@row("diagonal", "diagonal_copy")
def _diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return jnp.diagonal(x, offset, dim1, dim2)


@row("diagonal_scatter")
def _diagonal_scatter(x: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    places = np.diagonal(np.arange(x.size).reshape(x.shape), offset, dim1, dim2)
    return x.reshape(-1).at[places].set(src).reshape(x.shape)


@row("diagonal_backward")
def _diagonal_backward(g: Any, sizes: Any, offset: int, dim1: int, dim2: int) -> Any:
    return _diagonal_scatter(jnp.zeros(tuple(sizes), g.dtype), g, offset, dim1, dim2)


@row("diag_embed")
def _diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n = x.shape[-1] + abs(offset)
    k = np.arange(x.shape[-1])
    square = jnp.zeros((*x.shape[:-1], n, n), x.dtype).at[..., k + max(-offset, 0), k + max(offset, 0)].set(x)
    return jnp.moveaxis(square, (-2, -1), (dim1, dim2))


def _places(size: Any, stride: Any, offset: int | None) -> Any:
    """Positions in the storage of a view with these sizes and strides."""
    found = np.full(tuple(size), offset or 0)
    for axis, (n, step) in enumerate(zip(size, stride, strict=True)):
        found = found + step * np.arange(n).reshape((-1,) + (1,) * (len(size) - axis - 1))
    return found


@row("as_strided", "as_strided_copy")
def _as_strided(x: Any, size: Any, stride: Any, offset: int | None = None) -> Any:
    return jnp.take(x.reshape(-1), _places(size, stride, offset))


@row("as_strided_scatter")
def _as_strided_scatter(x: Any, src: Any, size: Any, stride: Any, offset: int | None = None) -> Any:
    return x.reshape(-1).at[_places(size, stride, offset)].set(src).reshape(x.shape)


@row("narrow_copy", "narrow")
def _narrow(x: Any, dim: int, start: int, length: int) -> Any:
    return lax.slice_in_dim(x, start % max(x.shape[dim], 1), start % max(x.shape[dim], 1) + length, axis=dim % x.ndim)


@row("unfold", "unfold_copy")
def _unfold(x: Any, dim: int, size: int, step: int) -> Any:
    if not x.ndim:
        return jnp.broadcast_to(x, (size,))
    starts = np.arange((x.shape[dim] - size) // step + 1) * step
    return jnp.moveaxis(jnp.take(x, starts[:, None] + np.arange(size), axis=dim), dim % x.ndim + 1, -1)


@row("unfold_backward")
def _unfold_backward(g: Any, sizes: Any, dim: int, size: int, step: int) -> Any:
    zeros = jnp.zeros(tuple(sizes), g.dtype)
    dim %= max(zeros.ndim, 1)
    starts = np.arange(g.shape[dim]) * step
    whole: list[Any] = [slice(None)] * zeros.ndim
    whole[dim] = starts[:, None] + np.arange(size)
    return zeros.at[tuple(whole)].add(jnp.moveaxis(g, -1, dim + 1))


@row("tril")
def _tril(x: Any, diagonal: int = 0) -> Any:
    return jnp.tril(x, diagonal)


@row("triu")
def _triu(x: Any, diagonal: int = 0) -> Any:
    return jnp.triu(x, diagonal)


@row("constant_pad_nd")
def _constant_pad_nd(x: Any, pad: Any, value: Any = 0) -> Any:
    widths = [(0, 0, 0)] * x.ndim
    for k in range(len(pad) // 2):
        widths[-1 - k] = (pad[2 * k], pad[2 * k + 1], 0)
    return lax.pad(x, jnp.asarray(value, x.dtype), widths)
