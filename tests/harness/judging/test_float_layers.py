"""The bulk layers point at what may be wrong, and at little else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.examination import Examination
from backprove.harness.judging.float_contract import jacobian_overflows, overflows
from backprove.harness.judging.float_layers import against_differences
from backprove.harness.oracles.autodiff import derivative_program
from tests.mutants.rules import PROBLEMS

Code = Callable[..., Any]


def differ(forward: Code, vjp: Code, x: Array, dtype: str) -> Array:
    """Points at which finite differences of a scalar function and its rule are apart."""
    shape = ((), dtype)
    seen = Examination.empty(x.size)
    ones = np.ones(x.size)
    pairing = ([np.full(x.size, 0.7421875)], [ones], [np.full(x.size, 0.7421875)])
    return against_differences(
        trace(forward, shape), trace(vjp, shape, shape), [x], [ones], (0,), pairing, dtype, seen, np.arange(x.size)
    )


WILD = np.concatenate([np.linspace(-3, 3, 101), [1e-30, 2.0**-126, -7e-8, 9999.0]]).astype(np.float32).astype(float)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_differences_of_a_linear_function_know_the_rounding_of_their_steps(dtype: str) -> None:
    relu = PROBLEMS["relu"]
    assert not differ(relu.forward, relu.forms["stable"], WILD[WILD != 0], dtype).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_differences_are_silent_close_to_a_kink_but_not_away_from_it(dtype: str) -> None:
    near, away = 1 + np.array([0.0, 1e-6, 1e-4, 4e-4, 9e-4]), np.array([-2.0, 0.5, 1.5, 3.0])

    def forward(x: Any) -> Any:
        return jnp.maximum(x - 1, 0)

    def leaky(x: Any, g: Any) -> Any:
        return jnp.where(x > 1, g, 0.01 * g)

    def right(x: Any, g: Any) -> Any:
        return jnp.where(x > 1, g, 0.0 * g)

    assert not differ(forward, right, np.concatenate([near, away]).astype(np.float32).astype(float), dtype).any()
    assert differ(forward, leaky, away, dtype).tolist() == [True, True, False, False]


def test_differences_forgive_a_rounded_literal_and_no_more() -> None:
    x = np.linspace(1, 4, 20).astype(np.float32).astype(float)

    def scaled(constant: float) -> Code:
        return lambda x, g: g * jnp.exp(x - jnp.asarray(0.5, x.dtype)) * jnp.asarray(constant, x.dtype)

    root = float(np.exp(0.5))
    assert not differ(jnp.exp, scaled(root), x, "float32").any()
    assert differ(jnp.exp, scaled(root * (1 + 1e-5)), x, "float32").all()


def test_a_derivative_beyond_the_format_explains_a_result_that_is_not_finite() -> None:
    program = derivative_program(trace(lambda x: 1 / x, ((), "float64")), "vjp", (0,))
    assert program is not None
    x, g, inf = np.array([1e-200, 1e-200, 2.0]), np.array([1.0, 0.0, 0.0]), np.full(3, np.inf)
    assert overflows(program, [x, g], [inf], "float64").tolist() == [True, False, False]
    assert jacobian_overflows(program, [x], [g], "float64").tolist() == [True, True, False]


def test_the_jacobian_is_looked_at_column_by_column() -> None:
    program = derivative_program(trace(lambda x: 1 / x, ((2,), "float64")), "vjp", (0,))
    assert program is not None
    x = np.array([[1e-200, 2.0, 2.0], [2.0, 2.0, 1e-160]])
    w = np.zeros((2, 3))
    assert jacobian_overflows(program, [x], [w], "float64").tolist() == [True, False, True]
