"""Claims of one rule share their functions, and what real calls have shown of them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

import backprove as bp
from backprove.harness.core.guard import guarded
from backprove.harness.judging.binder import DerivativeBinder
from backprove.harness.judging.binders import binders_of

INPUTS = {"x": bp.array("n")}
FEW: dict[str, Any] = {"points": 60, "dtypes": ["float64"]}


def test_the_forward_map_of_two_claims_is_one_function() -> None:
    rule = bp.Rule(
        "sin",
        forward=jnp.sin,
        jvp=lambda x, dx: dx * jnp.cos(x),
        vjp=lambda x, g: g * jnp.cos(x),
        inputs=INPUTS,
    )
    first, second = (b.functions for b in binders_of(rule) if isinstance(b, DerivativeBinder))
    assert first.forward is second.forward
    assert first.rule is not second.rule


def test_a_map_that_is_wrong_when_it_is_called_makes_every_claim_an_error() -> None:
    """What one claim has found of a shared function is found by the other."""

    def forward(x: Any) -> Any:
        return jnp.sin(x) if type(x).__name__.endswith("Tracer") else jnp.sin(x) * 1.001

    rule = bp.Rule(
        "sin",
        forward=forward,
        jvp=lambda x, dx: dx * jnp.cos(x),
        vjp=lambda x, g: g * jnp.cos(x),
        inputs=INPUTS,
    )
    found = {p.name: str(p.verdict) for p in bp.check(rule, **FEW).properties}
    assert found["jvp"] != "holds" and found["vjp"] != "holds"


def test_the_guard_of_a_function_is_the_same_one() -> None:
    def call(x: Any) -> Any:
        return x

    assert guarded(call) is guarded(call)
    assert guarded(call) is not guarded(lambda x: x)
