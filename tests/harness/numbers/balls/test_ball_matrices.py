"""Balls enclose factors and solutions, singular matrices have none, and duals see the matrix behind the factors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from jax import lax

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def precision() -> Any:
    before, ctx.prec = ctx.prec, 160
    yield
    ctx.prec = before


def on_balls(call: Any, *arrays: np.ndarray) -> ProgramOnBalls:
    with jax.enable_x64(True):
        return ProgramOnBalls(trace(call, *((a.shape[:-1], "float64") for a in arrays)))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_an_inverse_is_flints(n: int) -> None:
    a = RNG.normal(size=(n, n, 3))
    (found,) = on_balls(jnp.linalg.inv, a).balls([lift(a)])
    for p in range(3):
        wanted = arb_mat([[arb(float(x)) for x in row] for row in a[..., p]]).inv()
        assert all(found[i, j, p].overlaps(wanted[i, j]) and found[i, j, p].rad() < 1e-30 for i, j in np.ndindex(n, n))


@pytest.mark.parametrize("call", [jnp.linalg.inv, lambda a: lax.linalg.lu(a)[0]], ids=["inv", "lu"])
@pytest.mark.parametrize("a", [np.ones((3, 3)), np.zeros((2, 2)), np.diag([1.0, 2.0, 0.0])], ids=["ones", "0", "last"])
def test_a_singular_matrix_has_no_value_and_leaves_other_points_alone(call: Any, a: np.ndarray) -> None:
    both = np.stack([a, a + np.diag(np.arange(1.0, len(a) + 1))], axis=-1)
    (found,) = on_balls(call, both).balls([lift(both)])
    assert not all(x.is_finite() for x in found[..., 0].ravel())
    assert all(x.is_finite() for x in found[..., 1].ravel())


@pytest.mark.parametrize("n", [2, 3])
def test_equal_pivots_are_no_kink_of_a_determinant(n: int) -> None:
    a = np.ones((n, n)) - 2 * np.tri(n, n, -1)
    t = RNG.integers(-3, 4, (n, n)).astype(float)
    with jax.enable_x64(True):
        _, slope = jax.jvp(lambda x: jnp.linalg.slogdet(x)[1], (jnp.asarray(a),), (jnp.asarray(t),))
    _, moved, touched = on_balls(lambda x: jnp.linalg.slogdet(x)[1], a[..., None]).duals(
        [lift(a[..., None])], [lift(t[..., None])]
    )
    assert not touched.any()
    assert abs(float(moved[0][0].mid()) - float(slope)) < 1e-12


def test_a_solution_moves_with_a_matrix_whose_factors_are_held() -> None:
    """`solve` divides by factors of `stop_gradient(a)`; its own derivative in a would be 0."""
    a, b, t = RNG.normal(size=(3, 3, 1)), RNG.normal(size=(3, 1)), RNG.integers(-3, 4, (3, 3, 1)).astype(float)
    _, moved, touched = on_balls(jnp.linalg.solve, a, b).duals([lift(a), lift(b)], [lift(t), None])
    inverse = np.linalg.inv(a[..., 0])
    wanted = -inverse @ t[..., 0] @ inverse @ b[:, 0]
    assert not touched.any()
    np.testing.assert_allclose([float(x.mid()) for x in moved[0][:, 0]], wanted, rtol=1e-12)


def test_a_matrix_that_is_not_definite_has_no_factor() -> None:
    a = np.array([[1.0, 2.0], [2.0, 1.0]])[..., None]
    (found,) = on_balls(jnp.linalg.cholesky, a).balls([lift(a)])
    assert not found[1, 1, 0].is_finite()
