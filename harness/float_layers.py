"""The float layers of a derivative claim, in bulk.

The float result against its running error bound, the rule against JAX's derivative of the forward map in the wide
format, and finite differences. None of them says that a formula is wrong: they point at what the exact layer judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.harness.examination import Examination
from backprove.harness.oracles.differences import central, step_sizes
from backprove.harness.program import Program
from backprove.harness.rounding import WIDE_UNIT, any_entry, exceeds, largest, ulps
from backprove.harness.systems.running import Bounded, Running

Array = NDArray[Any]

TOLD = 1e-3
"""A difference whose error exceeds this share of the values says nothing."""


def against_bounds(
    result: Sequence[Array], bounds: Sequence[Bounded], dtype: str, seen: Examination, run: Array
) -> Array:
    """Float results beyond twice the running error bound of the rule's own operations.

    Args:
        run: points at which the bounds were evaluated.
    """
    n = seen.outside.size
    beyond = any_entry([exceeds(r, b.v, b.e, dtype) for r, b in zip(result, bounds, strict=True)], n) & run
    seen.balls_only = any_entry([~np.isfinite(b.e) for b in bounds], n) & ~seen.outside & run
    measured = [
        np.where(np.isfinite(b.e) & np.isfinite(r), ulps(r, b.v, dtype), 0.0)
        for r, b in zip(result, bounds, strict=True)
    ]
    judged = ~seen.outside & ~seen.balls_only & run
    seen.ulps = np.where(judged, largest(measured, n), np.nan)
    tally = seen.layer("rounding")
    tally.checked += int(judged.sum())
    tally.suspicious += int((beyond & judged).sum())
    tally.agreed += int((judged & ~beyond).sum())
    finite = seen.ulps[np.isfinite(seen.ulps)]
    tally.worst = float(finite.max()) if finite.size else None
    return beyond & ~seen.outside


def against_autodiff(rule: Program, autodiff: Program, arrays: list[Array], dtype: str, seen: Examination) -> Array:
    """Points where the rule and JAX's derivative are apart in the wide format, by its own error bounds."""
    n = seen.outside.size
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    apart, known = [], np.ones(n, dtype=bool)
    for a, b in zip(wide.run(rule, arrays), wide.run(autodiff, arrays), strict=True):
        with np.errstate(all="ignore"):
            off = np.abs(a.v - b.v)
            ok = np.isfinite(a.e) & np.isfinite(b.e) & np.isfinite(off)
            apart.append(ok & ~(off <= a.e + b.e + 4 * FORMATS[dtype].tiny * 2.0**-40))
            known &= ~any_entry([~ok], n)
    suspicious = any_entry(apart, n) & ~seen.outside
    index = np.flatnonzero(suspicious)
    if index.size:
        suspicious[index] = _beyond_literals(rule, autodiff, [a[..., index] for a in arrays], dtype)
    judged = known & ~seen.outside
    tally = seen.layer("autodiff")
    tally.checked += int(judged.sum())
    tally.suspicious += int((suspicious & judged).sum())
    tally.agreed += int((judged & ~suspicious).sum())
    return suspicious


def _beyond_literals(rule: Program, autodiff: Program, arrays: list[Array], dtype: str) -> Array:
    """Which points stay apart when constants that look rounded may be off by the dtype's unit roundoff."""
    loose = Running(dtype, unit=WIDE_UNIT[dtype], literals=FORMATS[dtype].u)
    apart = []
    for a, b in zip(loose.run(rule, arrays), loose.run(autodiff, arrays), strict=True):
        with np.errstate(all="ignore"):
            apart.append(~(np.abs(a.v - b.v) <= a.e + b.e + 4 * FORMATS[dtype].tiny * 2.0**-40))
    return any_entry(apart, arrays[0].shape[-1])


def overflows(autodiff: Program, arrays: list[Array], result: list[Array], dtype: str) -> Array:
    """Per point: wherever the float result is not finite, the derivative itself leaves the format."""
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    explained = []
    for r, b in zip(result, wide.run(autodiff, arrays), strict=True):
        with np.errstate(all="ignore"):
            explained.append(np.isfinite(r) | (np.abs(b.v) > FORMATS[dtype].max))
    return ~any_entry([~e for e in explained], arrays[0].shape[-1])


def against_differences(
    forward: Program,
    rule: Program,
    inputs: list[Array],
    directions: list[Array],
    moving: Sequence[int],
    pairing: tuple[list[Array], list[Array], list[Array]],
    dtype: str,
    seen: Examination,
    index: Array,
) -> Array:
    """Points where finite differences of the forward map and the rule are apart.

    Args:
        inputs, directions: of the points in `index`.
        moving: positions of the differentiated inputs.
        pairing: tangents of the moving inputs, weights of the outputs, and the partners of the rule's results.
    """
    suspicious = np.zeros(seen.outside.size, dtype=bool)
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    tangents, weights, partners = pairing
    m = index.size

    def along(t: Array) -> tuple[Array, Array]:
        moved = [a.astype(np.longdouble) if a.dtype.kind == "f" else a for a in inputs]
        for i, v in zip(moving, tangents, strict=True):
            moved[i] = moved[i] + v * t
        bounds = wide.run(forward, moved)
        return pair_bounds([b for b, v in zip(bounds, forward.outputs, strict=True) if v.dtype in FORMATS], weights, m)

    value, error = pair_bounds(wide.run(rule, [*inputs, *directions]), partners, m)
    agree, told = compare(along, value, error, step_sizes([inputs[i] for i in moving], tangents), FORMATS[dtype].tiny)
    tally = seen.layer("differences")
    tally.checked += m
    tally.agreed += int((told & agree).sum())
    tally.suspicious += int((told & ~agree).sum())
    tally.undecided += int((~told).sum())
    suspicious[index[told & ~agree]] = True
    return suspicious


def compare(
    along: Callable[[Array], tuple[Array, Array]],
    value: Array,
    error: Array,
    step: Array,
    tiny: float,
    wide: type[np.floating[Any]] = np.longdouble,
) -> tuple[Array, Array]:
    """Per point: whether value and difference agree, and whether the difference can tell."""
    difference = central(along, step, wide)
    with np.errstate(all="ignore"):
        off = np.abs(value - difference.value).astype(np.float64)
        size = np.maximum(np.abs(value), np.abs(difference.value)).astype(np.float64)
        agree = off <= difference.error + error
        told = np.isfinite(difference.error) & np.isfinite(error) & (difference.error <= TOLD * size + tiny)
    return agree, told


def pair_bounds(values: Sequence[Bounded], weights: Sequence[Array], points: int) -> tuple[Array, Array]:
    """Per point: the sum of products of bounded values with exact weights, and its error bound."""
    total, error = np.zeros(points, dtype=np.longdouble), np.zeros(points)
    with np.errstate(all="ignore"):
        for b, w in zip(values, weights, strict=True):
            total = total + np.broadcast_to(b.v * w, (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            error = error + np.broadcast_to(b.e * np.abs(w), (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            size = np.broadcast_to(np.abs(b.v * w), (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            error = error + (w.size // max(points, 1) + 1) * 2.0**-63 * size.astype(np.float64)
    return total, error
