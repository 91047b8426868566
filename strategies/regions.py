"""Regions say for reports where in its domain a point lies: zero, tie, saturated, large, ordinary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS
from backprove.strategies.arranged import independent, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import NEIGHBOURS, float_domain, neighbours
from backprove.strategies.shapes import Specs

REGIONS = ("ordinary", "zero", "tie", "saturated", "large", "kink", "tiny", "extreme")
"""Names of the region codes 0 to 7."""

SATURATED_FROM = 20.0
LARGE_FROM = 1000.0
TINY_UP_TO = 1e-3
SHIFTED_UP_TO = 12
"""Up to so many entries, all pairs are compared faster than the entries sorted."""


def regions(
    specs: Specs, arrays: tuple[NDArray[Any], ...], dtype: str, specials: Iterable[float] = ()
) -> NDArray[np.uint8]:
    """Region code of each point; arrays have the points on the last axis.

    Where several apply, the first of: extreme (beyond the default range), tie (equal entries, or two inputs equal
    somewhere), zero, kink (within 4 floats of a constant in `specials`), large (above 1000), saturated (above 20), tiny
    (below 1e-3), ordinary. Only free float inputs count.
    """
    count = arrays[0].shape[-1] if arrays else 1
    code = np.zeros(count, dtype=np.uint8)
    plain = [
        (s, _of_their_own(s, a, count)) for s, a in zip(specs.values(), arrays, strict=True) if is_free(s) and a.size
    ]
    if not plain:
        return code
    found: dict[str, NDArray[np.bool_]] = {}

    def note(name: str, where: Any) -> None:
        found[name] = found[name] | where if name in found else where

    bands = _bands(tuple(specials), dtype)
    for k, (spec, x) in enumerate(plain):
        usual = float_domain(spec, dtype)
        if len(x) == 1:
            lowest = highest = x[0]
            least = most = np.abs(lowest)
        else:
            lowest, highest = x.min(axis=0), x.max(axis=0)
            most, least = np.maximum(highest, -lowest), np.abs(x).min(axis=0)
        note("extreme", (lowest < usual.low) | (highest > usual.high))
        note("zero", least == 0)
        note("large", most > LARGE_FROM)
        note("saturated", most > SATURATED_FROM)
        note("tiny", least < TINY_UP_TO)
        for low, high in bands:
            note("kink", ((x >= low) & (x <= high)).any(axis=0))
        if len(x) > 1:
            note("tie", _repeats(x, dtype))
        for _, y in plain[:k]:
            if x.shape == y.shape:
                note("tie", (x == y).any(axis=0))
    for name in ("tiny", "saturated", "large", "kink", "zero", "tie", "extreme"):
        if name in found:
            np.copyto(code, np.uint8(REGIONS.index(name)), where=found[name])
    return code


def _of_their_own(spec: ArraySpec, a: NDArray[Any], count: int) -> NDArray[Any]:
    """The entries that do not follow from others, shape (entries, points)."""
    if spec.kind in (None, "sorted"):
        return a.reshape((math.prod(a.shape[:-1]), count))
    found: NDArray[Any] = a[independent(spec, a.shape[:-1])]
    return found


@lru_cache(maxsize=256)
def _bands(specials: tuple[float, ...], dtype: str) -> list[tuple[float, float]]:
    """The numbers next to each constant, from the lowest to the highest."""
    fmt = FORMATS[dtype]
    near = [neighbours(c, fmt, NEIGHBOURS) for c in dict.fromkeys(specials) if c and abs(c) <= fmt.max]
    return [(min(band), max(band)) for band in near]


def _repeats(x: NDArray[np.float64], dtype: str) -> NDArray[np.bool_]:
    """Per point, whether two entries are equal."""
    if len(x) <= SHIFTED_UP_TO:
        found = x[0] == x[1]
        for d in range(1, len(x)):
            found |= (x[d:] == x[:-d]).any(axis=0)
        return np.asarray(found)
    # numbers of the shorter formats are float32 numbers, which sort in half the time
    rows = x.T.astype(np.float64 if dtype == "float64" else np.float32, order="C")
    rows.sort(axis=1)
    return np.asarray((rows[:, 1:] == rows[:, :-1]).any(axis=1))
