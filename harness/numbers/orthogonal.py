"""Householder's reflections factor matrices as LAPACK's do, written once for every kind of numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.matrices import Field, V, part, triangle


def _placed(whole: Array, block: Array, at: tuple[slice | int, ...]) -> Array:
    points = max(whole.shape[-1], block.shape[-1])
    out = np.array(np.broadcast_to(whole, (*whole.shape[:-1], points)))
    out[at] = block
    return out


def _total(field: Field[V], x: V, rows: int) -> V:
    """The sum over axis 0, which stays as one of size 1."""
    found = part(field, x, slice(0, 1))
    for i in range(1, rows):
        found = field.combine("add", found, part(field, x, slice(i, i + 1)))
    return found


def _reflected(field: Field[V], block: V, direction: V, factor: V, rows: int) -> V:
    """`block` less factor times the projection on a direction (rows, 1)."""
    along = _total(field, field.combine("mul", direction, block), rows)
    return field.combine("sub", block, field.combine("mul", direction, field.combine("mul", factor, along)))


def qr(field: Field[V], a: V, unit: Callable[[int, int], V], signs: Callable[[V], Array], *, full: bool) -> tuple[V, V]:
    """An orthogonal and an upper triangular factor, with the signs that LAPACK gives them.

    Args:
        a: m by n, inward.
        unit: the identity of so many rows and columns.
        signs: of a column, what its length is multiplied by to stand in its place: the sign against its first entry.
        full: m columns of the orthogonal factor instead of min(m, n).
    """
    m, n = field.sizes(a)
    k = min(m, n)
    steps: list[tuple[V, V]] = []
    for i in range(min(m - 1, n)):
        below, rows = slice(i, None), m - i
        column = part(field, a, below, slice(i, i + 1))
        head = part(field, a, slice(i, i + 1), slice(i, i + 1))
        length = field.root(_total(field, field.combine("mul", column, column), rows))
        # the sign against the head's, so that nothing cancels
        corner = field.map(_signed, length, signs(column))
        shifted = field.combine("sub", head, corner)
        direction = field.combine("div", column, shifted)
        direction = field.map(partial(_placed, at=(slice(0, 1),)), direction, unit(1, 1))
        factor = field.combine("div", field.combine("sub", corner, head), corner)
        steps.append((direction, factor))
        rest = _reflected(field, part(field, a, below, below), direction, factor, rows)
        a = field.map(partial(_placed, at=(below, below)), a, rest)
    q = unit(m, m if full else k)
    for i, (direction, factor) in reversed(list(enumerate(steps))):
        below = slice(i, None)
        q = field.map(
            partial(_placed, at=(below,)), q, _reflected(field, part(field, q, below), direction, factor, m - i)
        )
    r = field.map(partial(triangle, lower=False), a)
    return q, r if full else part(field, r, slice(0, k))


def _signed(length: Array, sign: Array) -> Array:
    return length * sign
