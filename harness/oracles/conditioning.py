"""Conditioning says what accuracy a problem allows: how the derivative moves when inputs and constants move one
rounding.

The ball hull: dual balls over inputs x(1 +- u), directions w(1 +- u) and literals (1 +- u); the radius of each entry of
the derivative is the error that any algorithm must be granted (backward-error view).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FloatFormat
from backprove.harness.core.thresholds.called_code import (
    FORCED_DRAWS,
    FORCED_ROUNDING,
    LOST,
    PROPORTIONAL,
    SCATTERED,
    SLOPE_STEPS,
)
from backprove.harness.core.thresholds.rounding import CONDITIONING_PRECISION, KNOWN_BITS
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.problem import DerivativeProblem
from backprove.harness.oracles.vectors import vector


def floats(enclosures: Array) -> Array:
    """The float64 values of enclosures; NaN where they are too wide to tell."""
    return np.asarray(_FLOAT(enclosures), dtype=np.float64)


def _float(b: arb) -> float:
    return float(b.mid()) if b.rel_accuracy_bits() > KNOWN_BITS and b.is_finite() else np.nan


_FLOAT = np.frompyfunc(_float, 1, 1)
_CENTRE = np.frompyfunc(lambda b: float(b.mid()) if b.is_finite() else np.nan, 1, 1)
_RADIUS = np.frompyfunc(lambda b: float(b.rad()) if b.is_finite() else np.inf, 1, 1)


def forced_error(
    problem: DerivativeProblem,
    x: Sequence[Array],
    d: Sequence[Array],
    form: FloatFormat,
    known: Sequence[Array] | None = None,
) -> list[tuple[Array, Array]] | None:
    """Exact derivative and forced error, entry by entry.

    Args:
        x, d: inputs and directions, shape + points.
        known: the derivative as far as it is known, like the values returned; NaN elsewhere.

    Returns:
        One (value, error) pair of float64 arrays (shape + points) per output of the rule; None where the derivative is
        not decided. The error is infinite where the hull is unbounded.
    """

    def blur(a: Array) -> Array:
        if a.dtype.kind != "f":
            return a
        out = np.empty(a.shape, dtype=object)
        out.reshape(-1)[:] = [arb(v, abs(v) * form.u) for v in a.ravel().tolist()]
        return out

    try:
        with ctx.workprec(CONDITIONING_PRECISION):
            value = _values(problem, x, d, known)
            hull = vector(problem, [blur(a) for a in x], [blur(a) for a in d], form.u)
    except Undecided:
        return None
    return [(v, np.asarray(_RADIUS(h), dtype=np.float64)) for v, h in zip(value, hull, strict=True)]


def _values(
    problem: DerivativeProblem, x: Sequence[Array], d: Sequence[Array], known: Sequence[Array] | None
) -> list[Array]:
    """The derivative, computed at the points where it is not known."""

    def at(index: Array) -> list[Array]:
        here = lift_floats([a[..., index] for a in x])
        return [
            np.asarray(_CENTRE(v), dtype=np.float64) for v in vector(problem, here, [lift(a[..., index]) for a in d])
        ]

    points = max(a.shape[-1] for a in (*x, *d))
    if known is None:
        return at(np.arange(points))
    out = list(known)
    missing = np.zeros(points, dtype=bool)
    for v in out:
        missing |= np.isnan(v).reshape(-1, points).any(axis=0)
    index = np.flatnonzero(missing)
    if index.size:
        for v, found in zip(out, at(index), strict=True):
            v[..., index] = found
    return out


def forced_changes(
    rule: Callable[[list[Array]], list[Array]],
    inputs: Sequence[Array],
    directions: Sequence[Array],
    result: Sequence[Array],
    wrt: Sequence[int],
) -> list[Array]:
    """How far the rule's values move, entry by entry, when inputs are rounded at the scale of their largest entry.

    Infinite where the rule has no value then.
    """
    worst = [np.zeros(r.shape) for r in result]
    with np.errstate(all="ignore"):
        for moved in _rounded(inputs, wrt, FORCED_ROUNDING):
            for w, r, f in zip(worst, result, rule([*moved, *directions]), strict=True):
                change = np.abs(f - r)
                w[...] = np.maximum(w, np.where(np.isfinite(change), change, np.inf))
    return worst


def has_lost_all_digits(
    forward: Callable[[list[Array]], list[Array]],
    rule: Callable[[list[Array]], list[Array]],
    inputs: Sequence[Array],
    directions: Sequence[Array],
    wrt: Sequence[int],
    unit: float,
) -> Array:
    """Per point: whether rounding the inputs, at the scale of the largest entry of each, takes all digits of a value.

    A matrix may be singular there, or as good as singular. What counts is forward's value, which has none left to be
    judged by (`LOST`), or the rule's (`SCATTERED`), where that is had at more than one of the roundings.

    Args:
        unit: unit roundoff of the format of both functions.
    """
    points = max(a.shape[-1] for a in (*inputs, *directions))
    rows = [(forward(list(moved)), rule([*moved, *directions])) for moved in _rounded(inputs, wrt, 2 * unit)]
    out = np.zeros(points, dtype=bool)
    centre = forward(list(inputs))
    with np.errstate(all="ignore"):
        for k, f in enumerate(centre):
            size = np.abs(f).reshape(-1, f.shape[-1]).max(axis=0, initial=0.0)
            for values, _ in rows:
                off = np.abs(values[k] - f).reshape(-1, f.shape[-1]).max(axis=0, initial=0.0)
                out |= ~(off <= LOST * size)
        for k in range(len(rows[0][1])):
            found = np.stack([results[k] for _, results in rows])
            found = found.reshape(len(rows), -1, found.shape[-1])
            has_value = np.isfinite(found).all(axis=1)
            kept = np.where(has_value[:, None], found, np.nan)
            most, least = np.fmax.reduce(kept, axis=0), np.fmin.reduce(kept, axis=0)
            spread = np.where(has_value.sum(axis=0) >= 2, most - least, 0.0).max(axis=0, initial=0.0)
            size = np.where(np.isfinite(kept), np.abs(kept), 0.0).max(axis=(0, 1), initial=0.0)
            out |= spread > SCATTERED * size
    return out


def has_slopes(forward: Callable[[list[Array]], list[Array]], inputs: Sequence[Array], wrt: Sequence[int]) -> bool:
    """Whether forward has a value at one point and moves in proportion to its inputs there, or by less.

    A determinant does so at a singular matrix, where an inverse has a pole, and floats of it tell nothing.

    Args:
        inputs: one point (points axis of size 1).
    """
    centre, changes = forward(list(inputs)), []
    with np.errstate(all="ignore"):
        for step in SLOPE_STEPS:
            rows = [forward(moved) for moved in _rounded(inputs, wrt, step, at_zero=1.0)]
            changes.append([np.abs(np.stack([r[k] for r in rows]) - f).max(initial=0.0) for k, f in enumerate(centre)])
    ratio = PROPORTIONAL * SLOPE_STEPS[1] / SLOPE_STEPS[0]
    return all(near <= ratio * far < np.inf for far, near in zip(*changes, strict=True))


def _rounded(
    inputs: Sequence[Array], wrt: Sequence[int], rounding: float, at_zero: float = 0.0
) -> Iterator[list[Array]]:
    """The inputs, some of them moved by a rounding of the largest entry of each, in several draws.

    Args:
        at_zero: what takes the place of the largest entry where that is 0.
    """
    rng = np.random.Generator(np.random.Philox(key=[97, 101]))
    for _ in range(FORCED_DRAWS):
        moved = list(inputs)
        for i in wrt:
            largest = np.abs(inputs[i]).reshape(-1, inputs[i].shape[-1]).max(axis=0, initial=0.0)
            size = np.where(largest == 0, at_zero, largest)
            moved[i] = inputs[i] + rng.choice([-1.0, 1.0], inputs[i].shape) * rounding * size
        yield moved
