"""Tangents and cotangents are drawn here in bulk, and encoded for Hypothesis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS
from backprove.strategies.domain import Domain
from backprove.strategies.philox import below, generator, quotas, shuffled, words

Shape = tuple[int, ...]

_SHARES = (154, 51, 38)
"""Shares of the patterns in 256ths: dense normal, short dyadics, one entry; the others are zero."""
_DYADICS = (np.arange(256) * 25 // 256 - 12) / 4
"""k/4 of each byte."""
# Magnitudes of single entries; 1 is left out, since a lone entry of 1 is the all-ones direction of a scalar.
_SINGLE = np.array([0.25, 0.75, 1.25, 2.0, 3.0, -0.5, -1.0, -1.75, -2.5])
POOL = 2**16
"""Normal numbers from which dense directions are cut: new ones cost more than all else in a draw."""
WINDOW = 4096
"""Most points of one cut."""


def direction_domain(dtype: str) -> Domain:
    """Admissible entries of tangents and cotangents."""
    form = FORMATS[dtype]
    return Domain(form, -form.max, form.max)


def draw_directions(
    shapes: Sequence[Shape], count: int, seed: int, item: object, dtype: str
) -> tuple[NDArray[np.float64], ...]:
    """Tangents or cotangents of the given shapes for `count` points, points on the last axis.

    Per point one pattern: 60 % dense normal, 20 % short dyadics k/4, 15 % a single entry among all arrays, 5 % zero. No
    array is ever all ones. The numbers are representable in `dtype`; the same arguments give the same bytes.
    """
    shapes = tuple(tuple(int(d) for d in s) for s in shapes)
    g = generator("directions", seed, item, dtype, shapes)
    sizes = [math.prod(s) for s in shapes]
    total = sum(sizes)
    ends = [0, *quotas(_SHARES, count, g.random())[1:]]
    x = np.zeros((total, count))
    if total:
        normal, dyadic, single = (slice(a, b) for a, b in pairwise(ends))
        _cut(x[:, normal], dtype, g)
        x[:, dyadic] = _dyadics(g, sizes, dyadic.stop - dyadic.start)
        at = np.arange(single.start, single.stop)
        raw = words(g, len(at))
        x[below(raw, total, 0), at] = _SINGLE[below(raw, len(_SINGLE), 24)]
    x = np.take(x, shuffled(g, count), axis=1)
    starts = [0, *accumulate(sizes)]
    return tuple(x[a:b].reshape((*s, count)) for (a, b), s in zip(pairwise(starts), shapes, strict=True))


@lru_cache(maxsize=4)
def _pool(dtype: str) -> NDArray[np.float64]:
    """Admissible normal numbers without 1, shape (POOL, WINDOW): row k is the WINDOW numbers from number k on."""
    x = direction_domain(dtype).admit(generator("normal directions", dtype).standard_normal(POOL))
    x[x == 1] = 1 - 2.0**-7
    x = np.concatenate([x, x[:WINDOW]])
    x.flags.writeable = False
    return np.lib.stride_tricks.as_strided(x, (POOL, WINDOW), x.strides * 2, writeable=False)


def _cut(x: NDArray[np.float64], dtype: str, g: np.random.Generator) -> None:
    """Fill `x`, shape (entries, points), with numbers of the pool, each row from a place of its own."""
    pool = _pool(dtype)
    blocks = range(0, x.shape[1], WINDOW)
    first, step = g.integers(0, POOL), 2 * g.integers(0, POOL // 2) + 1  # an odd step meets no place twice
    places = (first + step * np.arange(len(blocks) * len(x))) % POOL
    for start, rows in zip(blocks, np.split(places, max(len(blocks), 1)), strict=False):
        width = min(WINDOW, x.shape[1] - start)
        x[:, start : start + width] = pool[:, :width][rows]


def normal_entries(shape: Shape, count: int, g: np.random.Generator) -> NDArray[np.float64]:
    """Normal numbers of the pool of float64, of a shape for `count` points: a tenth of the cost of new ones."""
    x = np.empty((math.prod(shape), count))
    _cut(x, "float64", g)
    return x.reshape((*shape, count))


def _dyadics(g: np.random.Generator, sizes: Sequence[int], count: int) -> NDArray[np.float64]:
    """Short dyadics, shape (all entries, count), none of the arrays all ones."""
    total = sum(sizes)
    raw = words(g, -(-total * count // 8)).astype("<u8", copy=False).view(np.uint8)[: total * count]
    x: NDArray[np.float64] = _DYADICS[raw].reshape((total, count))
    start = 0
    for size in sizes:
        if size:
            part = x[start : start + size]
            part[0, (part == 1).all(axis=0)] = -0.75
        start += size
    return x
