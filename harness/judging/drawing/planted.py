"""Planted points lie where drawn ones never do: at directions of all magnitudes, and where code compares something.

A share of planted points brings its directions along; see `Batches` for what becomes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.amounts import few
from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.coverage import PLANTED_DIRECTIONS, THRESHOLD_POINTS
from backprove.harness.core.thresholds.large import OTHER_ENTRIES
from backprove.harness.judging.planting.statistics import derived, with_entries, with_statistics
from backprove.harness.judging.planting.thresholds import at_thresholds
from backprove.harness.programs.program import Program
from backprove.strategies.arranged import arranged, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.cotangents import Shape, direction_domain, draw_directions
from backprove.strategies.domain import point_domain
from backprove.strategies.kinds import is_plain
from backprove.strategies.planted_directions import planted_directions
from backprove.strategies.points import Points
from backprove.strategies.shapes import Sizes, Specs
from backprove.strategies.values import as_points, draw_points

LINES = 24
"""Lines between two drawn points each, along which crossings are sought."""
GROWTH = 12
"""On half of the lines directions grow by up to so many powers of two."""
CONSTANTS = 12
"""Constants of code without a program, with which sums, means and norms are compared."""


@dataclass(frozen=True)
class Planted:
    """Points with their directions.

    Attributes:
        points: the points.
        directions: one array per direction, shape + points.
        beyond: where a right rule may leave the format, so that only `falsified` counts.
    """

    points: Points
    directions: tuple[Array, ...]
    beyond: Array


@dataclass(frozen=True)
class Place:
    """What points are drawn for: inputs at sizes, in a format, along directions.

    Attributes:
        specs, sizes, dtype, seed: see `draw_points`.
        directions: shapes of the directions.
        specials: constants of the code.
    """

    specs: Specs
    sizes: Sizes
    dtype: str
    seed: int
    directions: tuple[Shape, ...]
    specials: tuple[float, ...]

    @property
    def entries(self) -> int:
        """Those of the inputs and directions of one point."""
        return sum(map(math.prod, (*(s.shape(self.sizes) for s in self.specs.values()), *self.directions)))

    def points(self, count: int, item: object) -> Points:
        """Bulk points."""
        return draw_points(self.specs, self.sizes, self.dtype, count, self.seed, item, self.specials)


def along_directions(place: Place, turn: int, turns: int, far: bool) -> Planted:
    """Bulk points with planted directions.

    Args:
        turn, turns, far: see `planted_directions`.
    """
    number = few(PLANTED_DIRECTIONS, place.entries, OTHER_ENTRIES)
    planted = planted_directions(place.directions, place.specials, place.dtype, number, turn, turns, far)
    points = place.points(planted.ordinary.size, ("planted", str(place.sizes)))
    return Planted(points, planted.arrays, ~planted.ordinary)


def where_code_compares(place: Place, programs: Sequence[Program | None], constants: Sequence[float]) -> Planted:
    """Points at which an intermediate meets what it is compared with.

    Args:
        programs: of the inputs, or of inputs and directions; None for code that has none.
        constants: numbers of that code.
    """
    lines = few(LINES, place.entries, OTHER_ENTRIES)
    points = place.points(2 * lines, ("lines", str(place.sizes)))
    drawn = draw_directions(place.directions, 2 * lines, place.seed, ("lines", str(place.sizes)), place.dtype)
    start = [*(a[..., :lines] for a in points.arrays), *(d[..., :lines] for d in drawn)]
    end = [a[..., lines:] if is_free(s) else a[..., :lines] for a, s in _with_specs(place, points.arrays)]
    end += [d[..., lines:] * np.exp2(np.arange(lines) % 2 * np.linspace(0, GROWTH, lines)) for d in drawn]
    found = [[a[..., :0] for a in start]]
    for program in programs:
        if program is not None:
            n = len(program.inputs)
            met = at_thresholds(program, start[:n], end[:n])
            found.append([*met, *(_repeated(a, met) for a in start[n:])])
    most = few(THRESHOLD_POINTS, place.entries, OTHER_ENTRIES)
    if None in programs:
        found += _scaled(place, start, constants)
    joined = [np.concatenate(c, axis=-1)[..., :most] for c in zip(*found, strict=True)]
    arrays = [
        arranged(s, point_domain(s, place.dtype).admit(a) if is_free(s) else a, place.dtype)
        for a, s in _with_specs(place, joined)
    ]  # fmt: skip
    directions = tuple(direction_domain(place.dtype).admit(d) for d in joined[len(arrays) :])
    planted = as_points(place.specs, place.sizes, place.dtype, tuple(arrays), place.specials)
    return Planted(planted, directions, np.zeros(planted.count, dtype=bool))


def _with_specs(place: Place, arrays: Sequence[Array]) -> list[tuple[Array, ArraySpec]]:
    """The inputs with their descriptions, without the directions that follow them."""
    return list(zip(arrays, place.specs.values(), strict=False))


def _repeated(a: Array, met: Sequence[Array]) -> Array:
    """Values of an argument that does not matter, for as many points as there are."""
    return a[..., np.arange(met[0].shape[-1]) % LINES]


def _scaled(place: Place, start: Sequence[Array], constants: Sequence[float]) -> Iterator[list[Array]]:
    """Points whose entries, sums, means and norms lie beside constants, one by one."""
    for k, (a, spec) in enumerate(_with_specs(place, start)):
        if is_plain(spec):
            few = constants[:CONSTANTS]
            for n, entries in enumerate(with_entries(a.shape[:-1], [*few, *derived(few)])):
                point = n % LINES
                yield [entries[..., None] if i == k else b[..., point : point + 1] for i, b in enumerate(start)]
            for scaled, point in with_statistics(a, constants[:CONSTANTS]):
                yield [scaled[..., None] if i == k else b[..., point : point + 1] for i, b in enumerate(start)]
