"""Released bugs in functions of rows: softmax and its kin, norms, shapes."""

from __future__ import annotations

import numpy as np

import backprove as bp
from backprove.harness.core.arrays import Array
from tests.zoo.case import case, normal, values
from tests.zoo.elementwise import sigmoid

# -- softmax and its kin -----------------------------------------------------------------------------------------------


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_wrong(x: Array, g: Array) -> Array:
    y = softmax(x)
    return g * y * (1 - y)


def softmax_right(x: Array, g: Array) -> Array:
    y = softmax(x)
    return y * (g - (g * y).sum(axis=-1, keepdims=True))


case(
    "B15",
    "softmax (libnd4j#440)",
    "n > 1",
    forward=softmax,
    wrong=softmax_wrong,
    right=softmax_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 7)),
)


def log_softmax(x: Array) -> Array:
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def log_softmax_wrong(x: Array, g: Array) -> Array:
    return g - (g * log_softmax(x)).sum(axis=-1, keepdims=True)


def log_softmax_diagonal(x: Array, g: Array) -> Array:
    return g * (1 - np.exp(log_softmax(x)))


def log_softmax_right(x: Array, g: Array) -> Array:
    return g - np.exp(log_softmax(x)) * g.sum(axis=-1, keepdims=True)


case(
    "B14",
    "log-softmax (oneDNN#616)",
    "everywhere",
    forward=log_softmax,
    wrong=log_softmax_wrong,
    right=log_softmax_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 7)),
)
case(
    "LS",
    "log-softmax, the diagonal only",
    "n > 1",
    forward=log_softmax,
    wrong=log_softmax_diagonal,
    right=log_softmax_right,
    inputs={"x": bp.array("m n")},
    ordinary=normal((4, 7)),
    shows=values([[1.0, 2.0, 3.0]]),
)


def cross_entropy(x: Array, label: Array) -> Array:
    return -np.take_along_axis(log_softmax(x), label[:, None], axis=-1)[:, 0]


def cross_entropy_slope(x: Array, label: Array) -> Array:
    return softmax(x) - (label[:, None] == np.arange(x.shape[-1]))


def cross_entropy_wrong(x: Array, label: Array, g: Array) -> Array:
    return g[0] * cross_entropy_slope(x, label)


def cross_entropy_right(x: Array, label: Array, g: Array) -> Array:
    return g[:, None] * cross_entropy_slope(x, label)


case(
    "B17",
    "cross entropy without reduction (Liger#1298)",
    ">= 2 rows, g not uniform",
    forward=cross_entropy,
    wrong=cross_entropy_wrong,
    right=cross_entropy_right,
    inputs={"x": bp.array("m n"), "label": bp.array("m", kind="index", high="n")},
    ordinary=lambda rng: (rng.standard_normal((4, 7)), rng.integers(0, 7, size=4)),
)


# -- norms and shapes --------------------------------------------------------------------------------------------------


def norm(x: Array) -> Array:
    return np.sqrt((x * x).sum(axis=-1))


def norm_wrong(x: Array, g: Array) -> Array:
    return g[..., None] * x / norm(x)[..., None]


def norm_right(x: Array, g: Array) -> Array:
    y = norm(x)[..., None]
    return np.where(y > 0, g[..., None] * x / np.where(y > 0, y, 1.0), 0.0)


case(
    "B19",
    "2-norm (pytorch#2421, autograd#151)",
    "x = 0",
    forward=norm,
    wrong=norm_wrong,
    right=norm_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 3)),
    shows=values([[0.0, 0.0]]),
)

EPSILON = 2.0**-17


def _normalised(x: Array) -> tuple[Array, Array]:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
    return centred * scale, scale


def layer_norm(x: Array, gamma: Array, beta: Array) -> Array:
    return _normalised(x)[0] * gamma + beta


def layer_norm_backward(x: Array, gamma: Array, g: Array, times: int) -> tuple[Array, Array, Array]:
    """The backward pass with mean(g * gamma) subtracted so many times (once is right)."""
    y, scale = _normalised(x)
    h = g * gamma
    dx = scale * (h - times * h.mean(axis=-1, keepdims=True) - y * (h * y).mean(axis=-1, keepdims=True))
    return dx, (g * y).sum(axis=0), g.sum(axis=0)


case(
    "B20",
    "layer norm (tt-metal#53204)",
    "mean(g * gamma) is not 0",
    forward=layer_norm,
    wrong=lambda x, gamma, beta, g: layer_norm_backward(x, gamma, g, 2),
    right=lambda x, gamma, beta, g: layer_norm_backward(x, gamma, g, 1),
    inputs={"x": bp.array("m n"), "gamma": bp.array("n"), "beta": bp.array("n")},
    ordinary=normal((4, 7), (7,), (7,)),
)


def swish(x: Array, beta: Array) -> Array:
    return x * sigmoid(beta * x)


def swish_backward(x: Array, beta: Array, g: Array) -> tuple[Array, Array]:
    """Cotangents of x and of beta before the sum to beta's shape."""
    s, slope = sigmoid(beta * x), sigmoid(beta * x) * sigmoid(-beta * x)
    return g * (s + beta * x * slope), g * x * x * slope


def swish_wrong(x: Array, beta: Array, g: Array) -> tuple[Array, Array]:
    dx, dbeta = swish_backward(x, beta, g)
    return dx, dbeta.sum()


def swish_right(x: Array, beta: Array, g: Array) -> tuple[Array, Array]:
    dx, dbeta = swish_backward(x, beta, g)
    return dx, dbeta.sum(axis=0)


case(
    "B22",
    "swish with beta (tf#127690)",
    "beta has more than one entry",
    forward=swish,
    wrong=swish_wrong,
    right=swish_right,
    inputs={"x": bp.array("m n"), "beta": bp.array("n")},
    ordinary=normal((4, 1), (1,)),
    shows=normal((4, 3), (3,)),
    verdict="error",
)

case(
    "B25",
    "trace (autograd 25c1b84)",
    "not square",
    forward=np.trace,
    wrong=lambda x, g: g * np.eye(x.shape[0]),
    right=lambda x, g: g * np.eye(x.shape[0], x.shape[1]),
    inputs={"x": bp.array("m n")},
    ordinary=normal((4, 4)),
    shows=normal((2, 3)),
    verdict="error",
)


def grouped_scores(query: Array, key: Array) -> Array:
    """Query heads in groups of `share`, one key head each."""
    return (query * key[:, None, :]).sum(axis=-1)


def _grouped_backward(query: Array, key: Array, g: Array, head: Array) -> tuple[Array, Array]:
    """`head[q]`: the key head of the query head `q`."""
    dkey = np.zeros_like(key)
    np.add.at(dkey, head, (g[:, :, None] * query).reshape(-1, key.shape[-1]))
    return g[:, :, None] * key[:, None, :], dkey


def grouped_wrong(query: Array, key: Array, g: Array) -> tuple[Array, Array]:
    n, share, _ = query.shape
    return _grouped_backward(query, key, g, np.arange(n * share) // n % n)


def grouped_right(query: Array, key: Array, g: Array) -> tuple[Array, Array]:
    n, share, _ = query.shape
    return _grouped_backward(query, key, g, np.arange(n * share) // share)


case(
    "B28",
    "grouped-query attention, head map (nsa-triton#27)",
    "share differs from the number of key heads",
    forward=grouped_scores,
    wrong=grouped_wrong,
    right=grouped_right,
    inputs={"query": bp.array("kv share d"), "key": bp.array("kv d")},
    ordinary=normal((4, 4, 3), (4, 3)),
    shows=normal((2, 3, 4), (2, 4)),
)
