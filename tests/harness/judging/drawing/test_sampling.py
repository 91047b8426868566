"""Which points a claim of the catalogue sees at which sizes and dtypes."""

from __future__ import annotations

import itertools
from typing import Any

import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.thresholds.coverage import FIRST_LOOK, FIRST_SIZES
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.drawing.sampling import Batches, sizes_with_special_points
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


def test_most_wrong_rules_are_refused_before_a_second_size_is_traced() -> None:
    seen: set[tuple[int, ...]] = set()

    def vjp(x: Any, g: Any) -> Any:
        seen.add(x.shape)
        return 2 * g * jnp.cos(x)

    binder = binder_of("vjp", Derivative(jnp.sin, vjp, mode="vjp"), {"x": bp.array("m n")}, is_user_code=True)
    judge = Judge(binder, None, Plan("float64", 1000))
    (batch, *_) = _batches(judge, 1)
    assert batch.points.count <= sum(FIRST_LOOK) and batch.exact.all()
    assert len(seen) == 1


@pytest.mark.parametrize("wrong_at", [0, 1, 2, 3, 4, None])
def test_a_user_s_jax_code_is_looked_at_at_every_size_of_a_further_dtype(wrong_at: int | None) -> None:
    specs = {"x": bp.array("n")}
    shapes = [specs["x"].shape(sizes) for sizes in shape_buckets(specs)]

    def vjp(x: Any, g: Any) -> Any:
        wrong = wrong_at is not None and x.dtype == jnp.float32 and x.shape == shapes[wrong_at]
        return g * jnp.cos(x) * (1.01 if wrong else 1.0)

    rule = bp.Rule("sin", forward=jnp.sin, vjp=vjp, inputs=specs)
    report = bp.check(rule, points=1000, dtypes=["float64", "float32"])
    assert str(report.verdict) == ("holds" if wrong_at is None else "falsified")


def _batches(judge: Judge, count: int) -> list[Any]:
    drawn = Batches(judge.binder, None, judge.plan, judge.claim_at, judge.claims_at)
    return list(itertools.islice(drawn(PropertyResult("vjp", judge.plan.dtype)), count))
