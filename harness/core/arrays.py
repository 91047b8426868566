"""Arrays of every room share these helpers: masks per point, largest entries, the leaves of a result, quiet calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS

Array = NDArray[Any]
"""An array of any dtype; where the points of a batch have an axis of their own, it is the last one."""

Code = Callable[..., Any]
"""A function of the user's, or of NumPy or JAX: its arguments and its results are its own affair."""

Tree = Any
"""A pytree: arrays, or descriptions of them, in dicts, tuples, lists and what else JAX knows as a container."""


def at_points(array: Array, index: Array | slice | list[int]) -> Array:
    """Some points of an array; what is the same at all of them (points axis of size 1) stays as it is."""
    return array if array.shape[-1] == 1 else array[..., index]


def at_point(array: Array, i: int) -> Array:
    """One point of an array, without a points axis; one of size 1 stands for all points."""
    return np.asarray(array[..., i if array.shape[-1] > 1 else 0])


def any_entry(arrays: Sequence[Array], points: int) -> Array:
    """Per point: whether any entry of any array is True."""
    out = np.zeros(points, dtype=bool)
    for a in arrays:
        if a.size:
            out |= a.reshape(-1, a.shape[-1]).any(axis=0)
    return out


def largest(arrays: Sequence[Array], points: int) -> Array:
    """Per point: the largest entry, NaN ignored; 0 where there is none."""
    out = np.zeros(points)
    for a in arrays:
        if a.size:
            flat = np.where(np.isnan(a), 0.0, a).reshape(-1, a.shape[-1]).max(axis=0)
            out = np.maximum(out, np.broadcast_to(flat, out.shape))
    return out


def flatten(result: object) -> list[Array]:
    """Arrays in a result, in order; None (no cotangent) is left out, containers are flattened."""
    if result is None:
        return []
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in flatten(part)]
    if isinstance(result, dict):
        return [leaf for key in sorted(result) for leaf in flatten(result[key])]
    return [np.asarray(result)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Floating-point warnings of the user's code are expected on our points."""
    import warnings

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cast(array: Array, dtype: str) -> Array:
    """A float64 carrier array as the real NumPy dtype of the format (integers and masks as they are)."""
    return array.astype(FORMATS[dtype].numpy) if array.dtype.kind == "f" else array
