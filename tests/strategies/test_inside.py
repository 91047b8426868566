"""Points of the stated domain at which code is called to learn what it returns."""

from __future__ import annotations

import numpy as np
import pytest

from backprove.strategies.array import array
from backprove.strategies.generic import draw
from backprove.strategies.inside import Inside, sizes_at

SPECS = {"x": array("n", low=2, high=9), "w": array("*b n 3"), "i": array("k", kind="index", high="n")}
SIGNATURE = (((4,), "float32"), ((2, 5, 4, 3), "float32"), ((6,), "int64"))


def test_points_lie_inside_and_have_the_real_dtypes() -> None:
    points = list(Inside(SPECS)(SIGNATURE))
    assert len(points) == 16
    for x, w, i in points:
        assert [(a.shape, str(a.dtype)) for a in (x, w, i)] == list(SIGNATURE)
        assert ((x >= 2) & (x <= 9)).all()
        assert ((i >= 0) & (i < 4)).all()


def test_the_condition_over_several_inputs_is_kept() -> None:
    specs = {"a": array("", low=0, high=1), "b": array("", low=0, high=1)}
    signature = (((), "float64"), ((), "float64"))
    points = list(Inside(specs, lambda a, b: a > b)(signature))
    assert points and all(a > b for a, b in points)
    assert list(Inside(specs, lambda a, b: a > b + 2)(signature)), "no point satisfies it: any is better than none"


def test_directions_are_ones() -> None:
    (_, g), *_ = Inside({"x": array("n")})((((2,), "float64"), ((2,), "bfloat16")))
    assert (g == np.ones(2)).all() and str(g.dtype) == "bfloat16"


def test_a_matrix_of_the_first_points_is_regular() -> None:
    for (a,) in Inside({"a": array("n n")})((((5, 5), "float64"),)):
        assert np.linalg.matrix_rank(a) == 5
        break


def test_sizes_follow_from_shapes() -> None:
    assert sizes_at(SPECS, [shape for shape, _ in SIGNATURE]) == {"n": 4, "b": (2, 5), "k": 6}


@pytest.mark.parametrize("distinct", [False, True])
def test_a_generic_index_is_below_its_bound(distinct: bool) -> None:
    spec = array("n", kind="index", high=7, distinct=distinct)
    drawn = np.concatenate([draw({"i": spec}, {"n": 5}, seed)[0] for seed in range(40)])
    assert set(drawn.tolist()) <= set(range(7))
