"""Search and shrinking: what is found is minimal, and never lost."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from backprove.strategies.array import ArraySpec, array
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.drawing import point_strategy
from backprove.strategies.points import DrawnPoint, PointSpace
from backprove.strategies.shrinking import sample, search, shrink
from backprove.strategies.values import draw_points


def minimal(specs: dict[str, ArraySpec], condition: Any, directions: tuple[Any, ...] = (), **options: Any) -> list[Any]:
    """Inputs and directions of the minimal point, as lists."""
    dtype = options.pop("dtype", "float64")
    found = search(point_strategy(specs, dtype, directions, **options), condition, 500)
    assert found is not None
    return [a.tolist() for a in (*found.arrays, *found.directions)]


def in_bulk(
    specs: dict[str, ArraySpec], sizes: dict[str, Any], condition: Any, directions: tuple[Any, ...] = ()
) -> list[Any]:
    """The same from the first bulk point for which the condition holds."""
    space = PointSpace(specs, "float64", directions)
    points = draw_points(specs, sizes, "float64", 3000, 0, "shrink")
    drawn = draw_directions(space.direction_shapes(sizes), 3000, 0, "shrink", "float64")
    candidates = (space.at(points, i, [d[..., i] for d in drawn]) for i in range(points.count))
    start = next(p for p in candidates if condition(p))
    found, calls = shrink(point_strategy(specs, "float64", directions), condition, start.choices(), start=start)
    assert calls <= 2000
    assert condition(found)
    return [a.tolist() for a in (*found.arrays, *found.directions)]


def big(p: DrawnPoint) -> bool:
    return bool((p.arrays[0] > 10).any())


def tied(p: DrawnPoint) -> bool:
    return len(np.unique(p.arrays[0])) < p.arrays[0].size


def wrong_logsoftmax(p: DrawnPoint) -> bool:
    (z,), (g,) = p.arrays, p.directions
    if not z.size:
        return False
    y = z - z.max(axis=-1, keepdims=True)
    y = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    difference: NDArray[Any] = g * (1 - np.exp(y)) - (g - np.exp(y) * g.sum(axis=-1, keepdims=True))
    return bool(np.abs(difference).max() > 1e-6)


def test_the_smallest_vector_with_a_large_entry() -> None:
    assert minimal({"x": array("n")}, big) == [[11.0]]
    assert in_bulk({"x": array("n")}, {"n": 21}, big) == [[11.0]]


def test_two_equal_entries() -> None:
    assert minimal({"x": array("n")}, tied) == [[0.0, 0.0]]
    assert in_bulk({"x": array("n")}, {"n": 13}, tied) == [[0.0, 0.0]]


def test_a_wrong_logsoftmax_backward_shrinks_to_two_coordinates() -> None:
    expected = [[[0.0, 0.0]], [[0.0, 1.0]]]
    assert minimal({"z": array("m n")}, wrong_logsoftmax, ("z",)) == expected
    assert in_bulk({"z": array("m n")}, {"m": 7, "n": 7}, wrong_logsoftmax, ("z",)) == expected


def test_a_matrix_loses_rows_and_columns_in_the_middle() -> None:
    def corner(p: DrawnPoint) -> bool:
        x = p.arrays[0]
        return bool(((x > 2) & (x < 4)).any() and (x < -2).any() and x.size and (x[-1, -1] > 2))

    assert minimal({"x": array("m n")}, corner) == [[[-3.0, 3.0]]]
    assert in_bulk({"x": array("m n")}, {"m": 6, "n": 7}, corner) == [[[-3.0, 3.0]]]


def test_values_at_special_places_are_reached() -> None:
    assert minimal({"x": array("n")}, lambda p: bool((p.arrays[0] == 3).any()), specials=(3.0,)) == [[3.0]]
    assert minimal({"x": array("n")}, lambda p: bool((p.arrays[0] < -37).any())) == [[-38.0]]
    assert minimal({"x": array("n", low=0.1, high=0.9)}, lambda p: p.arrays[0].size > 0) == [[0.5]]
    assert minimal({"x": array("n", nonzero=True)}, lambda p: p.arrays[0].size > 1) == [[1.0, 1.0]]
    assert minimal({"x": array("n", distinct=True)}, lambda p: p.arrays[0].size == 3) == [[0.0, 1.0, 2.0]]
    negative_zero = search(
        point_strategy({"x": array("n", low=0)}, "float32"), lambda p: bool(np.signbit(p.arrays[0]).any()), 300
    )
    assert negative_zero is not None and negative_zero.arrays[0].tolist() == [0.0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_other_formats_shrink_as_well(dtype: str) -> None:
    assert minimal({"x": array("n")}, big, dtype=dtype) == [[11.0]]


def test_a_sort_that_is_no_involution() -> None:
    def wrong(p: DrawnPoint) -> bool:
        order = np.argsort(p.arrays[0], kind="stable")
        g = p.directions[0]
        scattered = np.empty_like(g)
        scattered[order] = g
        return not np.array_equal(g[order], scattered)

    x, g = minimal({"x": array("n", distinct=True)}, wrong, ("x",))
    assert len(x) == 3 and {abs(v) for v in x} <= {0.0, 1.0, 2.0} and sorted(g) == [0.0, 0.0, 1.0]


def test_one_hot_simplex_mask_and_index() -> None:
    one_hot = {"z": array("m n"), "t": array("m n", kind="one_hot")}
    last = minimal(one_hot, lambda p: bool((p.arrays[1][:, 2:] == 1).any()))
    assert last == [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]]
    two_labels = lambda p: p.arrays[1].size > 0 and bool((p.arrays[1] != p.arrays[1][:1]).any())  # noqa: E731
    assert minimal(one_hot, two_labels)[1] in ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    simplex = {"p": array("m n", kind="simplex")}
    assert minimal(simplex, lambda p: p.arrays[0].shape[-1] == 2 and p.arrays[0].size > 0) == [[[0.5, 0.5]]]
    assert minimal(simplex, lambda p: p.arrays[0].shape[-1] > 1 and bool((p.arrays[0] == 1).any())) in (
        [[[1.0, 0.0]]],
        [[[0.0, 1.0]]],
    )
    mask = {"x": array("n n"), "m": array("n n", kind="mask")}
    assert minimal(mask, lambda p: bool(p.arrays[1].any())) == [[[0.0]], [[True]]]
    index = {"w": array("v d"), "i": array("n", kind="index", high="v")}
    assert minimal(index, lambda p: len(set(p.arrays[1].tolist())) < p.arrays[1].size)[1] == [0, 0]
    w, i = minimal(index, lambda p: bool((p.arrays[1] == 2).any()))
    assert i == [2] and len(w) == 3


def test_several_inputs_share_a_dim() -> None:
    specs = {"a": array("m n"), "b": array("n p")}
    condition = lambda p: bool(p.arrays[0].size and p.arrays[1].size and (p.arrays[0] @ p.arrays[1] > 5).any())  # noqa: E731
    a, b = minimal(specs, condition)
    assert (len(a), len(a[0]), len(b), len(b[0])) == (1, 1, 1, 1)
    assert a[0][0] * b[0][0] > 5 and {a[0][0], b[0][0]} <= {1.0, 2.0, 3.0, 6.0}
    a, b = in_bulk(specs, {"m": 5, "n": 3, "p": 6}, condition)
    assert (len(a), len(a[0]), len(b), len(b[0])) == (1, 1, 1, 1)
    equal = minimal(
        {"x": array("n"), "y": array("n")}, lambda p: bool(((p.arrays[0] == p.arrays[1]) & (p.arrays[0] > 1)).any())
    )
    assert equal == [[2.0], [2.0]]


def test_batch_axes_disappear() -> None:
    specs = {"x": array("*batch n"), "b": array("n")}
    assert minimal(specs, big) == [[11.0], [0.0]]
    assert in_bulk(specs, {"batch": (2, 3), "n": 5}, big) == [[11.0], [0.0]]
    two_axes = lambda p: p.arrays[0].ndim == 3 and p.arrays[0].size > 0  # noqa: E731
    assert minimal(specs, two_axes) == [[[[0.0]]], [0.0]]


def test_other_strategies_shrink_too() -> None:
    assert search(st.lists(st.integers()), lambda v: sum(v) > 100) == [101]
    assert shrink(st.integers(0, 1000), lambda v: v > 17, (900,))[0] == 18


def test_nothing_found_is_none_and_calls_are_limited() -> None:
    strategy = point_strategy({"x": array("n")}, "float64")
    assert search(strategy, lambda p: False) is None
    start = next(p for p in sample(strategy, 200) if big(p))
    calls = []

    def counted(p: DrawnPoint) -> bool:
        calls.append(p)
        return big(p)

    found, count = shrink(strategy, counted, start.choices(), max_calls=5)
    assert count == len(calls) == 5 and big(found)
    found, count = shrink(strategy, big, start.choices(), seconds=0.0)
    assert count == 1 and big(found)


def test_what_does_not_reproduce_is_returned_as_it_was() -> None:
    strategy = point_strategy({"x": array("n")}, "float64")
    start = sample(strategy, 20)[-1]
    found, calls = shrink(strategy, lambda p: False, start.choices(), start=start)
    assert found is start and calls == 1
    found, calls = shrink(strategy, lambda p: False, start.choices())
    assert [a.tobytes() for a in found.arrays] == [a.tobytes() for a in start.arrays]
    with pytest.raises(ValueError, match="cannot draw the 1 choices"):
        shrink(st.nothing().map(str) | st.integers().filter(lambda k: False).map(str), lambda v: True, (1,))


def test_errors_of_the_predicate_come_out() -> None:
    def broken(p: DrawnPoint) -> bool:
        raise ZeroDivisionError("in the rule")

    strategy = point_strategy({"x": array("n")}, "float64")
    with pytest.raises(ZeroDivisionError, match="in the rule"):
        search(strategy, broken)
    with pytest.raises(ZeroDivisionError, match="in the rule"):
        shrink(strategy, broken, sample(strategy, 3)[-1].choices())


def test_the_same_seed_gives_the_same_calls(capsys: pytest.CaptureFixture[str]) -> None:
    strategy = point_strategy({"z": array("m n")}, "float64", ("z",))

    def trace(seed: int) -> list[bytes]:
        seen: list[bytes] = []

        def condition(p: DrawnPoint) -> bool:
            seen.append(p.arrays[0].tobytes() + p.directions[0].tobytes())
            return wrong_logsoftmax(p)

        search(strategy, condition, 200, seed)
        return seen

    assert trace(1) == trace(1) != trace(2)
    assert capsys.readouterr() == ("", "")


def test_draws_do_not_depend_on_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = point_strategy({"x": array("n")}, "float64")

    def drawn() -> list[Any]:
        return [a.tolist() for p in sample(strategy, 100) for a in p.arrays]

    first = drawn()
    (tmp_path / "full_of_constants.py").write_text(f"VALUES = {[k / 8 for k in range(-99, 99)]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_constants")
    assert drawn() == first
