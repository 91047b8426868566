"""Which points a claim of the catalogue sees at which sizes and dtypes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.judge import Judge
from backprove.harness.judging.sampling import Plan
from backprove.harness.statements.claims import Derivative
from backprove.strategies.shapes import shape_buckets


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("wrong_at", [0, 1, 2, 3, 4, None])
def test_a_further_dtype_of_the_catalogue_looks_at_every_size(dtype: str, wrong_at: int | None) -> None:
    """Special points meet one size there; a mistake at any other one is left by the screen."""
    specs = {"x": bp.array("m n")}
    shapes = [specs["x"].shape(sizes) for sizes in shape_buckets(specs)]

    def vjp(x: Any, g: Any) -> Any:
        slope = g * jnp.cos(x)
        return slope * (1 + 2.0**-6) if wrong_at is not None and x.shape == shapes[wrong_at] else slope

    binder = Binder("vjp", Derivative(jnp.sin, vjp, mode="vjp"), specs)
    judge_ = Judge(binder, None, Plan(dtype, 5_000, further=True))
    result = judge_.run()
    if wrong_at is None:
        assert result.verdict is Verdict.HOLDS and result.layers["exact"].agreed > 20
        assert {f"m={m}, n={n}" for m, n in shapes if m and n} <= set(result.shapes)
        return
    assert result.verdict is Verdict.FALSIFIED and judge_.failure is not None
    assert judge_.failure.point.arrays[0].shape == shapes[wrong_at]
