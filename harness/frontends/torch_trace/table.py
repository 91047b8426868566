"""The operator table says what each operation of torch means in `jax.numpy`; every operation has one row.

@row("sigmoid")
def _sigmoid(x):
    return jax.nn.sigmoid(x)

A row takes the arguments of the operation as torch's schema names them, with JAX arrays in the place of tensors. The
name is that of the operation without its overload: `aten::add.Tensor` is `add`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

Row = Callable[..., Any]
"""An operation on JAX arrays and plain data; gives an array, or a tuple or list of arrays."""

ROWS: dict[str, Row] = {}
"""The rows that are entered; `rows()` enters all of them."""


OF_NODES: set[str] = set()
"""Names of the rows that take the node first."""

OF_CONSTANTS: set[str] = set()
"""Names of the rows whose results have shapes that depend on values: constants of the graph come to them as NumPy
arrays, whose values can be read."""

MODULES = (
    "activations",
    "creation",
    "distances",
    "entrywise",
    "indexing",
    "matrices",
    "movement",
    "reductions",
    "resampling",
    "segments",
    "spectra",
    "windows",
)
"""Where the rows stand."""


def row(*names: str) -> Callable[[Row], Row]:
    """Enter a function as the row of the operations `names`."""

    def enter(function: Row) -> Row:
        for name in names:
            ROWS[name] = function
        return function

    return enter


@cache
def rows() -> dict[str, Row]:
    """The whole table, by the name of the operation."""
    for module in MODULES:
        import_module(f"{__package__}.{module}")
    return ROWS


def row_of_node(*names: str) -> Callable[[Row], Row]:
    """Enter a row that takes the node of the graph first, for what torch makes depend on the layout of a tensor."""

    def enter(function: Row) -> Row:
        OF_NODES.update(names)
        return row(*names)(function)

    return enter


def row_of_constants(*names: str) -> Callable[[Row], Row]:
    """Enter a row whose result has a shape that depends on constants of the graph."""
    OF_CONSTANTS.update(names)
    return row(*names)


def tuple_of(value: Any) -> tuple[Any, ...]:
    """A number, a list or a tuple as a tuple."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def axes(dim: Any) -> tuple[int, ...] | None:
    """The axes of a reduction as JAX names them; torch's None, [] and () mean all of them."""
    return None if dim is None or dim in ([], ()) else tuple_of(dim)


def with_axis(function: Row) -> Row:
    """A row that works along an axis, for arrays without axes too, which torch treats as arrays of one entry."""

    def lifted(x: Any, *arguments: Any, **options: Any) -> Any:
        if x.ndim:
            return function(x, *arguments, **options)
        import jax.numpy as jnp

        found = function(x[None], *(a[None] if getattr(a, "shape", None) == () else a for a in arguments), **options)
        if isinstance(found, tuple):
            return tuple(jnp.reshape(f, ()) for f in found)
        return jnp.reshape(found, ())

    return lifted


def dtype_of(dtype: Any) -> Any:
    """NumPy's name of a dtype of torch; None stays None.

    Raises:
        KeyError: for a dtype that no number system here has.
    """
    return None if dtype is None else DTYPES[str(dtype).removeprefix("torch.")]


DTYPES = {
    name: name
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
} | {"complex64": "complex64", "complex128": "complex128"}
