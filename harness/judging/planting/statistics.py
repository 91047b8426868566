"""Of code without a program, points are planted where an entry, a sum or a norm is just beside a constant of the code.

Of code that no front end follows nothing is known but its numbers: `if x.sum() > 100` is met on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.coverage import ENTRIES_BESIDE, LARGEST_EXPONENT, STATISTIC_MULTIPLES

STATISTICS: tuple[Callable[[Array], Array], ...] = (
    lambda x: x.sum(axis=0),
    lambda x: x.mean(axis=0),
    lambda x: np.sqrt((x * x).sum(axis=0)),
    lambda x: x.max(axis=0),
    lambda x: (x * x).sum(axis=0),
)
"""Of entries along the first axis, of points along the last one; the last is of degree two."""
FIRST, APART = ENTRIES_BESIDE


def with_statistics(x: Array, constants: Sequence[float]) -> Iterator[tuple[Array, int]]:
    """Scaled points and the number of the point from which each comes.

    Args:
        x: one input, shape + points.
        constants: those of the code; zero has no multiple and is left out.
    """
    flat, k = x.reshape(-1, x.shape[-1]), 0
    if flat.shape[0] < 2 or not x.shape[-1]:
        return
    for c in constants:
        for number, statistic in enumerate(STATISTICS):
            for m in STATISTIC_MULTIPLES if c else ():
                point = k % x.shape[-1]
                k += 1
                with np.errstate(all="ignore"):
                    value = float(statistic(flat[:, point : point + 1])[0])
                    ratio = m * c / value if value else math.nan
                    scale = math.sqrt(ratio) if number == len(STATISTICS) - 1 and ratio > 0 else ratio
                if math.isfinite(scale) and scale != 0:
                    yield x[..., point] * scale, point


def with_entries(shape: Sequence[int], constants: Sequence[float]) -> Iterator[Array]:
    """Points whose first, or last, entry is beside a constant, or between two; the others are moderate, no two near.

    Differences tell little at large entries, and nothing at entries that nearly tie.
    """
    ordered = sorted({c for c in constants if c})
    between = [(a + b) / 2 for a, b in pairwise(ordered)]
    count = math.prod(shape)
    for c in [*ordered, *between] if count else []:
        for place in sorted({0, count - 1}):
            for m in (1 - 2.0**-20, 1 + 2.0**-20):
                x = FIRST + APART * np.arange(count)
                x[place] = m * c
                yield x.reshape(tuple(shape))


def derived(constants: Sequence[float]) -> list[float]:
    """Numbers whose exponential, logarithm, square or root is one of the constants: `if math.exp(x) > 50`."""
    out = []
    for c in constants:
        if c > 0:
            out += [math.log(c), math.sqrt(c)]
        if abs(c) <= LARGEST_EXPONENT:
            out.append(math.exp(c))
    return [v for v in out if math.isfinite(v) and v != 0]
