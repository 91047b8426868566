"""Indices of `iota`, gather and scatter become arrays of flat positions, after the semantics of XLA.

Every index array has a trailing points axis (size P, or 1 where the indices are the same at all points). Positions
count the entries of the operand in row-major order, its points axis left out; -1 marks what lies out of bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.programs.program import Equation

if TYPE_CHECKING:
    from jax.lax import GatherDimensionNumbers

Entry = Any
"""One entry of an array: a number of its dtype, in object arrays whatever they hold; None where that is not known."""

DROP = "FILL_OR_DROP"
"""The mode of gathers and scatters in which windows that leave the operand count as out of bounds."""


def iota(equation: Equation) -> Array:
    """The array that an `iota` equation makes, in its own dtype, with a points axis of size 1."""
    out = equation.outputs[0]
    axis = int(equation.params["dimension"])
    counts = np.arange(out.shape[axis])
    counts = counts.astype(FORMATS[out.dtype].numpy if out.dtype in FORMATS else np.dtype(out.dtype))
    return np.broadcast_to(_along(counts, axis, len(out.shape)), (*out.shape, 1))


def mode_name(mode: object) -> str:
    """Name of a `GatherScatterMode`; also takes the strings that JAX accepts in its place."""
    name = str(getattr(mode, "name", mode)).upper()
    return DROP if name in ("FILL", "DROP") else name


def window_positions(
    shape: Sequence[int],
    indices: Array,
    sizes: Sequence[int],
    *,
    window_axes: Sequence[int],
    window_dims: Sequence[int],
    index_map: Sequence[int],
    batching: Iterable[tuple[int, int]] = (),
    drop: bool,
) -> NDArray[np.int64]:
    """Flat positions of the windows that start at `indices`.

    Args:
        shape: of the operand, without points.
        indices: integers of shape (*batch, k, P); entry `k` is the start along operand dimension `index_map[k]`.
        sizes: of the window along every operand dimension.
        window_axes: axes of the result that run over the window.
        window_dims: the operand dimension of each of them.
        batching: pairs (operand dimension, axis of `batch`) that run together.
        drop: windows that leave the operand get -1; otherwise their start is clamped.

    Returns:
        integers of the shape of the result plus points.
    """
    indices = np.asarray(indices).astype(np.int64)
    batch, points = indices.shape[:-2], indices.shape[-1]
    strides = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    base = np.zeros((*batch, points), np.int64)
    inside = np.ones((*batch, points), np.bool_)
    for k, d in enumerate(index_map):
        start, last = indices[..., k, :], shape[d] - sizes[d]
        inside &= (start >= 0) & (start <= last)
        base += np.clip(start, 0, max(last, 0)) * strides[d]
    for d, axis in batching:
        base += _along(np.arange(batch[axis]) * strides[d], axis, len(batch))
    rank = len(batch) + len(window_axes)
    spread = [1 if d in window_axes else 0 for d in range(rank)]
    rest = iter(batch)
    expanded = (*(1 if s else next(rest) for s in spread), points)
    positions = base.reshape(expanded)
    for axis, d in zip(window_axes, window_dims, strict=True):
        positions = positions + _along(np.arange(sizes[d]) * strides[d], axis, rank)
    if drop and not inside.all():
        positions = np.where(inside.reshape(expanded), positions, -1)
    return positions


def _along(values: Array, axis: int, rank: int) -> Array:
    """A vector laid along `axis` of `rank` axes and a points axis."""
    return values.reshape([-1 if d == axis else 1 for d in range(rank)] + [1])


def gather_positions(
    operand_shape: Sequence[int],
    indices: Array,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    mode: object,
) -> NDArray[np.int64]:
    """Flat positions in the operand of every entry of a gather (output shape + points), -1 = out of bounds.

    Modes "clip" and "promise_in_bounds" clamp the windows as XLA does; "fill_or_drop" marks them.

    Args:
        operand_shape: without points.
        indices: start indices, shape (*batch, k, P).
        dimension_numbers: a `jax.lax.GatherDimensionNumbers`.
        slice_sizes: window size along each operand dimension.
        mode: a `jax.lax.GatherScatterMode` or its name.
    """
    dn = dimension_numbers
    omitted = {*dn.collapsed_slice_dims, *dn.operand_batching_dims}
    return window_positions(
        operand_shape,
        indices,
        slice_sizes,
        window_axes=dn.offset_dims,
        window_dims=[d for d in range(len(operand_shape)) if d not in omitted],
        index_map=dn.start_index_map,
        batching=zip(dn.operand_batching_dims, dn.start_indices_batching_dims, strict=True),
        drop=mode_name(mode) == DROP,
    )


def scatter_positions(equation: Equation, indices: Array) -> NDArray[np.int64]:
    """Flat positions in the operand of every entry of a scatter's updates (updates shape + points), -1 = dropped.

    Holds for `scatter` and for the scatters that combine (`scatter-add` and its kin). Mode "clip" clamps; in the
    other modes a window that leaves the operand is dropped as a whole, as XLA does.
    """
    dn = equation.params["dimension_numbers"]
    shape, updates = equation.inputs[0].shape, equation.inputs[2].shape
    omitted = {*dn.inserted_window_dims, *dn.operand_batching_dims}
    window_dims = [d for d in range(len(shape)) if d not in omitted]
    sizes = [1] * len(shape)
    for axis, d in zip(dn.update_window_dims, window_dims, strict=True):
        sizes[d] = updates[axis]
    return window_positions(
        shape,
        indices,
        sizes,
        window_axes=dn.update_window_dims,
        window_dims=window_dims,
        index_map=dn.scatter_dims_to_operand_dims,
        batching=zip(dn.operand_batching_dims, dn.scatter_indices_batching_dims, strict=True),
        drop=mode_name(equation.params["mode"]) != "CLIP",
    )


def take_positions(operand: Array, positions: NDArray[np.int64], fill: Entry = None) -> Array:
    """The operand's entries at flat `positions`; -1 takes `fill`.

    Args:
        operand: any dtype, with points (size P or 1).
        positions: with points (size P or 1).
        fill: value for -1; None: the type's NaN, or its extreme value for integers, as JAX fills.
    """
    flat = operand.reshape(math.prod(operand.shape[:-1]), operand.shape[-1])
    missing = positions < 0
    if not len(flat):
        flat = np.empty((1, operand.shape[-1]), operand.dtype)
    if positions.shape[-1] == 1:
        out = flat[positions[..., 0]]
    else:
        columns = np.arange(flat.shape[1]) if flat.shape[1] > 1 else 0
        out = flat[positions, columns]
    if missing.any():
        out[np.broadcast_to(missing, out.shape)] = default_fill(operand) if fill is None else fill
    return out


def default_fill(operand: Array, value: float | None = None) -> Entry:
    """What JAX puts where a gather leaves the operand, in the type of the operand's entries.

    `value`, or where it is None: NaN, the lowest integer, the highest unsigned one, True. On object arrays the number
    is handed to the type of the first entry; what cannot be made so becomes None.
    """
    kind = operand.dtype.kind
    if kind in "iu" and value is None:
        info = np.iinfo(operand.dtype)
        return info.min if kind == "i" else info.max
    if kind == "b" and value is None:
        return True
    number = float("nan") if value is None else value
    if kind != "O":
        return number
    try:
        return type(operand.flat[0])(number)
    except (TypeError, ValueError, IndexError):
        return None


def put_positions(
    operand: Array, positions: NDArray[np.int64], updates: Array, combine: np.ufunc | None = None
) -> Array:
    """A copy of the operand with `updates` written at flat `positions` (-1: dropped).

    Args:
        operand, updates: with points (P or 1), any dtype.
        positions: shape of the updates, with points (P or 1).
        combine: joins old and new value (np.add, np.multiply, ...); None overwrites, the last update wins.
    """
    shape = operand.shape[:-1]
    n, m = math.prod(shape), math.prod(positions.shape[:-1])
    points = np.broadcast_shapes(operand.shape[-1:], positions.shape[-1:], updates.shape[-1:])[0]
    out = np.empty((n + 1, points), np.result_type(operand, updates))  # the last row takes what is dropped
    out[:n] = operand.reshape(n, operand.shape[-1])
    out[n] = out[0] if n else updates.flat[0] if updates.size else 0
    rows = positions.reshape(m, positions.shape[-1])
    rows = np.where(rows < 0, n, rows)
    new = updates.reshape(m, updates.shape[-1])
    if rows.shape[1] == 1 and (combine is None or len(np.unique(rows)) == m):
        index: Array | tuple[Array, Array] = rows[:, 0]
        out[index] = new if combine is None else combine(out[index], new)
    else:
        index = (np.broadcast_to(rows, (m, points)), np.broadcast_to(np.arange(points), (m, points)))
        new = np.broadcast_to(new, (m, points))
        if combine is None:
            out[index] = new
        else:
            combine.at(out.reshape(-1), (index[0] * points + index[1]).ravel(), new.ravel())
    return out[:n].reshape((*shape, points))
