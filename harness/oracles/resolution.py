"""The resolution of code is how finely its values lie; code that narrows or rounds inside has coarse ones.

Example: `erf(x.astype("float32"))` is -1 for all x below -4, although its slope there is not zero in float64, and
`round(j0(x), 6)` has steps. Near such a point the values are constant, so that no noise is measured; elsewhere all of
them are numbers of the shorter format, or multiples of a power of ten, which values of float64 are by no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.arrays import Array, any_entry
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import (
    BESIDE_ZERO,
    DISTINCT,
    FINEST_DECIMAL,
    NARROW_BEYOND,
    RESOLUTION_DRAWS,
)

SHORT = ("float16", "bfloat16", "float32")
"""Coarsest first, where one holds all numbers of another."""


def resolution(
    forward: Callable[[list[Array]], list[Array]],
    inputs: Sequence[Array],
    moving: Sequence[int],
    nearby: Sequence[list[Array]] = (),
    units: Sequence[Array] = (),
) -> list[Array]:
    """Half a step of the values, entry by entry at every point; 0 where the values are as fine as float64.

    Args:
        forward: float64 values at many points, shape + points.
        inputs: shape + points.
        moving: positions of the inputs that are float numbers; the others are left alone.
        nearby: values at further points, whose steps count too: at a zero there are none.
        units: of short formats that values are known to come from, as of `Narrowing`.
    """
    centre = forward(list(inputs))
    rng = np.random.Generator(np.random.Philox(key=[83, 89]))
    rows: list[list[Array]] = [[] for _ in centre]
    for _ in range(RESOLUTION_DRAWS):
        moved = list(inputs)
        for i in moving:
            moved[i] = inputs[i] * rng.random(inputs[i].shape)
        for row, values in zip(rows, forward(moved), strict=True):
            row.append(values)
    out = []
    for k, (row, f) in enumerate(zip(rows, centre, strict=True)):
        around = np.abs(np.stack([f, *(values[k] for values in nearby)]))
        decimal, short = _half_steps(np.stack(row), f)
        short = np.maximum(short, units[k]) if units else short
        out.append(np.maximum(decimal, short * np.where(np.isfinite(around), around, 0.0).max(axis=0)))
    return out


def narrowed(
    forward: Callable[[list[Array]], list[Array]],
    inputs: Sequence[Array],
    moving: Sequence[int],
    formats: Sequence[str] = SHORT[:2],
) -> list[Array]:
    """Unit roundoff of the short format that values come from, entry by entry: its numbers go in, or come out; else 0.

    Numbers rounded to decimal digits, and whole ones, do not count: such code is constant between its steps.
    """
    rng = np.random.Generator(np.random.Philox(key=[103, 107]))
    drawn = []
    for _ in range(RESOLUTION_DRAWS):
        moved = list(inputs)
        for i in moving:
            moved[i] = np.where(inputs[i] == 0, BESIDE_ZERO, inputs[i]) * (1 - 0.5 * rng.random(inputs[i].shape))
        drawn.append(moved)
    rows = [forward(moved) for moved in drawn]
    out, finest = [], min(FORMATS[name].u for name in formats)
    for k, f in enumerate(forward(list(inputs))):
        decimal, short = _half_steps(np.stack([row[k] for row in rows]), f)
        coarse = (short >= finest) & (short * np.abs(f) > NARROW_BEYOND * decimal)
        out.append(np.where(coarse, short, 0.0))
    for name in formats:
        form = FORMATS[name]
        same = [np.ones(f.shape, dtype=bool) for f in out]
        for moved, values in zip(drawn, rows, strict=True):
            rounded = [form.round(a) if i in moving else a for i, a in enumerate(moved)]
            again = forward(rounded)
            same = [s & (v == w) for s, v, w in zip(same, values, again, strict=True)]
        out = [np.where(s, np.maximum(o, form.u), o) for o, s in zip(out, same, strict=True)]
    return out


@dataclass(frozen=True)
class Narrowing:
    """What is known of narrowing inside code from its values at inputs of size 1, where no format is saturated.

    Attributes:
        units: unit roundoff of the short format that values come from, entry by entry; 0 where there is none.
        underflows: per point, whether an input is below the smallest normal number of that format.
    """

    units: list[Array]
    underflows: Array

    @staticmethod
    def of(
        forward: Callable[[list[Array]], list[Array]],
        inputs: Sequence[Array],
        moving: Sequence[int],
        magnitudes: Sequence[Array],
    ) -> Narrowing:
        """Args: as of `resolution`, and the magnitudes of the moving inputs, entry by entry."""
        ordinary, n = list(inputs), max((a.shape[-1] for a in inputs), default=1)
        rng = np.random.Generator(np.random.Philox(key=[109, 113]))
        for i in moving:
            ordinary[i] = np.where(inputs[i] < 0, -1.0, 1.0) * (1 - 0.5 * rng.random(inputs[i].shape))
        smallest = np.min([m.reshape(-1, n).min(axis=0, initial=np.inf) for m in magnitudes], axis=0)
        units, below = narrowed(forward, ordinary, moving, SHORT), np.zeros(n, dtype=bool)
        for name in SHORT:
            form = FORMATS[name]
            below |= any_entry([u == form.u for u in units], n) & (smallest < form.tiny)
        return Narrowing(units, below)


def _half_steps(values: Array, centre: Array) -> tuple[Array, Array]:
    """Half a step of decimal digits, and unit roundoff of a short format; 0 where the values are no such numbers.

    Args:
        values: with the draws on the first axis.
        centre: the value at the point.
    """
    values = np.where(np.isfinite(values), values, 0.0)
    ordered = np.sort(values, axis=0)
    distinct = (np.diff(ordered, axis=0) != 0).sum(axis=0) + 1 >= DISTINCT
    decimal, short = np.zeros(centre.shape), np.zeros(centre.shape)
    with np.errstate(all="ignore"):
        for k in range(FINEST_DECIMAL, -1, -1):
            scaled = np.concatenate([values, centre[None]]) * 10.0**k
            near = np.abs(scaled - np.rint(scaled)) <= 2.0**-51 * np.abs(scaled)
            steps = distinct & near.all(axis=0) & (np.abs(scaled).max(axis=0) < 2.0**40)
            decimal = np.where(steps, np.maximum(decimal, 0.5 * 10.0**-k), decimal)
        for name in SHORT:
            form = FORMATS[name]
            held = distinct & (form.round(values) == values).all(axis=0) & (form.round(centre) == centre)
            short = np.where(held, np.maximum(short, form.u), short)
    return decimal, short
