"""Reductions, largest entries, tridiagonal systems and bits of floats mean in programs what JAX computes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift

A = np.array([[3.0, 1.0], [0.5, 2.0]])


def solver_in_a_solver(x: jax.Array) -> jax.Array:
    return lax.custom_linear_solve(
        lambda y: x[0] * (A @ y), x[1:3], lambda _, b: jnp.linalg.solve(x[0] * A, b), lambda _, b: b, symmetric=True
    )


FUNCTIONS: dict[str, Any] = {
    "reduce": lambda x: lax.reduce(x.reshape(2, 2), np.float64(0), lambda a, b: a + b + a * b, (1,)),
    "top": lambda x: lax.approx_max_k(x, 2)[0],
    "bottom": lambda x: lax.approx_min_k(x.reshape(2, 2), 1, reduction_dimension=0)[0],
    "tridiagonal": lambda x: lax.linalg.tridiagonal_solve(x[:2], x[2:], x[1:3], x.reshape(2, 2)),
    "solver in a solver": solver_in_a_solver,
    "copysign": lambda x: jnp.copysign(x, -x[::-1]),
    "ldexp": lambda x: jnp.ldexp(x, np.array([1, -2, 0, 3])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes_are_those_of_jax(name: str) -> None:
    x, t = np.array([0.3, -1.2, 2.5, 0.7]), np.array([1.0, 0.5, -2.0, 1.5])
    program = trace(FUNCTIONS[name], ((4,), "float64"))
    with jax.enable_x64(True):
        expected = jax.jvp(FUNCTIONS[name], (jnp.asarray(x),), (jnp.asarray(t),))
    *found, touched = ProgramOnBalls(program).duals([lift(np.stack([x, x], -1))], [lift(np.stack([-t, -t, t, t], -1))])
    assert not touched.any()
    for balls, wanted in zip(found, expected, strict=True):
        middle = [float(b.mid()) for b in np.ravel(balls[0][..., -1])]
        np.testing.assert_allclose(middle, np.ravel(wanted), rtol=1e-14)


def test_a_users_own_signbit_is_what_it_computes() -> None:
    @jax.jit
    def signbit(x: jax.Array) -> jax.Array:
        return x > 0

    program = trace(lambda x: jnp.where(signbit(x), x, -x), ((1,), "float64"))
    (out,) = ProgramOnBalls(program).balls([lift(np.array([[-3.0]]))])
    assert out[0, 0] == 3
