"""The float layers look at a derivative claim in bulk and point at what the exact layer must judge.

The float result against its running error bound, the rule against JAX's derivative of the forward map in the wide
format, and finite differences. None of them says that a formula is wrong: they point at what the exact layer judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, at_points, largest
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.differences import TOLD
from backprove.harness.judging.examination import Examination
from backprove.harness.judging.float_contract import exceeds, ulps
from backprove.harness.numbers.bounds.bounds import SMALLEST_BOUND, Running
from backprove.harness.numbers.bounds.run import WIDE_UNIT, run_sharing
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.oracles.differences import Difference, central, step_sizes
from backprove.harness.programs.program import Program


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
    seen.doubt("rounding", beyond & ~seen.outside)
    return beyond & ~seen.outside


def against_autodiff(
    rule: Program, autodiff: Program, arrays: list[Array], dtype: str, seen: Examination, slack: float = 0.0
) -> Array:
    """Points where the rule and JAX's derivative are apart in the wide format, by its own error bounds.

    Args:
        slack: share of every entry by which the rule may be off.
    """
    n = seen.outside.size
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    apart, known = [], np.ones(n, dtype=bool)
    for a, b in zip(*run_sharing(wide, [rule, autodiff], arrays), strict=True):
        with np.errstate(all="ignore"):
            off = np.abs(a.v - b.v)
            ok = np.isfinite(a.e) & np.isfinite(b.e) & np.isfinite(off)
            apart.append(ok & ~(off <= a.e + b.e + slack * np.abs(b.v) + 4 * FORMATS[dtype].tiny * 2.0**-40))
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
    seen.agreed |= judged & ~suspicious
    seen.doubt("autodiff", suspicious)
    return suspicious


def _beyond_literals(rule: Program, autodiff: Program, arrays: list[Array], dtype: str) -> Array:
    """Which points stay apart when constants that look rounded may be off by the dtype's unit roundoff."""
    loose = Running(dtype, unit=WIDE_UNIT[dtype], literals=FORMATS[dtype].u)
    apart = []
    for a, b in zip(*run_sharing(loose, [rule, autodiff], arrays), strict=True):
        with np.errstate(all="ignore"):
            apart.append(~(np.abs(a.v - b.v) <= a.e + b.e + 4 * FORMATS[dtype].tiny * 2.0**-40))
    return any_entry(apart, arrays[0].shape[-1])


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
    slack: float = 0.0,
) -> Array:
    """Points where finite differences of the forward map and the rule are apart.

    Args:
        inputs, directions: of the points in `index`.
        moving: positions of the differentiated inputs.
        pairing: tangents of the moving inputs, weights of the outputs, and the partners of the rule's results.
        slack: share of every entry by which the rule may be off.
    """
    suspicious = np.zeros(seen.outside.size, dtype=bool)
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    tangents, weights, partners = pairing
    m = index.size

    found = wide.run(rule, [*inputs, *directions])
    value, error = pair_bounds(found, partners, m)
    if slack:
        error = (
            error + slack * pair_bounds([Bounded(np.abs(b.v), b.e) for b in found], [abs(p) for p in partners], m)[0]
        )
    along = _Along(wide, forward, inputs, moving, tangents, weights)
    difference = central(along, step_sizes([inputs[i] for i in moving], tangents))
    agree, told = held_against(difference, value, error, FORMATS[dtype].tiny)
    apart = np.flatnonzero(told & ~agree)
    if apart.size:
        # constants that look rounded may be off by the dtype's unit roundoff
        loose = Running(dtype, unit=WIDE_UNIT[dtype], literals=FORMATS[dtype].u)
        bounds = loose.run(rule, [at_points(a, apart) for a in (*inputs, *directions)])
        again = pair_bounds(bounds, [at_points(p, apart) for p in partners], apart.size)
        agree[apart] = held_against(
            Difference(difference.value[apart], difference.error[apart]), *again, FORMATS[dtype].tiny
        )[0]
    tally = seen.layer("differences")
    tally.checked += m
    tally.agreed += int((told & agree).sum())
    tally.suspicious += int((told & ~agree).sum())
    tally.undecided += int((~told).sum())
    suspicious[index[told & ~agree]] = True
    seen.agreed[index[told & agree]] = True
    seen.doubt("differences", suspicious)
    return suspicious


@dataclass(frozen=True)
class _Along:
    """`<w, f(x + t v)>` with its error bound, at many t at once: they stand side by side on the points axis."""

    wide: Running
    forward: Program
    inputs: Sequence[Array]
    moving: Sequence[int]
    tangents: Sequence[Array]
    weights: Sequence[Array]

    def __call__(self, places: Sequence[Array]) -> list[tuple[Array, Array]]:
        k, points = len(places), places[0].size

        def repeated(a: Array) -> Array:
            return a if a.shape[-1] == 1 and points > 1 else np.concatenate([a] * k, axis=-1)

        t = np.concatenate(places)
        moved: list[Array | Bounded] = [repeated(a) for a in self.inputs]
        for i, v in zip(self.moving, self.tangents, strict=True):
            moved[i] = _moved(self.wide, repeated(self.inputs[i]), repeated(v), t)
        found = zip(self.wide.run(self.forward, moved), self.forward.outputs, strict=True)
        weights = [repeated(w) for w in self.weights]
        value, error = pair_bounds([b for b, v in found if v.dtype in FORMATS], weights, k * points)
        return list(zip(np.split(value, k), np.split(error, k), strict=True))


def _moved(wide: Running, x: Array, v: Array, t: Array) -> Bounded:
    """x + t v in the wide format, with the error of forming it."""
    start = x.astype(wide.wide)
    shift = v * t.astype(wide.wide)
    at = start + shift
    e = (np.abs(at) + np.abs(shift)).astype(np.float64) * (2 * WIDE_UNIT[wide.tested.name])
    return Bounded(at, np.where(shift == 0, 0.0, np.maximum(e, SMALLEST_BOUND)))


def held_against(difference: Difference, value: Array, error: Array, tiny: float) -> tuple[Array, Array]:
    """Per point: whether value and difference agree, and whether the difference can tell."""
    with np.errstate(all="ignore"):
        off = np.abs(value - difference.value).astype(np.float64)
        size = np.maximum(np.abs(value), np.abs(difference.value)).astype(np.float64)
        agree = off <= difference.error + error
        told = np.isfinite(difference.error) & np.isfinite(error) & (difference.error <= TOLD * size + tiny)
    return agree, told


def pair_bounds(values: Sequence[Bounded], weights: Sequence[Array], points: int) -> tuple[Array, Array]:
    """Per point: the sum of products of bounded values with exact weights, and its error bound."""
    total, error = np.zeros(points, dtype=np.longdouble), np.zeros(points)
    unit = float(np.finfo(np.longdouble).eps)

    def summed(a: Array) -> Array:
        return np.asarray(a.reshape(-1, a.shape[-1]).sum(axis=0))

    with np.errstate(all="ignore"):
        for b, w in zip(values, weights, strict=True):
            terms = b.v.astype(np.longdouble) * w
            total = total + summed(terms)
            sizes = np.abs(terms.astype(np.float64))
            error = error + summed(b.e * np.abs(w) + (len(sizes.reshape(-1, sizes.shape[-1])) + 1) * unit * sizes)
    return total, error
