"""Which derivative rules the code brings along."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.frontends.function import Function
from backprove.harness.frontends.jax_trace import uses_library_rules

VECTOR = ((3,), "float64")


@jax.custom_jvp
def doubled_slope(x: Any) -> Any:
    return jnp.sin(x)


doubled_slope.defjvp(lambda x, t: (jnp.sin(x[0]), 2 * jnp.cos(x[0]) * t[0]))


@jax.custom_vjp
def halved_slope(x: Any) -> Any:
    return jnp.sin(x)


halved_slope.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x) / 2,))


@pytest.mark.parametrize(
    ("function", "library"),
    [
        (jnp.sin, False),
        (jax.nn.relu, True),
        (lambda x: jnp.logaddexp(x, 1.0).sum(), True),
        (doubled_slope, False),
        (halved_slope, False),
        (lambda x: jax.nn.relu(doubled_slope(x)), False),
        (lambda x: lax.scan(lambda c, y: (jax.nn.relu(c) * y, None), 1.0, x)[0], True),
        (lambda x: lax.scan(lambda c, y: (halved_slope(c) * y, None), 1.0, x)[0], False),
        (lambda x: lax.cond(x[0] > 0, jax.nn.softplus, lambda y: y, x), True),
    ],
    ids=["none", "relu", "inside jit", "custom_jvp", "custom_vjp", "both", "in a scan", "own in a scan", "in a branch"],
)
def test_rules_of_the_library_alone(function: Any, library: bool) -> None:
    assert uses_library_rules(function, VECTOR) == library


def test_functions_that_numpy_code_calls_have_the_rules_of_their_counterparts() -> None:
    assert Function(lambda x: np.logaddexp(x, 0.0) + np.asarray(1.0), "f").library_rules((VECTOR,)) is not None
    assert Function(np.exp, "f").library_rules((VECTOR,)) is None
    assert Function(lambda x: x if x[0] > 0 else -x, "f").library_rules((VECTOR,)) is None
