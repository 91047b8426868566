"""Every law refuses a wrong rule and accepts a right one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.judge import Judge
from backprove.harness.statements import laws
from backprove.harness.statements.claims import Derivative
from backprove.harness.statements.rule import Rule
from backprove.strategies.array import ArraySpec, array

VECTOR = {"x": array("n")}


def verdict(rule: Rule, law: Callable[[Derivative, Mapping[str, ArraySpec]], laws.Law]) -> Verdict:
    """Of a law of the one claim of a rule."""
    ((name, claim),) = rule.named_claims()
    assert isinstance(claim, Derivative)
    binder = binder_of(name, law(claim, rule.inputs), rule.inputs, is_user_code=True)
    return Judge(binder, rule.where, Plan("float64", 60)).run().verdict


def of(vjp: Any = None, jvp: Any = None, forward: Any = jnp.sin) -> Rule:
    return Rule("rule", forward=forward, vjp=vjp, jvp=jvp, inputs=VECTOR)


def times_cos(x: Any, g: Any) -> Any:
    return g * jnp.cos(x)


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function as a black box."""

    def through_floats(*a: Any) -> Any:
        rows = [[float(v) for v in np.asarray(p).ravel()] for p in a]
        return np.array([function(*v) for v in zip(*rows, strict=True)]).reshape(a[0].shape)

    return through_floats


def test_linearity_accepts() -> None:
    for rule in (of(vjp=times_cos), of(jvp=times_cos)):
        assert verdict(rule, laws.linearity) is Verdict.HOLDS


@pytest.mark.parametrize(
    "wrong",
    [lambda x, g: g * g * jnp.cos(x), lambda x, g: jnp.abs(g), lambda x, g: jnp.clip(g, -1, 1), lambda x, g: g + 1],
)
def test_linearity_refuses(wrong: Any) -> None:
    for rule in (of(vjp=wrong), of(jvp=wrong)):
        assert verdict(rule, laws.linearity) is Verdict.FALSIFIED


def test_linearity_of_a_black_box() -> None:
    forward = called(math.sin)
    right = of(vjp=called(lambda x, g: g * math.cos(x)), forward=forward)
    wrong = of(vjp=called(lambda x, g: abs(g) * math.cos(x)), forward=forward)
    assert verdict(right, laws.linearity) is not Verdict.FALSIFIED
    assert verdict(wrong, laws.linearity) is Verdict.FALSIFIED


def scalar(vjp: Any) -> Rule:
    return Rule(
        "scalar",
        forward=lambda x, y: jnp.sum(x * x * jnp.maximum(y, 0.0)),
        vjp=vjp,
        inputs={"x": array("n"), "y": array("n")},
    )


RIGHT = scalar(lambda x, y, g: (2 * g * x * jnp.maximum(y, 0.0), g * x * x * (y > 0)))
WRONG = scalar(lambda x, y, g: (2 * g * x * jnp.maximum(y, 0.0), 2 * g * x * x * (y > 0)))


def test_second_derivatives_are_symmetric() -> None:
    assert verdict(RIGHT, laws.second_order) is Verdict.HOLDS
    assert verdict(WRONG, laws.second_order) is Verdict.FALSIFIED


def in_numpy(factor: float) -> Rule:
    def vjp(x: Any, y: Any, g: Any) -> Any:
        slope = np.empty_like(x)
        slope[...] = 2 * x * np.tanh(y)
        return g * slope, factor * g * x**2 * (1 - np.tanh(y) ** 2)

    return Rule(
        "in NumPy", forward=lambda x, y: np.sum(x**2 * np.tanh(y)), vjp=vjp, inputs={"x": array("n"), "y": array("n")}
    )


@pytest.mark.parametrize(("factor", "expected"), [(1.0, Verdict.HOLDS), (2.0, Verdict.FALSIFIED)])
def test_second_derivatives_of_numpy_code_are_symmetric(factor: float, expected: Verdict) -> None:
    rule = in_numpy(factor)
    law = next(b for b in binders_of(rule) if b.name == "second order")
    assert Judge(law, rule.where, Plan("float64", 60)).run().verdict is expected


def test_which_laws_run_beside_a_rule() -> None:
    assert [b.name for b in binders_of(RIGHT)] == ["vjp", "second order"]
    assert [b.name for b in binders_of(of(vjp=times_cos))] == ["vjp"]
    opaque = of(vjp=called(lambda x, g: g * math.cos(x)), forward=called(math.sin))
    assert [b.name for b in binders_of(opaque)] == ["vjp", "vjp linearity"]


def test_laws_of_both_modes_keep_their_order() -> None:
    opaque = called(lambda x, g: g * math.cos(x))
    both = of(vjp=opaque, jvp=opaque, forward=called(math.sin))
    assert [b.name for b in binders_of(both)] == ["jvp", "vjp", "adjointness", "vjp linearity", "jvp linearity"]


@pytest.mark.parametrize(
    "claim",
    [
        Derivative(jnp.sin, jnp.cos, "vjp", unit_cotangent=True),
        Derivative(jnp.sin, times_cos, "vjp", wrt=("y",)),
    ],
)
def test_no_law_runs_beside_a_claim_without_all_directions(claim: Derivative) -> None:
    inputs = {"x": array("n"), "y": array("n")}
    assert laws.laws_of("vjp", claim, inputs, {}, [(3,)]) == []
    assert laws.laws_of("graph", Derivative(jnp.sin, times_cos, "vjp"), inputs, {}, [(3,)])[0][0] == "graph linearity"
