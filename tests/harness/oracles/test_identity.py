"""Identities whose sides are a few ulps apart hold with a remark; those that are visibly apart are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.judge import Judge
from backprove.harness.statements.claims import Adjointness, Claim, Equality

ULP = 2.0**-52
Code = Callable[..., Any]


def judged(claim: Claim, seed: int = 0, dtype: str = "float64", **dims: Any) -> PropertyResult:
    inputs = {"x": bp.array("n", low=0.25, high=4), **dims}
    return Judge(binder_of("equality", claim, inputs), None, Plan(dtype, 40, seed)).run()


def series(x: Any) -> Any:
    """exp(x), by 40 terms at x / 16: the last counts for less than an ulp."""
    y = term = jnp.ones_like(x)
    for k in range(1, 13):
        term = term * (x / 16) / k
        y = y + term
    for _ in range(4):
        y = y * y
    return y


NEAR: dict[str, tuple[Code, Code]] = {
    "a constant": (lambda x: x * (1 + 2 * ULP), lambda x: x),
    "a series": (series, jnp.exp),
    "a sum that cancels": (lambda x: (x * (1 + 2 * ULP) - x).sum(), lambda x: 0.0 * x.sum()),
}


@pytest.mark.parametrize("name", NEAR)
def test_what_floats_cannot_show_is_a_remark(name: str) -> None:
    left, right = NEAR[name]
    for one, other in ((left, right), (right, left)):
        found = judged(Equality(one, other))
        assert found.verdict is Verdict.HOLDS
        assert any("equal up to rounding" in text for text in found.findings)


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_millionth_of_a_millionth_is_refused(name: str, dtype: str) -> None:
    left, right = NEAR[name]
    wrong = Equality(lambda x: left(x) + x.sum() * 2.0**-40, right)
    assert judged(wrong, dtype=dtype).verdict is Verdict.FALSIFIED


def test_a_law_is_held_to_the_same() -> None:
    for off, verdict in ((2 * ULP, Verdict.HOLDS), (2.0**-40, Verdict.FALSIFIED)):

        def vjp(x: Any, g: Any, off: float = off) -> Any:
            return g * jnp.cos(x) * (1 + off)

        claim = Adjointness(jnp.sin, lambda x, t: t * jnp.cos(x), vjp)
        assert judged(claim).verdict is verdict


def test_the_primal_of_a_fwd_is_held_to_the_same() -> None:
    for off, ok in ((2 * ULP, True), (2.0**-40, False)):

        @jax.custom_vjp
        def sine(x: Any) -> Any:
            return jnp.sin(x)

        sine.defvjp(lambda x, k=1 + off: (jnp.sin(x) * k, x), lambda x, g: (g * jnp.cos(x),))
        report = bp.check(bp.from_jax(sine, inputs={"x": bp.array("n")}), points=60, dtypes=["float64"])
        (primal,) = (p for p in report.properties if p.name == "primal")
        assert (primal.verdict == "holds") is ok, str(report)
