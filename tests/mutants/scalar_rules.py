"""Right derivative rules of scalar functions: stable forms, and textbook forms that lose digits but are right."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

import backprove as bp
from tests.mutants.problem import Problem

GELU_C = math.sqrt(2 / math.pi)
GELU_K = 0.044715
SAFE = 1e-6
SMOOTH = 1e-6
LN2 = math.log(2)


def softplus(x: Any) -> Any:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + jnp.tanh(GELU_C * (x + GELU_K * x * x * x)))


def gelu_vjp(x: Any, g: Any) -> Any:
    u = GELU_C * (x + GELU_K * (x * x * x))
    slope = GELU_C * (1 + 3 * (GELU_K * (x * x)))
    return g * (sigmoid(2 * u) + 2 * x * slope * (sigmoid(2 * u) * sigmoid(-2 * u)))


def gelu_textbook(x: Any, g: Any) -> Any:
    t = jnp.tanh(GELU_C * (x + GELU_K * x**3))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * (GELU_C * (1 + 3 * (GELU_K * x**2))))


def elu(x: Any) -> Any:
    return jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0)))


def elu_vjp(x: Any, g: Any) -> Any:
    return jnp.where(x > 0, g, g * jnp.exp(jnp.minimum(x, 0)))


def sech2(x: Any) -> Any:
    """`1 - tanh(x)^2` without cancellation."""
    return 4 * (sigmoid(2 * x) * sigmoid(-2 * x))


def _scalar(name: str, forward: Any, stable: Any, textbook: Any, jax_form: Any = None, **domain: Any) -> Problem:
    """A scalar problem; `jax_form` is what is differentiated for the third form, the forward map itself if left out."""
    return Problem.of(name, forward, {"x": bp.array("", **domain)}, stable, textbook, jax_form)


SCALAR = [
    _scalar(
        "relu", lambda x: jnp.maximum(x, 0), lambda x, g: jnp.where(x > 0, g, 0), lambda x, g: g * (x > 0), jax.nn.relu
    ),
    _scalar("abs", jnp.abs, lambda x, g: g * jnp.sign(x), lambda x, g: jnp.where(x < 0, -g, g)),
    _scalar("log", jnp.log, lambda x, g: g / x, lambda x, g: g * (1 / x), low=0.0),
    _scalar("inv", lambda x: 1 / x, lambda x, g: -(g / x) / x, lambda x, g: -g / (x * x), nonzero=True),
    _scalar("sqrt", jnp.sqrt, lambda x, g: 0.5 * g / jnp.sqrt(x), lambda x, g: 0.5 * g * x**-0.5, low=0.0),
    _scalar("exp", jnp.exp, lambda x, g: g * jnp.exp(x), lambda x, g: g * jnp.exp(0.5 * x) * jnp.exp(0.5 * x)),
    _scalar(
        "sinh",
        jnp.sinh,
        lambda x, g: g * jnp.cosh(x),
        lambda x, g: g * jnp.exp(jnp.abs(x) - LN2) * (1 + jnp.exp(-2 * jnp.abs(x))),
    ),
    _scalar("cosh", jnp.cosh, lambda x, g: g * jnp.sinh(x), lambda x, g: g * (jnp.tanh(x) * jnp.cosh(x))),
    _scalar(
        "sigmoid", sigmoid, lambda x, g: g * (sigmoid(x) * sigmoid(-x)), lambda x, g: g * sigmoid(x) * (1 - sigmoid(x))
    ),
    _scalar("tanh", jnp.tanh, lambda x, g: g * sech2(x), lambda x, g: g * (1 - jnp.tanh(x) ** 2)),
    _scalar(
        "softplus", softplus, lambda x, g: g * sigmoid(x), lambda x, g: g * (1 - jnp.exp(-softplus(x))), jax.nn.softplus
    ),
    _scalar(
        "silu",
        lambda x: x * sigmoid(x),
        lambda x, g: g * (sigmoid(x) * (1 + x * sigmoid(-x))),
        lambda x, g: g * (sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x))),
        jax.nn.silu,
    ),
    _scalar("gelu", gelu, gelu_vjp, gelu_textbook, gelu),
    _scalar(
        "safe_log",
        lambda x: jnp.log(jnp.maximum(x, SAFE)),
        lambda x, g: jnp.where(x > SAFE, g / jnp.maximum(x, SAFE), 0),
        lambda x, g: jnp.where(x > SAFE, g * (1 / jnp.maximum(x, SAFE)), 0),
    ),
    _scalar(
        "smooth_abs",
        lambda x: jnp.sqrt(x * x + SMOOTH),
        lambda x, g: g * (x / jnp.sqrt(x * x + SMOOTH)),
        lambda x, g: g * x * jax.lax.rsqrt(x * x + SMOOTH),
    ),
    _scalar("elu", elu, elu_vjp, lambda x, g: jnp.where(x > 0, g, g * (elu(x) + 1)), jax.nn.elu),
]
