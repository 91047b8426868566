"""The mean-value form, which knows no table of derivatives, against those of two variables, powers and programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx
from jax.scipy.special import i0e, i1e

import backprove as bp
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls.arrays import pointwise
from backprove.harness.numbers.balls.dual import Dual
from backprove.harness.numbers.balls.duals import DualBalls
from backprove.harness.numbers.elementary.table import ROWS
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.mean_value import by_mean_value, mean_value
from backprove.harness.oracles.problem import DerivativeProblem, Status
from tests.harness.oracles.problems import UNIT, points_last, vjp_problem

Array = Any
POINTS = 20

BINARY_DOMAINS: dict[str, tuple[float, float]] = {"pow": (0.1, 4.0), "div": (0.1, 4.0)}


class OnBalls:
    """A function of enclosures as an `ExactFunction`; it has no tangents."""

    is_entrywise = False

    def __init__(self, call: Callable[..., Array]) -> None:
        self.call = call

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        result = self.call(*inputs)
        return result if isinstance(result, list) else [result]

    def duals(self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0) -> Any:
        raise AssertionError("the mean-value form has no use for tangents")


def problem(forward: Callable[..., Array], rule: Callable[..., Array], inputs: int = 1) -> DerivativeProblem:
    return DerivativeProblem(OnBalls(forward), OnBalls(rule), "vjp", tuple(range(inputs)), UNIT)


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
        rule = lambda a, w: w * pointwise(arb.sgn, a)  # noqa: E731
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


@pytest.fixture
def no_slope_of_i0e(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of functions that has the value of exp(-|x|) I0(x) alone."""
    row = ROWS["bessel_i0e"]
    bare = dataclasses.replace(row, slope=None, kink=None, holes={**row.holes, "slope": "left out"})
    monkeypatch.setitem(ROWS, "bessel_i0e", bare)


def rule_of_i0e(slope: Callable[..., Any]) -> bp.Rule:
    """A rule of exp(-|x|) I0(x), a function of which the derivative table has no row."""
    return bp.Rule("i0e", forward=i0e, vjp=lambda x, g: g * slope(x), inputs={"x": bp.array("", nonzero=True)})


def right_slope(x: Any) -> Any:
    return i1e(x) - jnp.sign(x) * i0e(x)


def wrong_slope(x: Any) -> Any:
    return right_slope(x) * (1 + 1e-9)


@pytest.mark.usefixtures("no_slope_of_i0e")
@pytest.mark.parametrize(("slope", "verdict"), [(right_slope, "holds"), (wrong_slope, "falsified")])
def test_a_rule_without_a_row_in_the_table_is_decided(slope: Callable[..., Any], verdict: str) -> None:
    """Relative 1e-9 is far below what differences of the float code can see."""
    report = bp.check(rule_of_i0e(slope), points=200, dtypes=["float64"])
    result = report.properties[0]
    assert result.verdict == verdict
    assert result.layers["exact"].agreed > 0 or verdict == "falsified"
    if verdict == "falsified":
        assert result.counterexample is not None and result.counterexample.oracle == "the mean-value form in balls"


@pytest.mark.usefixtures("no_slope_of_i0e")
def test_without_the_second_form_nothing_decides_it() -> None:
    case = vjp_problem(i0e, lambda x, g: g * wrong_slope(x), [()])
    points = [np.array([0.5, -3.0])], [np.ones(2)]
    with pytest.raises(UnsupportedPrimitive):
        ExactLayer().derivative(case, *points)
    found = ExactLayer(second=by_mean_value).derivative(case, *points)
    assert [o.status for o in found] == [Status.REFUTED] * 2
    assert found[0].argument == 0 and found[0].entry == ()
    assert found[0].got_value == pytest.approx(float(wrong_slope(0.5)), rel=1e-6)  # JAX in float32


class Shy:
    """A function whose dual balls are too wide to tell anything."""

    is_entrywise = False

    def __init__(self, function: Any) -> None:
        self.balls = function.balls
        self.function = function

    def duals(self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0) -> Any:
        values, moved, touched = self.function.duals(inputs, tangents, widen)
        return values, [pointwise(lambda b: b + arb(0, 1e3), m) for m in moved], touched


@pytest.mark.parametrize(("factor", "status"), [(1.0, Status.AGREES), (1 + 2.0**-40, Status.REFUTED)])
def test_what_dual_balls_leave_undecided_is_decided(factor: float, status: Status) -> None:
    case = vjp_problem(lambda x: jnp.exp(x).sum(), lambda x, g: g * jnp.exp(x) * factor, [(3,)])
    case = dataclasses.replace(case, forward=Shy(case.forward), unit=2.0**-60)
    points = [np.array([[0.5], [-3.0], [0.0]])], [np.ones(1)]
    assert ExactLayer().derivative(case, *points)[0].status is Status.UNDECIDED
    found = ExactLayer(second=by_mean_value).derivative(case, *points)[0]
    assert found.status is status
    if status is Status.REFUTED:
        assert found.entry is not None and found.oracle == "the mean-value form in balls"


def test_a_jump_is_no_refusal() -> None:
    """The quotient across a jump grows as the step shrinks."""
    case = vjp_problem(jnp.floor, lambda x, g: 0.0 * g, [()])
    assert by_mean_value(case, [np.array([2.0])], [np.ones(1)]).status is Status.UNDECIDED
    assert by_mean_value(case, [np.array([2.5])], [np.ones(1)]).status is Status.AGREES


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_no_member_of_the_derivative_at_a_kink_is_refused(value: float) -> None:
    def vjp(x: Any, g: Any) -> Any:
        return jnp.where(x > 0, g, jnp.where(x < 0, 0 * g, value * g))

    case = vjp_problem(lambda x: jnp.maximum(x, 0), vjp, [()])
    assert by_mean_value(case, [np.zeros(1)], [np.ones(1)]).status is not Status.REFUTED


def test_rounded_literals_are_no_refusal() -> None:
    case = vjp_problem(lambda x: jnp.exp(0.7 * x), lambda x, g: g * 0.7 * jnp.exp(0.7 * x) * (1 + 1e-15), [()])
    assert by_mean_value(case, [np.array([1.5])], [np.ones(1)]).status is Status.UNDECIDED
