"""Textbook algorithms factor and solve matrices, written once for every kind of numbers.

An algorithm works on whole rows and columns through a `Field`: plain floats, wide floats, balls and dual balls have
one each. Matrices have their rows on axis 0 and their columns on axis 1, then the axes of a batch, points last;
`inward` and `outward` change between that and the shapes of the primitives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.programs.program import Params

V = TypeVar("V")
"""A matrix of a field's numbers."""


class Field(Protocol[V]):
    """Numbers that algorithms compute with; `map` and `combine` are those of the number systems."""

    def map(self, function: Callable[..., Array], *values: V | Array) -> V:
        """The numbers moved or copied by a function of arrays."""

    def combine(self, name: str, a: V, b: V) -> V:
        """Two broadcast operands joined: "add", "sub", "mul" or "div"."""

    def root(self, x: V) -> V:
        """The square root."""

    def sizes(self, x: V) -> tuple[int, int]:
        """How many rows and columns."""

    def further(self, x: V) -> tuple[int, ...]:
        """The shape without rows and columns."""

    def largest(self, x: V) -> Array:
        """Where along axis 0 the entry of largest absolute value lies, the first of equal ones: the other axes."""


def inward(array: Array) -> Array:
    """Rows and columns first: `(*batch, m, n, points)` becomes `(m, n, *batch, points)`."""
    return np.moveaxis(array, (-3, -2), (0, 1))


def outward(array: Array) -> Array:
    """The way back from `inward`."""
    return np.moveaxis(array, (0, 1), (-3, -2))


def _widened(array: Array, points: int) -> Array:
    return array if array.shape[-1] == points else np.broadcast_to(array, (*array.shape[:-1], points))


def _placed(whole: Array, *blocks: Array, at: tuple[tuple[slice | int, ...], ...]) -> Array:
    """A copy of `whole` with blocks put into it."""
    points = max(a.shape[-1] for a in (whole, *blocks))
    out = np.array(_widened(whole, points))
    for block, index in zip(blocks, at, strict=True):
        out[index] = block
    return out


def _swapped(array: Array, which: Array, k: int) -> Array:
    """Row `k` exchanged with row `which`, point by point."""
    rows = np.arange(array.shape[0]).reshape((-1,) + (1,) * which.ndim)
    order = np.where(rows == which, k, rows)
    order[k] = which
    return np.take_along_axis(_widened(array, max(array.shape[-1], which.shape[-1])), order[:, None], axis=0)


def part(field: Field[V], x: V, *index: slice | int | None) -> V:
    """`x[index]`."""
    return field.map(lambda a: a[index], x)


def lu(field: Field[V], a: V) -> tuple[V, Array, Array]:
    """Gaussian elimination with partial pivoting.

    Args:
        a: m by n.

    Returns:
        both factors in one matrix; the pivots, which row changed places with each of the first min(m, n); and the
        permutation, so that `a[permutation]` is the product of the factors. Integers have the batch axes and points.
    """
    m, n = field.sizes(a)
    pivots: list[Array] = []
    for k in range(min(m, n)):
        which = k + field.largest(part(field, a, slice(k, None), k))
        pivots.append(which)
        below = slice(k + 1, None)
        if k + 1 == m:
            break
        a = field.map(partial(_swapped, k=k), a, which)
        ratios = field.combine("div", part(field, a, below, k), part(field, a, k, k))
        a = field.map(partial(_placed, at=((below, k),)), a, ratios)
        rest = _less_products(field, part(field, a, below, below), ratios, part(field, a, k, below))
        a = field.map(partial(_placed, at=((below, below),)), a, rest)
    shape = np.broadcast_shapes(field.further(a), *(p.shape for p in pivots))
    places = np.array([np.broadcast_to(p, shape) for p in pivots], np.int64).reshape((len(pivots), *shape))
    return a, places, permutation(places, m)


def _less_products(field: Field[V], block: V, column: V, row: V) -> V:
    """`block` less the outer product of a column and a row."""
    products = field.combine("mul", part(field, column, slice(None), None), part(field, row, None))
    return field.combine("sub", block, products)


