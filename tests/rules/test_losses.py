"""Losses: values against plain NumPy sums, empty shapes, and wrong gradients that must be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.statements.claims import Derivative
from backprove.rules.linalg import log_softmax, over, pairing, softmax
from backprove.rules.losses import (
    bce,
    cross_entropy,
    cross_entropy_gradients,
    cross_entropy_jvp,
    cross_entropy_vjp,
    kl_div,
    kl_div_vjp,
    mse,
    mse_jvp,
    mse_vjp,
    nll,
)
from backprove.rules.scalar_functions import log, sigmoid
from backprove.strategies.array import array
from tests.rules.claim_check import is_right

ANY = array("*shape")
ROWS = array("m n")
NONZERO_ROWS = array("m n", nonzero=True)
A = jnp.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
B = jnp.array([[0.5, 1.0, -0.25], [2.0, -1.0, 4.0]])


def test_values_are_the_documented_sums() -> None:
    a, b = np.asarray(A, np.float64), np.asarray(B, np.float64)
    logp = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(mse(A, B), ((a - b) ** 2).sum() / 6, rtol=1e-6)
    np.testing.assert_allclose(cross_entropy(A, B), -(b * logp).sum() / 2, rtol=1e-6)
    np.testing.assert_allclose(nll(A, B), -(b * a).sum() / 2, rtol=1e-6)
    np.testing.assert_allclose(bce(A, B), (np.log1p(np.exp(a)) - b * a).sum() / 6, rtol=1e-6)
    np.testing.assert_allclose(kl_div(A, B), (b * (np.log(np.abs(b)) - a)).sum() / 2, rtol=1e-6)


def test_a_zero_target_contributes_nothing_to_the_divergence() -> None:
    lp, q = jnp.array([[-1.0, -2.0]]), jnp.array([[0.0, 1.0]])
    assert kl_div(lp, q) == 2
    to_lp, to_q = kl_div_vjp(lp, q, jnp.float32(1))
    np.testing.assert_allclose(to_lp, [[0, -1]])
    np.testing.assert_allclose(to_q, [[1, 3]])


@pytest.mark.parametrize("loss", [mse, cross_entropy, nll, bce, kl_div])
@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_empty_shapes_give_zero(loss: Callable[..., Any], shape: tuple[int, ...]) -> None:
    empty = jnp.zeros(shape)
    assert loss(empty, empty) == 0
    assert [g.shape for g in jax.grad(loss, argnums=(0, 1))(empty, empty)] == [shape, shape]


def test_one_hot_targets_give_the_familiar_gradient() -> None:
    t = jnp.eye(3)[:2]
    np.testing.assert_allclose(cross_entropy_gradients(A, t)[0], (softmax(A) - t) / 2, rtol=1e-6)


WRONG: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "cross entropy: rows of t need not sum to 1": (
        cross_entropy,
        lambda x, t: (over(softmax(x) - t, x.shape[0]), -over(log_softmax(x), x.shape[0])),
        {"x": ROWS, "t": ROWS},
    ),
    "cross entropy: mean over all entries": (
        cross_entropy,
        lambda x, t: tuple(over(g, max(x.shape[1], 1)) for g in cross_entropy_gradients(x, t)),
        {"x": ROWS, "t": ROWS},
    ),
    "mse: factor 2": (
        mse,
        lambda y, t: ((y - t) / max(t.size, 1), (t - y) / max(t.size, 1)),
        {"y": ANY, "t": ANY},
    ),
    "mse: target gradient": (mse, lambda y, t: (2 * (y - t) / max(t.size, 1),) * 2, {"y": ANY, "t": ANY}),
    "nll: arguments exchanged": (
        nll,
        lambda lp, t: (-over(lp, lp.shape[0]), -over(t, lp.shape[0])),
        {"lp": ROWS, "t": ROWS},
    ),
    "bce: sum, not mean": (bce, lambda x, t: (sigmoid(x) - t, -x), {"x": ANY, "t": ANY}),
    "kl: the 1 left out": (
        kl_div,
        lambda lp, q: (-over(q, lp.shape[0]), over(log(q) - lp, lp.shape[0])),
        {"lp": ROWS, "q": NONZERO_ROWS},
    ),
    "kl: log of the absolute value": (
        kl_div,
        lambda lp, q: (-over(q, lp.shape[0]), over(jnp.sign(q) * log(q) - lp + 1, lp.shape[0])),
        {"lp": ROWS, "q": NONZERO_ROWS},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_seen(name: str) -> None:
    loss, gradients, inputs = WRONG[name]
    assert not is_right(Derivative(loss, gradients, "vjp", unit_cotangent=True), inputs)


def test_wrong_pairings_are_seen() -> None:
    def cotangent_forgotten(yhat: Any, t: Any, d: Any) -> Any:
        return mse_vjp(yhat, t, jnp.ones_like(d))

    def row_sum_forgotten(x: Any, t: Any, d: Any) -> Any:
        return -over(d * (t - softmax(x)), x.shape[0]), cross_entropy_vjp(x, t, d)[1]

    scalar = array("")
    mse_inputs = {"yhat": ANY, "t": ANY, "dyhat": ANY, "dt": ANY, "d": scalar}
    ce_inputs = {"x": ROWS, "t": ROWS, "dx": ROWS, "dt": ROWS, "d": scalar}
    assert is_right(pairing(mse_jvp, mse_vjp, tangents=2), mse_inputs)
    assert not is_right(pairing(mse_jvp, cotangent_forgotten, tangents=2), mse_inputs)
    assert not is_right(pairing(cross_entropy_jvp, row_sum_forgotten, tangents=2), ce_inputs)
