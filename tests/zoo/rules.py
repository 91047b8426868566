"""Sixteen derivative rules that were released wrong, each beside the right one, and the log-softmax of the README.

The mistakes are public bug reports, written here anew from the mathematics, as a user would write them. In every rule
`g` is the cotangent of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

import backprove as bp
from backprove.strategies.array import ArraySpec

Array = NDArray[Any]
Sample = Callable[[np.random.Generator], tuple[Array, ...]]


@dataclass(frozen=True)
class Case:
    """One bug: the rule as it was released and as it should be.

    Attributes:
        key: number in the collection of bug reports.
        report: operation and public report.
        wrong, right: the two rules, with the same inputs.
        verdict: what the checker must say of the wrong one.
        region: inputs, in words, where the mistake shows.
        ordinary: draws the inputs on which a rule is usually tried: standard normal, of an ordinary shape.
        shows: draws inputs from that region.
        accuracy: as in `bp.check`.
    """

    key: str
    report: str
    wrong: bp.Rule
    right: bp.Rule
    region: str
    ordinary: Sample
    shows: Sample
    verdict: str = "falsified"
    accuracy: float | None = None


CASES: dict[str, Case] = {}


def _case(
    key: str,
    report: str,
    region: str,
    *,
    forward: Callable[..., Any],
    wrong: Callable[..., Any],
    right: Callable[..., Any],
    inputs: Mapping[str, ArraySpec],
    ordinary: Sample,
    shows: Sample | None = None,
    **options: Any,
) -> None:
    wrong_rule, right_rule = (
        bp.Rule(f"{key} {kind}", forward=forward, vjp=vjp, inputs=inputs)
        for kind, vjp in (("wrong", wrong), ("right", right))
    )
    CASES[key] = Case(key, report, wrong_rule, right_rule, region, ordinary, shows or ordinary, **options)


def normal(*shapes: tuple[int, ...]) -> Sample:
    """Standard normal inputs of these shapes."""
    return lambda rng: tuple(np.asarray(rng.standard_normal(s)) for s in shapes)


def values(*lists: Any) -> Sample:
    """These inputs, always."""
    return lambda rng: tuple(np.array(v, dtype=float) for v in lists)


# -- order and ties ----------------------------------------------------------------------------------------------------


def sort(x: Array) -> Array:
    return np.sort(x, axis=-1)


def sort_wrong(x: Array, g: Array) -> Array:
    return np.take_along_axis(g, np.argsort(x, axis=-1), axis=-1)


def sort_right(x: Array, g: Array) -> Array:
    out = np.empty_like(g)
    np.put_along_axis(out, np.argsort(x, axis=-1), g, axis=-1)
    return out


_case(
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


_case(
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


_case(
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


_case(
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


_case(
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


_case(
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


_case(
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


_case(
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


_case(
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


_case(
    "B14",
    "log-softmax (oneDNN#616)",
    "everywhere",
    forward=log_softmax,
    wrong=log_softmax_wrong,
    right=log_softmax_right,
    inputs={"x": bp.array("*batch n")},
    ordinary=normal((4, 7)),
)
_case(
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


_case(
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


_case(
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


_case(
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


_case(
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

_case(
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


_case(
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


def renamed(rule: bp.Rule, **changes: Any) -> bp.Rule:
    """The rule with some fields changed."""
    return replace(rule, **changes)
