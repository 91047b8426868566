"""Points: many of one shape, and single ones drawn by Hypothesis."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from backprove.harness.core.formats import FORMATS
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.domain import neighbours, point_domain
from backprove.strategies.drawing import point_strategy
from backprove.strategies.kinds import is_plain
from backprove.strategies.points import DrawnPoint, Points, PointSpace
from backprove.strategies.regions import REGIONS
from backprove.strategies.shapes import Sizes, shape_buckets
from backprove.strategies.shrinking import sample
from backprove.strategies.values import draw_points

SPECIALS = (3.0, -0.1)


def test_points_are_taken_cast_and_joined() -> None:
    specs = {"x": array("m n"), "k": array("n", dtype="int8"), "b": array("n", kind="mask")}
    points = draw_points(specs, {"m": 2, "n": 3}, "bfloat16", 10, 0, "")
    some = points.take([7, 2])
    assert some.count == 2
    assert np.array_equal(some.point(0)[0], points.arrays[0][..., 7])
    x, k, b = points.cast(4)
    assert [a.dtype for a in (x, k, b)] == [np.dtype(t) for t in (ml_dtypes.bfloat16, np.int8, np.bool_)]
    assert x.shape == (2, 3) and np.array_equal(x.astype(np.float64), points.point(4)[0])
    joined = Points.join([some, points])
    assert joined.count == 12 and joined.region[1] == points.region[2]
    assert np.array_equal(joined.arrays[1][..., 2:], points.arrays[1])
    other = draw_points(specs, {"m": 2, "n": 4}, "bfloat16", 10, 0, "")
    with pytest.raises(ValueError, match="same shapes"):
        Points.join([points, other])


def test_points_own_their_memory() -> None:
    points = draw_points({"x": array("n")}, {"n": 3}, "float64", 4, 0, "")
    before = points.arrays[0].copy()
    points.point(0)[0][:] = 99
    points.cast(0)[0][:] = 99
    assert np.array_equal(points.arrays[0], before)


def test_drawn_points_respect_their_description(case: dict[str, ArraySpec], dtype: str) -> None:
    for p in sample(point_strategy(case, dtype, ("x",) if "x" in case else (), SPECIALS), 25, 5):
        for spec, a in zip(case.values(), p.arrays, strict=True):
            assert a.shape == spec.shape(p.sizes)
            if is_plain(spec):
                assert point_domain(spec, dtype).contains(a).all()
            if spec.distinct:
                assert len(set(a.reshape(-1).tolist())) == a.size
            if spec.kind == "one_hot" and a.size:
                assert (a.sum(axis=-1) == 1).all()
            if spec.kind == "simplex" and a.size:
                assert (np.abs(a.sum(axis=-1) - 1) <= (a.shape[-1] + 2) * FORMATS[dtype].u).all()
        assert p.region in REGIONS
        assert p.points().count == 1


@pytest.mark.parametrize("seed", range(10))
def test_the_values_that_matter_appear_in_100_examples(seed: int) -> None:
    drawn = sample(point_strategy({"x": array("m n")}, "float32", (), (3.0, 0.0)), 100, seed)
    arrays = [p.arrays[0] for p in drawn]
    flat = np.concatenate([a.reshape(-1) for a in arrays])
    fmt = FORMATS["float32"]
    found = {
        "+0": ((flat == 0) & ~np.signbit(flat)).any(),
        "-0": ((flat == 0) & np.signbit(flat)).any(),
        "negative": (flat < 0).any(),
        "saturated": (flat > 40).any(),
        "small": ((np.abs(flat) < 1e-3) & (flat != 0)).any(),
        "tie": any(len(np.unique(a[a != 0])) < np.count_nonzero(a) for a in arrays),
        "size 1": any(1 in a.shape and a.size > 1 for a in arrays),
        "size 0": any(a.size == 0 for a in arrays),
        "non-square": any(a.shape[0] != a.shape[1] and min(a.shape) > 1 for a in arrays),
    }
    for c in (3.0, 0.0):
        near = np.array(neighbours(c, fmt))
        found[f"below {c}"] = np.isin(flat, near[near < c]).any()
        found[f"above {c}"] = np.isin(flat, near[near > c]).any()
    assert [name for name, there in found.items() if not there] == []


def test_two_inputs_are_drawn_equal_at_times() -> None:
    drawn = sample(point_strategy({"x": array("n"), "y": array("n")}, "float64"), 100, 0)
    pairs = [p.arrays for p in drawn if p.sizes["n"]]
    assert any(((x == y) & (x != 0)).any() for x, y in pairs)
    assert any(((x == -y) & (x != 0)).any() for x, y in pairs)


def test_the_same_seed_draws_the_same_points() -> None:
    def raw(seed: int) -> list[bytes]:
        strategy = point_strategy({"x": array("m n")}, "float32", ("x",))
        return [a.tobytes() for p in sample(strategy, 40, seed) for a in (*p.arrays, *p.directions)]

    assert raw(1) == raw(1) != raw(2)


def test_a_direction_may_have_a_shape_of_its_own() -> None:
    strategy = point_strategy({"x": array("m n")}, "float64", ("x", ("out", lambda s: (s["m"],))))
    for p in sample(strategy, 30):
        assert [d.shape for d in p.directions] == [(p.sizes["m"], p.sizes["n"]), (p.sizes["m"],)]


def total(sizes: Sizes) -> int:
    """Sum of all sizes; an axis counts one more."""
    return sum(sum(s) + len(s) if isinstance(s, tuple) else s for s in sizes.values())


def test_smaller_points_are_admissible_and_smaller(case: dict[str, ArraySpec]) -> None:
    space = PointSpace(case, "float32", tuple(n for n, s in case.items() if s.differentiable))
    for sizes in shape_buckets(case):
        points = draw_points(case, sizes, "float32", 2, 0, "smaller")
        directions = draw_directions(space.direction_shapes(sizes), 1, 0, "", "float32")
        start = space.at(points, 1, [d[..., 0] for d in directions])
        for p in list(start.smaller())[:40]:
            assert tuple(a.shape for a in p.arrays) == tuple(s.shape(p.sizes) for s in case.values())
            assert tuple(d.shape for d in p.directions) == space.direction_shapes(p.sizes)
            assert (total(p.sizes), p.negatives) < (total(sizes), start.negatives)
            repaired = space.repaired(p.sizes, p.arrays, p.directions)
            assert [a.tobytes() for a in repaired.arrays] == [a.tobytes() for a in p.arrays]


def test_a_deleted_row_is_deleted_from_inputs_and_directions() -> None:
    specs = {"a": array("m n"), "b": array("n p")}
    space = PointSpace(specs, "float64", ("a", ("out", lambda s: (s["m"], s["p"]))))
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    start = DrawnPoint(space, {"m": 2, "n": 3, "p": 4}, (a, b), (a + 10, np.arange(8.0).reshape(2, 4)))
    found = {tuple(p.sizes.values()): p for p in start.smaller()}
    one = found[(2, 3, 3)]
    assert one.arrays[1].tolist() == b[:, :3].tolist() and one.directions[1].shape == (2, 3)
    inner = found[(2, 2, 4)]
    assert inner.arrays[0].tolist() == a[:, :2].tolist() and inner.arrays[1].tolist() == b[:2].tolist()
