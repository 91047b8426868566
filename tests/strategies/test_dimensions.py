"""Sizes of names that have bounds."""

from __future__ import annotations

from typing import Any

import pytest

from backprove.harness.core.errors import UsageError
from backprove.strategies.array import array
from backprove.strategies.dimensions import Bound, bounds_of, parse
from backprove.strategies.drawing import point_strategy, shape_strategy
from backprove.strategies.generic import small_sizes
from backprove.strategies.points import DrawnPoint
from backprove.strategies.shapes import encode_sizes, feasible, has_empty, shape_buckets
from backprove.strategies.shrinking import sample, search, shrink

CASES = ["n>=2", "m<=6 n", "n>=2<=8", "m n<=m", "m n>=m", "n%2", "m n%4>=8", "n>=40", "3 n<=1", "*b n>=3"]
CASES += ["m>=2 k>=m n>=k"]


def test_bounds_are_read() -> None:
    assert parse("m<=6 n >= m 3 *b") == (("m", "n", 3, "*b"), (Bound("m", "<=", 6), Bound("n", ">=", "m")))
    assert parse("n>=2<=8") == (("n",), (Bound("n", ">=", 2), Bound("n", "<=", 8)))
    assert [str(b) for b in array("m n%2").bounds] == ["n%2"]
    assert array("m n") == array("m n") != array("m n>=2")
    assert repr(array("n>=2")) == repr(array("n")), "the same draws at the same sizes"


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ("n>=-2", "expected a size or another name"),
        ("n<=0", "empty arrays alone"),
        ("n%0", "positive number"),
        ("n%k", "expected a size after %"),
        ("n>=n", "expected a size or another name"),
        ("n>2", 'write "n>=3"'),
        ("n<2", 'write "n<=2"'),
        ("n==2", "the size itself"),
        ("n!=2", "can be said"),
        ("3>=2", "a size, which has no bounds"),
        ("*b>=2", "any number of axes"),
        ("n>=", "expected a size"),
        (">=2", "neither a size nor a name"),
        ("n>=2.5", "expected a size"),
    ],
)
def test_nonsense_is_refused(dims: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        array(dims)


@pytest.mark.parametrize("dims", ["n>=5<=3", "n>=5<=7 m<=4>=n", "n%4<=3"])
def test_bounds_that_no_size_keeps_are_refused(dims: str) -> None:
    with pytest.raises(UsageError, match="no sizes keep to all"):
        shape_buckets({"x": array(dims)})
    with pytest.raises(UsageError, match="names k, which is no dimension"):
        bounds_of({"x": array("n>=k")})


def kept(dims: str, sizes: Any) -> bool:
    return bounds_of({"x": array(dims)}).admit(sizes)


@pytest.mark.parametrize("dims", CASES)
def test_every_size_drawn_keeps_to_them(dims: str) -> None:
    specs = {"x": array(dims)}
    buckets = shape_buckets(specs)
    drawn = sample(shape_strategy(specs), 60, 1)
    assert len(drawn) > 5 or dims in ("n>=2<=8", "3 n<=1")
    assert all(feasible(specs, sizes) for sizes in (*buckets, *drawn))
    assert all(kept(dims, sizes) for sizes in (*buckets, *drawn, *small_sizes(specs)))
    full = [s for s in buckets if not has_empty(specs, s)]
    assert len(full) >= (1 if dims == "3 n<=1" else 3), "sizes stay different"
    assert any(has_empty(specs, s) for s in buckets) == any(kept(dims, s) and has_empty(specs, s) for s in drawn)


@pytest.mark.parametrize("dims", CASES)
def test_every_size_is_drawn_by_its_choices(dims: str) -> None:
    specs = {"x": array(dims)}
    strategy = shape_strategy(specs)
    for sizes in shape_buckets(specs):
        found, _ = shrink(strategy, lambda s, sizes=sizes: s == sizes, encode_sizes(specs, sizes))  # type: ignore[misc]
        assert found == sizes


def test_sizes_shrink_to_the_smallest_that_keep_to_them() -> None:
    assert search(shape_strategy({"x": array("n>=3")}), lambda s: True) == {"n": 3}
    assert search(shape_strategy({"x": array("m n%2")}), lambda s: s["n"] > 0, 200) == {"m": 1, "n": 2}
    assert search(shape_strategy({"x": array("m n>=m")}), lambda s: s["m"] > 1, 300) == {"m": 2, "n": 2}


def test_points_shrink_within_them() -> None:
    specs = {"x": array("n>=3"), "y": array("n")}
    found = search(point_strategy(specs, "float64"), lambda p: bool((p.arrays[0] > 0).all()), 300)
    assert isinstance(found, DrawnPoint)
    assert found.sizes == {"n": 3} and found.arrays[0].tolist() == [1.0, 1.0, 1.0]


def test_bounds_of_one_input_hold_for_all() -> None:
    specs = {"x": array("n"), "y": array("n<=4>=2")}
    assert {s["n"] for s in shape_buckets(specs)} <= {2, 3, 4}
