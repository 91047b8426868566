"""Bulk points."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.strategies import values
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.domain import integer_bounds, neighbours, point_domain
from backprove.strategies.kinds import is_plain, simplex_floor
from backprove.strategies.points import Points
from backprove.strategies.regions import REGIONS
from backprove.strategies.shapes import shape_buckets
from backprove.strategies.special import special_points
from backprove.strategies.values import draw_points

SPECIALS = (3.0, -0.1, 0.0)


def admissible(specs: dict[str, ArraySpec], points: Points, extreme: bool = False) -> Iterator[str]:
    """What is wrong with the points, if anything."""
    fmt = FORMATS[points.dtype]
    for (name, spec), a in zip(specs.items(), points.arrays, strict=True):
        if a.shape != (*spec.shape(points.sizes), points.count):
            yield f"{name}: shape {a.shape}"
        flat = a.reshape((-1, points.count)) if a.size else np.zeros((0, points.count))
        if is_plain(spec) and not point_domain(spec, points.dtype, extreme).contains(a).all():
            yield f"{name}: outside the domain"
        if spec.distinct and any(len(set(c)) < len(c) for c in flat.T.tolist()):
            yield f"{name}: equal entries"
        if spec.kind == "one_hot" and a.size and not ((a.sum(axis=-2) == 1) & (a.max(axis=-2) == 1)).all():
            yield f"{name}: not one-hot"
        if spec.kind == "simplex" and a.size:
            n = a.shape[-2]
            if (a < simplex_floor(spec, points.dtype, n)).any() or np.signbit(a).any() or (fmt.round(a) != a).any():
                yield f"{name}: entries"
            if (np.abs(a.sum(axis=-2) - 1) > (n + 2) * fmt.u).any():
                yield f"{name}: sums"
        if a.dtype == np.int64 and a.size:
            low, high = integer_bounds(spec, points.sizes)
            if a.min() < low or a.max() > high or (spec.nonzero and (a == 0).any()):
                yield f"{name}: integers"
        if spec.kind == "mask" and a.dtype != bool:
            yield f"{name}: mask of dtype {a.dtype}"


@pytest.mark.parametrize("extreme", [False, True])
def test_points_respect_their_description(case: dict[str, ArraySpec], dtype: str, extreme: bool) -> None:
    for sizes in shape_buckets(case):
        points = draw_points(case, sizes, dtype, 300, 1, "item", SPECIALS, extreme)
        assert points.count == 300
        assert list(admissible(case, points, extreme)) == []
        assert list(admissible(case, special_points(case, sizes, dtype, SPECIALS))) == []


def test_same_seed_same_bytes_other_item_other_bytes(case: dict[str, ArraySpec]) -> None:
    sizes = shape_buckets(case)[0]

    def raw(seed: int, item: object) -> list[bytes]:
        points = draw_points(case, sizes, "float32", 64, seed, item, SPECIALS)
        return [a.tobytes() for a in (*points.arrays, points.region)]

    assert raw(1, ("a", 2)) == raw(1, ("a", 2))
    assert raw(1, ("a", 2)) != raw(1, ("a", 3))
    assert raw(1, ("a", 2)) != raw(2, ("a", 2))


@pytest.mark.parametrize("shape", [{"x": array("")}, {"x": array("n")}, {"x": array("m n"), "y": array("n")}])
def test_the_values_that_matter_appear(shape: dict[str, ArraySpec], dtype: str) -> None:
    buckets = shape_buckets(shape)
    for sizes in buckets[:-1] or buckets:
        points = draw_points(shape, sizes, dtype, 2000, 3, "distribution", SPECIALS)
        x = points.arrays[0].reshape((-1, 2000))
        flat = x.reshape(-1)
        fmt = FORMATS[dtype]
        missing = [name for name, there in features(flat, x, fmt.name).items() if not there]
        assert missing == []


def features(flat: NDArray[Any], x: NDArray[Any], dtype: str) -> dict[str, bool]:
    """The values that matter, and whether they are there; `x` has the shape (entries, points)."""
    fmt = FORMATS[dtype]
    found = {
        "+0": bool(((flat == 0) & ~np.signbit(flat)).any()),
        "-0": bool(((flat == 0) & np.signbit(flat)).any()),
        "negative": bool((flat < 0).any()),
        "saturated": bool((flat > 40).any() and (flat < -40).any()),
        "small": bool(((np.abs(flat) < 1e-3) & (flat != 0)).any()),
        "ordinary": bool(((np.abs(flat) > 0.1) & (np.abs(flat) < 5)).any()),
        "tie": len(x) < 2 or bool((np.diff(np.sort(x, axis=0), axis=0) == 0).any()),
    }
    for c in SPECIALS:
        near = neighbours(c, fmt)
        found[f"below {c}"] = bool(np.isin(flat, [v for v in near if v < c]).any())
        found[f"above {c}"] = bool(np.isin(flat, [v for v in near if v > c]).any())
    return found


def test_regions_are_named_and_all_appear() -> None:
    specs = {"x": array("n")}
    for n in (1, 5):
        points = draw_points(specs, {"n": n}, "float32", 4000, 0, "regions", (3.0,))
        wild = draw_points(specs, {"n": n}, "float32", 4000, 0, "regions", (3.0,), extreme=True)
        expected = set(REGIONS) - {"extreme"} - ({"tie"} if n == 1 else set())
        assert {REGIONS[k] for k in points.region} == expected
        assert "extreme" in {REGIONS[k] for k in wild.region}
        assert (np.abs(wild.arrays[0]) > 1e30).any()
        ordinary = points.arrays[0][:, points.region == 0]
        assert ((np.abs(ordinary) <= 20) & (np.abs(ordinary) >= 1e-3)).all()
        assert (points.region == 0).mean() > 0.15


def test_two_inputs_are_sometimes_equal_and_sometimes_opposite() -> None:
    specs = {"x": array("n"), "y": array("n", low=-100, high=100)}
    x, y = draw_points(specs, {"n": 3}, "float64", 2000, 0, "pairs").arrays
    assert ((x == y) & (x != 0)).all(axis=0).any()
    assert ((x == -y) & (x != 0)).all(axis=0).any()


def test_constant_rows_masks_and_repeated_labels_appear() -> None:
    specs = {"x": array("m n"), "k": array("m n", kind="mask"), "t": array("m n", kind="one_hot")}
    x, k, t = draw_points(specs, {"m": 3, "n": 4}, "float32", 2000, 0, "rows").arrays
    rows = (x == x[:, :1]).all(axis=1).all(axis=0)
    assert (rows & ~(x == x[:1, :1]).all(axis=(0, 1))).any()
    assert k.all(axis=(0, 1)).any() and (~k).all(axis=(0, 1)).any()
    assert (t == t[:1]).all(axis=(0, 1)).any()


def test_special_points_are_systematic_and_unique() -> None:
    specs = {"x": array("n"), "y": array("n")}
    points = special_points(specs, {"n": 3}, "float32", (3.0,))
    assert points.count <= 150
    rows = [b"".join(a.tobytes() for a in points.point(i)) for i in range(points.count)]
    assert len(set(rows)) == points.count
    x, y = points.arrays
    for c in neighbours(3.0, FORMATS["float32"], 1):
        assert (x == c).all(axis=0).any()
        assert ((x[0] == c) & (x[1] != c)).any() and ((x[-1] == c) & (x[0] != c)).any()
    assert ((x == 0) & (y == 0) & np.signbit(x)).all(axis=0).any()
    assert ((x == 1e4) & (y == 1e4)).all(axis=0).any()
    assert ((x[0] == x[2]) & (x[0] != x[1])).any()
    assert special_points(specs, {"n": 3}, "float32", tuple(range(40)), limit=60).count <= 60


def test_impossible_descriptions_are_refused() -> None:
    with pytest.raises(UsageError, match="distinct integers between 0 and 1"):
        draw_points({"k": array("n", dtype="int8", low=0, high=1, distinct=True)}, {"n": 3}, "float32", 4, 0, "")
    with pytest.raises(UsageError, match="no row of 3 entries"):
        draw_points({"p": array("n", kind="simplex", low=0.5)}, {"n": 3}, "float32", 4, 0, "")
    with pytest.raises(UsageError, match=r"leave out high=0\.9"):
        draw_points({"p": array("n", kind="simplex", high=0.9)}, {"n": 3}, "float32", 4, 0, "")


def test_a_draw_does_not_depend_on_earlier_ones_and_cannot_be_written() -> None:
    specs = {"x": array("n"), "y": array("n")}

    def raw(item: str) -> list[bytes]:
        return [a.tobytes() for a in draw_points(specs, {"n": 7}, "float32", 500, 0, item, SPECIALS).arrays]

    first, second = raw("first"), raw("second")
    values._kept.cache_clear()
    assert raw("second") == second and raw("first") == first
    points = draw_points(specs, {"n": 7}, "float32", 500, 0, "first", SPECIALS)
    with pytest.raises(ValueError, match="read-only"):
        points.arrays[0][:] = 0


@pytest.mark.parametrize("extreme", [False, True])
def test_the_first_points_are_as_mixed_as_all(extreme: bool) -> None:
    """The exact layer and the differences get the first points of a draw."""
    points = draw_points({"x": array("n")}, {"n": 3}, "float64", 2000, 0, "order", (3.0,), extreme)
    for part in (slice(0, 64), slice(64, 320), slice(1000, 1064), slice(1936, 2000)):
        x = np.abs(points.arrays[0][:, part])
        some, all_ = np.log10(1e-300 + x), np.log10(1e-300 + np.abs(points.arrays[0]))
        assert len(np.unique(points.region[part])) >= 5
        for band in ((-301, -299), (-3, 0), (0, 1), (1, 3), (2, 400)):
            shares = [((a > band[0]) & (a <= band[1])).any(axis=0).mean() for a in (some, all_)]
            assert abs(shares[0] - shares[1]) < 0.25


@pytest.mark.parametrize("n", [2, 12, 30, 64])
def test_entries_of_a_point_are_no_copies_of_each_other_but_for_ties(n: int) -> None:
    """Entries share numbers, but never at one point: dense ones are equal in the tied points alone."""
    x = draw_points({"x": array("n", low=-5, high=5)}, {"n": n}, "float64", 2000, 0, "copies").arrays[0]
    dense = np.where((np.rint(4 * x) == 4 * x) | (np.abs(x) < 1e-3), np.nan, x)
    ordered = np.sort(dense, axis=0)
    tied = (ordered[1:] == ordered[:-1]).any(axis=0).mean()
    assert tied < 0.25 + n / 400
    assert len(np.unique(x[:, ::7].round(12), axis=0)) == n
    pairs = [np.mean(x[i] == x[j]) for i in range(0, n, 5) for j in range(i + 1, n, 3)]
    assert max(pairs, default=0.0) < 0.25


def test_regimes_of_entries_and_inputs_vary_within_a_point() -> None:
    specs = {"x": array("n"), "y": array("n")}
    x, y = draw_points(specs, {"n": 4}, "float64", 2000, 0, "regimes").arrays
    far, near = np.abs(x) > 20, np.abs(x) < 5
    assert 0.02 < (far.all(axis=0)).mean() < 0.5 and 0.02 < (far.any(axis=0) & near.any(axis=0)).mean() < 0.7
    assert 0.02 < ((np.abs(x[0]) > 20) & (np.abs(y[0]) < 5)).mean() < 0.4


def test_special_points_are_shared_out() -> None:
    specs = {"x": array("n"), "t": array("n", kind="mask")}

    def rows(points: Points) -> set[bytes]:
        return {points.arrays[0][..., i].tobytes() for i in range(points.count)}

    parts = [special_points(specs, {"n": 3}, "float32", (3.0,), 150, turn, 4) for turn in range(4)]
    whole = special_points(specs, {"n": 3}, "float32", (3.0,), 150)
    assert all(p.count for p in parts)
    assert abs(sum(p.count for p in parts) - whole.count) <= 8
    for c in neighbours(3.0, FORMATS["float32"], 1):
        assert any((p.arrays[0] == c).all(axis=0).any() for p in parts)
    assert rows(parts[0]) != rows(parts[1])


def test_ten_thousand_points_of_64_entries_take_little_time() -> None:
    specs = {"x": array("n")}
    spent = []
    for turn in range(5):
        start = time.process_time()
        draw_points(specs, {"n": 64}, "float32", 10_000, 0, turn, (3.0,))
        spent.append(time.process_time() - start)
    # About 0.04 s; the limit leaves room for slow and busy machines.
    assert min(spent) < 0.4


def test_an_index_stays_below_a_number_as_it_does_below_a_dim_name() -> None:
    for spec in (array("4", kind="index", high=7), array("4", kind="index", high=6.5)):
        assert integer_bounds(spec, {}) == (0, 6)
        drawn = draw_points({"i": spec}, {}, "float64", 400, 0, ("index",)).arrays[0]
        assert (drawn.min(), drawn.max()) == (0, 6)
    assert integer_bounds(array("4", dtype="int64", low=0, high=7), {}) == (0, 7)
    with pytest.raises(UsageError, match="no index from 3 to below high=3"):
        array("4", kind="index", low=3, high=3)
