"""Object arrays of balls are made, mapped, contracted, scattered and ordered here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from flint import arb
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array, Code
from backprove.harness.numbers.balls.functions import ZERO
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.programs.program import ContractedAxes

BallArray = NDArray[np.object_]
"""An object array of balls (`arb`)."""


def lift(values: Array) -> BallArray:
    """Floats or integers as exact balls, same shape."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu":
        values = values.astype(np.int64 if values.dtype.kind == "b" else np.float64, copy=False)
    out = np.empty(values.shape, dtype=object)
    if values.size == 1:
        out.fill(arb(values.item()))
    else:
        out.reshape(-1)[:] = list(map(arb, values.ravel().tolist()))
    return out


def lift_floats(arrays: Sequence[Array]) -> list[Array]:
    """Arrays of floats as exact balls of the same shapes; integers and masks as they are."""
    return [lift(a) if a.dtype.kind == "f" else a for a in arrays]


def zeros(shape: tuple[int, ...]) -> BallArray:
    out = np.empty(shape, dtype=object)
    out.fill(ZERO)
    return out


def pointwise(function: Code, *arrays: Array) -> BallArray:
    """`function` entry by entry with broadcasting; always an object array.

    A NumPy ufunc (`np.add`, ...) calls the balls' own operators, without a Python frame per entry.
    """
    out = (function if isinstance(function, np.ufunc) else entrywise(function, len(arrays)))(*arrays)
    return out if isinstance(out, np.ndarray) else np.asarray(out, dtype=object)


@lru_cache(maxsize=512)
def entrywise(function: Code, arity: int) -> Code:
    """`function` as a ufunc on object arrays, made once."""
    made: Code = np.frompyfunc(function, arity, 1)
    return made


def widened(a: Array, points: int) -> Array:
    """`a` with so many points, repeated as a view where it has one."""
    return a if a.shape[-1] == points else np.broadcast_to(a, (*a.shape[:-1], points))


def predicate(function: Code, *arrays: BallArray) -> NDArray[np.bool_]:
    """`pointwise` for a function that answers yes or no; a bool array."""
    return pointwise(function, *arrays).astype(bool)


def spread(a: Array, width: int) -> Array:
    """`a` with the points axis of a tangent that carries several directions per point.

    `width` columns hold direction after direction, each with all points; arrays of one point are left as they are.
    """
    points = a.shape[-1]
    return a if points in (1, width) or width == 1 else np.concatenate([a] * (width // points), axis=-1)


def total(x: BallArray, axes: tuple[int, ...]) -> BallArray:
    """Sum over axes, none of them the points axis."""
    if x.size == 0:
        return zeros(tuple(n for i, n in enumerate(x.shape) if i not in axes))
    out = x.sum(axis=axes)
    return out if isinstance(out, np.ndarray) else np.asarray(out, dtype=object)


def dot_general(a: BallArray, b: BallArray, dimension_numbers: ContractedAxes) -> BallArray:
    """`dot_general` on object arrays with a trailing points axis."""
    (ca, cb), (ba, bb) = dimension_numbers
    free_a = [i for i in range(a.ndim - 1) if i not in (*ca, *ba)]
    free_b = [i for i in range(b.ndim - 1) if i not in (*cb, *bb)]
    batch, k = [a.shape[i] for i in ba], math.prod(a.shape[i] for i in ca)
    fa, fb = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    shape = (*batch, *fa, *fb)
    width = max(a.shape[-1], b.shape[-1])
    if a.size == 0 or b.size == 0:
        return zeros((*shape, width))
    n, m = math.prod(fa), math.prod(fb)
    left = a.transpose((*ca, *ba, *free_a, a.ndim - 1)).reshape((k, *batch, n, 1, a.shape[-1]))
    right = b.transpose((*cb, *bb, *free_b, b.ndim - 1)).reshape((k, *batch, 1, m, b.shape[-1]))
    out = left[0] * right[0]
    for i in range(1, k):
        out = out + left[i] * right[i]
    return np.asarray(out, dtype=object).reshape((*shape, width))


def scatter_add(operand: BallArray, updates: BallArray, positions: Array) -> BallArray:
    """`operand` with `updates` added at flat `positions` (-1: dropped), point by point."""
    points = max(operand.shape[-1], updates.shape[-1], positions.shape[-1])
    out = np.array(np.broadcast_to(operand, (*operand.shape[:-1], points))).reshape(-1, points)
    u = np.broadcast_to(updates, (*updates.shape[:-1], points)).reshape(-1, points)
    where = np.broadcast_to(positions, (*positions.shape[:-1], points)).reshape(-1, points)
    columns = np.arange(points)
    for row, values in zip(where, u, strict=True):
        keep = row >= 0
        if keep.all():
            out[row, columns] = out[row, columns] + values
        elif keep.any():
            out[row[keep], columns[keep]] = out[row[keep], columns[keep]] + values[keep]
    return out.reshape((*operand.shape[:-1], points))


def along(a: Array, order: Array, axis: int) -> Array:
    """Entries of `a` in the given order along `axis`; the points axes may mix 1 and P."""
    points = max(a.shape[-1], order.shape[-1])
    return np.take_along_axis(widened(a, points), widened(order, points), axis)


def stable_order(keys: Sequence[Array], axis: int, *, descending: bool = False) -> NDArray[np.int64]:
    """Indices that sort along `axis` by the first key, then the second, ...; equal entries keep their order.

    Args:
        keys: balls or integers, with points (1 or P).

    Raises:
        Undecided: where two balls overlap without being the same number.
    """
    points = max(k.shape[-1] for k in keys)
    moved = [np.moveaxis(np.broadcast_to(k, (*k.shape[:-1], points)), axis, -1) for k in keys]
    order = np.empty(moved[0].shape, dtype=np.int64)
    for i in np.ndindex(moved[0].shape[:-1]):
        order[i] = _order([list(m[i]) for m in moved], descending)
    return np.moveaxis(order, -1, axis)


def _order(keys: list[list[arb | int]], descending: bool) -> list[int]:
    rows = list(zip(*keys, strict=True))
    ranks = [_Rank(row) for row in rows]
    order = sorted(range(len(rows)), key=ranks.__getitem__, reverse=descending)
    for i, j in itertools.pairwise(order):
        for a, b in zip(rows[i], rows[j], strict=True):
            if not isinstance(a, arb):
                if a != b:
                    break
            elif a < b or a > b:
                break
            elif not (a.is_exact() and b.is_exact()):
                raise Undecided("the order of two entries is not decided")
    return order


class _Rank:
    """Midpoints of a row of keys, compared one after the other."""

    __slots__ = ("mids",)

    def __init__(self, row: Sequence[arb | int]) -> None:
        self.mids = [x.mid() if isinstance(x, arb) else x for x in row]

    def __lt__(self, other: _Rank) -> bool:
        for a, b in zip(self.mids, other.mids, strict=True):
            if a < b:
                return True
            if b < a:
                return False
        return False
