"""Which points a claim of the catalogue sees at which sizes and dtypes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.core.thresholds.coverage import FIRST_SIZES
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.drawing.sampling import sizes_with_special_points
from backprove.harness.judging.judge import Judge
from backprove.harness.statements.claims import Derivative
from backprove.strategies.shapes import shape_buckets

DTYPES = ("float64", "float32", "bfloat16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("wrong_at", [0, 1, 2, 3, 4, None])
def test_a_further_dtype_of_the_catalogue_looks_at_every_size(dtype: str, wrong_at: int | None) -> None:
    """Special points meet one size there; a mistake at any other one is left by the screen."""
    specs = {"x": bp.array("m n")}
    shapes = [specs["x"].shape(sizes) for sizes in shape_buckets(specs)]

    def vjp(x: Any, g: Any) -> Any:
        slope = g * jnp.cos(x)
        return slope * (1 + 2.0**-6) if wrong_at is not None and x.shape == shapes[wrong_at] else slope

    binder = binder_of("vjp", Derivative(jnp.sin, vjp, mode="vjp"), specs)
    judge_ = Judge(binder, None, Plan(dtype, 5_000, further_dtype=True))
    result = judge_.run()
    if wrong_at is None:
        assert result.verdict is Verdict.HOLDS and result.layers["exact"].agreed > 20
        assert {f"m={m}, n={n}" for m, n in shapes if m and n} <= set(result.shapes)
        return
    assert result.verdict is Verdict.FALSIFIED and judge_.failure is not None
    assert judge_.failure.point.arrays[0].shape == shapes[wrong_at]


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("count", range(1, 7))
def test_the_sizes_are_shared_out_over_the_formats(first: str, count: int) -> None:
    found = [sizes_with_special_points(count, first, further_dtype=False)]
    assert len(found[0]) == min(FIRST_SIZES, count)
    for dtype in DTYPES:
        if dtype != first:
            found.append(sizes_with_special_points(count, dtype, further_dtype=True))
            assert len(found[-1]) == 1
    for places in found:
        assert len(set(places)) == len(places) and set(places) <= set(range(count))
    if first == "float64" and count <= FIRST_SIZES + 2:
        assert {k for places in found for k in places} == set(range(count))


def test_the_ordinary_sizes_come_first() -> None:
    """The first and the last of the fixed sizes; the second is all ones."""
    assert sizes_with_special_points(5, "float64", further_dtype=False) == [0, 4, 1]
    assert sizes_with_special_points(0, "float64", further_dtype=False) == []
    assert sizes_with_special_points(0, "float32", further_dtype=True) == []
