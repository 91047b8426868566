"""Of a derivative with many entries the wrong one is found by halves."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles import exact, shown, vectors
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status
from tests.harness.oracles.problems import vjp_problem

N = 37


def of_two(x, y):  # type: ignore[no-untyped-def]
    return jnp.sum(x * x) * y


def right(x, y, g):  # type: ignore[no-untyped-def]
    return 2 * x * jnp.sum(g * y), g * jnp.sum(x * x)


def outcomes(problem: DerivativeProblem, x: list[np.ndarray], d: list[np.ndarray]) -> list[Outcome]:
    return exact.ExactLayer().derivative(problem, x, d)


@pytest.fixture(autouse=True)
def _all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "LOCALISED", 4)


def at(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(N, 3)), rng.normal(size=(2, 3))]


@pytest.mark.parametrize(("argument", "entry"), [(0, (0,)), (0, (30,)), (0, (N - 1,)), (1, (0,)), (1, (1,))])
def test_the_wrong_entry_of_many_is_named(argument: int, entry: tuple[int]) -> None:
    def wrong(x, y, g):  # type: ignore[no-untyped-def]
        found = list(right(x, y, g))
        found[argument] = found[argument].at[entry].multiply(1.001)
        return tuple(found)

    rng = np.random.default_rng(3)
    x, g = at(rng), [rng.normal(size=(2, 3))]
    first, *rest = outcomes(vjp_problem(of_two, wrong, [(N,), (2,)]), x, g)
    assert first.status is Status.REFUTED and (first.argument, first.entry) == (argument, entry)
    assert first.got_value == pytest.approx(1.001 * float(first.expected_value or 0))
    assert {o.status for o in rest} == {Status.APART}
    assert {o.status for o in outcomes(vjp_problem(of_two, right, [(N,), (2,)]), x, g)} == {Status.AGREES}


def test_an_entrywise_derivative_is_compared_whole_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its zeros are no sums of terms that cancel: any other value is refused."""
    monkeypatch.setattr(shown, "LOCALISED", 4)
    rule = lambda x, g: 2 * g * x + jnp.where(x == 0, 1e-3, 0.0)  # noqa: E731
    x = np.arange(float(N))[:, None]
    (found,) = outcomes(vjp_problem(lambda x: x * x, rule, [(N,)]), [x], [np.ones((N, 1))])
    assert found.status is Status.REFUTED and found.entry == (0,)


def test_a_large_derivative_is_not_computed_entry_by_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "LOCALISED", 4)
    problem = vjp_problem(of_two, right, [(N,), (2,)])
    point = [lift_floats([a])[0] for a in (np.ones((N, 1)), np.ones((2, 1)))]
    with pytest.raises(Undecided, match="39 entries"):
        vectors.vector(problem, point, [lift(np.ones((2, 1)))])


def test_a_gap_that_rounding_explains_is_no_refusal() -> None:
    def rounded(x, y, g):  # type: ignore[no-untyped-def]
        return 2 * x * jnp.sum(g * y) * np.float64(1 + 2**-52), g * jnp.sum(x * x)

    rng = np.random.default_rng(4)
    found = outcomes(vjp_problem(of_two, rounded, [(N,), (2,)]), at(rng), [rng.normal(size=(2, 3))])
    assert {o.status for o in found} == {Status.UNDECIDED} and "apart" in found[0].note
