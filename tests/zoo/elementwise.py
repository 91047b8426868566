"""Released bugs in order, ties and elementwise functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

import backprove as bp
from backprove.harness.core.arrays import Array
from tests.zoo.case import case, normal, values

# -- order and ties ----------------------------------------------------------------------------------------------------


def sort(x: Array) -> Array:
    return np.sort(x, axis=-1)


def sort_wrong(x: Array, g: Array) -> Array:
    return np.take_along_axis(g, np.argsort(x, axis=-1), axis=-1)


def sort_right(x: Array, g: Array) -> Array:
    out = np.empty_like(g)
    np.put_along_axis(out, np.argsort(x, axis=-1), g, axis=-1)
    return out


case(
    "B01",
    "sort (mlx#3700)",
    "n >= 3, the permutation is not its own inverse",
    forward=sort,
    wrong=sort_wrong,
    right=sort_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 7)),
    shows=values([3.0, 1.0, 2.0]),
)


def maximum(x: Array) -> Array:
    return x.max(axis=-1)


def maximum_wrong(x: Array, g: Array) -> Array:
    return g[..., None] * (x == x.max(axis=-1, keepdims=True))


def maximum_right(x: Array, g: Array) -> Array:
    ties = x == x.max(axis=-1, keepdims=True)
    return g[..., None] * ties / ties.sum(axis=-1, keepdims=True)


case(
    "B02",
    "max (Theano#4568, mxnet#18563)",
    "ties",
    forward=maximum,
    wrong=maximum_wrong,
    right=maximum_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 7)),
    shows=values([[2.0, 1.0, 2.0]]),
)


def cumprod(x: Array) -> Array:
    return np.cumprod(x, axis=-1)


def cumprod_wrong(x: Array, g: Array) -> Array:
    return np.flip(np.cumsum(np.flip(g * np.cumprod(x, axis=-1), -1), axis=-1), -1) / x


def cumprod_right(x: Array, g: Array) -> Array:
    out = np.zeros_like(x)
    for i in range(x.shape[-1]):
        before = np.prod(x[..., :i], axis=-1, keepdims=True)
        after = np.concatenate([np.ones_like(x[..., :1]), np.cumprod(x[..., i + 1 :], axis=-1)], axis=-1)
        out[..., i] = (g[..., i:] * before * after).sum(axis=-1)
    return out


case(
    "B03",
    "cumprod (tf#3862, pytensor#1911, burn#3864)",
    "a zero entry",
    forward=cumprod,
    wrong=cumprod_wrong,
    right=cumprod_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((3, 4)),
    shows=values([[2.0, 0.0, 3.0]]),
)


# -- elementwise -------------------------------------------------------------------------------------------------------


def softplus_jax(x: Any) -> Any:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def softplus_jax_wrong(x: Any, g: Any) -> Any:
    e = jnp.exp(-jnp.abs(x))
    step = jnp.where(x > 0, 1.0, jnp.where(x < 0, 0.0, 0.5))
    return g * (step - jnp.where(x >= 0, 1.0, -1.0) * e / (1 + e))


def softplus_jax_right(x: Any, g: Any) -> Any:
    e = jnp.exp(-jnp.abs(x))
    return g * jnp.where(x >= 0, 1.0, e) / (1 + e)


case(
    "B06",
    "softplus, logaddexp (jax#2107, keras#23616)",
    "exactly x = 0",
    forward=softplus_jax,
    wrong=softplus_jax_wrong,
    right=softplus_jax_right,
    inputs={"x": bp.array("*batch")},
    ordinary=normal((5,)),
    shows=values([0.0, 1.0]),
)


def remainder_wrong(x: Any, y: Any, g: Any) -> Any:
    return g, -g * jnp.floor(x / y)


def remainder_right(x: Any, y: Any, g: Any) -> Any:
    # Not trunc(x / y): the quotient may round up to an integer that it does not reach.
    return g, -g * jnp.round((x - lax.rem(x, y)) / y)


case(
    "B07",
    "remainder with the dividend's sign (JAX daf6e3b065)",
    "negative quotient",
    forward=lax.rem,
    wrong=remainder_wrong,
    right=remainder_right,
    inputs={"x": bp.array("n"), "y": bp.array("n", nonzero=True)},
    ordinary=normal((5,), (5,)),
    shows=values([-7.0, 7.0], [2.0, -3.0]),
)


def hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def hard_sigmoid_wrong(x: Array, g: Array) -> Array:
    return g / 6


def hard_sigmoid_right(x: Array, g: Array) -> Array:
    return np.where(np.abs(x) < 3, g / 6, 0.0)


case(
    "B12",
    "hard sigmoid (pytorch#51408)",
    "abs(x) > 3",
    forward=hard_sigmoid,
    wrong=hard_sigmoid_wrong,
    right=hard_sigmoid_right,
    inputs={"x": bp.array("*batch")},
    ordinary=lambda rng: (np.clip(rng.standard_normal(5), -2.5, 2.5),),
    shows=values([-4.0, 1.0, 5.0]),
)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def sigmoid_wrong(x: Array, g: Array) -> Array:
    return g * sigmoid(x) * (1 - sigmoid(x))


def sigmoid_right(x: Array, g: Array) -> Array:
    return g * sigmoid(x) * sigmoid(-x)


case(
    "P01",
    "sigmoid (JAX 893b483e3f, jax#40342)",
    "x > 37: no digit is left",
    forward=sigmoid,
    wrong=sigmoid_wrong,
    right=sigmoid_right,
    inputs={"x": bp.array("*batch")},
    ordinary=normal((5,)),
    shows=values([40.0, 1.0]),
    verdict="inaccurate",
    accuracy=16,
)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_wrong(x: Array, g: Array) -> Array:
    return g * np.exp(x) / (1 + np.exp(x))


def softplus_right(x: Array, g: Array) -> Array:
    return g / (1 + np.exp(-x))


case(
    "P04",
    "softplus, forward written stably (tt-metal#56397)",
    "x > 710: inf/inf",
    forward=softplus,
    wrong=softplus_wrong,
    right=softplus_right,
    inputs={"x": bp.array("*batch")},
    ordinary=normal((5,)),
    shows=values([800.0, 1.0]),
    verdict="inaccurate",
)
