"""The eight rules of the benchmark: forward map, closed JVP and VJP, and the sizes of the inputs.

Every input is differentiated; targets of the losses are constants of the map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array

Formula = Callable[..., Any]
Shape = tuple[int, ...]

GELU_C = math.sqrt(2 / math.pi)
GELU_K = 0.044715
EPSILON = 1e-5
TARGET = np.array([0.5, -0.25, 1.0])
CLASSES = np.eye(10)[[3, 1, 4, 1, 5, 9, 2, 6]]


@dataclass(frozen=True)
class BenchRule:
    """One rule.

    Attributes:
        name: as the tables show it.
        forward: JAX code; one array out.
        jvp: `jvp(*inputs, *tangents)` -> tangent of the output.
        vjp: `vjp(*inputs, cotangent)` -> tuple of cotangents, one per input.
        torch: the same map, `torch(module, *inputs)`.
        shapes: of the inputs.
        output: shape of the output.
    """

    name: str
    forward: Formula
    jvp: Formula
    vjp: Formula
    torch: Formula
    shapes: tuple[Shape, ...]
    output: Shape

    def draw(self, points: int, seed: int = 0) -> tuple[list[Array], list[Array], Array]:
        """Standard normal inputs, tangents and cotangent in float64, points on the first axis."""
        rng = np.random.default_rng(seed)
        inputs = [rng.standard_normal((points, *s)) for s in self.shapes]
        tangents = [rng.standard_normal((points, *s)) for s in self.shapes]
        return inputs, tangents, rng.standard_normal((points, *self.output))


def _np() -> Any:
    import jax.numpy as jnp

    return jnp


def _held(x: Any) -> Any:
    """Not differentiated, as in JAX's own softmax: the shift cancels."""
    import jax

    return jax.lax.stop_gradient(x)


# ---------------------------------------------------------------- log-softmax


def log_softmax(z: Any) -> Any:
    jnp = _np()
    shifted = z - _held(z.max())
    return shifted - jnp.log(jnp.exp(shifted).sum())


def _log_softmax_jvp(z: Any, v: Any) -> Any:
    p = _np().exp(log_softmax(z))
    return v - (p * v).sum()


def _log_softmax_vjp(z: Any, g: Any) -> Any:
    return (g - _np().exp(log_softmax(z)) * g.sum(),)


# ---------------------------------------------------------------- entry by entry


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + _np().tanh(GELU_C * (x + GELU_K * x**3)))


def _gelu_slope(x: Any) -> Any:
    t = _np().tanh(GELU_C * (x + GELU_K * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_C * (1 + 3 * GELU_K * x**2)


def softplus(x: Any) -> Any:
    jnp = _np()
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def _logistic(x: Any) -> Any:
    jnp = _np()
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1 / (1 + e), e / (1 + e))


# ---------------------------------------------------------------- a network with its loss


def mlp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    h = _np().tanh(w1 @ x + b1)
    return ((w2 @ h + b2 - TARGET.astype(x.dtype)) ** 2).mean()


def _mlp_jvp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, *v: Any) -> Any:
    dx, dw1, db1, dw2, db2 = v
    h = _np().tanh(w1 @ x + b1)
    dh = (1 - h * h) * (dw1 @ x + w1 @ dx + db1)
    return (2 / 3) * ((w2 @ h + b2 - TARGET.astype(x.dtype)) * (dw2 @ h + w2 @ dh + db2)).sum()


def _mlp_vjp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, g: Any) -> Any:
    h = _np().tanh(w1 @ x + b1)
    d2 = (2 / 3) * g * (w2 @ h + b2 - TARGET.astype(x.dtype))
    d1 = (w2.T @ d2) * (1 - h * h)
    return w1.T @ d1, d1[:, None] * x, d1, d2[:, None] * h, d2


# ---------------------------------------------------------------- cross entropy


