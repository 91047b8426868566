"""The two-layer network: kinks, empty layers, hypotheses, and wrong gradients that must be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.statements.claims import Derivative, Equality
from backprove.rules.all import load
from backprove.rules.linalg import mask, outer
from backprove.rules.mlp_gradients import (
    SAMPLE,
    delta1,
    hidden,
    loss,
    loss_grad,
    mlp,
    off_kinks,
    preactivation,
)
from backprove.rules.mlp_mse import chain_rule, mse, mse_grad, relu_derivative, square_norm
from backprove.strategies.array import array
from tests.rules.claim_check import TOLERANCE, is_right, worst

THEOREMS = load()
N = array("n")
KINKED = [np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([-3.0, 1.0]), np.eye(2), np.ones(2), np.ones(2), np.zeros(2)]


def test_the_hypothesis_excludes_kinks_and_nothing_else() -> None:
    assert preactivation(*map(jnp.asarray, (KINKED[0], KINKED[1], KINKED[4])))[0] == 0
    assert not off_kinks(*KINKED)
    shifted = [KINKED[0], KINKED[1] + 1e-12, *KINKED[2:]]
    assert off_kinks(*shifted)
    cancels = np.full((2, 2), 745.5130191783146)  # a fused product leaves 4.5e-13 of the first row
    assert not off_kinks(cancels, np.array([0.0, 2.0**-1022]), np.ones((1, 2)), np.zeros(1), np.array([-5.5, 5.5]))
    assert off_kinks(cancels, np.array([1e-300, 2.0**-1022]), np.ones((1, 2)), np.zeros(1), np.array([-5.5, 5.5]))
    assert off_kinks(np.zeros((0, 2)), np.zeros(0), np.zeros((1, 0)), np.zeros(1), np.ones(2))


def test_gradients_in_w2_and_b2_are_right_at_a_kink() -> None:
    with jax.enable_x64(True):
        point = [jnp.asarray(v) for v in KINKED]
        g = loss_grad(*point)
        w2, b2 = jax.grad(loss, argnums=(2, 3))(*point)
        np.testing.assert_allclose(w2, outer(g, hidden(point[0], point[1], point[4])))
        np.testing.assert_allclose(b2, g)


def test_the_coefficient_of_an_empty_vector_is_zero() -> None:
    empty = jnp.zeros(0)
    assert mse(empty, empty) == 0
    assert mse_grad(empty, empty).shape == (0,)


def test_only_the_entries_that_need_it_have_a_hypothesis() -> None:
    limited = {name.rsplit("_wrt_")[-1] for name, t in THEOREMS.items() if "mlp_wrt" in name and t.where}
    assert limited == {"b1", "x", "W1"}
    gradients = {name.split("grad_")[-1] for name, t in THEOREMS.items() if "grad_" in name and t.where}
    assert gradients == {"b1_mse", "x_mse", "W1_mse"}


WRONG: dict[str, tuple[str, Callable[..., Any]]] = {
    "W1: no mask": (
        "W1",
        lambda W1, b1, W2, b2, x, t: outer(W2.T @ loss_grad(W1, b1, W2, b2, x, t), x),
    ),
    "W1: masked by the activation": (
        "W1",
        lambda W1, b1, W2, b2, x, t: outer(hidden(W1, b1, x) * (W2.T @ loss_grad(W1, b1, W2, b2, x, t)), x),
    ),
    "W2: pre-activation": (
        "W2",
        lambda W1, b1, W2, b2, x, t: outer(loss_grad(W1, b1, W2, b2, x, t), preactivation(W1, b1, x)),
    ),
    "W2: transposed": ("W2", lambda *a: outer(hidden(a[0], a[1], a[4]), loss_grad(*a))),
    "b1: delta1 of half the loss": ("b1", lambda *a: delta1(*a) / 2),
    "b2: y - t": ("b2", lambda *a: mlp(*a[:-1]) - a[-1]),
    "x: mask of the input": ("x", lambda *a: a[0].T @ delta1(*a) * mask(a[4])),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_of_the_network_are_seen(name: str) -> None:
    wrt, rule = WRONG[name]
    assert not is_right(Derivative(loss, rule, "vjp", wrt=(wrt,), unit_cotangent=True), SAMPLE, off_kinks)


def test_a_transposed_outer_product_is_seen_where_its_shape_fits() -> None:
    square = {**SAMPLE, "W1": array("h h"), "x": array("h"), "W2": array("h h"), "b2": array("h"), "t": array("h")}

    def transposed(*a: Any) -> Any:
        return outer(a[4], delta1(*a))

    assert not is_right(Derivative(loss, transposed, "vjp", wrt=("W1",), unit_cotangent=True), square, off_kinks)


def test_wrong_smaller_statements_are_seen() -> None:
    assert not is_right(Equality(mse, lambda y, t: jnp.sum((y - t) ** 2) / 2), {"y": N, "t": N})
    assert not is_right(Equality(relu_derivative, lambda x, dx: x * mask(x)), {"x": N, "dx": N})
    not_transposed = chain_rule(lambda W, x: W @ x, lambda W, x, c: W @ c, square_norm, lambda v: 2 * v)
    assert not is_right(not_transposed, {"W": array("n n"), "x": N})
    elsewhere = Derivative(
        lambda W, x: square_norm(jnp.tanh(x)),
        lambda W, x: (1 - jnp.tanh(x) ** 2) * (2 * x),  # grad g at x, not at f(x)
        "vjp",
        wrt=("x",),
        unit_cotangent=True,
    )
    assert not is_right(elsewhere, {"W": array("m n"), "x": N})


def test_masked_gradients_are_right_off_the_kinks_at_other_points_too() -> None:
    theorem = THEOREMS["Proofs.Autograd.grad_W1_mse"]
    assert worst(theorem, theorem.claims[0], points=10, seed=1) < TOLERANCE
