"""Vectors of balls get their inner products here, and all entries of a derivative from one dual pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.large import LOCALISED
from backprove.harness.numbers.balls.arrays import lift, spread, widened, zeros
from backprove.harness.numbers.balls.truth import Undecided

if TYPE_CHECKING:
    from backprove.harness.oracles.problem import DerivativeProblem


def dyadic(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random non-zero multiples of 2**-12 in [-1, 1]."""
    return np.asarray(rng.integers(1, 4097, shape) * rng.choice([-1.0, 1.0], shape) / 4096.0)


@lru_cache(maxsize=64)
def random_direction(seed: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[Array, ...]:
    """A random dyadic direction: balls of the given shapes, with a points axis of size 1."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 7]))
    return tuple(lift(dyadic(rng, (*s, 1))) for s in shapes)


def products(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """All products of corresponding entries: (entries of all arrays, points)."""
    rows = [(x * y).reshape(-1, max(x.shape[-1], y.shape[-1])) for x, y in zip(a, b, strict=True)]
    if len(rows) == 1:
        return rows[0]
    points = max((r.shape[-1] for r in rows), default=1)
    return np.concatenate([zeros((0, points)), *(widened(r, points) for r in rows)])


def column_sums(rows: Array) -> Array:
    if len(rows) < 2:
        return rows[0] if len(rows) else zeros(rows.shape[1:])
    return np.asarray(rows.sum(axis=0), dtype=object)


def inner(a: Sequence[Array], b: Sequence[Array]) -> tuple[Array, Array]:
    """Per point: sum of products over all entries of all arrays, and the sum of their absolute values."""
    rows = products(a, b)
    return column_sums(rows), column_sums(np.abs(rows))


_is_finite = np.frompyfunc(arb.is_finite, 1, 1)


def finite(arrays: Sequence[Array], points: int) -> Array:
    """Per point: whether every entry is finite."""
    ok = np.ones(points, dtype=bool)
    for x in arrays:
        if x.size:
            told = np.asarray(_is_finite(x), dtype=bool)
            if not told.all():
                ok &= told.reshape(-1, x.shape[-1]).all(axis=0)
    return ok


def full(arrays: Sequence[Array], points: int) -> list[Array]:
    """Constant results (points axis 1) repeated for every point."""
    return [widened(x, points) for x in arrays]


def take(arrays: Sequence[Array], index: Array | slice) -> list[Array]:
    return [x[..., index] for x in arrays]


def vector(problem: DerivativeProblem, x: list[Array], d: list[Array], widen: float = 0.0) -> list[Array]:
    """All entries of `J^T w` (or `J v`) at every point, in one dual pass.

    In mode "vjp" it runs over points times entries, or over points times inputs where the Jacobians are diagonal.

    Args:
        x, d: balls (integers as they are), shape + points.

    Raises:
        Undecided: also where dual balls lack a primitive, and for a VJP of more than `LOCALISED` entries, since it
            takes as many dual passes unless the Jacobian is diagonal.
    """
    points = max(a.shape[-1] for a in (*x, *d))
    ins: list[Array | None] = [None] * len(x)
    if problem.mode == "jvp":
        for i, t in zip(problem.wrt, d, strict=True):
            ins[i] = t
        return full(_moved(problem, x, ins, widen), points)
    sizes = [math.prod(x[i].shape[:-1]) for i in problem.wrt]
    n = sum(sizes)
    if n == 0:
        return [zeros(x[i].shape) for i in problem.wrt]
    given = [widened(a, points) for a in x]
    if problem.forward.is_entrywise:
        return _diagonals(problem, given, d, points, widen)
    if n > LOCALISED:
        raise Undecided(f"a derivative of {n:,} entries is not computed entry by entry")
    # column k * points + p holds point p moving along entry k; the values are computed once
    start = 0
    for i, size in zip(problem.wrt, sizes, strict=True):
        unit = zeros((size, n, points))
        unit[np.arange(size), start + np.arange(size)] = arb(1)
        ins[i] = unit.reshape((*x[i].shape[:-1], n * points))
        start += size
    moved = _moved(problem, given, ins, widen)
    weights = [spread(widened(w, points), n * points) for w in d]
    entries = np.broadcast_to(column_sums(products(weights, moved)), (n * points,)).reshape(n, points)
    out, start = [], 0
    for i, size in zip(problem.wrt, sizes, strict=True):
        out.append(entries[start : start + size].reshape((*x[i].shape[:-1], points)))
        start += size
    return out


def _diagonals(problem: DerivativeProblem, x: list[Array], d: list[Array], points: int, widen: float) -> list[Array]:
    """`J^T w` where J is diagonal: each input moves with all its entries at once."""
    k = len(problem.wrt)
    ins: list[Array | None] = [None] * len(x)
    for j, i in enumerate(problem.wrt):
        unit = zeros((*x[i].shape[:-1], k, points))
        unit[..., j, :] = arb(1)
        ins[i] = unit.reshape((*x[i].shape[:-1], k * points))
    moved = _moved(problem, x, ins, widen)
    terms = [spread(widened(w, points), k * points) * t for w, t in zip(d, moved, strict=True)]
    entries = terms[0]
    for term in terms[1:]:
        entries = entries + term
    entries = widened(entries, k * points)
    return [entries[..., j * points : (j + 1) * points] for j in range(k)]


def _moved(problem: DerivativeProblem, x: list[Array], ins: list[Array | None], widen: float) -> list[Array]:
    try:
        return problem.forward.duals(x, ins, widen)[1]
    except UnsupportedPrimitive as why:
        raise Undecided(str(why)) from why
