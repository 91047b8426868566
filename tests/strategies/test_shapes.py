"""Sizes of the named dimensions."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backprove.harness.core.errors import UsageError
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.drawing import shape_strategy
from backprove.strategies.shapes import dim_names, entries, feasible, has_empty, shape_buckets
from backprove.strategies.shrinking import sample, search


def test_buckets_are_different_feasible_and_always_the_same(case: dict[str, ArraySpec]) -> None:
    buckets = shape_buckets(case)
    assert buckets == shape_buckets(case)
    assert all(buckets.count(b) == 1 for b in buckets)
    assert all(feasible(case, b) and entries(s, b) <= 64 for b in buckets for s in case.values())
    if dim_names(case):
        assert 4 <= len(buckets) <= 6
        assert [has_empty(case, b) for b in buckets] == [False] * (len(buckets) - 1) + [True]
        assert any(all(s in (1, ()) for s in b.values()) for b in buckets)
    else:
        assert buckets == [{}]


def test_buckets_hold_non_square_larger_and_batched_shapes() -> None:
    shapes = [array("m n").shape(b) for b in shape_buckets({"x": array("m n")})]
    assert any(m > n > 1 for m, n in shapes) and any(n > m > 1 for m, n in shapes)
    assert any(math.prod(s) > 40 for s in shapes)
    assert shapes[0] == (3, 5)
    batches = [b["batch"] for b in shape_buckets({"x": array("*batch n")})]
    assert {len(b) for b in batches if isinstance(b, tuple)} == {0, 1, 2}
    assert any(1 in b for b in batches if isinstance(b, tuple))


def test_other_seeds_give_other_sizes() -> None:
    specs = {"x": array("m n")}
    assert shape_buckets(specs, seed=1) != shape_buckets(specs)


def test_an_index_never_points_into_nothing() -> None:
    specs = {"w": array("v d"), "i": array("n", kind="index", high="v")}
    assert all(b["v"] or not b["n"] for b in shape_buckets(specs))
    assert all(s["v"] or not s["n"] for s in sample(shape_strategy(specs), 300, 1))


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="no sizes of n allow a point"):
        shape_buckets({"k": array("4", dtype="int8", distinct=True, low=0, high=1), "x": array("n")})
    with pytest.raises(UsageError, match="two different names"):
        shape_buckets({"x": array("n"), "y": array("*n")})


def test_drawn_sizes_cover_what_matters(case: dict[str, ArraySpec]) -> None:
    drawn = sample(shape_strategy(case), 300, 2)
    assert all(feasible(case, s) for s in drawn)
    flat = [v for s in drawn for size in s.values() for v in (size if isinstance(size, tuple) else (size,))]
    if dim_names(case):
        assert {0, 1, 2} <= set(flat)
        # Hypothesis draws no sizes twice, so the few small ones of a single name run out.
        assert sum(v > 6 for v in flat) < 0.4 * len(flat)


def wide(sizes: Any) -> bool:
    return bool(sizes["m"] > sizes["n"] > 0)


def test_sizes_shrink_to_one_then_zero_then_two() -> None:
    sizes = shape_strategy({"x": array("m n")})
    assert search(sizes, lambda s: True) == {"m": 1, "n": 1}
    assert search(sizes, lambda s: s["m"] != 1, 300) == {"m": 0, "n": 1}
    assert search(sizes, wide, 300) == {"m": 2, "n": 1}
    assert search(shape_strategy({"x": array("*batch n")}), lambda s: True) == {"batch": (), "n": 1}
