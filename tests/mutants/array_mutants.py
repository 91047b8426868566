"""Wrong derivative rules of functions of arrays."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from tests.mutants.array_rules import (
    EPS,
    attention_vjp,
    bce,
    cross_entropy_vjp,
    layer_norm_vjp,
    log_softmax,
    mlp_vjp,
    norm,
    norm_vjp,
    softmax,
    softmax_vjp,
)
from tests.mutants.problem import Mutant, by_autodiff

BOTH = frozenset({"float32", "bfloat16"})
NARROW = frozenset({"bfloat16"})


def right_log_softmax(z: Any, g: Any) -> Any:
    return g - jnp.exp(log_softmax(z)) * g.sum()


def first_row_only(z: Any, t: Any, g: Any) -> Any:
    return cross_entropy_vjp(z, t, jnp.broadcast_to(g[:1], g.shape))


def part(vjp: Any, index: int, change: Any) -> Any:
    """`vjp` with one of its cotangents changed."""

    def wrong(*arguments: Any) -> Any:
        found = list(vjp(*arguments))
        found[index] = change(found[index])
        return tuple(found)

    return wrong


def mlp_without_slope(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, g: Any) -> Any:
    h = jnp.tanh(w1 @ x + b1)
    d = w2.T @ g
    return w1.T @ d, d[:, None] * x[None, :], d, g[:, None] * h[None, :], g


def mlp_before_tanh(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, g: Any) -> Any:
    dx, dw1, db1, _, db2 = mlp_vjp(x, w1, b1, w2, b2, g)
    return dx, dw1, db1, g[:, None] * (w1 @ x + b1)[None, :], db2


def layer_norm_dx(x: Any, gamma: Any, g: Any, first: float, second: float, axis: int = 1, eps: float = EPS) -> Any:
    """Cotangent of `x` with weights on the two means, their axis, and another epsilon."""
    centred = x - x.mean(1, keepdims=True)
    root = jnp.sqrt((centred * centred).mean(1, keepdims=True) + eps)
    xhat, d = centred / root, g * gamma
    return (d - first * d.mean(axis, keepdims=True) - second * xhat * (d * xhat).mean(axis, keepdims=True)) / root


def layer_norm_with(**change: Any) -> Any:
    """The rule of layer norm with another cotangent of `x`."""
    settings = {"first": 1.0, "second": 1.0, **change}

    def vjp(x: Any, gamma: Any, beta: Any, g: Any) -> Any:
        _, dgamma, dbeta = layer_norm_vjp(x, gamma, beta, g)
        return layer_norm_dx(x, gamma, g, **settings), dgamma, dbeta

    return vjp


def cumprod_by_division(x: Any, g: Any) -> Any:
    return jnp.cumsum((g * jnp.cumprod(x))[::-1])[::-1] / x


def cumprod_forward_sum(x: Any, g: Any) -> Any:
    n = x.shape[0]
    others = jnp.cumprod(jnp.where(jnp.eye(n, dtype=bool), 1, x[None, :]), axis=1)
    return jnp.where(jnp.tril(jnp.ones((n, n), dtype=bool)), g[None, :] * others, 0).sum(1)


def attention_with(
    scale: float = math.sqrt(0.5), diagonal: bool = False, transposed: bool = False, swapped: bool = False
) -> Any:
    """The rule of attention with one step wrong."""

    def vjp(q: Any, k: Any, v: Any, g: Any) -> Any:
        p = softmax(q @ k.T / math.sqrt(2))
        dp = g @ v.T
        s = (dp * p * (1 - p) if diagonal else softmax_vjp(p, dp)) * scale
        return s @ k, (s if swapped else s.T) @ q, (p if transposed else p.T) @ g

    return vjp


ARRAY_MUTANTS = [
    Mutant("log_softmax_diagonal", "log_softmax", "only the diagonal", lambda z, g: g * (1 - jnp.exp(log_softmax(z)))),
    Mutant("log_softmax_inner", "log_softmax", "g - <g, y>", lambda z, g: g - (g * log_softmax(z)).sum()),
    Mutant(
        "log_softmax_mean",
        "log_softmax",
        "mean in place of the sum",
        lambda z, g: g - jnp.exp(log_softmax(z)) * g.mean(),
    ),
    Mutant(
        "log_softmax_entry",
        "log_softmax",
        "first entry zeroed",
        lambda z, g: jnp.where(jnp.arange(z.size) == 0, 0, right_log_softmax(z, g)),
    ),
    Mutant(
        "log_softmax_ties",
        "log_softmax",
        "0 where all logits are equal",
        lambda z, g: jnp.where(z.max() == z.min(), 0, right_log_softmax(z, g)),
    ),
    Mutant(
        "log_softmax_cotangent", "log_softmax", "cotangent taken for ones", lambda z, g: right_log_softmax(z, 0 * g + 1)
    ),
    Mutant("mse_unscaled", "mse", "1/n dropped", lambda x, y, g: (2 * g * (x - y), -2 * g * (x - y))),
    Mutant("mse_half", "mse", "factor 2 dropped", lambda x, y, g: (g * (x - y) / x.size, -g * (x - y) / x.size)),
    Mutant(
        "mse_sign",
        "mse",
        "sign of the target's cotangent",
        lambda x, y, g: (2 * g * (x - y) / x.size, 2 * g * (x - y) / x.size),
    ),
    Mutant(
        "mse_sample",
        "mse",
        "n + 1 in place of n",
        lambda x, y, g: (2 * g * (x - y) / (x.size + 1), -2 * g * (x - y) / (x.size + 1)),
    ),
    Mutant(
        "cross_entropy_plus",
        "cross_entropy",
        "p + t in place of p - t",
        lambda z, t, g: (g[:, None] * (softmax(z) + t), cross_entropy_vjp(z, t, g)[1]),
    ),
    Mutant("cross_entropy_rows", "cross_entropy", "the first row's cotangent for every row", first_row_only),
    Mutant(
        "cross_entropy_target",
        "cross_entropy",
        "sign of the target's cotangent",
        part(cross_entropy_vjp, 1, lambda d: -d),
    ),
    Mutant(
        "cross_entropy_probability",
        "cross_entropy",
        "p - 2t",
        lambda z, t, g: (g[:, None] * (softmax(z) - 2 * t), cross_entropy_vjp(z, t, g)[1]),
    ),
    Mutant("nll_unscaled", "nll", "1/m dropped", lambda p, t, g: (-g * t, -g * p)),
    Mutant("nll_axis", "nll", "divided by the wrong axis", lambda p, t, g: (-g * t / p.shape[1], -g * p / p.shape[1])),
    Mutant("nll_sign", "nll", "sign", lambda p, t, g: (g * t / p.shape[0], g * p / p.shape[0])),
    Mutant("bce_unscaled", "bce_with_logits", "1/n dropped", lambda x, y, g: (g * (sigmoid(x) - y), -g * x)),
    Mutant(
        "bce_mirrored",
        "bce_with_logits",
        "s(-x) - y",
        lambda x, y, g: (g * (sigmoid(-x) - y) / x.size, -g * x / x.size),
    ),
    Mutant(
        "bce_target",
        "bce_with_logits",
        "target's cotangent dropped",
        lambda x, y, g: (g * (sigmoid(x) - y) / x.size, 0 * g * x),
    ),
    Mutant("bce_piecewise", "bce_with_logits", "max and |x| differentiated one by one: 0 at 0", by_autodiff(bce, 2)),
    Mutant(
        "bce_float32",
        "bce_with_logits",
        "sigmoid in float32",
        lambda x, y, g: (g * (sigmoid(x.astype(jnp.float32)).astype(x.dtype) - y) / x.size, -g * x / x.size),
        "inaccurate",
        BOTH,
    ),
    Mutant("kl_dropped", "kl", "+1 dropped", lambda p, q, g: (g * (jnp.log(p) - jnp.log(q)), -g * (p / q))),
    Mutant(
        "kl_sign",
        "kl",
        "sign of the second cotangent",
        lambda p, q, g: (g * (jnp.log(p) - jnp.log(q) + 1), g * (p / q)),
    ),
    Mutant(
        "kl_inverted", "kl", "q/p in place of p/q", lambda p, q, g: (g * (jnp.log(p) - jnp.log(q) + 1), -g * (q / p))
    ),
    Mutant(
        "kl_digit",
        "kl",
        "1.000001 in place of 1",
        lambda p, q, g: (g * (jnp.log(p) - jnp.log(q) + 1.000001), -g * (p / q)),
        "falsified",
        NARROW,
    ),
    Mutant("mlp_slope", "mlp", "derivative of tanh dropped", mlp_without_slope),
    Mutant("mlp_activation", "mlp", "pre-activation in place of the activation", mlp_before_tanh),
    Mutant("mlp_bias", "mlp", "cotangent of the hidden bias zeroed", part(mlp_vjp, 2, lambda d: 0 * d)),
    Mutant(
        "mlp_entry", "mlp", "one entry of a weight's cotangent zeroed", part(mlp_vjp, 1, lambda d: d.at[4, 3].set(0))
    ),
    Mutant(
        "mlp_1e9",
        "mlp",
        "relative error 1e-9 in one cotangent",
        part(mlp_vjp, 3, lambda d: d * (1 + 1e-9)),
        "falsified",
        BOTH,
    ),
    Mutant("linear_bias", "linear", "mean in place of the sum", lambda x, w, b, g: (g @ w.T, x.T @ g, g.mean(0))),
    Mutant(
        "linear_sign", "linear", "sign of the weight's cotangent", lambda x, w, b, g: (g @ w.T, -(x.T @ g), g.sum(0))
    ),
    Mutant(
        "linear_doubled",
        "linear",
        "factor 2 in the input's cotangent",
        lambda x, w, b, g: (2 * (g @ w.T), x.T @ g, g.sum(0)),
    ),
    Mutant(
        "matvec_transposed", "matvec", "w in place of its transpose", lambda w, x, g: (g[:, None] * x[None, :], w @ g)
    ),
    Mutant("matvec_outer", "matvec", "outer product transposed", lambda w, x, g: (x[:, None] * g[None, :], w.T @ g)),
    Mutant("max_ties", "reduce_max", "every tied entry gets all", lambda x, g: g * (x == x.max())),
    Mutant(
        "max_smallest", "reduce_max", "the smallest entry", lambda x, g: g * (jnp.arange(x.shape[0]) == jnp.argmin(x))
    ),
    Mutant(
        "max_tolerance",
        "reduce_max",
        "entries within 0.001 count as tied",
        lambda x, g: jnp.where(x > x.max() - 1e-3, g / (x > x.max() - 1e-3).sum(), 0),
    ),
    Mutant(
        "layer_norm_projection", "layer_norm", "projection on the normalised input dropped", layer_norm_with(second=0.0)
    ),
    Mutant("layer_norm_twice", "layer_norm", "mean subtracted twice", layer_norm_with(first=2.0)),
    Mutant("layer_norm_axis", "layer_norm", "means over the wrong axis", layer_norm_with(axis=0)),
    Mutant(
        "layer_norm_epsilon", "layer_norm", "epsilon 1.00001e-5", layer_norm_with(eps=1.00001e-5), "falsified", NARROW
    ),
    Mutant(
        "layer_norm_gamma",
        "layer_norm",
        "gamma's cotangent not normalised",
        lambda x, gamma, beta, g: (layer_norm_vjp(x, gamma, beta, g)[0], (g * x).sum(0), g.sum(0)),
    ),
    Mutant("softmax_diagonal", "softmax", "only the diagonal", lambda z, g: g * softmax(z) * (1 - softmax(z))),
    Mutant(
        "softmax_sign", "softmax", "sign of the inner product", lambda z, g: softmax(z) * (g + (g * softmax(z)).sum())
    ),
    Mutant(
        "softmax_mean", "softmax", "mean in place of the sum", lambda z, g: softmax(z) * (g - (g * softmax(z)).mean())
    ),
    Mutant(
        "softmax_1e7",
        "softmax",
        "relative error 1e-7",
        lambda z, g: softmax_vjp(softmax(z), g) * (1 + 1e-7),
        "falsified",
        NARROW,
    ),
    Mutant("cumprod_division", "cumprod", "divided by the entry: no value at zeros", cumprod_by_division),
    Mutant("cumprod_order", "cumprod", "sums over earlier entries", cumprod_forward_sum),
    Mutant("norm_undefined", "norm", "0/0 at 0", lambda x, g: g * (x / norm(x))),
    Mutant("norm_autodiff", "norm", "JAX's own reverse mode: not a number at 0", by_autodiff(norm, 1)),
    Mutant("norm_square", "norm", "derivative of the square", lambda x, g: 2 * g * x),
    Mutant("norm_outside", "norm", "2 g at 0", lambda x, g: jnp.where(norm(x) > 0, norm_vjp(x, g), 2 * g)),
    Mutant("attention_scale", "attention", "scale dropped", attention_with(scale=1.0)),
    Mutant("attention_diagonal", "attention", "only the diagonal of the softmax", attention_with(diagonal=True)),
    Mutant("attention_values", "attention", "weights not transposed", attention_with(transposed=True)),
    Mutant("attention_keys", "attention", "scores not transposed", attention_with(swapped=True)),
    Mutant(
        "attention_entry",
        "attention",
        "one entry of the query's cotangent zeroed",
        part(attention_vjp, 0, lambda d: d.at[2, 1].set(0)),
    ),
]
