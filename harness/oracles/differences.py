"""Finite differences come with an estimate of their own error.

Central differences of `t -> <w, f(x + t v)>` with one Richardson step, in the wide format of the running error bound.
The step is scaled to the point and the direction (never past a tenth of an entry, so that it does not cross a kink at
zero), halved where the map is not finite, and one-sided where only one side is. Every value carries an error estimate:
truncation from the change that Richardson makes, rounding from the running error bound of the values, and a kink
close by from one-sided slopes whose gap does not halve with the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.differences import DIFFERENCE_STEP, SAFETY


@dataclass(frozen=True)
class Difference:
    """Derivative along a direction, per point, with its error estimate; not finite where nothing can be said."""

    value: Array
    error: Array


def step_sizes(inputs: Sequence[Array], directions: Sequence[Array], relative: float = DIFFERENCE_STEP) -> Array:
    """Largest t per point with `|t v_i| <= relative * |x_i|` for entries that are not zero (1 where all are zero)."""
    points = inputs[0].shape[-1]
    step = np.full(points, np.inf)
    for x, v in zip(inputs, directions, strict=True):
        with np.errstate(all="ignore"):
            ratio = np.where((x != 0) & (v != 0), np.abs(x) / np.abs(v), np.inf)
        if ratio.size:
            step = np.minimum(step, ratio.reshape(-1, points).min(axis=0))
    size = np.zeros(points)
    for v in directions:
        if v.size:
            size = np.maximum(size, np.abs(v).reshape(-1, points).max(axis=0))
    with np.errstate(all="ignore"):
        step = np.where(np.isfinite(step), step, 1.0 / np.where(size > 0, size, 1.0))
    return relative * step


Sampled = Callable[[Sequence[Array]], list[tuple[Array, Array]]]
"""Several t (one number per point each) -> value and error bound of `<w, f(x + t v)>` at each of them."""


def one_by_one(along: Callable[[Array], tuple[Array, Array]]) -> Sampled:
    """A function of one t as one of several."""
    return lambda places: [along(t) for t in places]


def central(sampled: Sampled, step: Array, wide: type[np.floating] = np.longdouble) -> Difference:
    """Central differences with Richardson extrapolation, one-sided where only one side is finite.

    Args:
        sampled: values and error bounds along the direction, see `Sampled`.
        step: first step per point.
    """
    h = step.astype(wide)
    places = (-1.0, -0.5, 0.0, 0.5, 1.0)
    samples = dict(zip(places, sampled([k * h for k in places]), strict=True))
    with np.errstate(all="ignore"):
        first = (samples[1.0][0] - samples[-1.0][0]) / (2 * h)
        second = (samples[0.5][0] - samples[-0.5][0]) / h
        value = (4 * second - first) / 3
        rounding = sum(samples[k][1] for k in samples) / np.abs(h).astype(np.float64) * 2
        # a kink within a fifth of the step escapes Richardson: both differences straddle it
        middle = 2 * samples[0.0][0]
        gap = (samples[1.0][0] - middle + samples[-1.0][0]) / h
        half = (samples[0.5][0] - middle + samples[-0.5][0]) / (h / 2)
        bent = np.abs(2 * half - gap).astype(np.float64)
        error = SAFETY * np.abs(value - second).astype(np.float64) + rounding + bent
        lost = ~np.isfinite(value.astype(np.float64))
        if np.any(lost):
            value, error = _one_sided(sampled, h, value, error, lost)
    return Difference(value, np.where(np.isfinite(value.astype(np.float64)), error, np.inf))


def _one_sided(sampled: Sampled, h: Array, value: Array, error: Array, lost: Array) -> tuple[Array, Array]:
    sides = [sign * k for sign in (1.0, -1.0) for k in (0.25, 0.5, 1.0)]
    places = np.where(lost, h, np.nan)  # code that can only be called is not called where nothing is lost
    (f0, e0), *found = sampled([k * places for k in (0.0, *sides)])
    for sign, ((f1, e1), (f2, e2), (f4, e4)) in ((1.0, found[:3]), (-1.0, found[3:])):
        d1, d2, d4 = (f1 - f0) / (0.25 * sign * h), (f2 - f0) / (0.5 * sign * h), (f4 - f0) / (sign * h)
        r1, r2 = 2 * d1 - d2, 2 * d2 - d4
        best = (4 * r1 - r2) / 3
        estimate = SAFETY * np.abs(best - r1).astype(np.float64)
        estimate = estimate + 16 * (e0 + e1 + e2 + e4) / np.abs(h).astype(np.float64)
        use = lost & np.isfinite(best.astype(np.float64))
        value, error = np.where(use, best, value), np.where(use, estimate, error)
        lost = lost & ~use
    return value, error
