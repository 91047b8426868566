"""LAPACK's results lie within their bounds, which tell something; results that are off by more do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
import pytest
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.bounds import matrices
from backprove.harness.numbers.bounds.bounds import Running
from tests.harness.numbers.matrix_cases import definite

POINTS = 40

Numbers = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Numbers]


@pytest.fixture(autouse=True)
def precision() -> Any:
    before, ctx.prec = ctx.prec, 400
    yield
    ctx.prec = before


FAMILIES: dict[str, Draw] = {
    "random": lambda rng, n: rng.normal(size=(n, n)),
    "ill-conditioned": lambda rng, n: (
        rng.normal(size=(n, n)) @ np.diag(10.0 ** -rng.uniform(0, 8, n)) @ rng.normal(size=(n, n))
    ),
    "graded": lambda rng, n: rng.normal(size=(n, n)) * 10.0 ** rng.uniform(-6, 6, (n, 1)),
    "growing": lambda rng, n: np.eye(n) - np.tri(n, n, -1) + np.eye(n)[-1] * rng.normal(size=(n, 1)),
    "sparse": lambda rng, n: (
        rng.integers(0, 5, (n, n)) * (rng.random((n, n)) < 0.4) + np.diag(rng.integers(1, 4, n) + 0.5)
    ),
    "of small integers": lambda rng, n: rng.integers(-3, 4, (n, n)) + 0.0,
}

FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "inv": (jnp.linalg.inv, np.linalg.inv),
    "solve": (lambda a: jnp.linalg.solve(a, a[::-1, :1] + 1), lambda a: np.linalg.solve(a, a[::-1, :1] + 1)),
    "slogdet": (lambda a: jnp.linalg.slogdet(a)[1], lambda a: np.linalg.slogdet(a)[1]),
    "cholesky": (lambda a: jnp.linalg.cholesky(definite(a)), lambda a: np.linalg.cholesky(definite(a))),
    "triangular": (
        lambda a: jsl.solve_triangular(a, a[::-1, :1] + 1, lower=True),
        lambda a: jsl.solve_triangular(a, a[::-1, :1] + 1, lower=True),
    ),
}


def looked_at(name: str, family: str, n: int) -> tuple[list[float], list[float]]:
    """Errors of single results divided by their bounds, and the bounds in units of roundings."""
    rng = np.random.default_rng(n)
    a = np.stack([FAMILIES[family](rng, n) for _ in range(POINTS)], axis=-1)
    traced, called = FUNCTIONS[name]
    with jax.enable_x64(True):
        program = trace(traced, ((n, n), "float64"))
    (bounds,), (exact,) = Running("float64").run(program, [a]), ProgramOnBalls(program).balls([lift(a)])
    ratios, sizes = [], []
    for p in range(POINTS):
        try:
            with jax.enable_x64(True):
                result = np.asarray(called(a[..., p]))
        except np.linalg.LinAlgError:
            continue
        for i in np.ndindex(result.shape):
            e, ball = float(bounds.e[(*i, p)]), exact[(*i, p)]
            if np.isfinite(e) and ball.is_finite():
                off = float(abs(arb(float(result[i])) - ball).mid())
                ratios.append(off / e if e else 0.0 if off == 0 else np.inf)
                sizes.append(e / (2.0**-53 * (abs(float(ball.mid())) + 1e-300)))
    return ratios, sizes


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_result_is_farther_off_than_its_bound(name: str, family: str, n: int) -> None:
    ratios, _ = looked_at(name, family, n)
    assert max(ratios, default=0.0) <= 1
    # pivots tie in every growing matrix, and the bound of single factors needs their order
    nothing_is_claimed = (name, family) == ("slogdet", "growing") and n > 2
    assert (len(ratios) > 20) != nothing_is_claimed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bound_of_a_random_matrix_says_something(name: str) -> None:
    _, sizes = looked_at(name, "random", 3)
    assert np.median(sizes) < 5000


def test_a_zero_of_an_inverse_has_an_error_of_second_order() -> None:
    """LAPACK gives 2e-33 for an entry that is 0, and of which every product of first order is 0."""
    a = np.array([[0, 3, 0, 0, 1], [1, 0, 0, 3, 1], [0, 0, 0, 1, 0], [0, 4, 1, 0, 1], [1, 2, 0, 0, 0]]) + 0.0
    with jax.enable_x64(True):
        program = trace(jnp.linalg.inv, ((5, 5), "float64"))
    (bounds,), (exact,) = (
        Running("float64").run(program, [a[..., None]]),
        ProgramOnBalls(program).balls([lift(a[..., None])]),
    )
    assert exact[3, 3, 0].contains(0)
    assert 2e-33 < bounds.e[3, 3, 0] < 1e-27


def test_a_charge_of_next_to_nothing_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "MATRIX_CHARGE", 0.005)
    ratios, _ = looked_at("inv", "random", 3)
    assert max(ratios) > 1


def test_ties_of_pivots_leave_a_solution_its_bound() -> None:
    a = np.array([[1.0, 2.0, 0.3], [1.0, 0.2, 1.0], [-1.0, 1.0, 1.0]])[..., None] / 3
    with jax.enable_x64(True):
        program = trace(jnp.linalg.inv, ((3, 3), "float64"))
    (bounds,) = Running("float64").run(program, [a])
    assert (bounds.e < 1e-13).all()


def test_nothing_is_claimed_of_a_matrix_that_is_nearly_singular() -> None:
    a = np.array([[1.0, 1.0], [1.0, 1.0 + 2.0**-52]])[..., None]
    with jax.enable_x64(True):
        program = trace(jnp.linalg.inv, ((2, 2), "float64"))
    (bounds,) = Running("float64").run(program, [a])
    assert np.isinf(bounds.e).all()
