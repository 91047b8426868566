"""The exact layer refuses what is wrong by however little and accepts what is right at wild points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import nn as jnn

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.front_end import CodeStopped, ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.objects.front_end import CodeOnBalls
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.oracles.mean_value import by_mean_value
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status
from backprove.harness.oracles.vectors import vector
from tests.harness.numbers.cases import ACTIVATIONS
from tests.harness.oracles.problems import UNIT, judge, vjp_of, vjp_problem

C = np.sqrt(2 / np.pi)


def outcomes(problem: DerivativeProblem, inputs: list[np.ndarray], directions: list[np.ndarray]) -> list[Outcome]:
    return ExactLayer(kinks=at_kink).derivative(problem, inputs, directions)


def gelu(x: Any, cubic: float = 0.044715, three: float = 3 * 0.044715, scale: float = C) -> Any:
    """Derivative of gelu's tanh form."""
    inner = scale * (x + cubic * x**3)
    t = jnp.tanh(inner)
    return (1 + t) / 2 + x * (1 - t * t) / 2 * scale * (1 + three * x * x)


def tanh_gelu(x: Any) -> Any:
    return jnn.gelu(x, approximate=True)


@pytest.mark.parametrize("x", [0.3, -1.7, 2.5])
def test_gelu_with_a_wrong_digit_is_refused(x: float) -> None:
    def rule(**constants: float) -> Callable[..., Any]:
        return lambda x, w: w * gelu(x, **constants)

    assert judge(vjp_problem(tanh_gelu, rule(), [()]), [x], [1.5]).status is Status.AGREES
    for wrong in ({"cubic": 0.044714}, {"three": 3 * 0.044714}, {"scale": C * (1 + 1e-9)}, {"three": 0.134}):
        assert judge(vjp_problem(tanh_gelu, rule(**wrong), [()]), [x], [1.5]).status is Status.REFUTED, wrong


def test_a_constant_rounded_differently_is_accepted() -> None:
    # over the reals none of these floats is three times the float that forward holds
    for three in (3 * 0.044715, np.nextafter(0.134145, 1), np.nextafter(0.134145, 0)):
        outcome = judge(vjp_problem(tanh_gelu, lambda x, w, t=three: w * gelu(x, three=t), [()]), [0.7], [1.5])
        assert outcome.status is Status.AGREES
        assert outcome.note == "agrees within the rounding of its literals"


def test_a_relative_error_of_a_billionth_is_refused() -> None:
    right = vjp_problem(jnp.sin, lambda x, w: w * jnp.cos(x), [(3,)])
    wrong = vjp_problem(jnp.sin, lambda x, w: w * jnp.cos(x) * (1 + 1e-9), [(3,)])
    x, w = [0.1, 2.0, -3.0], [1.0, -2.0, 0.5]
    assert judge(right, [x], [w]).status is Status.AGREES
    outcome = judge(wrong, [x], [w])
    assert outcome.status is Status.REFUTED
    assert outcome.gap_bits is not None
    assert -36 < outcome.gap_bits < -24


def test_agreement_means_seventy_bits() -> None:
    # off by 2**-60: no float shows it, the balls do
    rule = lambda x, w: w * (jnp.cos(x) + x * 2.0**-60)  # noqa: E731
    seen = judge(vjp_problem(jnp.sin, rule, [()]), [1.0], [1.0])
    assert seen.status is Status.AGREES and seen.ulps == pytest.approx(2.0**-8 / np.cos(1.0))


def layer(x: Any, a: Any, b: Any) -> Any:
    return jnp.tanh(a @ x + b)


def right_layer(x: Any, a: Any, b: Any, w: Any) -> tuple[Any, Any, Any]:
    s = w * (1 - layer(x, a, b) ** 2)
    return a.T @ s, jnp.outer(s, x), s


def test_dropped_terms_and_transposed_weights_are_refused_and_named() -> None:
    shapes = [(3,), (3, 3), (3,)]
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s) for s in shapes]
    w = rng.normal(size=3)

    def outcome(change: Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]) -> Outcome:
        return judge(vjp_problem(layer, change, shapes), inputs, [w])

    def of(change: Callable[..., tuple[Any, Any, Any]]) -> Callable[..., tuple[Any, Any, Any]]:
        return lambda x, a, b, w: change(*right_layer(x, a, b, w), x, a, b, w)

    assert outcome(right_layer).status is Status.AGREES
    transposed = outcome(of(lambda dx, da, db, x, a, b, w: (a @ db, da, db)))
    assert (transposed.status, transposed.argument) == (Status.REFUTED, 0)
    outer = outcome(of(lambda dx, da, db, x, a, b, w: (dx, da.T, db)))
    assert (outer.status, outer.argument) == (Status.REFUTED, 1)
    dropped = outcome(of(lambda dx, da, db, x, a, b, w: (dx, da, w)))
    assert (dropped.status, dropped.argument) == (Status.REFUTED, 2)
    entry = outcome(of(lambda dx, da, db, x, a, b, w: (dx, da.at[2, 1].multiply(1.001), db)))
    assert (entry.status, entry.argument, entry.entry) == (Status.REFUTED, 1, (2, 1))
    assert entry.got_value is not None
    assert isinstance(entry.expected_value, float)
    assert entry.got_value / entry.expected_value == pytest.approx(1.001)


