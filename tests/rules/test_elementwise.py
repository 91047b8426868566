"""Elementwise nodes: the functions are the library's, conventions hold at zeros, and wrong slopes are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.statements.claims import Equality
from backprove.rules import elementwise, elementwise_smooth
from backprove.rules.linalg import inner, mask
from backprove.rules.nodes import Node
from backprove.rules.scalar_functions import GELU_C, GELU_K, elu, elu_slope, inv, log, sigmoid, softplus, sqrt
from backprove.strategies.array import array
from tests.rules.claim_check import is_right

ANY = array("*shape")
NONZERO = array("*shape", nonzero=True)
POINTS = np.concatenate([np.linspace(-30.0, 30.0, 61), [1e-3, -1e-3]])


@pytest.mark.parametrize(
    ("node", "library"),
    [
        (elementwise.relu, jax.nn.relu),
        (elementwise.absolute, jnp.abs),
        (elementwise_smooth.naive_logistic, jax.nn.sigmoid),
        (elementwise_smooth.stable_sigmoid, jax.nn.sigmoid),
        (elementwise_smooth.soft_plus, jax.nn.softplus),
        (elementwise_smooth.sigmoid_linear, jax.nn.silu),
        (elementwise_smooth.tanh_gelu, lambda x: jax.nn.gelu(x, approximate=True)),
    ],
)
def test_forward_and_slope_are_those_of_the_library(node: Node, library: Callable[..., Any]) -> None:
    with jax.enable_x64(True):
        x = jnp.asarray(POINTS)
        np.testing.assert_allclose(node.f(x), library(x), rtol=1e-12, atol=1e-15)
        smooth = x[x != 0]
        np.testing.assert_allclose(node.g(smooth), jax.vmap(jax.grad(library))(smooth), rtol=1e-9, atol=1e-14)


def test_elu_is_that_of_the_library_for_any_alpha() -> None:
    with jax.enable_x64(True):
        x = jnp.asarray(POINTS)
        for alpha in (1.0, -0.5, 0.0, 2.0):
            np.testing.assert_allclose(elu(x, jnp.asarray(alpha)), jax.nn.elu(x, alpha), rtol=1e-11)


def test_values_at_zero_and_below_are_the_documented_ones() -> None:
    x = jnp.array([-4.0, 0.0, -0.0, 4.0])
    np.testing.assert_allclose(log(x), [np.log(4), 0, 0, np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(inv(x), [-0.25, 0, 0, 0.25])
    np.testing.assert_allclose(sqrt(x), [0, 0, 0, 2])
    np.testing.assert_allclose(mask(x), [0, 0, 0, 1])
    np.testing.assert_allclose(elementwise.absolute.g(x), [-1, 0, 0, 1])
    np.testing.assert_allclose(elementwise.square_root.g(x), [0, 0, 0, 0.25])
    np.testing.assert_allclose(elementwise.inverse.g(x), [-0.0625, 0, 0, -0.0625])
    np.testing.assert_allclose(elementwise.exponential_linear.g(x, jnp.asarray(3.0))[1:3], [3, 3])


@pytest.mark.parametrize("f", [log, inv, sqrt, sigmoid, softplus])
@pytest.mark.parametrize("x", [-1e4, -1.0, -0.0, 0.0, 1.0, 1e4])
def test_derivatives_of_totalised_and_branching_functions_are_finite(f: Callable[..., Any], x: float) -> None:
    with jax.enable_x64(True):
        assert np.isfinite(jax.grad(f)(jnp.asarray(x)))


def test_branches_meet_smoothly_at_zero() -> None:
    with jax.enable_x64(True):
        zero = jnp.asarray(0.0)
        np.testing.assert_allclose(jax.grad(softplus)(zero), 0.5)
        np.testing.assert_allclose(jax.grad(sigmoid)(zero), 0.25)


def test_the_inverse_keeps_its_slope_where_the_square_underflows() -> None:
    x = jnp.float32(1e-19)
    np.testing.assert_allclose(elementwise.inverse.g(x), -1e38, rtol=1e-5)


def test_gelu_constants_are_the_same_in_forward_and_slope_in_every_dtype() -> None:
    for dtype in ("float64", "float32", "bfloat16"):
        f, g = (
            trace(h, ((), dtype)).literals() for h in (elementwise_smooth.tanh_gelu.f, elementwise_smooth.tanh_gelu.g)
        )
        for constant in (GELU_C, GELU_K):
            nearest = min(f, key=lambda c: abs(c - constant))
            assert nearest == pytest.approx(constant, rel=1e-2) and nearest in g


WRONG_SLOPES: dict[str, tuple[Callable[..., Any], Callable[..., Any], bool]] = {
    "relu: no mask": (elementwise.relu.f, jnp.ones_like, True),
    "abs: no sign": (elementwise.absolute.f, jnp.ones_like, True),
    "log: 1/|x|": (log, lambda x: inv(jnp.abs(x)), True),
    "inv: sign": (inv, lambda x: inv(x) ** 2, True),
    "sqrt: nonzero below 0": (sqrt, lambda x: inv(2 * jnp.sqrt(jnp.abs(x))), True),
    "sqrt: factor 2": (sqrt, lambda x: inv(sqrt(x)), True),
    "sigmoid: s": (sigmoid, sigmoid, False),
    "tanh: not squared": (jnp.tanh, lambda x: 1 - jnp.tanh(x), False),
    "softplus: slope 0 at 0": (softplus, lambda x: jnp.where(x == 0, 0, sigmoid(x)), False),
    "silu: no product rule": (elementwise_smooth.sigmoid_linear.f, sigmoid, False),
    "gelu: wrong in the sixth digit": (
        elementwise_smooth.tanh_gelu.f,
        lambda x: elementwise_smooth.tanh_gelu.g(x) * (1 + 1e-6),
        False,
    ),
    "cosh: minus sign": (jnp.cosh, lambda x: -jnp.sinh(x), False),
    "gelu: erf form": (lambda x: jax.nn.gelu(x, approximate=False), elementwise_smooth.tanh_gelu.g, False),
}


@pytest.mark.parametrize("name", WRONG_SLOPES)
def test_wrong_slopes_are_seen_by_the_derivative_claims_and_not_by_the_pairing(name: str) -> None:
    f, g, nonzero = WRONG_SLOPES[name]
    node = Node(f, g, "f", "g")
    inputs = {"x": NONZERO if nonzero else ANY}
    assert not any(is_right(claim, inputs) for claim in node.has_derivative)
    assert is_right(node.pairing, {"x": ANY, "dx": ANY, "d": ANY})


def test_a_parameter_left_out_is_seen() -> None:
    inputs = {"x": NONZERO, "alpha": array("")}
    right, wrong = (Node(elu, g, "f", "g").has_derivative[0] for g in (elu_slope, lambda x, a: jnp.exp(x)))
    assert is_right(right, inputs) and not is_right(wrong, inputs)


def test_a_cotangent_in_an_unread_slot_is_seen() -> None:
    leaking = Equality(
        lambda x, dx, drest, d: inner(dx * x, d), lambda x, dx, drest, d: inner((dx, drest), (d * x, drest))
    )
    inputs = {"x": ANY, "dx": ANY, "drest": array("k"), "d": ANY}
    assert is_right(elementwise.in_context(jnp.abs, lambda x: x), inputs)
    assert not is_right(leaking, inputs)


def test_a_linear_node_without_the_transpose_is_seen() -> None:
    wrong = Equality(lambda W, dx, d: inner(W @ dx, d), lambda W, dx, d: inner(dx, W @ d))
    assert not is_right(wrong, {"W": array("n n"), "dx": array("n"), "d": array("n")})
