"""Primitives that only move entries work the same way in every number system.

Arrays have a trailing points axis of size P, or of size 1 where nothing varies; the operands of one equation may mix
the two. Nothing here looks at a value, so arrays of any dtype will do, objects included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.indexing import (
    Entry,
    default_fill,
    gather_positions,
    put_positions,
    scatter_positions,
    take_positions,
    window_positions,
)
from backprove.harness.programs.program import Equation

Move = Callable[[Equation, Sequence[Array], Sequence[Array], Entry], list[Array]]

_DATA = {
    "gather": (0,),
    "scatter": (0, 2),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "pad": (0, 1),
}


def data_operands(equation: Equation) -> tuple[int, ...]:
    """Which inputs hold the entries that are moved; the others are integer indices."""
    return _DATA.get(equation.primitive, tuple(range(len(equation.inputs))))


def rearrange(equation: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry = None) -> list[Array]:
    """Move entries as one equation of `PRIMITIVES` does.

    Args:
        equation: its primitive is in `PRIMITIVES`.
        data: the inputs named by `data_operands`, in order: shape of the `Var` + points.
        indices: the other inputs, in order; they may vary from point to point.
        fill: what a gather puts where it leaves the operand; None: the `fill_value` of the equation, else NaN (or the
            extreme integer).

    Returns:
        one array per output; views of the data where NumPy can.
    """
    return _MOVES[equation.primitive](equation, data, indices, fill)


def _copy(equation: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return list(data)


def _broadcast_in_dim(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    x, shape = data[0], tuple(int(n) for n in e.params["shape"])
    expanded = [1] * len(shape)
    for d, n in zip(e.params["broadcast_dimensions"], x.shape[:-1], strict=True):
        expanded[d] = n
    return [np.broadcast_to(x.reshape((*expanded, x.shape[-1])), (*shape, x.shape[-1]))]


def _reshape(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    x, order = data[0], e.params.get("dimensions")  # a reshape may transpose first; a squeeze names what it drops
    if order is not None and e.primitive == "reshape":
        x = x.transpose((*order, x.ndim - 1))
    return [x.reshape((*e.outputs[0].shape, x.shape[-1]))]


def _transpose(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return [data[0].transpose((*e.params["permutation"], data[0].ndim - 1))]


def _slice(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    p = e.params
    strides = p["strides"] or [1] * len(p["start_indices"])
    cut = zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    return [data[0][tuple(slice(*bounds) for bounds in cut)]]


def _rev(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return [np.flip(data[0], tuple(e.params["dimensions"]))]


def _same_points(arrays: Sequence[Array]) -> list[Array]:
    """The arrays with one common points axis."""
    points = np.broadcast_shapes(*((a.shape[-1],) for a in arrays))[0]
    return [a if a.shape[-1] == points else np.broadcast_to(a, (*a.shape[:-1], points)) for a in arrays]


def _concatenate(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return [np.concatenate(_same_points(data), axis=int(e.params["dimension"]))]


def _split(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    bounds = np.cumsum([int(n) for n in e.params["sizes"]])[:-1]
    return list(np.split(data[0], bounds, axis=int(e.params["axis"])))


def _pad(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    """Edge and interior padding; negative edges crop."""
    x, value = _same_points(data)
    out = np.empty((*e.outputs[0].shape, x.shape[-1]), np.result_type(x, value))
    out[...] = value
    source, target = [], []
    for n, size, config in zip(x.shape[:-1], out.shape[:-1], e.params["padding_config"], strict=True):
        low, step = int(config[0]), int(config[2]) + 1
        first = -(min(low, 0) // step)  # the first entry at or after position 0
        last = min(n, -((low - size) // step))  # one past the last entry before position `size`
        count = max(last - first, 0)
        start = low + first * step
        source.append(slice(first, first + count))
        target.append(slice(start, start + count * step, step) if count else slice(0, 0))
    out[tuple(target)] = x[tuple(source)]
    return [out]


def _gather(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    p = e.params
    positions = gather_positions(e.inputs[0].shape, indices[0], p["dimension_numbers"], p["slice_sizes"], p["mode"])
    return [take_positions(data[0], positions, default_fill(data[0], p.get("fill_value")) if fill is None else fill)]


def _scatter(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return [put_positions(data[0], scatter_positions(e, indices[0]), data[1])]


def _dynamic_positions(shape: Sequence[int], sizes: Sequence[int], starts: Sequence[Array]) -> NDArray[np.int64]:
    """Positions of a window that is clamped into the operand: its shape + points."""
    axes = range(len(shape))
    stacked = np.stack([a.astype(np.int64) for a in _same_points(starts)]) if starts else np.zeros((0, 1), np.int64)
    return window_positions(shape, stacked, sizes, window_axes=axes, window_dims=axes, index_map=axes, drop=False)


def _fixed_window(shape: Sequence[int], sizes: Sequence[int], starts: Sequence[Array]) -> tuple[slice, ...] | None:
    """The window as slices if it is the same at all points."""
    if any(a.shape[-1] != 1 for a in starts):
        return None
    first = [min(max(int(a[0]), 0), n - k) for a, n, k in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(i, i + k) for i, k in zip(first, sizes, strict=True))


def _dynamic_slice(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    shape, sizes = e.inputs[0].shape, e.params["slice_sizes"]
    window = _fixed_window(shape, sizes, indices)
    if window is not None:
        return [data[0][window]]
    return [take_positions(data[0], _dynamic_positions(shape, sizes, indices))]


def _dynamic_update_slice(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    shape, sizes = e.inputs[0].shape, e.inputs[1].shape
    window = _fixed_window(shape, sizes, indices)
    if window is None:
        return [put_positions(data[0], _dynamic_positions(shape, sizes, indices), data[1])]
    operand, update = _same_points(data)
    out = operand.astype(np.result_type(operand, update))
    out[window] = update
    return [out]


def _stack(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    points = max(x.shape[-1] for x in data)
    return [np.stack([np.broadcast_to(x, (*x.shape[:-1], points)) for x in data], axis=int(e.params["axis"]))]


def _unstack(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    axis = int(e.params["axis"])
    return [np.take(data[0], i, axis=axis) for i in range(data[0].shape[axis])]


def _tile(e: Equation, data: Sequence[Array], indices: Sequence[Array], fill: Entry) -> list[Array]:
    return [np.tile(data[0], (*(int(n) for n in e.params["reps"]), 1))]


_MOVES: dict[str, Move] = {
    "tile": _tile,
    "unstack": _unstack,
    "stack": _stack,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "squeeze": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "rev": _rev,
    "copy": _copy,
    "optimization_barrier": _copy,
    "concatenate": _concatenate,
    "pad": _pad,
    "split": _split,
    "gather": _gather,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "scatter": _scatter,
}

PRIMITIVES = frozenset(_MOVES)
"""Primitives that `rearrange` knows."""
