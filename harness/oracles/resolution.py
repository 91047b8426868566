"""The resolution of code is how finely its values lie; code that narrows or rounds inside has coarse ones.

Example: `erf(x.astype("float32"))` is -1 for all x below -4, although its slope there is not zero in float64, and
`round(j0(x), 6)` has steps. Near such a point the values are constant, so that no noise is measured; elsewhere all of
them are numbers of the shorter format, or multiples of a power of ten, which values of float64 are by no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import (
    DISTINCT,
    FINEST_DECIMAL,
    RESOLUTION_DRAWS,
)

SHORT = ("float16", "bfloat16", "float32")
"""Coarsest first, where one holds all numbers of another."""


def resolution(
    forward: Callable[[list[Array]], list[Array]], inputs: Sequence[Array], moving: Sequence[int]
) -> list[Array]:
    """Half a step of the values, entry by entry at every point; 0 where the values are as fine as float64.

    Args:
        forward: float64 values at many points, shape + points.
        inputs: shape + points.
        moving: positions of the inputs that are float numbers; the others are left alone.
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
    return [_half_step(np.stack(row), f) for row, f in zip(rows, centre, strict=True)]


def _half_step(values: Array, centre: Array) -> Array:
    """Args: values with the draws on the first axis; the value at the point."""
    values = np.where(np.isfinite(values), values, 0.0)
    ordered = np.sort(values, axis=0)
    distinct = (np.diff(ordered, axis=0) != 0).sum(axis=0) + 1 >= DISTINCT
    out = np.zeros(centre.shape)
    with np.errstate(all="ignore"):
        for k in range(FINEST_DECIMAL, -1, -1):
            scaled = np.concatenate([values, centre[None]]) * 10.0**k
            near = np.abs(scaled - np.rint(scaled)) <= 2.0**-51 * np.abs(scaled)
            steps = distinct & near.all(axis=0) & (np.abs(scaled).max(axis=0) < 2.0**40)
            out = np.where(steps, np.maximum(out, 0.5 * 10.0**-k), out)
        for name in SHORT:
            form = FORMATS[name]
            held = distinct & (form.round(values) == values).all(axis=0) & (form.round(centre) == centre)
            out = np.where(held, np.maximum(out, form.u * np.abs(centre)), out)
    return out