def permutation(pivots: Array, m: int) -> Array:
    """The order of `m` rows after the exchanges that `pivots` (first axis) name one after the other."""
    rows = np.arange(m).reshape((-1,) + (1,) * (pivots.ndim - 1))
    order = np.array(np.broadcast_to(rows, (m, *pivots.shape[1:])))
    for k, which in enumerate(np.clip(pivots, 0, m - 1).astype(np.int64)):
        row = np.array(order[k])
        taken = np.take_along_axis(order, which[None], axis=0)[0]
        np.put_along_axis(order, which[None], row[None], axis=0)
        order[k] = taken
    return order


def cholesky(field: Field[V], a: V) -> V:
    """The lower factor of a positive definite matrix, of which the lower triangle alone is read; zeros above."""
    for k in range(field.sizes(a)[0]):
        below = slice(k + 1, None)
        root = field.root(part(field, a, k, k))
        column = field.combine("div", part(field, a, below, k), root)
        rest = _less_products(field, part(field, a, below, below), column, column)
        a = field.map(partial(_placed, at=((k, k), (below, k), (below, below))), a, root, column, rest)
    return field.map(partial(triangle, lower=True), a)


def triangle(array: Array, *, lower: bool, diagonal: int = 0) -> Array:
    """Zeros outside of one triangle: from the given diagonal on downwards, or upwards."""
    if not array.size:
        return array
    keep = np.tri(array.shape[0], array.shape[1], diagonal if lower else diagonal - 1, dtype=bool)
    zero = type(array.flat[0])(0)
    return np.where((keep if lower else ~keep).reshape(keep.shape + (1,) * (array.ndim - 2)), array, zero)


def substitute(field: Field[V], t: V, b: V, *, lower: bool, unit: bool) -> V:
    """The solution x of `t x = b` for a triangular matrix: n by n, and n by m."""
    n = field.sizes(t)[0]
    found: list[V] = []
    for i in range(n) if lower else range(n - 1, -1, -1):
        row = part(field, b, i)
        if not unit:
            row = field.combine("div", row, part(field, t, i, i, None))
        found.append(row)
        rest = slice(i + 1, n) if lower else slice(0, i)
        if rest.start != rest.stop:
            left = _less_products(field, part(field, b, rest), part(field, t, rest, i), row)
            b = field.map(partial(_placed, at=((rest,),)), b, left)
    return field.map(_stacked, *(found if lower else found[::-1])) if found else field.map(_at_all_points, b, t)


def _at_all_points(b: Array, t: Array) -> Array:
    """A right-hand side without rows at the points of both."""
    return np.broadcast_to(b, (*b.shape[:2], *np.broadcast_shapes(b.shape[2:], t.shape[2:])))


def _stacked(*rows: Array) -> Array:
    return np.stack(np.broadcast_arrays(*rows))


def oriented(field: Field[V], params: Params, a: V, b: V) -> tuple[V, V, bool]:
    """A triangular solve as `t x = b`, and whether `t` is lower.

    `params` are those of the primitive: `op(a) x = b`, or `x op(a) = b` where the matrix stands on the right, which is
    the same with everything transposed.
    """
    lower, left = bool(params["lower"]), bool(params["left_side"])
    if bool(params["transpose_a"]) == left:
        a, lower = field.map(transposed, a), not lower
    return a, b if left else field.map(transposed, b), lower


def turned_back(params: Params, x: Array) -> Array:
    """The solution of a triangular solve that was `oriented`."""
    return x if params["left_side"] else transposed(x)


def triangular_solve(field: Field[V], params: Params, a: V, b: V) -> V:
    """The primitive of this name."""
    t, right, lower = oriented(field, params, a, b)
    x = substitute(field, t, right, lower=lower, unit=bool(params["unit_diagonal"]))
    return field.map(partial(turned_back, params), x)


def transposed(array: Array) -> Array:
    return np.swapaxes(array, 0, 1)


class Plain:
    """The field of NumPy's floats of one format, narrow or wide."""

    def map(self, function: Callable[..., Array], *values: Array) -> Array:
        return function(*values)

    def combine(self, name: str, a: Array, b: Array) -> Array:
        return np.asarray(_JOINED[name](a, b))

    def root(self, x: Array) -> Array:
        return np.asarray(np.sqrt(x))

    def sizes(self, x: Array) -> tuple[int, int]:
        return int(x.shape[0]), int(x.shape[1])

    def further(self, x: Array) -> tuple[int, ...]:
        return x.shape[2:]

    def largest(self, x: Array) -> Array:
        return np.asarray(np.argmax(np.abs(x), axis=0))


_JOINED: dict[str, np.ufunc] = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}

PLAIN = Plain()
