"""JAX's derivative as a program."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.oracles.autodiff import derivative_program

VECTOR = ((3,), "float64")
X = np.array([[0.5], [-1.0], [2.0]])
Y = np.array([[1.5], [0.25], [-2.0]])
W = np.array([[1.0], [2.0], [-1.0]])


def forward(x: Any, y: Any) -> Any:
    return jnp.sin(x) * y


def test_vjp_of_both_and_of_one_argument() -> None:
    both = derivative_program(forward, "vjp", (0, 1), (VECTOR, VECTOR, VECTOR), 2)
    one = derivative_program(forward, "vjp", (1,), (VECTOR, VECTOR, VECTOR), 2)
    assert both is not None and one is not None
    dx, dy = run_floats(both, [X, Y, W])
    np.testing.assert_allclose(dx, np.cos(X) * Y * W, rtol=1e-14)
    np.testing.assert_allclose(dy, np.sin(X) * W, rtol=1e-14)
    np.testing.assert_array_equal(run_floats(one, [X, Y, W])[0], dy)


def test_jvp() -> None:
    program = derivative_program(forward, "jvp", (0, 1), (VECTOR,) * 4, 2)
    assert program is not None
    (out,) = run_floats(program, [X, Y, W, X])
    np.testing.assert_allclose(out, np.cos(X) * Y * W + np.sin(X) * X, rtol=1e-14)


def test_integer_outputs_have_no_derivative() -> None:
    program = derivative_program(lambda x: (x * x, jnp.argmax(x)), "vjp", (0,), (VECTOR, VECTOR), 1)
    assert program is not None
    np.testing.assert_allclose(run_floats(program, [X, W])[0], 2 * X * W)


def test_none_where_jax_cannot() -> None:
    assert derivative_program(lambda x: np.asarray(x) * 2, "vjp", (0,), (VECTOR, VECTOR), 1) is None