def test_a_jvp_is_judged_in_its_own_mode() -> None:
    program = trace(jnp.cumprod, ((4,), "float64"))

    def problem(rule: Callable[..., Any]) -> DerivativeProblem:
        traced = ProgramOnBalls(trace(rule, ((4,), "float64"), ((4,), "float64")))
        return DerivativeProblem(ProgramOnBalls(program), traced, "jvp", (0,), UNIT)

    def divided(x: Any, t: Any) -> Any:
        return jnp.cumprod(x) * jnp.cumsum(t / x)

    x, t = [2.0, -1.0, 0.5, 3.0], [1.0, 0.5, -2.0, 1.0]
    assert judge(problem(divided), [x], [t]).status is Status.AGREES
    assert judge(problem(lambda x, t: jnp.cumprod(x) * jnp.cumsum(t)), [x], [t]).status is Status.REFUTED
    # 0/0 where the derivative has a value
    assert judge(problem(divided), [[2.0, 0.0, 0.5, 3.0]], [t]).status is Status.UNDEFINED


WILD = np.array(
    [
        -1e4,
        -745.2,
        -88.8,
        -38.0,
        -3.0,
        -1.0,
        -0.37,
        -1e-8,
        -1e-300,
        0.0,
        1e-300,
        1e-9,
        0.61,
        1.0,
        3.0,
        6.0,
        40.0,
        710.0,
        1e4,
    ]
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_jax_nn_are_never_refused(name: str) -> None:
    forward = ACTIVATIONS[name]
    problem = vjp_problem(forward, vjp_of(forward), [()])
    found = outcomes(problem, [WILD], [np.full(WILD.size, 1.25)])
    assert not [(x, o) for x, o in zip(WILD, found, strict=True) if o.status.refused]
    assert sum(o.status.accepted for o in found) >= WILD.size - 2


@pytest.mark.parametrize(
    "forward",
    [jnn.softmax, jnn.log_softmax, jnn.logsumexp, jnn.standardize],
    ids=["softmax", "log_softmax", "logsumexp", "standardize"],
)
def test_normalisations_of_jax_nn_are_never_refused(forward: Callable[..., Any]) -> None:
    problem = vjp_problem(forward, vjp_of(forward), [(4,)])
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(4, 6)), rng.normal(size=(4, 3)) * 1e3, np.ones((4, 1))], axis=1)
    w = rng.normal(size=(*jax.eval_shape(forward, jnp.zeros(4)).shape, 10))
    found = outcomes(problem, [x], [w])
    assert not [o for o in found if o.status.refused]
    assert sum(o.status.accepted for o in found) >= 9


def test_points_are_judged_one_by_one_in_a_batch() -> None:
    """Right, wrong, kink and outside in one batch."""
    forward = lambda x: jnp.log(jnp.abs(x))  # noqa: E731
    rule = lambda x, w: w * jnp.where(x > 2, 2 / x, 1 / x)  # noqa: E731
    found = outcomes(vjp_problem(forward, rule, [()]), [np.array([1.0, 3.0, 0.0, -1.0, 5.0])], [np.ones(5)])
    assert [o.status for o in found] == [Status.AGREES, Status.REFUTED, Status.OUTSIDE, Status.AGREES, Status.APART]
    assert found[1].expected_value == pytest.approx(1 / 3)


def test_points_whose_gap_rounding_explains_do_not_hide_a_refuted_one() -> None:
    """A constant of float64 is off by half an ulp everywhere; the rule is wrong at one point of many."""
    third = np.float64(1 / 3)
    rule = lambda x, w: w * jnp.where(x == 11, 0.34, third)  # noqa: E731
    x = np.arange(30.0)
    found = outcomes(vjp_problem(lambda x: x / 3, rule, [()]), [x], [np.ones(30)])
    assert [k for k, o in enumerate(found) if o.status is Status.REFUTED] == [11]
    assert {o.status for o in found[:11]} == {Status.AGREES}


