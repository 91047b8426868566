"""Log-softmax: spot values, and classic mistakes that the check of the claims must see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.statements.claims import Derivative, Equality
from backprove.rules.linalg import inner, log_softmax, pairing, softmax
from backprove.rules.log_softmax import log_softmax_jvp, log_softmax_matrix, log_softmax_vjp, sum_exp
from backprove.strategies.array import array
from tests.rules.claim_check import is_right

X = jnp.array([1.0, 2.0, 3.0])
ONES = jnp.ones(3)
N = array("n")


def test_spot_value_of_the_vjp() -> None:
    np.testing.assert_allclose(log_softmax_vjp(X, ONES), [0.7299, 0.2658, -0.9957], atol=5e-5)


def test_the_jacobian_is_not_symmetric() -> None:
    matrix = np.asarray(log_softmax_matrix(X))
    assert not np.allclose(matrix, matrix.T)
    np.testing.assert_allclose(matrix @ np.asarray(ONES), log_softmax_jvp(X, ONES), atol=1e-6)
    np.testing.assert_allclose(matrix.T @ np.asarray(ONES), log_softmax_vjp(X, ONES), atol=1e-6)


def test_length_zero_is_the_identity() -> None:
    empty = jnp.zeros(0)
    for f in (softmax, log_softmax):
        assert f(empty).shape == (0,)
    assert log_softmax_vjp(empty, empty).shape == log_softmax_jvp(empty, empty).shape == (0,)


def test_large_entries_do_not_overflow() -> None:
    np.testing.assert_allclose(log_softmax(jnp.array([1e4, 0.0])), [0.0, -1e4])
    np.testing.assert_allclose(softmax(jnp.array([-1e4, -1e4])), [0.5, 0.5])


def test_the_sum_of_exponentials_underflows_in_floats_only() -> None:
    assert sum_exp(jnp.array([-1e4])) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, d: d * (1 - softmax(x)),
        lambda x, d: d - inner(softmax(x), d),
        lambda x, d: d - inner(log_softmax(x), d) * softmax(x),
        lambda x, d: d - softmax(x),
        lambda x, d: d + softmax(x) * jnp.sum(d),
    ],
    ids=["diagonal only", "the JVP", "output for exp", "sum of ones", "sign"],
)
def test_wrong_vjps_are_seen(wrong: Callable[..., Any]) -> None:
    assert is_right(Derivative(log_softmax, log_softmax_vjp, "vjp"), {"x": N})
    assert not is_right(Derivative(log_softmax, wrong, "vjp"), {"x": N})
    assert not is_right(pairing(log_softmax_jvp, wrong), {"x": N, "dx": N, "d": N})


def test_a_wrong_jvp_and_a_wrong_matrix_are_seen() -> None:
    assert not is_right(Derivative(log_softmax, lambda x, dx: dx * (1 - softmax(x)), "jvp"), {"x": N})
    transposed = Equality(log_softmax_jvp, lambda x, dx: log_softmax_matrix(x).T @ dx)
    assert not is_right(transposed, {"x": N, "dx": N})


def test_softmax_is_not_log_softmax() -> None:
    assert not is_right(Equality(log_softmax, jax.nn.softmax), {"x": array("3")})
