"""Rules that return something else than arrays of floats: an error in words, never a crash."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.verdicts import Verdict
from backprove.harness.oracles.problem import Status
from backprove.harness.oracles.same_values import judge_identity


def twice(vjp: Any, forward: Any = lambda x: 2 * x) -> bp.Report:
    rule = bp.Rule("twice", forward=forward, vjp=vjp, inputs={"x": bp.array("n", low=-8, high=8)})
    return bp.check(rule, points=10, dtypes=("float64",))


@pytest.mark.parametrize(
    ("vjp", "message"),
    [
        (lambda x, g: "two", "vjp returned text where an array of real numbers was expected"),
        (lambda x, g: 2 * g + 0j, "vjp returned an array of dtype complex128 where"),
        (lambda x, g: np.array([{}] * len(x)), "vjp returned an array of dtype object where"),
        (lambda x, g: (2 * g).astype(int), "the vjp returned cotangents of dtype int64 where floats were expected"),
        (lambda x, g: (2 * jnp.asarray(g)).astype(int), "cotangents of dtype int64"),
        (lambda x, g: None, "the vjp returned no cotangent (nothing, or None) where the shape x: "),
    ],
)
def test_what_is_no_array_of_floats_is_named(vjp: Any, message: str) -> None:
    report = twice(vjp)
    assert report.verdict is Verdict.ERROR
    assert message in next(p.reason for p in report.properties if p.name == "vjp")


def test_objects_that_are_numbers_and_python_scalars_are_accepted() -> None:
    assert twice(lambda x, g: np.array([2 * float(v) for v in g], dtype=object)).ok
    rule = bp.Rule(
        "square",
        forward=lambda x: float(x) ** 2,
        vjp=lambda x, g: 2 * float(x) * float(g),
        inputs={"x": bp.array("", low=-8, high=8)},
    )
    assert bp.check(rule, points=10, dtypes=("float64",)).ok


def test_a_table_that_other_code_computed_may_be_off_by_roundings() -> None:
    """The Fourier transform of forward is exact, that of the identity in the rule is one of floats."""

    def forward(x: Any) -> Any:
        return np.fft.rfft(x).real

    def matrix(x: Any) -> Any:
        return np.fft.rfft(np.eye(len(x)), axis=0).real

    assert twice(lambda x, g: matrix(x).T @ g, forward).ok
    assert twice(lambda x, g: -matrix(x).T @ g, forward).verdict is Verdict.FALSIFIED
    assert twice(lambda x, g: (matrix(x) + 1e-12).T @ g, forward).verdict is Verdict.FALSIFIED


def test_linearity_is_held_to_the_format_in_which_code_computes() -> None:
    rng = np.random.default_rng(0)
    g, h = rng.standard_normal((2, 3, 50))

    def narrow(a: Any) -> Any:
        return (a * np.pi).astype(np.float32).astype(np.float64)

    def wrong(a: Any) -> Any:
        return narrow(a) + 0.5

    for rule, status in ((narrow, Status.AGREES), (wrong, Status.REFUTED)):
        outcomes = judge_identity(
            lambda x, rule=rule: [rule(2 * x[0] + x[1])],  # type: ignore[misc]
            lambda x, rule=rule: [2 * rule(x[0]) + rule(x[1])],  # type: ignore[misc]
            [g, h],
        )
        assert {o.status for o in outcomes} == {status}


def test_a_linear_rule_in_bfloat16_may_round_what_cancels() -> None:
    g, h = (FORMATS["bfloat16"].round(np.array([[a], [b]])) for a, b in ((0.64, 0.93), (1.66, -1.8)))
    for bend, status in ((0.0, Status.AGREES), (1.0, Status.REFUTED)):

        def rule(a: Any, bend: float = bend) -> Any:
            return FORMATS["bfloat16"].round(8.64 * a + bend * 1e3)

        outcomes = judge_identity(
            lambda x: [rule(2 * x[0] + x[1])],
            lambda x: [2 * rule(x[0]) + rule(x[1])],
            [g, h],
        )
        assert {o.status for o in outcomes} == {status}


def verdict(forward: Any, dims: str = "n", **rule: Any) -> Verdict:
    return bp.check(
        bp.Rule("odd", forward=forward, inputs={"x": bp.array(dims, low=-8, high=8)}, **rule),
        points=40,
        dtypes=("float64",),
    ).verdict


def test_truth_values_and_integers_are_numbers_in_a_contraction_with_floats() -> None:
    def relu_sum(x: Any) -> Any:
        return jnp.maximum(x, 0).sum()

    assert verdict(relu_sum, jvp=lambda x, t: jnp.dot(x > 0, t)) is Verdict.HOLDS
    assert verdict(relu_sum, jvp=lambda x, t: jnp.dot(x < 0, t)) is Verdict.FALSIFIED
    assert verdict(lambda x: jnp.dot(jnp.arange(3), x), "3", vjp=lambda x, g: g * jnp.arange(3.0)) is Verdict.HOLDS
    assert verdict(lambda x: jnp.dot(jnp.arange(3), x), "3", vjp=lambda x, g: g * jnp.ones(3)) is Verdict.FALSIFIED


def test_a_refusal_by_differences_goes_without_tables_of_what_balls_lack() -> None:
    assert verdict(jnp.abs, vjp=lambda x, g: jnp.where(jnp.signbit(x), -g, g)) is Verdict.HOLDS
    assert verdict(jnp.abs, vjp=lambda x, g: jnp.where(jnp.signbit(x), g, -g)) is Verdict.FALSIFIED
    assert verdict(jnp.sin, vjp=lambda x, g: g * jnp.nextafter(x, x + 1)) is Verdict.FALSIFIED


def test_a_wrong_rule_that_raises_at_other_sizes_does_not_run_as_it_should() -> None:
    def sine(vjp: Any) -> bp.Report:
        return bp.check(
            bp.Rule("sine", forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")}), points=40, dtypes=("float64",)
        )

    report = sine(lambda x, g: g @ np.zeros((3, 3)))
    assert report.verdict is Verdict.ERROR
    assert "vjp raised ValueError" in report.properties[0].reason
    assert any("not the derivative of forward" in n for n in report.properties[0].notes)
    assert sine(lambda x, g: g @ np.zeros((len(g), len(g)))).verdict is Verdict.FALSIFIED


def test_a_workspace_that_the_code_keeps_by_shape_holds_real_arrays() -> None:
    def kept(factor: float) -> Any:
        cache: dict[Any, Any] = {}

        def vjp(x: Any, g: Any) -> Any:
            if x.shape not in cache:
                cache[x.shape] = np.zeros_like(x)
            return factor * g * np.cos(x) + cache[x.shape]

        return vjp

    assert verdict(np.sin, vjp=kept(1.0)) is Verdict.HOLDS
    assert verdict(np.sin, vjp=kept(2.0)) is Verdict.FALSIFIED
