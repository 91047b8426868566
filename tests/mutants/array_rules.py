"""Right derivative rules of functions of arrays: losses, normalisations, reductions, linear maps, a small network."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

import backprove as bp
from tests.mutants.problem import Problem

EPS = 1e-5


def log_softmax(z: Any) -> Any:
    shifted = z - jax.lax.stop_gradient(z.max())
    return shifted - jnp.log(jnp.exp(shifted).sum())


def softmax(z: Any) -> Any:
    return jax.nn.softmax(z, axis=-1)


def softmax_vjp(y: Any, g: Any) -> Any:
    """Cotangent of the logits from the softmax `y`, row by row."""
    return y * (g - (g * y).sum(-1, keepdims=True))


def mse(x: Any, y: Any) -> Any:
    return ((x - y) ** 2).mean()


def cross_entropy(z: Any, t: Any) -> Any:
    """One loss per row of logits."""
    return -(t * jax.nn.log_softmax(z, axis=-1)).sum(-1)


def cross_entropy_vjp(z: Any, t: Any, g: Any) -> Any:
    rows = g[:, None]
    return rows * (softmax(z) * t.sum(-1, keepdims=True) - t), -rows * jax.nn.log_softmax(z, axis=-1)


def nll(p: Any, t: Any) -> Any:
    """Mean over the rows of minus the log probability of the target."""
    return -(t * p).sum(-1).mean()


def bce(x: Any, y: Any) -> Any:
    return (jnp.maximum(x, 0) - x * y + jnp.log1p(jnp.exp(-jnp.abs(x)))).mean()


def kl(p: Any, q: Any) -> Any:
    return (p * (jnp.log(p) - jnp.log(q))).sum()


def mlp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return w2 @ jnp.tanh(w1 @ x + b1) + b2


def mlp_vjp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, g: Any) -> Any:
    h = jnp.tanh(w1 @ x + b1)
    d = (w2.T @ g) * (1 - h * h)
    return w1.T @ d, d[:, None] * x[None, :], d, g[:, None] * h[None, :], g


def linear(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    return centred / jnp.sqrt((centred * centred).mean(1, keepdims=True) + EPS) * gamma + beta


def layer_norm_vjp(x: Any, gamma: Any, beta: Any, g: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    root = jnp.sqrt((centred * centred).mean(1, keepdims=True) + EPS)
    xhat = centred / root
    d = g * gamma
    dx = (d - d.mean(1, keepdims=True) - xhat * (d * xhat).mean(1, keepdims=True)) / root
    return dx, (g * xhat).sum(0), g.sum(0)


def cumprod_vjp(x: Any, g: Any) -> Any:
    """Right at zeros too: `sum over j >= i of g_j` times the product of the first `j` entries without entry `i`."""
    n = x.shape[0]
    others = jnp.cumprod(jnp.where(jnp.eye(n, dtype=bool), 1, x[None, :]), axis=1)
    return jnp.where(jnp.triu(jnp.ones((n, n), dtype=bool)), g[None, :] * others, 0).sum(1)


def norm(x: Any) -> Any:
    return jnp.sqrt((x * x).sum())


def norm_vjp(x: Any, g: Any) -> Any:
    r = norm(x)
    return jnp.where(r > 0, g * (x / jnp.where(r > 0, r, 1)), 0)


def attention(q: Any, k: Any, v: Any) -> Any:
    return softmax(q @ k.T / math.sqrt(2)) @ v


def attention_vjp(q: Any, k: Any, v: Any, g: Any) -> Any:
    p = softmax(q @ k.T / math.sqrt(2))
    s = softmax_vjp(p, g @ v.T) / math.sqrt(2)
    return s @ k, s.T @ q, p.T @ g


def first_largest(x: Any, g: Any) -> Any:
    return g * (jnp.arange(x.shape[0]) == jnp.argmax(x))


def shared_largest(x: Any, g: Any) -> Any:
    tied = x == x.max()
    return jnp.where(tied, g / tied.sum(), 0)


def _vectors(*names: str, **domain: Any) -> dict[str, Any]:
    return {name: bp.array("n", **domain) for name in names}


_ONE_HOT = bp.array("m n", kind="one_hot")
_MLP = {"x": bp.array("4"), "w1": bp.array("5 4"), "b1": bp.array("5"), "w2": bp.array("3 5"), "b2": bp.array("3")}

ARRAYS = [
    Problem.of(
        "log_softmax",
        log_softmax,
        _vectors("z"),
        lambda z, g: g - jnp.exp(log_softmax(z)) * g.sum(),
        lambda z, g: (jnp.eye(z.shape[0], dtype=z.dtype) - softmax(z)[:, None]) @ g,
        jax.nn.log_softmax,
    ),
    Problem.of("mse", mse, _vectors("x", "y"), lambda x, y, g: (2 * g * (x - y) / x.size, -2 * g * (x - y) / x.size)),
    Problem.of("cross_entropy", cross_entropy, {"z": bp.array("m n"), "t": _ONE_HOT}, cross_entropy_vjp),
    Problem.of(
        "nll",
        nll,
        {"p": bp.array("m n", high=0.0), "t": _ONE_HOT},
        lambda p, t, g: (-g * t / p.shape[0], -g * p / p.shape[0]),
    ),
    Problem.of(
        "bce_with_logits",
        bce,
        {"x": bp.array("n"), "y": bp.array("n", low=0.0, high=1.0)},
        lambda x, y, g: (g * (sigmoid(x) - y) / x.size, -g * x / x.size),
        jax_form=lambda x, y: (jax.nn.softplus(x) - x * y).mean(),
    ),
    Problem.of(
        "kl",
        kl,
        _vectors("p", "q", low=1e-3, high=1.0),
        lambda p, q, g: (g * (jnp.log(p) - jnp.log(q) + 1), -g * (p / q)),
        lambda p, q, g: (g * (jnp.log(p / q) + 1), -g * p * (1 / q)),
    ),
    Problem.of("mlp", mlp, _MLP, mlp_vjp),
    Problem.of(
        "linear",
        linear,
        {"x": bp.array("m k"), "w": bp.array("k n"), "b": bp.array("n")},
        lambda x, w, b, g: (g @ w.T, x.T @ g, g.sum(0)),
    ),
    Problem.of(
        "matvec",
        lambda w, x: w @ x,
        {"w": bp.array("n n"), "x": bp.array("n")},
        lambda w, x, g: (g[:, None] * x[None, :], w.T @ g),
    ),
    Problem.of("reduce_max", lambda x: x.max(), _vectors("x"), shared_largest, first_largest),
    Problem.of(
        "layer_norm", layer_norm, {"x": bp.array("m n"), "gamma": bp.array("n"), "beta": bp.array("n")}, layer_norm_vjp
    ),
    Problem.of(
        "softmax",
        softmax,
        _vectors("z"),
        lambda z, g: softmax_vjp(softmax(z), g),
        lambda z, g: softmax(z) * g - softmax(z) * (softmax(z) * g).sum(),
    ),
    Problem.of("cumprod", jnp.cumprod, _vectors("x"), cumprod_vjp),
    # JAX's own reverse mode is NaN at 0, where every member of the unit ball would do: that is a mutant.
    Problem.of("norm", norm, _vectors("x"), norm_vjp, autodiff=False),
    Problem.of("attention", attention, {name: bp.array("3 2") for name in "qkv"}, attention_vjp),
]
