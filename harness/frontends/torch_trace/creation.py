"""These rows are operations that make arrays: constants, ranges, unit matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from backprove.harness.frontends.torch_trace.table import dtype_of, row

DEFAULT = "float32"
"""The dtype of torch's floats where none is given."""


@row("full")
def _full(size: Any, value: Any, *, dtype: Any = None, **_: Any) -> Any:
    found = dtype_of(dtype) or (bool if isinstance(value, bool) else "int64" if isinstance(value, int) else DEFAULT)
    return jnp.full(tuple(size), value, found)


@row("full_like")
def _full_like(x: Any, value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(x.shape, value, dtype_of(dtype) or x.dtype)


@row("new_full")
def _new_full(x: Any, size: Any, value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(tuple(size), value, dtype_of(dtype) or x.dtype)


@row("scalar_tensor")
def _scalar_tensor(value: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.asarray(value, dtype_of(dtype) or DEFAULT)


# what is read of an empty array is whatever was there; tracing must not make it a number that looks right
@row("empty", "empty_strided", "empty_permuted")
def _empty(size: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
    return _unwritten(size, dtype_of(dtype) or DEFAULT)


@row("empty_like")
def _empty_like(x: Any, *, dtype: Any = None, **_: Any) -> Any:
    return _unwritten(x.shape, dtype_of(dtype) or x.dtype)


@row("new_empty", "new_empty_strided")
def _new_empty(x: Any, size: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
    return _unwritten(size, dtype_of(dtype) or x.dtype)


def _unwritten(size: Any, dtype: Any) -> Any:
    floats = jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    return jnp.full(tuple(size), jnp.nan if floats else 0, dtype)


@row("zeros", "_efficientzerotensor")
def _zeros(size: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(tuple(size), dtype_of(dtype) or DEFAULT)


@row("ones")
def _ones(size: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(tuple(size), dtype_of(dtype) or DEFAULT)


@row("zeros_like")
def _zeros_like(x: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(x.shape, dtype_of(dtype) or x.dtype)


@row("ones_like")
def _ones_like(x: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(x.shape, dtype_of(dtype) or x.dtype)


@row("new_zeros")
def _new_zeros(x: Any, size: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.zeros(tuple(size), dtype_of(dtype) or x.dtype)


@row("new_ones")
def _new_ones(x: Any, size: Any, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.ones(tuple(size), dtype_of(dtype) or x.dtype)


@row("arange")
def _arange(*bounds: Any, dtype: Any = None, **_: Any) -> Any:
    start, end, step = {1: (0, *bounds, 1), 2: (*bounds, 1), 3: bounds}[len(bounds)]
    whole = all(isinstance(b, int) for b in (start, end, step))
    return jnp.arange(start, end, step, dtype_of(dtype) or ("int64" if whole else DEFAULT))


@row("linspace")
def _linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.linspace(start, end, steps, dtype=dtype_of(dtype) or DEFAULT)


@row("eye")
def _eye(n: int, m: int | None = None, *, dtype: Any = None, **_: Any) -> Any:
    return jnp.eye(n, m, dtype=dtype_of(dtype) or DEFAULT)


@row("tril_indices")
def _tril_indices(n: int, m: int, offset: int = 0, **_: Any) -> Any:
    return jnp.stack(jnp.tril_indices(n, offset, m))


@row("triu_indices")
def _triu_indices(n: int, m: int, offset: int = 0, **_: Any) -> Any:
    return jnp.stack(jnp.triu_indices(n, offset, m))
