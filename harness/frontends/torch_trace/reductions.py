"""These rows are operations along axes: sums, extrema, norms, running sums, sorts."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from backprove.harness.frontends.torch_trace.table import ROWS, axes, dtype_of, row, with_axis


@row("sum")
@with_axis
def _sum(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    whole = dtype is None and not jnp.issubdtype(x.dtype, jnp.inexact)
    x = x.astype("int64") if whole else x if dtype is None else x.astype(dtype_of(dtype))
    return jnp.sum(x, axis=axes(dim), keepdims=keepdim)


@row("mean")
@with_axis
def _mean(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return jnp.mean(x if dtype is None else x.astype(dtype_of(dtype)), axis=axes(dim), keepdims=keepdim)


@row("prod")
@with_axis
def _prod(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return jnp.prod(x if dtype is None else x.astype(dtype_of(dtype)), axis=axes(dim), keepdims=keepdim)


def _variance(x: Any, dim: Any, correction: Any, keepdim: bool) -> tuple[Any, Any]:
    count = int(np.prod([x.shape[a] for a in axes(dim) or range(x.ndim)]))
    mean = jnp.mean(x, axis=axes(dim), keepdims=True)
    squares = jnp.sum((x - mean) ** 2, axis=axes(dim), keepdims=keepdim)
    found = squares / max(count - (1 if correction is None else correction), 0)
    return found, mean if keepdim else jnp.squeeze(mean, axes(dim))


@row("var")
@with_axis
def _var(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False, **_: Any) -> Any:
    return _variance(x, dim, correction, keepdim)[0]


@row("std")
@with_axis
def _std(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False, **_: Any) -> Any:
    return jnp.sqrt(_variance(x, dim, correction, keepdim)[0])


@row("var_mean")
@with_axis
def _var_mean(x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False, **_: Any) -> Any:
    return _variance(x, dim, correction, keepdim)


@row("any")
@with_axis
def _any(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.any(x != 0, axis=axes(dim), keepdims=keepdim)


@row("all")
@with_axis
def _all(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.all(x != 0, axis=axes(dim), keepdims=keepdim)


@row("amax")
@with_axis
def _amax(x: Any, dim: Any = (), keepdim: bool = False) -> Any:
    return jnp.max(x, axis=axes(dim), keepdims=keepdim)


@row("amin")
@with_axis
def _amin(x: Any, dim: Any = (), keepdim: bool = False) -> Any:
    return jnp.min(x, axis=axes(dim), keepdims=keepdim)


def _extremum(value: Any, place: Any) -> Any:
    def found(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return value(x)
        return value(x, axis=dim, keepdims=keepdim), place(x, axis=dim, keepdims=keepdim)

    return with_axis(found)


ROWS["max"] = _extremum(jnp.max, jnp.argmax)
ROWS["min"] = _extremum(jnp.min, jnp.argmin)


@row("argmax")
@with_axis
def _argmax(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.argmax(x, axis=dim, keepdims=keepdim)


@row("argmin")
@with_axis
def _argmin(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return jnp.argmin(x, axis=dim, keepdims=keepdim)


@row("linalg_vector_norm")
@with_axis
def _vector_norm(x: Any, order: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    x = x if dtype is None else x.astype(dtype_of(dtype))
    over: dict[str, Any] = {"axis": axes(dim), "keepdims": keepdim}
    size = jnp.abs(x)
    if order == 2:
        return jnp.sqrt(jnp.sum(x * x, **over))
    if order == 1:
        return jnp.sum(size, **over)
    if order == 0:
        return jnp.sum((x != 0).astype(x.dtype), **over)
    if abs(order) == float("inf"):
        return (jnp.max if order > 0 else jnp.min)(size, **over)
    return jnp.sum(size**order, **over) ** (1 / order)


@row("cumsum")
@with_axis
def _cumsum(x: Any, dim: int, *, dtype: Any = None) -> Any:
    return jnp.cumsum(x if dtype is None else x.astype(dtype_of(dtype)), axis=dim)


@row("cumprod")
@with_axis
def _cumprod(x: Any, dim: int, *, dtype: Any = None) -> Any:
    return jnp.cumprod(x if dtype is None else x.astype(dtype_of(dtype)), axis=dim)


@row("logcumsumexp")
@with_axis
def _logcumsumexp(x: Any, dim: int) -> Any:
    return lax.cumlogsumexp(x, axis=dim % x.ndim)


@row("cummax")
@with_axis
def _cummax(x: Any, dim: int) -> Any:
    return _running(lax.cummax, x, dim % x.ndim)


@row("cummin")
@with_axis
def _cummin(x: Any, dim: int) -> Any:
    return _running(lax.cummin, x, dim % x.ndim)


def _running(extremum: Any, x: Any, dim: int) -> tuple[Any, Any]:
    values = extremum(x, axis=dim)
    places = jnp.expand_dims(jnp.arange(x.shape[dim]), tuple(range(1, x.ndim - dim)))
    return values, lax.cummax(jnp.where(x == values, places, -1), axis=dim)


@row("logsumexp")
@with_axis
def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    top = lax.stop_gradient(jnp.max(x, axis=axes(dim), keepdims=True))
    total = jnp.log(jnp.sum(jnp.exp(x - top), axis=axes(dim), keepdims=True)) + top
    return total if keepdim else jnp.squeeze(total, axes(dim))


@row("_softmax", "softmax")
@with_axis
def _softmax(x: Any, dim: int, *_: Any) -> Any:
    powers = jnp.exp(x - lax.stop_gradient(jnp.max(x, axis=dim, keepdims=True)))
    return powers / jnp.sum(powers, axis=dim, keepdims=True)


@row("_log_softmax", "log_softmax")
@with_axis
def _log_softmax(x: Any, dim: int, *_: Any) -> Any:
    moved = x - lax.stop_gradient(jnp.max(x, axis=dim, keepdims=True))
    return moved - jnp.log(jnp.sum(jnp.exp(moved), axis=dim, keepdims=True))


@row("sort")
@with_axis
def _sort(x: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    order = jnp.argsort(x, axis=dim, stable=True, descending=descending)
    return jnp.take_along_axis(x, order, dim), order


@row("topk")
@with_axis
def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, *_: Any) -> Any:
    values, places = ROWS["sort"](x, dim, largest)
    return tuple(lax.slice_in_dim(a, 0, k, axis=dim % x.ndim) for a in (values, places))


@row("kthvalue")
@with_axis
def _kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    found = ROWS["sort"](x, dim)
    return tuple(lax.index_in_dim(a, k - 1, dim % x.ndim, keepdims=keepdim) for a in found)


@row("median", "nanmedian")
@with_axis
def _median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return jnp.sort(x.reshape(-1))[(x.size - 1) // 2]
    return ROWS["kthvalue"](x, (x.shape[dim] - 1) // 2 + 1, dim, keepdim)


@row("mode")
def _mode(x: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """The least of the most frequent values."""
    if not x.ndim:
        return x, jnp.zeros((), "int64")
    moved = jnp.moveaxis(x, dim, -1)
    count = jnp.moveaxis(jnp.sum(moved[..., :, None] == moved[..., None, :], -1), -1, dim)
    often = count == jnp.max(count, dim, keepdims=True)
    at = jnp.argmin(jnp.where(often, x, jnp.inf), dim, keepdims=True)
    value = jnp.take_along_axis(x, at, dim)
    return (value, at) if keepdim else (jnp.squeeze(value, dim), jnp.squeeze(at, dim))