@pytest.mark.parametrize("off", [0.0, 1e-12, -1e-12])
def test_literals_taken_back_along_one_direction_hide_no_entry(off: float) -> None:
    """The same for a sum, whose entries are not looked at one by one once literals have explained a few points."""
    third = np.float64(1 / 3)

    def rule(x: Any, w: Any) -> Any:
        right = jnp.cumsum(w[::-1])[::-1] * third
        return right.at[2].set(jnp.where(x[0] == 11, right[2] * (1 + off), right[2]))

    x = np.stack([np.arange(30.0), np.ones(30), np.full(30, 2.0), np.full(30, -1.0)])
    w = np.random.default_rng(0).integers(-8, 9, (4, 30)) / 4
    found = outcomes(vjp_problem(lambda x: jnp.cumsum(x) / 3, rule, [(4,)]), [x], [w])
    assert [k for k, o in enumerate(found) if o.status is Status.REFUTED] == ([11] if off else [])
    assert {o.status for o in found[:11]} == {Status.AGREES}


def test_all_entries_at_many_points_for_programs_and_for_code() -> None:
    program = trace(lambda x: jnp.exp(x) * x[::-1], ((3,), "float64"))
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    wanted = np.exp(x) * x[::-1] * w + (np.exp(x) * w)[::-1]

    def code(y: Any) -> Any:
        return np.exp(y) * y[::-1]

    for forward in (ProgramOnBalls(program), CodeOnBalls(code)):
        problem = DerivativeProblem(forward, forward, "vjp", (0,), UNIT)
        (entries,) = vector(problem, [lift(x)], [lift(w)])
        assert np.allclose(entries.astype(float), wanted, rtol=1e-14)


@dataclass(frozen=True)
class GivesUp:
    """A function at which balls give up, with the exception given."""

    why: Undecided
    is_entrywise: bool = False

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        raise self.why

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        raise self.why


@pytest.mark.parametrize("why", [CodeStopped(ValueError("no")), Undecided(str(CodeStopped(ValueError("no"))))])
def test_only_the_kind_of_the_exception_says_that_code_stopped(why: Undecided) -> None:
    problem = DerivativeProblem(GivesUp(why), GivesUp(why), "vjp", (0,), UNIT)
    (outcome,) = ExactLayer(second=by_mean_value).derivative(problem, [np.ones((1, 1))], [np.ones((1, 1))])
    assert (outcome.status, outcome.note) == (Status.UNDECIDED, str(why))
    assert outcome.stopped == isinstance(why, CodeStopped)


def test_a_reason_called_kink_is_no_kink() -> None:
    problem = DerivativeProblem(GivesUp(Undecided("kink")), GivesUp(Undecided("kink")), "vjp", (0,), UNIT)
    (outcome,) = outcomes(problem, [np.ones((1, 1))], [np.ones((1, 1))])
    assert (outcome.status, outcome.note) == (Status.UNDECIDED, "kink")


def test_a_norm_that_only_chooses_how_to_compute_is_no_kink() -> None:
    """The kink of |x| ends at floor, whose own jumps are watched: `expm` chooses its approximation by a norm so."""

    def scaled(x: Any, start: float) -> Any:
        return x * jnp.floor(jnp.abs(x) + start)

    def status(start: float, x: float, slope: float) -> Status:
        return judge(vjp_problem(lambda x: scaled(x, start), lambda x, w: slope * w + 0 * x, [()]), [x], [1.0]).status

    assert status(1.5, 0.0, 1.0) is Status.AGREES
    assert status(1.5, 0.0, 1.001) is Status.REFUTED
    assert status(0.0, 1.0, 3.0) is Status.SINGULAR  # it jumps from 0 to 1


def test_one_undecided_point_does_not_part_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexing at `floor(log(0))` is undecided; the 31 other points are evaluated in a few groups."""
    sizes: list[int] = []
    compare = ExactLayer._compare

    def counted(self: ExactLayer, problem: Any, x: Any, d: Any, index: Any, out: Any) -> Any:
        sizes.append(len(index))
        return compare(self, problem, x, d, index, out)

    monkeypatch.setattr(ExactLayer, "_compare", counted)
    problem = vjp_problem(
        lambda x: x * jnp.ones(3)[jnp.floor(jnp.log(jnp.abs(x))).astype(int)], lambda x, w: w + 0 * x, [()]
    )
    x = np.concatenate([[0.0], np.linspace(1.1, 2.5, 31)])
    found = ExactLayer(precisions=(200,)).derivative(problem, [x], [np.ones(32)])
    assert [o.status for o in found[1:]] == [Status.AGREES] * 31 and found[0].status is not Status.AGREES
    assert len(sizes) <= 11
