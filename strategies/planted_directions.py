"""Planted directions have every magnitude of a format, and the constants of the code that is judged, in chosen entries.

A rule must be linear in its direction. `np.clip(g, -10, 10) * np.cos(x)` is so only until an entry of g exceeds 10:
directions of one magnitude never show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.core.thresholds.coverage import DEFAULT_BOUND
from backprove.strategies.cotangents import Shape, direction_domain
from backprove.strategies.domain import Floats, neighbours
from backprove.strategies.philox import generator

MAGNITUDES = 48
"""Planted directions whose magnitudes are spread over the range of the format."""
AROUND = (2.0, 0.5, 1.05, 0.95)
"""Multiples of a constant that are planted beside it and its neighbours."""
NORMS = (1.0009765625, 0.9990234375)
"""Multiples of a constant that are planted as the Euclidean norm of a direction."""


@dataclass(frozen=True)
class PlantedDirections:
    """Tangents or cotangents for some points.

    Attributes:
        arrays: one per direction, shape + points.
        ordinary: which of them have no entry beyond `DEFAULT_BOUND`, or so small: at the others a result may leave the
            format although the rule is right.
    """

    arrays: tuple[Floats, ...]
    ordinary: NDArray[np.bool_]


def planted_directions(
    shapes: Sequence[Shape],
    constants: Iterable[float],
    dtype: str,
    limit: int,
    turn: int = 0,
    turns: int = 1,
    far: bool = True,
) -> PlantedDirections:
    """At most `limit` directions in all turns; the same arguments give the same bytes.

    Each constant with its neighbours, its double and its half, of either sign, in one entry, in all, and as the norm;
    and directions of magnitudes spread over the range of the format, with entries of one magnitude or of several.

    Args:
        shapes: of the directions, without points.
        constants: those of the code.
        dtype: the format under test.
        turn, turns: every `turns`-th direction, from number `turn` on, where several sizes share them out.
        far: magnitudes reach to the ends of the format; else a quarter of the exponents, so that a product of a few of
            them stays inside.
    """
    form, sizes = FORMATS[dtype], [math.prod(s) for s in shapes]
    total, starts = sum(sizes), [0, *accumulate(sizes)]
    g = generator("planted directions", dtype, tuple(shapes), turn, turns)
    wanted = _around(constants, form)
    count = min(MAGNITUDES, limit // 2)
    room = max(0, limit - count)
    if len(wanted) > room:  # evenly thinned, so that the last constants are not the ones left out
        wanted = [wanted[i * len(wanted) // room] for i in range(room)]
    wanted = wanted[turn::turns]
    count = len(range(turn, count, turns))
    x = g.integers(-12, 13, (total, len(wanted) + count)) / 4
    for k, (place, value) in enumerate(wanted):
        _plant(x[:, k], place, value, g)
    _spread(x[:, len(wanted) :], form, g, far)
    x = direction_domain(dtype).admit(x)
    size = np.abs(x)
    bound = DEFAULT_BOUND[dtype]
    small = (size < 1 / bound) & (size > 0)
    ordinary = np.asarray(~((size > bound) | small).any(axis=0))
    arrays = tuple(x[a:b].reshape((*s, x.shape[1])) for (a, b), s in zip(pairwise(starts), shapes, strict=True))
    return PlantedDirections(arrays, ordinary)


def _around(constants: Iterable[float], form: FloatFormat) -> list[tuple[str, float]]:
    """Where ("first", "last", "all", "norm") which value is planted."""
    out: list[tuple[str, float]] = []
    for c in sorted({abs(float(c)) for c in constants}):
        if not 0 < c <= form.max / 4 or c < 4 * form.tiny:
            continue
        near = [*neighbours(c, form, 1), *(m * c for m in AROUND)]
        for k, value in enumerate(near):
            out += [("all", value), ("first" if k % 2 else "last", value), ("last" if k % 2 else "first", -value)]
        out += [("norm", m * c) for m in NORMS]
    return out


def _plant(x: Floats, place: str, value: float, g: np.random.Generator) -> None:
    """Put one value into one direction (in place)."""
    if not x.size:
        return
    if place == "norm":
        x[:] = np.where(x == 0, 0.25, x)
        x *= value / np.linalg.norm(x)
    elif place == "all":
        x[:] = value
    else:
        x[0 if place == "first" else -1] = value


def _spread(x: Floats, form: FloatFormat, g: np.random.Generator, far: bool) -> None:
    """Give directions magnitudes over the range of the format (in place): one for all entries, one each, one large."""
    total, count = x.shape
    if not (total and count):
        return
    share = 1.0 if far else 0.25
    low, high = share * math.log2(form.tiny), share * (math.log2(form.max) - 3)
    moderate = min(20.0, high)
    exponents = np.where(
        np.arange(count) % 2, low + (high - low) * (np.arange(count) + g.random(count)) / count,
        -moderate + 2 * moderate * (np.arange(count) + g.random(count)) / count,
    )  # fmt: skip
    style = np.arange(count) // 2 % 3
    each = exponents * g.uniform(0.5, 1.0, (total, count))
    x[:] = np.where(x == 0, 0.75, x)
    with np.errstate(all="ignore"):
        whole, single = x * np.exp2(exponents), x * np.exp2(each)
    one = x.copy()
    at = g.integers(0, total, count)
    one[at, np.arange(count)] = whole[at, np.arange(count)]
    x[:] = np.where(style == 0, whole, np.where(style == 1, single, one))
