"""The mean-value form, which knows no table of derivatives, against every row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx

from backprove.harness.oracles.exact import DerivativeProblem, Status
from backprove.harness.oracles.mean_value import mean_value
from backprove.harness.systems import ball_functions as bf
from backprove.harness.systems.ball_arrays import pointwise
from backprove.harness.systems.duals import Dual, DualBalls
from tests.harness.oracles.problems import UNIT, points_last, vjp_problem

Array = Any
POINTS = 20

DOMAINS: dict[str, tuple[float, float]] = {
    "log": (0.01, 9.0),
    "log1p": (-0.95, 9.0),
    "acosh": (1.05, 9.0),
    "atanh": (-0.95, 0.95),
    "tan": (-1.5, 1.5),
    "asin": (-0.95, 0.95),
    "acos": (-0.95, 0.95),
    "sqrt": (0.01, 9.0),
    "rsqrt": (0.01, 9.0),
    "erf_inv": (-0.95, 0.95),
    "lgamma": (0.05, 9.0),
    "digamma": (0.05, 9.0),
}
"""Where it is not the interval from -4 to 4."""

BINARY_DOMAINS: dict[str, tuple[float, float]] = {"pow": (0.1, 4.0), "div": (0.1, 4.0)}


class OnBalls:
    """A function of enclosures as an `ExactFunction`; it has no tangents."""

    def __init__(self, call: Callable[..., Array]) -> None:
        self.call = call

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        result = self.call(*inputs)
        return result if isinstance(result, list) else [result]

    def duals(self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0) -> Any:
        raise AssertionError("the mean-value form has no use for tangents")


def problem(forward: Callable[..., Array], rule: Callable[..., Array], inputs: int = 1) -> DerivativeProblem:
    return DerivativeProblem(OnBalls(forward), OnBalls(rule), "vjp", tuple(range(inputs)), UNIT)


@pytest.mark.parametrize("name", bf.SMOOTH)
def test_every_slope_of_one_variable(name: str) -> None:
    row = bf.SMOOTH[name]

    def rule(x: Array, w: Array) -> Array:
        return w * pointwise(lambda v: row.slope(v, row.value(v)), x)

    def wrong(x: Array, w: Array) -> Array:
        return rule(x, w) * (arb(1) + arb(2) ** -40)

    low, high = DOMAINS.get(name, (-4.0, 4.0))
    rng = np.random.default_rng(3)
    for x in rng.uniform(low, high, POINTS):
        forward = lambda a: pointwise(row.value, a)  # noqa: E731
        assert mean_value(problem(forward, rule), [np.array([x])], [np.array([1.5])]).status is Status.AGREES, x
        assert mean_value(problem(forward, wrong), [np.array([x])], [np.array([1.5])]).status is Status.REFUTED, x


@pytest.mark.parametrize("name", [*bf.BINARY, "logaddexp"])
def test_every_slope_of_two_variables(name: str) -> None:
    def rule(a: Array, b: Array, w: Array) -> list[Array]:
        slopes = []
        for k in (0, 1):
            pair = [Dual(v, np.array([bf.ONE if i == k else bf.ZERO])) for i, v in enumerate((a, b))]
            slopes.append(w * DualBalls(1).combine(name, *pair).t)
        return slopes

    def forward(a: Array, b: Array) -> Array:
        return DualBalls(1).combine(name, Dual(a), Dual(b)).v

    low, high = BINARY_DOMAINS.get(name, (-4.0, 4.0))
    rng = np.random.default_rng(4)
    for a, b in rng.uniform(low, high, (POINTS, 2)):
        outcome = mean_value(problem(forward, rule, 2), [np.array([a]), np.array([b])], [np.array([-0.75])])
        assert outcome.status is Status.AGREES, (a, b, outcome)
        flipped = lambda p, q, w: [rule(p, q, w)[1], rule(p, q, w)[0] * 3]  # noqa: E731
        outcome = mean_value(problem(forward, flipped, 2), [np.array([a]), np.array([b])], [np.array([-0.75])])
        assert outcome.status is Status.REFUTED, (a, b, outcome)


def test_integer_powers_and_abs_away_from_zero() -> None:
    for n in (-3, -1, 2, 3, 7):
        for x in (-2.5, 0.3, 4.0):
            forward = lambda a, n=n: pointwise(lambda v: bf.integer_pow(v, n), a)  # noqa: E731
            rule = lambda a, w, n=n: w * pointwise(lambda v: n * bf.integer_pow(v, n - 1), a)  # noqa: E731
            assert mean_value(problem(forward, rule), [np.array([x])], [np.array([1.0])]).status is Status.AGREES
    for x in (-2.5, 1e-300, 4.0):
        forward = lambda a: pointwise(abs, a)  # noqa: E731
        rule = lambda a, w: w * pointwise(bf.sign, a)  # noqa: E731
        assert mean_value(problem(forward, rule), [np.array([x])], [np.array([1.0])]).status is Status.AGREES


def test_programs_in_both_modes_and_outside_the_domain() -> None:
    right = vjp_problem(
        lambda x: jnp.exp(x) * x[::-1], lambda x, w: jnp.exp(x) * x[::-1] * w + (jnp.exp(x) * w)[::-1], [(3,)]
    )
    wrong = vjp_problem(
        lambda x: jnp.exp(x) * x[::-1], lambda x, w: jnp.exp(x) * x[::-1] * w + jnp.exp(x) * w[::-1], [(3,)]
    )
    x, w = points_last([0.5, -1.0, 2.0]), points_last([1.0, 2.0, -0.5])
    assert mean_value(right, [x], [w]).status is Status.AGREES
    refused = mean_value(wrong, [x], [w])
    assert refused.status is Status.REFUTED
    assert refused.got
    assert refused.expected
    forward = OnBalls(lambda a: pointwise(arb.log, a))
    jvp = DerivativeProblem(forward, OnBalls(lambda a, t: t / a), "jvp", (0,), UNIT)
    assert mean_value(jvp, [np.array([2.0])], [np.array([1.5])]).status is Status.AGREES
    double = DerivativeProblem(forward, OnBalls(lambda a, t: t / a / a), "jvp", (0,), UNIT)
    assert mean_value(double, [np.array([2.0])], [np.array([1.5])]).status is Status.REFUTED
    assert mean_value(jvp, [np.array([-2.0])], [np.array([1.5])]).status is Status.OUTSIDE
    ctx.prec = 53
