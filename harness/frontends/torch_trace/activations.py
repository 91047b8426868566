"""These rows are activations and their backward operations, where torch's core keeps them whole."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax.scipy import special

from backprove.harness.frontends.torch_trace.table import row


@row("elu")
def _elu(x: Any, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0) -> Any:
    return scale * jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x) * input_scale))


@row("leaky_relu")
def _leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    return jnp.where(x > 0, x, x * slope)


@row("hardtanh")
def _hardtanh(x: Any, low: Any = -1.0, high: Any = 1.0) -> Any:
    return jnp.minimum(jnp.maximum(x, low), high)


@row("gelu")
def _gelu(x: Any, *, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + special.erf(x * math.sqrt(0.5)))


@row("hardshrink")
def _hardshrink(x: Any, width: Any = 0.5) -> Any:
    return jnp.where(jnp.abs(x) <= width, 0, x)


@row("softshrink")
def _softshrink(x: Any, width: Any = 0.5) -> Any:
    return jnp.where(x > width, x - width, jnp.where(x < -width, x + width, 0))


@row("hardshrink_backward", "softshrink_backward")
def _shrink_backward(g: Any, x: Any, width: Any) -> Any:
    return jnp.where(jnp.abs(x) <= width, 0, g)


@row("angle")
def _angle(x: Any) -> Any:
    return jnp.where(x < 0, math.pi, x * 0)
