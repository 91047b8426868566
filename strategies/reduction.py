"""Reduction makes points smaller: it drops axes, and deletes blocks of a named dimension from every array that
has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.strategies.array import ArraySpec
from backprove.strategies.shapes import Shape, Sizes, Specs, feasible

Arrays = tuple[NDArray[Any], ...]


def reductions(
    specs: Specs,
    sizes: Sizes,
    arrays: Sequence[NDArray[Any]],
    directions: Sequence[NDArray[Any]],
    direction_shapes: Callable[[Sizes], tuple[Shape, ...]],
) -> Iterator[tuple[Sizes, Arrays, Arrays]]:
    """Sizes, inputs and directions of smaller points, the most reduced first; values may need repair.

    A direction's shape is a function of the sizes: where an axis has become shorter, the same block is deleted from it
    if it had the length of the dimension, else its end.
    """
    for smaller, key, axis, kept in _steps(sizes):
        if not feasible(specs, smaller):
            continue
        inputs = tuple(_input(s, sizes, a, key, axis, kept) for s, a in zip(specs.values(), arrays, strict=True))
        if any(a.shape != s.shape(smaller) for s, a in zip(specs.values(), inputs, strict=True)):
            continue
        size = sizes[key]
        length = size[axis] if isinstance(size, tuple) else size
        shapes = direction_shapes(smaller)
        cut = tuple(_direction(d, shape, length, kept) for d, shape in zip(directions, shapes, strict=True))
        yield smaller, inputs, cut


Kept = NDArray[np.int64] | int
"""Indices kept along an axis, or the one index at which the axis is dropped."""


def _steps(sizes: Sizes) -> Iterator[tuple[Sizes, str, int, Kept]]:
    for key, size in sizes.items():
        if isinstance(size, tuple):
            for axis in range(len(size)):
                for index in range(size[axis]):
                    yield {**sizes, key: size[:axis] + size[axis + 1 :]}, key, axis, index
    for key, size in sizes.items():
        for axis, length in enumerate(size if isinstance(size, tuple) else (size,)):
            block = length - 1
            while block >= 1:
                for start in range(0, length, block):
                    kept = np.delete(np.arange(length), slice(start, start + block))
                    if len(kept):
                        yield {**sizes, key: _replaced(size, axis, len(kept))}, key, axis, kept
                block //= 2


def _replaced(size: int | tuple[int, ...], axis: int, length: int) -> int | tuple[int, ...]:
    return (*size[:axis], length, *size[axis + 1 :]) if isinstance(size, tuple) else length


def _input(spec: ArraySpec, sizes: Sizes, a: NDArray[Any], key: str, batch_axis: int, kept: Kept) -> NDArray[Any]:
    """One input with the block deleted from every axis of the name `key`."""
    axis = 0
    for d in spec.dims:
        size = d if isinstance(d, int) else sizes[d.lstrip("*")]
        if isinstance(d, str) and d.lstrip("*") == key:
            a = np.take(a, kept, axis=axis + batch_axis)
        axis += len(size) if isinstance(size, tuple) else 1
        if isinstance(d, str) and d.lstrip("*") == key and isinstance(kept, int):
            axis -= 1
    return a


def _direction(d: NDArray[Any], shape: Shape, length: int, kept: Kept) -> NDArray[Any]:
    """A direction brought to its new shape; where the number of axes changes otherwise, its first entries."""
    if isinstance(kept, int):
        for axis in range(d.ndim):
            if d.shape[axis] == length and d.shape[:axis] + d.shape[axis + 1 :] == shape:
                return np.asarray(np.take(d, kept, axis=axis))
    elif d.ndim == len(shape):
        for axis, (old, new) in enumerate(zip(d.shape, shape, strict=True)):
            if new < old:
                d = np.take(d, kept if old == length and new == len(kept) else np.arange(new), axis=axis)
        if d.shape == shape:
            return d
    out = np.zeros(int(np.prod(shape)))
    first = d.reshape(-1)[: len(out)]
    out[: len(first)] = first
    return out.reshape(shape)
