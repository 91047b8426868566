"""Gaps over the reals that floats cannot show are no refusals; larger ones are, at the same settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.oracles.mean_value import by_mean_value
from backprove.harness.oracles.problem import Status
from tests.harness.oracles.problems import judge, points_last, vjp_problem

ULP = 2.0**-52


def newton(x: Any) -> Any:
    y = jnp.maximum(x, 1.0)
    for _ in range(60):
        y = 0.5 * (y + x / y)
    return y


def sinc(x: Any) -> Any:
    """With a Taylor branch."""
    near = 1 - x * x / 6 * (1 - x * x / 20 * (1 - x * x / 42))
    return jnp.where(jnp.abs(x) < 0.01, near, jnp.sin(x) / jnp.where(x == 0, 1.0, x))


def sinc_vjp(x: Any, g: Any) -> Any:
    near = -x / 3 * (1 - x * x / 10 * (1 - x * x / 28 * (1 - x * x / 54)))
    far = (x * jnp.cos(x) - jnp.sin(x)) / jnp.where(x == 0, 1.0, x * x)
    return g * jnp.where(jnp.abs(x) < 0.01, near, far)


def mish(x: Any) -> Any:
    return x * jnp.tanh(jnp.where(x > 20, x, jnp.log1p(jnp.exp(jnp.minimum(x, 20.0)))))


def mish_vjp(x: Any, g: Any) -> Any:
    t = jnp.tanh(jnp.logaddexp(x, 0.0))
    return g * (t + x * (1 - t * t) * jax.nn.sigmoid(x))


def dawsn_vjp(x: Any, g: Any) -> Any:
    return g * (1 - 2 * x * jax.scipy.special.dawsn(x))


APPROXIMATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], float]] = {
    "newton": (newton, lambda x, g: g * 0.5 / jnp.sqrt(x), 0.7),
    "sinc": (sinc, sinc_vjp, 0.0078125),
    "mish": (mish, mish_vjp, 21.0),
    "dawsn": (jax.scipy.special.dawsn, dawsn_vjp, 0.125),
    "exp to 2 ulp": (jnp.exp, lambda x, g: g * jnp.exp(x) * (1 + 2 * ULP), 1.0),
}


EXACT = {"newton", "dawsn"}
"""Whose iteration leaves less than the exact layer resolves, or whose gap the rounding of a table explains."""


@pytest.mark.parametrize("name", APPROXIMATIONS)
def test_an_approximation_agrees_up_to_rounding(name: str) -> None:
    forward, rule, x = APPROXIMATIONS[name]
    outcome = judge(vjp_problem(forward, rule, [(1,)]), [[x]], [[1.0]])
    assert outcome.status is Status.AGREES
    assert name in EXACT or (outcome.ulps is not None and outcome.ulps > 0)


@pytest.mark.parametrize("name", APPROXIMATIONS)
def test_a_hundred_ulps_are_refused(name: str) -> None:
    forward, rule, x = APPROXIMATIONS[name]
    outcome = judge(vjp_problem(forward, lambda a, g: rule(a, g) * (1 + 100 * ULP), [(1,)]), [[x]], [[1.0]])
    assert outcome.status is Status.REFUTED
    assert outcome.got_value != outcome.expected_value


def test_conditioning_allows_more() -> None:
    """At x = 1e6 a rounding of x moves the slope of sin by 1e6 roundings."""

    def off(ulps: float) -> Callable[..., Any]:
        return lambda x, g: g * jnp.cos(x) + g * ulps * ULP

    def outcome(x: float, ulps: float) -> Status:
        return judge(vjp_problem(jnp.sin, off(ulps), [(1,)]), [[x]], [[1.0]]).status

    assert outcome(1e6, 1e5) is Status.AGREES
    assert outcome(1.0, 1e5) is Status.REFUTED
    assert outcome(1e6, 1e8) is Status.REFUTED


def project(x: Any) -> Any:
    return x / jnp.sqrt((x * x).sum())


def project_vjp(x: Any, g: Any, factor: float = 1.0) -> Any:
    return (g - x * (x * g).sum() / (x * x).sum() * factor) / jnp.sqrt((x * x).sum())


def test_an_entry_of_zero_is_measured_at_the_scale_of_its_result() -> None:
    """The slope of x / |x| along x is zero, as a difference of two terms of size 1."""
    for factor, status in ((1 + ULP, Status.AGREES), (1 + 100 * ULP, Status.REFUTED)):
        problem = vjp_problem(project, lambda x, g, f=factor: project_vjp(x, g, f), [(2,)])
        assert judge(problem, [[2.0, 0.0]], [[1.0, 1.0]]).status is status


@pytest.mark.parametrize("x", [[1.0, 1.0], [0.5, 3.0]])
def test_a_value_from_nowhere_is_not_hidden_by_large_entries(x: list[float]) -> None:
    """0.75 for zero beside 1e18, in one sum and in an entrywise map."""

    def forward(x: Any, w: Any) -> Any:
        return (x * w).sum()

    def rule(x: Any, w: Any, g: Any) -> Any:
        return g * (w + jnp.where(w == 0, 0.75, 0.0)), g * x

    assert judge(vjp_problem(forward, rule, [(2,), (2,)]), [x, [0.0, 1e18]], [1.0]).status is Status.REFUTED
    each = vjp_problem(lambda x, w: x * w, rule, [(2,), (2,)])
    assert judge(each, [x, [0.0, 1e18]], [[1.0, 1.0]]).status is Status.REFUTED


def test_the_mean_value_form_allows_the_same() -> None:
    for ulps, status in ((2, Status.AGREES), (100, Status.REFUTED)):
        problem = vjp_problem(jnp.exp, lambda x, g, k=ulps: g * jnp.exp(x) * (1 + k * ULP), [(1,)])
        assert by_mean_value(problem, [points_last([1.0])], [points_last([1.0])]).status is status


# -- at kinks ----------------------------------------------------------------------------------------------------------


def test_zero_at_a_kink_is_measured_at_the_scale_of_its_result() -> None:
    """|x0 - 1| beside x / |x|: at a kink of the one, the other's entries still cancel."""

    def forward(x: Any) -> Any:
        return jnp.concatenate([project(x), jnp.abs(x[:1] - 2)])

    def rule(factor: float) -> Callable[..., Any]:
        def vjp(x: Any, g: Any) -> Any:
            return project_vjp(x, g[:2], factor) + g[2] * jnp.array([1.0, 0.0]) * jnp.sign(x - 2)

        return vjp

    for factor, refused in ((1 + ULP, False), (1 + 100 * ULP, True)):
        problem = vjp_problem(forward, rule(factor), [(2,)])
        status = judge(problem, [[2.0, 0.0]], [[1.0, 1.0, 0.0]]).status
        assert (status.refused, status.accepted) == (refused, not refused)


