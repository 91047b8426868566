"""Inputs drawn by Hypothesis, shared by the claims of a rule."""

from __future__ import annotations

import numpy as np
import pytest

from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.drawing.examples import NEW_SHAPES, Examples
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.domain import point_domain
from backprove.strategies.shapes import has_empty, shape_buckets

CASES: dict[str, dict[str, ArraySpec]] = {
    "matrix": {"x": array("m n")},
    "scalar": {"x": array("")},
    "pair": {"x": array("n"), "y": array("n", low=0.0, nonzero=True)},
    "index": {"x": array("n"), "i": array("m", kind="index", high="n")},
    "one hot": {"x": array("m n"), "y": array("m n", kind="one_hot")},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_examples_are_admissible_and_few_shapes_are_new(case: str, dtype: str) -> None:
    specs = CASES[case]
    groups = Examples(specs, 0, 40).at(dtype, 40, (0.5,), False)
    assert sum(g.count for g in groups) >= 30
    fixed = shape_buckets(specs)
    assert sum(g.sizes not in fixed for g in groups) <= NEW_SHAPES
    for g in groups:
        assert not has_empty(specs, g.sizes)
        for spec, a in zip(specs.values(), g.arrays, strict=True):
            assert a.shape[:-1] == spec.shape(g.sizes)
            if spec.dtype == "float" and spec.kind is None:
                assert point_domain(spec, dtype).contains(a).all()
            elif spec.kind == "one_hot":
                assert (a.sum(axis=-2) == 1).all()


def test_the_claims_of_a_rule_see_the_same_examples() -> None:
    examples = Examples(CASES["matrix"], 3, 20)
    first, second = (examples.at("float64", 20, c, False) for c in ((1.5,), (2.5,)))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.arrays[0], b.arrays[0])


def test_the_sizes_can_be_chosen() -> None:
    specs = CASES["matrix"]
    small = shape_buckets(specs)[:2]
    groups = Examples(specs, 0, 40).at("float32", 3, (), False, small.__contains__)
    assert 0 < sum(g.count for g in groups) <= 3 and all(g.sizes in small for g in groups)
    for g in groups:
        np.testing.assert_array_equal(FORMATS["float32"].round(g.arrays[0]), g.arrays[0])


def test_the_seed_decides() -> None:
    def drawn(seed: int) -> list[bytes]:
        groups = Examples(CASES["pair"], seed, 20).at("float64", 20, (), False)
        return [a.tobytes() for g in groups for a in g.arrays]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_no_inputs_have_no_examples() -> None:
    assert Examples({}, 0, 5).at("float64", 5, (), False) == []
