"""These diagnoses name derivatives taken at another point: the output, another row, minus the point, exchanged
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same

Move = Callable[[Case], list[Array] | None]
VALUES = 6


def elsewhere(e: Evidence) -> str | None:
    """`R(x) = J(x')` for one recipe x' at all points."""
    if not e.wrong or len(e.shaped) < len(e.cases):
        return None
    if not varies(e):
        return None  # hardly any point can be told from another
    for text, move in _moves(e):
        if _told(e, move):
            return f"{e.where}{text}"
    return None


def varies(e: Evidence) -> bool:
    """Whether the true Jacobian takes many values, unlike that of a map made of straight pieces."""
    entries = np.concatenate([np.round(c.true[k].ravel(), 6) for c in e.cases for k in e.wrong])
    return np.unique(entries).size >= VALUES


def _told(e: Evidence, move: Move) -> bool:
    """Whether the recipe explains all cases, and moves the point in at least two of them."""
    moved = 0
    # the largest cases first: they refuse a wrong recipe soonest
    for c in sorted(e.cases, key=lambda c: -sum(j.size for j in c.true)):
        x = move(c)
        if x is None or c.got is None:
            return False
        jacobians = c.true_at(x)
        if jacobians is None or not all(same(c.got[k], jacobians[k]) for k in e.wrong):
            return False
        moved += any(not same(jacobians[k], c.true[k]) for k in e.wrong)
    return moved >= min(2, len(e.cases))


def _moves(e: Evidence) -> Iterator[tuple[str, Move]]:
    positions = e.cases[0].claim_at.wrt
    names = e.cases[0].claim_at.input_names
    for i in positions:
        yield f"the derivative is evaluated at the output instead of the input {names[i]}.", _output(i)
    for i in positions:
        for j in positions:
            if i < j:
                yield f"the derivative is evaluated with {names[i]} and {names[j]} exchanged.", _exchange(i, j)
    for i in positions:
        for j in positions:
            if i != j:
                yield f"the derivative uses {names[j]} where {names[i]} belongs.", _replace(i, j)
    for i in positions:
        rank = max(len(c.claim_at.signature[i][0]) for c in e.cases)
        for axis in range(rank):
            line = "row" if axis == 0 and rank > 1 else "entry" if rank == 1 else f"slice along axis {axis}"
            each = f"the derivative is evaluated at another {line} of {names[i]}"
            yield f"{each}: every {line} uses its neighbour's values.", _along(i, axis, lambda a, k: np.roll(a, 1, k))
            yield f"{each}: every {line} uses the next one's values.", _along(i, axis, lambda a, k: np.roll(a, -1, k))
            yield f"{each}: every {line} uses the first one's values.", _along(i, axis, _first)
            yield f"{each}: {names[i]} is read in reverse order.", _along(i, axis, np.flip)
        yield f"the derivative is evaluated at -{names[i]} instead of {names[i]}.", _map(i, np.negative)
        yield f"the derivative is evaluated at abs({names[i]}) instead of {names[i]}.", _map(i, np.abs)
        yield f"the derivative is evaluated at exp({names[i]}) instead of {names[i]}.", _map(i, np.exp)
        yield f"the derivative is evaluated at the transpose of {names[i]}.", _map(i, np.transpose)


def _with(c: Case, i: int, value: Array) -> list[Array] | None:
    if value.shape != c.x[i].shape or c.x[i].dtype.kind != "f" or not np.isfinite(value).all():
        return None
    return [value if k == i else a for k, a in enumerate(c.x)]


def _output(i: int) -> Move:
    return lambda c: _with(c, i, c.outputs[0]) if len(c.outputs) == 1 else None


def _exchange(i: int, j: int) -> Move:
    def move(c: Case) -> list[Array] | None:
        first = _with(c, i, c.x[j])
        return None if first is None else [c.x[i] if k == j else a for k, a in enumerate(first)]

    return move


def _replace(i: int, j: int) -> Move:
    return lambda c: _with(c, i, c.x[j])


def _map(i: int, change: Callable[[Array], Array]) -> Move:
    return lambda c: _with(c, i, np.asarray(change(c.x[i])))


def _along(i: int, axis: int, change: Callable[[Array, int], Array]) -> Move:
    return lambda c: _with(c, i, np.ascontiguousarray(change(c.x[i], axis))) if axis < c.x[i].ndim else None


def _first(a: Array, axis: int) -> Array:
    return np.broadcast_to(np.take(a, [0], axis=axis), a.shape)
