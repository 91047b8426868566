"""JAX's derivative of a program, as a program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.frontends.function import Function
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.numpy_trace.trace import trace_numpy
from backprove.harness.judging.derivative_functions import DerivativeFunctions
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.oracles.autodiff import derivative_program
from backprove.harness.programs.to_jax import as_jax_function

VECTOR = ((3,), "float64")
SCALAR = ((), "float64")
X = np.array([[0.5], [-1.0], [2.0]])
Y = np.array([[1.5], [0.25], [-2.0]])
W = np.array([[1.0], [2.0], [-1.0]])


def forward(x: Any, y: Any) -> Any:
    return jnp.sin(x) * y


def test_vjp_of_both_and_of_one_argument() -> None:
    program = trace(forward, VECTOR, VECTOR)
    both = derivative_program(program, "vjp", (0, 1))
    one = derivative_program(program, "vjp", (1,))
    assert both is not None and one is not None
    dx, dy = run_floats(both, [X, Y, W])
    np.testing.assert_allclose(dx, np.cos(X) * Y * W, rtol=1e-14)
    np.testing.assert_allclose(dy, np.sin(X) * W, rtol=1e-14)
    np.testing.assert_array_equal(run_floats(one, [X, Y, W])[0], dy)


def test_jvp() -> None:
    program = derivative_program(trace(forward, VECTOR, VECTOR), "jvp", (0, 1))
    assert program is not None
    (out,) = run_floats(program, [X, Y, W, X])
    np.testing.assert_allclose(out, np.cos(X) * Y * W + np.sin(X) * X, rtol=1e-14)


def test_integer_outputs_have_no_derivative() -> None:
    program = derivative_program(trace(lambda x: (x * x, jnp.argmax(x)), VECTOR), "vjp", (0,))
    assert program is not None
    np.testing.assert_allclose(run_floats(program, [X, W])[0], 2 * X * W)


def test_code_in_numpy_has_it_too() -> None:
    def log_softmax(x: Any) -> Any:
        out = np.empty_like(x)
        out[...] = x - x.max()
        return out - np.log(np.exp(out).sum())

    program = derivative_program(trace_numpy(log_softmax, VECTOR), "vjp", (0,))
    assert program is not None
    softmax = np.exp(X) / np.exp(X).sum()
    np.testing.assert_allclose(run_floats(program, [X, W])[0], W - softmax * W.sum(), rtol=1e-14)


def test_a_custom_rule_on_the_way_is_not_believed() -> None:
    @jax.custom_jvp
    def tripled_slope(x: Any) -> Any:
        return jnp.exp(x)

    tripled_slope.defjvp(lambda x, t: (jnp.exp(x[0]), 3 * jnp.exp(x[0]) * t[0]))
    program = derivative_program(trace(lambda x: tripled_slope(x) * 2, VECTOR), "vjp", (0,))
    assert program is not None
    np.testing.assert_allclose(run_floats(program, [X, W])[0], 2 * np.exp(X) * W, rtol=1e-14)


def test_loops_and_branches_have_their_derivative() -> None:
    def turn(c: Any, y: Any) -> Any:
        return lax.cond(y > 0, lambda v: v * y, jnp.sin, c), c

    program = derivative_program(trace(lambda x: lax.scan(turn, 0.75, x)[0], VECTOR), "vjp", (0,))
    assert program is not None
    (found,) = run_floats(program, [X, np.array([2.0])])
    # sin(0.75 * 0.5) * 2
    np.testing.assert_allclose(found[:, 0], [3.0 * np.cos(0.375), 0.0, 2 * np.sin(0.375)], rtol=1e-14)


@pytest.mark.parametrize("mode", ["jvp", "vjp"])
def test_a_while_has_it_in_forward_mode_alone(mode: str) -> None:
    halved = trace(lambda x: lax.while_loop(lambda y: y > 1.0, lambda y: y / 2, x), SCALAR)
    program = derivative_program(halved, mode, (0,))
    assert (program is None) == (mode == "vjp")
    if program is not None:
        assert run_floats(program, [np.array([6.0, 0.5]), np.array([1.0, 3.0])])[0].tolist() == [0.125, 3.0]


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [(jax.nn.relu, 0.0, 0.0), (jax.nn.softplus, 0.0, 0.5)],
    ids=["a convention", "a tie in a smooth map"],
)
def test_rules_of_the_library_are_kept(function: Any, x: float, slope: float) -> None:
    program, rules = trace(function, SCALAR), Function(function, "forward").library_rules((SCALAR,))
    with_rules, without = (derivative_program(program, "vjp", (0,), r) for r in (rules, None))
    assert with_rules is not None and without is not None
    with jax.enable_x64(True):
        assert float(as_jax_function(with_rules)(x, 1.0)[0]) == slope
        assert float(as_jax_function(without)(x, 1.0)[0]) != slope


def test_a_rule_of_the_library_without_a_program_gives_way_to_what_was_traced() -> None:
    """JAX's rule of ldexp looks at bits; what is traced of ldexp is a product with a power of 2."""
    forward = Function(lambda x: jnp.ldexp(x, 2), "forward")
    functions = DerivativeFunctions(forward, forward, None)
    found = functions.derivatives("vjp", (0,), 1)((SCALAR, SCALAR))
    assert found is not None
    with jax.enable_x64(True):
        assert float(as_jax_function(found)(0.3, 1.0)[0]) == 4.0
