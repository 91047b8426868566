"""Contract with Hypothesis: an encoded point replays exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import ExampleDatabase, choices_to_bytes

from backprove.strategies.array import ArraySpec, array
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.drawing import point_strategy
from backprove.strategies.encoding import encode, layout
from backprove.strategies.points import Direction, DrawnPoint, Points, PointSpace
from backprove.strategies.shapes import shape_buckets
from backprove.strategies.special import special_points
from backprove.strategies.values import draw_points

SPECIALS = (3.0, -0.1)


class Many(ExampleDatabase):
    """Serves the encoded points one after the other."""

    def __init__(self, points: list[DrawnPoint]) -> None:
        super().__init__()
        self.values = [choices_to_bytes(p.choices()) for p in points]

    def fetch(self, key: bytes) -> Any:
        return self.values if key.endswith(b".secondary") else []

    def save(self, key: bytes, value: bytes) -> None:
        """Nothing is kept."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Nothing is kept."""


def raw(p: DrawnPoint) -> tuple[bytes, ...]:
    return (repr(p.sizes).encode(), *(a.tobytes() for a in (*p.arrays, *p.directions)))


def replayed(space: PointSpace, points: list[DrawnPoint]) -> set[tuple[bytes, ...]]:
    """The points that Hypothesis draws from the encodings, in one run."""
    seen: set[tuple[bytes, ...]] = set()

    @settings(
        database=Many(points),
        phases=[Phase.reuse],
        max_examples=len(points) + 10,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(point_strategy(space.specs, space.dtype, space.directions, space.specials, space.extreme))
    def run(p: DrawnPoint) -> None:
        seen.add(raw(p))

    run()
    return seen


def bulk(space: PointSpace, count: int) -> list[DrawnPoint]:
    """Bulk points of every bucket with directions."""
    out = []
    for sizes in shape_buckets(space.specs):
        drawn = draw_points(space.specs, sizes, space.dtype, count, 0, "encode", space.specials, space.extreme)
        systematic = special_points(space.specs, sizes, space.dtype, space.specials, 10)
        points = drawn if space.extreme else Points.join([drawn, systematic])
        directions = draw_directions(space.direction_shapes(sizes), points.count, 0, "encode", space.dtype)
        out += [space.at(points, i, [d[..., i] for d in directions]) for i in range(points.count)]
    return out


def test_bulk_points_replay_exactly(case: dict[str, ArraySpec]) -> None:
    check_replay(case, "float32", extreme=False)


def test_bulk_points_of_every_format_replay_exactly(dtype: str) -> None:
    specs = {"x": array("n"), "y": array("n", low=0, high=1, distinct=True), "p": array("n", kind="simplex")}
    check_replay(specs, dtype, extreme=False)
    check_replay(specs, dtype, extreme=True)


def check_replay(case: dict[str, ArraySpec], dtype: str, extreme: bool) -> None:
    directions: tuple[Direction, ...] = (*(n for n, s in case.items() if s.differentiable), ("out", lambda s: (2,)))
    space = PointSpace(case, dtype, directions, SPECIALS, extreme)
    points = bulk(space, 20)
    seen = replayed(space, points)
    assert all(raw(p) in seen for p in points)


def test_a_point_encodes_as_sizes_pattern_and_interleaved_coordinates() -> None:
    specs = {"x": array("n"), "t": array("n", kind="one_hot"), "k": array("2", dtype="int64")}
    arrays = (np.array([5.0, -0.0]), np.array([0.0, 1.0]), np.array([3, -4]))
    assert encode(specs, {"n": 2}, arrays, (np.array([7.0, 8.0]),)) == (0, 2, 0, 1, 5.0, 3, 7.0, -0.0, -4, 8.0)
    plan = layout(specs, ((2,), (2,), (2,), (2,)))
    assert plan.one_hot == (1,) and plan.groups == ((0, 2, 3),)