def test_a_value_from_nowhere_is_refused_at_a_kink_too() -> None:
    def forward(x: Any, w: Any) -> Any:
        return (jnp.abs(x) * w).sum()

    def rule(x: Any, w: Any, g: Any) -> Any:
        return g * w * jnp.sign(x), g * (jnp.abs(x) + jnp.where(x == 0, 0.75, 0.0))

    outcome = judge(vjp_problem(forward, rule, [(2,), (2,)]), [[0.0, 1e18], [1.0, 0.0]], [1.0])
    assert outcome.status.refused


def test_a_change_of_approximation_is_no_kink_that_refuses() -> None:
    """The `dawsn` of JAX changes its rational function at 3.25, where float32's constants leave a step in the slope."""
    forward = jax.scipy.special.dawsn
    for factor, refused in ((1.0, False), (1.001, True)):
        problem = vjp_problem(
            forward, lambda x, g, f=factor: dawsn_vjp(x, g) * np.float32(f), [(1,)], unit=2.0**-24, dtype="float32"
        )
        status = judge(problem, [[3.25]], [[1.0]]).status
        assert (status.refused, status.accepted) == (refused, not refused)


# -- whole rules -------------------------------------------------------------------------------------------------------


def checked(forward: Callable[..., Any], vjp: Callable[..., Any], low: float, high: float, dtype: str) -> bp.Report:
    rule = bp.Rule("r", forward=forward, vjp=vjp, inputs={"x": bp.array("n", low=low, high=high)})
    return bp.check(rule, points=300, dtypes=(dtype,))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_rule_of_an_approximation_holds_with_a_remark(dtype: str) -> None:
    report = checked(sinc, sinc_vjp, -3, 3, dtype)
    assert report.verdict is Verdict.HOLDS, str(report)
    assert any("equal up to rounding" in f for p in report.properties for f in p.findings)
    wrong = checked(sinc, lambda x, g: sinc_vjp(x, g) * (1 + 1e-4), -3, 3, dtype)
    assert wrong.verdict is Verdict.FALSIFIED


def test_units_are_those_of_the_format_where_forward_differs_from_format_to_format() -> None:
    def own(x: Any) -> Any:
        """exp by a series as long as the format asks for."""
        terms = 30 if x.dtype == jnp.float64 else 10
        t, s = 1 + 0 * x, 1 + 0 * x
        for k in range(1, terms):
            t = t * x / k
            s = s + t
        return s

    def rule(factor: float) -> Callable[..., Any]:
        return lambda x, g: g * jnp.exp(x) * np.float32(factor)

    assert checked(own, rule(1), -0.5, 0.5, "float32").verdict is Verdict.HOLDS
    assert checked(own, rule(1.0001), -0.5, 0.5, "float32").verdict is Verdict.FALSIFIED
    assert checked(jnp.exp, rule(1 + 2**-22), -0.5, 0.5, "float32").verdict is Verdict.FALSIFIED
