"""Directions: tangents and cotangents, in bulk and for Hypothesis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.strategies.domain import Domain, Floats
from backprove.strategies.philox import generator

Shape = tuple[int, ...]

REACH = 128.0
"""Largest magnitude of a drawn direction's entry."""

# Shares of the patterns in 100ths: dense normal, short dyadics, one entry, zero.
_PATTERNS = np.repeat(np.arange(4), [60, 20, 15, 5])
# Magnitudes of single entries; 1 is left out, since a lone entry of 1 is the all-ones direction of a scalar.
_SINGLE = np.array([0.25, 0.75, 1.25, 2.0, 3.0, -0.5, -1.0, -1.75, -2.5])


def direction_domain(dtype: str) -> Domain:
    """Admissible entries of tangents and cotangents."""
    return Domain(FORMATS[dtype], -REACH, REACH)


def draw_directions(
    shapes: Sequence[Shape], count: int, seed: int, item: object, dtype: str
) -> tuple[NDArray[np.float64], ...]:
    """Tangents or cotangents of the given shapes for `count` points, points on the last axis.

    Per point one pattern: 60 % dense normal, 20 % short dyadics k/4, 15 % a single entry among all arrays, 5 % zero. No
    array is ever all ones. The numbers are representable in `dtype`; the same arguments give the same bytes.
    """
    g = generator("directions", seed, item, dtype, tuple(tuple(int(d) for d in s) for s in shapes))
    sizes = [math.prod(s) for s in shapes]
    total = sum(sizes)
    pattern = _PATTERNS[g.integers(0, len(_PATTERNS), count)]
    x = direction_domain(dtype).admit(g.standard_normal((total, count)))
    dyadic, single = np.flatnonzero(pattern == 1), np.flatnonzero(pattern == 2)
    x[:, dyadic] = g.integers(-12, 13, (total, len(dyadic))) / 4
    x[:, pattern >= 2] = 0.0
    if total:
        x[g.integers(0, total, len(single)), single] = _SINGLE[g.integers(0, len(_SINGLE), len(single))]
    out, start = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        part = x[start : start + size]
        if size:
            part[0, (part == 1).all(axis=0)] = -0.75
        out.append(np.ascontiguousarray(part).reshape((*shape, count)))
        start += size
    return tuple(out)


def direction_strategy(shapes: Sequence[Shape], dtype: str) -> st.SearchStrategy[tuple[Floats, ...]]:
    """Tangents or cotangents of the given shapes, without a points axis; shrinks toward zeros and ones."""
    return _directions(tuple(shapes), dtype)


@st.composite
def _directions(draw: st.DrawFn, shapes: tuple[Shape, ...], dtype: str) -> tuple[Floats, ...]:
    pattern = draw(st.integers(0, 9))
    entry = mixed_entries() if pattern else plain_entries()
    sizes = [math.prod(s) for s in shapes]
    total = sum(sizes)
    x = np.zeros(total)
    if pattern == 9 and total:
        x[draw(st.integers(0, total - 1))] = draw(entry)
    elif pattern != 8:
        # One coordinate at a time over all arrays of a size: deleting it deletes it everywhere.
        for size in dict.fromkeys(sizes):
            at = [sum(sizes[:k]) for k, s in enumerate(sizes) if s == size]
            coordinate = st.tuples(*(entry for _ in at))
            for k in range(size):
                x[[a + k for a in at]] = draw(coordinate)
    x = direction_domain(dtype).admit(x)
    return tuple(x[sum(sizes[:k]) : sum(sizes[: k + 1])].reshape(s) for k, s in enumerate(shapes))


def plain_entries() -> st.SearchStrategy[float]:
    """One float of a direction as a single choice; any representable entry encodes as itself."""
    return st.floats(-REACH, REACH, allow_subnormal=False)


def mixed_entries() -> st.SearchStrategy[float]:
    """One entry of a direction: small integers, short dyadics, any floats."""
    return st.one_of(plain_entries(), st.integers(-3, 3).map(float), st.integers(-12, 12).map(_quarter), _dense())


def _dense() -> st.SearchStrategy[float]:
    return st.integers(-3000, 3000).map(_thousandth)


def _quarter(k: int) -> float:
    return k / 4


def _thousandth(k: int) -> float:
    return k / 1000


def encode_directions(arrays: Sequence[NDArray[Any]]) -> tuple[int | float, ...]:
    """The choices with which `direction_strategy` of the same shapes draws exactly these arrays."""
    out: list[int | float] = [0]
    sizes = [a.size for a in arrays]
    for size in dict.fromkeys(sizes):
        group = [a.reshape(-1).tolist() for a in arrays if a.size == size]
        for k in range(size):
            out += [float(a[k]) for a in group]
    return tuple(out)