def _rows_log_softmax(z: Any) -> Any:
    jnp = _np()
    shifted = z - _held(z.max(axis=1, keepdims=True))
    return shifted - jnp.log(jnp.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(z: Any) -> Any:
    return -(CLASSES.astype(z.dtype) * _rows_log_softmax(z)).sum() / len(CLASSES)


def _cross_entropy_gradient(z: Any) -> Any:
    return (_np().exp(_rows_log_softmax(z)) - CLASSES.astype(z.dtype)) / len(CLASSES)


# ---------------------------------------------------------------- layer norm


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    return _normalised(x)[0] * gamma + beta


def _normalised(x: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    root = _np().sqrt((centred * centred).mean(axis=1, keepdims=True) + EPSILON)
    return centred / root, root


def _through_norm(n: Any, root: Any, d: Any) -> Any:
    """The derivative of the normalisation, which is symmetric, applied to `d`."""
    return (d - d.mean(axis=1, keepdims=True) - n * (n * d).mean(axis=1, keepdims=True)) / root


def _layer_norm_jvp(x: Any, gamma: Any, beta: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
    n, root = _normalised(x)
    return _through_norm(n, root, dx) * gamma + n * dgamma + dbeta


def _layer_norm_vjp(x: Any, gamma: Any, beta: Any, g: Any) -> Any:
    n, root = _normalised(x)
    return _through_norm(n, root, g * gamma), (g * n).sum(axis=0), g.sum(axis=0)


# ---------------------------------------------------------------- attention


def attention(q: Any, k: Any, v: Any) -> Any:
    return _weights(q, k) @ v


def _weights(q: Any, k: Any) -> Any:
    s = q @ k.T / math.sqrt(q.shape[1])
    e = _np().exp(s - _held(s.max(axis=1, keepdims=True)))
    return e / e.sum(axis=1, keepdims=True)


def _through_softmax(p: Any, d: Any) -> Any:
    return p * (d - (p * d).sum(axis=1, keepdims=True))


def _attention_jvp(q: Any, k: Any, v: Any, dq: Any, dk: Any, dv: Any) -> Any:
    p = _weights(q, k)
    ds = (dq @ k.T + q @ dk.T) / math.sqrt(q.shape[1])
    return _through_softmax(p, ds) @ v + p @ dv


def _attention_vjp(q: Any, k: Any, v: Any, g: Any) -> Any:
    p = _weights(q, k)
    ds = _through_softmax(p, g @ v.T) / math.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, p.T @ g


# ---------------------------------------------------------------- the same maps in torch


def _torch_mlp(torch: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    h = torch.tanh(w1 @ x + b1)
    return ((w2 @ h + b2 - torch.as_tensor(TARGET)) ** 2).mean()


def _torch_cross_entropy(torch: Any, z: Any) -> Any:
    return -(torch.as_tensor(CLASSES) * torch.log_softmax(z, 1)).sum() / len(CLASSES)


def _torch_layer_norm(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
    return torch.nn.functional.layer_norm(x, (x.shape[1],), gamma, beta, EPSILON)


def _torch_attention(torch: Any, q: Any, k: Any, v: Any) -> Any:
    return torch.softmax(q @ k.T / math.sqrt(q.shape[1]), 1) @ v


def log_softmax_rule(n: int) -> BenchRule:
    """log-softmax of one row of `n` logits."""
    return BenchRule(
        f"log-softmax {n}",
        log_softmax,
        _log_softmax_jvp,
        _log_softmax_vjp,
        lambda torch, z: torch.log_softmax(z, 0),
        ((n,),),
        (n,),
    )


RULES: tuple[BenchRule, ...] = (
    log_softmax_rule(8),
    log_softmax_rule(1000),
    BenchRule(
        "tanh-GELU 16",
        gelu,
        lambda x, v: _gelu_slope(x) * v,
        lambda x, g: (_gelu_slope(x) * g,),
        lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
        ((16,),),
        (16,),
    ),
    BenchRule(
        "softplus 16",
        softplus,
        lambda x, v: _logistic(x) * v,
        lambda x, g: (_logistic(x) * g,),
        lambda torch, x: torch.nn.functional.softplus(x),
        ((16,),),
        (16,),
    ),
    BenchRule("MLP 4-8-3, MSE", mlp, _mlp_jvp, _mlp_vjp, _torch_mlp, ((4,), (8, 4), (8,), (3, 8), (3,)), ()),
    BenchRule(
        "cross entropy 8x10",
        cross_entropy,
        lambda z, v: (_cross_entropy_gradient(z) * v).sum(),
        lambda z, g: (g * _cross_entropy_gradient(z),),
        _torch_cross_entropy,
        ((8, 10),),
        (),
    ),
    BenchRule(
        "layer norm 4x16",
        layer_norm,
        _layer_norm_jvp,
        _layer_norm_vjp,
        _torch_layer_norm,
        ((4, 16), (16,), (16,)),
        (4, 16),
    ),
    BenchRule(
        "attention T=6 d=4",
        attention,
        _attention_jvp,
        _attention_vjp,
        _torch_attention,
        ((6, 4), (6, 4), (6, 4)),
        (6, 4),
    ),
)
