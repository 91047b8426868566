"""These rows are operations that read and write entries at positions given by other arrays."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.frontends.torch_trace.table import row, row_of_constants, with_axis


@row_of_constants("index", "_unsafe_index")
def _index(x: Any, indices: Any) -> Any:
    if any(map(_is_open_mask, indices)):
        raise NotImplementedError("the shape of what a mask selects depends on the values of a tensor")
    return jnp.asarray(x)[_where(indices)]


@row_of_constants("index_put", "_unsafe_index_put")
def _index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    x = jnp.asarray(x)
    if any(map(_is_open_mask, indices)):
        if len(indices) > 1 or jnp.ndim(values):
            raise NotImplementedError("an assignment of several values through a mask")
        mask = indices[0].reshape(indices[0].shape + (1,) * (x.ndim - indices[0].ndim))
        return jnp.where(mask, x + values if accumulate else values, x)
    places = x.at[_where(indices)]
    return places.add(values) if accumulate else places.set(values)


def _is_open_mask(index: Any) -> bool:
    """Whether an index is a mask whose values depend on inputs."""
    return index is not None and index.dtype == np.bool_ and not isinstance(index, np.ndarray)


def _where(indices: Any) -> tuple[Any, ...]:
    return tuple(slice(None) if i is None else i for i in indices)


@row("index_select")
@with_axis
def _index_select(x: Any, dim: int, index: Any) -> Any:
    return jnp.take(x, jnp.atleast_1d(index), axis=dim)


@row("gather")
@with_axis
def _gather(x: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    # torch reads index's own corner of x, where JAX broadcasts
    corner = tuple(slice(None) if a == dim % x.ndim else slice(0, n) for a, n in enumerate(index.shape))
    return jnp.take_along_axis(x[corner], index, dim)


def _along(x: Any, dim: int, index: Any) -> Any:
    """The places of x that `index` names along an axis, each in its own line."""
    grid = list(jnp.meshgrid(*(jnp.arange(n) for n in index.shape), indexing="ij"))
    grid[dim] = index
    return x.at[tuple(grid)]


def _corner(src: Any, index: Any) -> Any:
    return src[tuple(slice(0, n) for n in index.shape)] if jnp.ndim(src) else jnp.full(index.shape, src)


@row("scatter")
@with_axis
def _scatter(x: Any, dim: int, index: Any, src: Any = None, *, reduce: str | None = None, value: Any = None) -> Any:
    places = _along(x, dim, index)
    new = _corner(value if src is None else src, index).astype(x.dtype)
    return {None: places.set, "add": places.add, "multiply": places.multiply}[reduce](new)


@row("scatter_add")
@with_axis
def _scatter_add(x: Any, dim: int, index: Any, src: Any) -> Any:
    return _along(x, dim, index).add(_corner(src, index))


@row("scatter_reduce")
@with_axis
def _scatter_reduce(x: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    src = _corner(src, index)
    if not include_self:
        start = {"sum": 0, "mean": 0, "prod": 1, "amax": -jnp.inf, "amin": jnp.inf}[reduce]
        x = _along(x, dim, index).set(start)
    places = _along(x, dim, index)
    if reduce == "mean":
        count = _along(jnp.full(x.shape, int(include_self), x.dtype), dim, index).add(1)
        return places.add(src) / jnp.maximum(count, 1)
    return {"sum": places.add, "prod": places.multiply, "amax": places.max, "amin": places.min}[reduce](src)


def _lines(x: Any, dim: int, index: Any) -> Any:
    whole: list[Any] = [slice(None)] * x.ndim
    whole[dim] = jnp.atleast_1d(index)
    return x.at[tuple(whole)]


@row("index_add")
@with_axis
def _index_add(x: Any, dim: int, index: Any, src: Any, *, alpha: Any = 1) -> Any:
    return _lines(x, dim, index).add(src if alpha == 1 else alpha * src)


@row("index_reduce")
@with_axis
def _index_reduce(x: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    index = jnp.atleast_1d(index).reshape((-1,) + (1,) * (x.ndim - 1 - dim % x.ndim))
    return _scatter_reduce(x, dim, jnp.broadcast_to(index, src.shape), src, reduce, include_self=include_self)


@row("index_copy")
@with_axis
def _index_copy(x: Any, dim: int, index: Any, src: Any) -> Any:
    return _lines(x, dim, index).set(src)


@row("index_fill")
@with_axis
def _index_fill(x: Any, dim: int, index: Any, value: Any) -> Any:
    return _lines(x, dim, index).set(value)


@row("take")
def _take(x: Any, index: Any) -> Any:
    return x.reshape(-1)[index]


@row("put")
def _put(x: Any, index: Any, src: Any, accumulate: bool = False) -> Any:
    places = x.reshape(-1).at[index]
    return (places.add(src) if accumulate else places.set(src)).reshape(x.shape)


@row_of_constants("masked_select")
def _masked_select(x: Any, mask: Any) -> Any:
    if _is_open_mask(mask):
        raise NotImplementedError("its shape depends on a mask that is computed")
    chosen = np.flatnonzero(np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape)))
    return jnp.broadcast_to(x, np.broadcast_shapes(x.shape, mask.shape)).reshape(-1)[chosen]


@row_of_constants("_unique")
def _unique(x: Any, _: bool = True, inverse: bool = False) -> Any:
    if not isinstance(x, np.ndarray):
        raise NotImplementedError("how many entries differ depends on the values of a tensor")
    values, places = np.unique(x, return_inverse=True)
    return jnp.asarray(values), jnp.asarray(places if inverse else places[:0])


@row("masked_scatter")
def _masked_scatter(x: Any, mask: Any, src: Any) -> Any:
    mask = jnp.broadcast_to(mask, x.shape).reshape(-1)
    place = jnp.clip(jnp.cumsum(mask) - 1, 0)
    return jnp.where(mask, src.reshape(-1)[place], x.reshape(-1)).reshape(x.shape)


@row("masked_scatter_backward")
def _masked_scatter_backward(g: Any, mask: Any, sizes: Any) -> Any:
    mask = jnp.broadcast_to(mask, g.shape).reshape(-1)
    place = jnp.clip(jnp.cumsum(mask) - 1, 0)
    count = int(np.prod(sizes))
    return jnp.zeros(count, g.dtype).at[place].add(jnp.where(mask, g.reshape(-1), 0)).reshape(tuple(sizes))


@row("embedding")
def _embedding(weight: Any, index: Any, *_: Any) -> Any:
    return weight[index]


@row("embedding_dense_backward")
def _embedding_dense_backward(g: Any, index: Any, count: int, padding: int, by_frequency: bool) -> Any:
    if by_frequency:
        raise NotImplementedError("gradients of an embedding scaled by frequency")
    used = jnp.where((index == padding)[..., None], 0, g)
    return jnp.zeros((count, g.shape[-1]), g.dtype).at[index].add(used)


@row("searchsorted")
def _searchsorted(edges: Any, x: Any, *, right: bool = False, **_: Any) -> Any:
    if edges.ndim != 1:
        raise NotImplementedError("searchsorted in rows of their own")
    return jnp.searchsorted(edges, x, side="right" if right else "left")


@row("bucketize")
def _bucketize(x: Any, edges: Any, *, right: bool = False, **_: Any) -> Any:
    return jnp.searchsorted(edges, x, side="right" if right else "left")
