"""The float contract says how far a float result may be from the exact one at a point, and where it is judged
at all.

A finite float result passes within twice the running error bound of its own code. A result that is not finite is held
against the derivative: where that leaves the format itself, or forward does on the way, nothing is wrong.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array, any_entry, at_points
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.core.thresholds.coverage import JACOBIAN_ENTRIES
from backprove.harness.core.thresholds.exact import PRECISIONS
from backprove.harness.core.thresholds.rounding import BOUND_MARGIN
from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.numbers.balls.arrays import lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.bounds import ANY, Running
from backprove.harness.numbers.bounds.run import WIDE_UNIT
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Equation, Program


def near_max(form: FloatFormat) -> float:
    """Within 4096 roundings of the largest number an overflow is a rounding error like any other.

    (An exponential's argument amplifies roundings so far.)
    """
    return form.max * (1 - min(0.25, 4096 * form.u))


def exceeds(result: Array, value: Array, error: Array, dtype: str) -> Array:
    """Entry by entry: is the finite float `result` further from `value` than twice its running error bound?

    Entries whose bound is infinite, or whose result is not finite, are not judged here (False).
    """
    tiny = FORMATS[dtype].tiny
    with np.errstate(all="ignore"):
        off = np.abs(result.astype(value.dtype) - value).astype(np.float64)
        allowed = BOUND_MARGIN * error + 4 * tiny
        judged = np.isfinite(result) & np.isfinite(error) & np.isfinite(value.astype(np.float64))
        return np.asarray(judged & ~(off <= allowed))


def ulps(result: Array, value: Array, dtype: str) -> Array:
    """Entry by entry distance in ulps of the dtype at `value` (0 where both are the same infinity or zero)."""
    form = FORMATS[dtype]
    v = value.astype(np.float64)
    with np.errstate(all="ignore"):
        off = np.abs(result.astype(value.dtype) - value).astype(np.float64)
        return np.where(result == v, 0.0, off / form.ulp(v))


class _Watched(Running):
    """The running error bound with an eye on every intermediate value: where does a step overflow?"""

    def __init__(self, dtype: str, points: int) -> None:
        super().__init__(dtype, narrows_to=ANY)  # its own steps, in whatever formats they are
        self.finite = np.ones(points, dtype=bool)

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        outs = super().apply(equation, inputs)
        for o in outs:
            if isinstance(o, Bounded) and o.v.size:
                lost = ~np.isfinite(o.e)
                bad = lost.reshape(-1, lost.shape[-1]).any(axis=0)
                self.finite &= ~np.broadcast_to(bad, self.finite.shape)
        return outs


def accurate(program: Program, arrays: Sequence[Array], dtype: str) -> Array:
    """Per point: no step of `program` overflows, and every output is zero or a normal number with a correct digit.

    An underflow inside is no loss as long as the output does not feel it (the `exp(-1000)` of a stable softplus). Where
    the bounds lack a primitive, the outputs alone are held against balls.

    Args:
        arrays: inputs with a points axis, floats as float64.
    """
    points = max((a.shape[-1] for a in arrays), default=1)
    try:
        return _accurate_in_all_steps(program, arrays, dtype, points)
    except UnsupportedPrimitive:
        return np.array(
            [_near_the_reals(program, [at_points(a, np.array([i])) for a in arrays]) for i in range(points)]
        )


def _near_the_reals(program: Program, point: Sequence[Array]) -> bool:
    """Whether the float outputs at one point have a correct digit; False where neither system can tell."""
    with contextlib.suppress(Undecided, UnsupportedPrimitive), np.errstate(all="ignore"):
        values = run_floats(program, point)
        with ctx.workprec(PRECISIONS[1]):
            exact = ProgramOnBalls(program).balls(lift_floats(list(point)))
        pairs = zip(values, exact, strict=True)
        flat = [
            (v, b) for value, ball in pairs if ball.dtype == object for v, b in zip(value.flat, ball.flat, strict=True)
        ]
        return all(np.isfinite(v) and abs(float(v) - float(b.mid())) <= 0.5 * abs(float(b.mid())) for v, b in flat)
    return False


def _accurate_in_all_steps(program: Program, arrays: Sequence[Array], dtype: str, points: int) -> Array:
    system = _Watched(dtype, points)
    with np.errstate(all="ignore"):
        outs = evaluate(program, system, *(system.lift(a) if a.dtype.kind == "f" else a for a in arrays))
        good = system.finite
        for o in outs:
            if isinstance(o, Bounded):
                v = np.abs(o.v)
                lost = (o.e > 0.5 * v) & (v > 0)
                good = good & ~any_entry([lost | ((v > 0) & (v < FORMATS[dtype].tiny))], points)
    return good


def overflows(
    autodiff: Program, arrays: list[Array], result: list[Array], dtype: str, limit: float | None = None
) -> Array:
    """Per point: wherever the float result is not finite, the derivative itself leaves the format.

    Args:
        limit: largest size of a derivative that counts as inside (None: the format's largest number).
    """
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    explained = []
    for r, b in zip(result, wide.run(autodiff, arrays), strict=True):
        with np.errstate(all="ignore"):
            explained.append(np.isfinite(r) | (np.abs(b.v) > (FORMATS[dtype].max if limit is None else limit)))
    return ~any_entry([~e for e in explained], arrays[0].shape[-1])


def jacobian_overflows(autodiff: Program, inputs: list[Array], directions: list[Array], dtype: str) -> Array:
    """Per point: an entry of the Jacobian, or its product with the direction, leaves the format (0 * inf is nothing).

    False everywhere for more than `JACOBIAN_ENTRIES` entries of the direction.
    """
    points = directions[0].shape[-1]
    sizes = [math.prod(w.shape[:-1]) for w in directions]
    n = sum(sizes)
    if not 0 < n <= JACOBIAN_ENTRIES:
        return np.zeros(points, dtype=bool)
    units, weights, start = [], [], 0
    # column k * points + p holds point p with the direction's entry k alone
    for w, size in zip(directions, sizes, strict=True):
        unit = np.zeros((size, n, points))
        unit[np.arange(size), start + np.arange(size)] = 1.0
        units.append(unit.reshape((*w.shape[:-1], n * points)))
        weights.append(np.maximum(np.abs(np.broadcast_to(w, (*w.shape[:-1], points)).reshape(size, points)), 1.0))
        start += size
    here = [np.tile(a, n) if a.shape[-1] == points else a for a in inputs]
    scale = np.concatenate(weights).reshape(-1)
    wide = Running(dtype, unit=WIDE_UNIT[dtype])
    leaves = np.zeros(n * points, dtype=bool)
    with np.errstate(all="ignore"):
        for b in wide.run(autodiff, [*here, *units]):
            if b.v.size:
                leaves |= (np.abs(b.v).reshape(-1, n * points).max(axis=0) * scale) >= FORMATS[dtype].max
    return np.asarray(leaves.reshape(n, points).any(axis=0))


ContractPrograms = tuple[Program | None, Program | None, Program | None]
"""Of the forward map, the rule and JAX's derivative."""


def unexplained(
    programs: ContractPrograms, x: list[Array], d: list[Array], result: list[Array], broken: Array, dtype: str
) -> Array:
    """The points of `broken` without those at which the derivative itself leaves the format.

    Args:
        x, d, result: inputs, directions and the rule's results at all points.
        broken: points at which a result is not finite; changed in place.
    """
    _, rule, autodiff = programs
    index = np.flatnonzero(broken)
    if index.size and rule is not None and autodiff is not None:
        here = [a[..., index] for a in (*x, *d)]
        with contextlib.suppress(UnsupportedPrimitive):  # then the exact layer looks at all of them
            broken[index] = ~overflows(autodiff, here, [r[..., index] for r in result], dtype)
    return broken


def blamed(
    programs: ContractPrograms, x: list[Array], d: list[Array], result: list[Array], broken: Array, dtype: str
) -> Array:
    """The points of `broken` without those at which forward, or the Jacobian, leaves the format on the way.

    There a result that is not finite is no finding (0 * inf), and alone is no reason to ask the exact layer; nor is it
    where the derivative is within roundings of the largest number.
    """
    forward, _, autodiff = programs
    index = np.flatnonzero(broken)
    if not index.size or forward is None or autodiff is None:
        return broken
    here, given = [a[..., index] for a in x], [a[..., index] for a in d]
    out = broken.copy()
    with contextlib.suppress(UnsupportedPrimitive):  # then the exact layer looks at all of them
        limit = near_max(FORMATS[dtype])
        far = overflows(autodiff, [*here, *given], [r[..., index] for r in result], dtype, limit)
        out[index] = accurate(forward, here, dtype) & ~far & ~jacobian_overflows(autodiff, here, given, dtype)
    return out
