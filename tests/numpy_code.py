"""Ordinary NumPy derivative code, as users write it, with inputs: what both NumPy front ends have to run unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RNG = np.random.default_rng(20240611)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def logsoftmax(z):
    c = z.max(axis=1, keepdims=True)
    return z - c - np.log(np.exp(z - c).sum(axis=1, keepdims=True))


def softmax_backward(x, g):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    y = e / np.sum(e, axis=-1, keepdims=True)
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


def layer_norm(x, gamma, beta):
    mu, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return gamma * (x - mu) / np.sqrt(var + 1e-5) + beta


def layer_norm_backward(x, gamma, g):
    mu, std = np.mean(x, -1, keepdims=True), np.sqrt(np.var(x, -1, keepdims=True) + 1e-5)
    xhat = (x - mu) / std
    h = g * gamma
    dx = (h - h.mean(-1, keepdims=True) - xhat * (h * xhat).mean(-1, keepdims=True)) / std
    return dx, (g * xhat).sum(axis=0), g.sum(axis=0)


def sort_backward(x, g):
    perm = np.argsort(x, kind="stable")
    out = np.zeros(x.shape)
    out[perm] = g
    return out


def cumprod_backward(x, g):
    n = len(x)
    out = np.zeros_like(x)
    for i in range(n):
        for j in range(i, n):
            term = g[j]
            for k in range(j + 1):
                if k != i:
                    term = term * x[k]
            out[i] += term
    return out


def max_backward(x, g):
    ties = (x == x.max()).astype(float)
    return g * ties / ties.sum()


def norm_backward(x, g):
    n = np.linalg.norm(x)
    return g * x / n


def hard_sigmoid_backward(x, g):
    return np.where((x > -3) & (x < 3), g / 6, 0.0)


def relu_backward_in_place(x, g):
    dx = g.copy()
    dx[x <= 0] = 0
    dx *= 2
    return dx


def cross_entropy_backward(z, g, labels):
    n = z.shape[1]
    p = np.exp(logsoftmax(z))
    return g[:, None] * (p - np.eye(n)[labels])


def cross_entropy_in_place(z, labels):
    p = np.exp(logsoftmax(z))
    p[np.arange(len(labels)), labels] -= 1.0
    return p / len(labels)


def embedding_backward(g, indices):
    out = np.zeros((5, g.shape[1]))
    np.add.at(out, indices, g)
    return out


def attention(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[-1])
    mask = np.tril(np.ones(s.shape)) > 0
    s = np.where(mask, s, -np.inf)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    return (p / p.sum(axis=-1, keepdims=True)) @ v


def conv1d_backward(x, w, g):
    dx, dw = np.zeros(len(x)), np.zeros(len(w))
    for i in range(len(g)):
        dx[i : i + len(w)] += g[i] * w
        dw += g[i] * x[i : i + len(w)]
    return dx, dw


def slice_view(x):
    out = np.empty((3, 2))
    for i, row in enumerate(out):
        row[:] = x * i
    last = out[-1]
    last *= 3
    last[0] = x[1]
    return out


def scalar_rebinding(x):
    s = x[0]
    first = s
    for i in range(1, len(x)):
        s += x[i] ** 2
    return s, first


def statistics(x):
    return x.std(), np.prod(x), np.cumsum(x), x.max(), np.mean(x, dtype=np.float64), x.reshape(-1, 1).T.ravel()


def rearranged(x, y):
    both = np.concatenate([x, y])
    a, b = np.split(np.stack([both, 2 * both]), 2, axis=0)
    return np.pad(a, ((0, 0), (1, 2))), np.diag(b[0]), np.take(x, [1, 0]), np.sort(y)[::-1], np.outer(x, y)


def multilinear(a, b):
    return np.einsum("ij,kj->ik", a, b), np.dot(a, b.T), np.tensordot(a, b, axes=([1], [1])), np.trace(a @ b.T)


def packed(x):
    return np.array([x[0] * 2, x[1] - x[0]]), np.asarray(x, dtype=float), np.full(2, x[0])


def epsilon(x):
    return x / (np.abs(x) + np.finfo(x.dtype).eps)


@dataclass(frozen=True)
class Case:
    """Code and inputs; `traceable` code also runs on traced arrays."""

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    name: str = ""
    traceable: bool = True

    def __str__(self) -> str:
        return self.name or self.function.__name__


LABELS = np.array([2, 0, 1])
X, G = normal(6), normal(6)

CASES = [
    Case(logsoftmax, (normal(3, 4),)),
    Case(softmax_backward, (normal(2, 5), normal(2, 5))),
    Case(layer_norm, (normal(3, 4), normal(4), normal(4))),
    Case(layer_norm_backward, (normal(3, 4), normal(4), normal(3, 4))),
    Case(sort_backward, (X, G)),
    Case(cumprod_backward, (normal(4), normal(4))),
    Case(max_backward, (X, normal(1)[0])),
    Case(norm_backward, (X, normal(1)[0])),
    Case(hard_sigmoid_backward, (4 * X, G)),
    Case(relu_backward_in_place, (X, G)),
    Case(cross_entropy_backward, (normal(3, 4), normal(3), LABELS)),
    Case(cross_entropy_in_place, (normal(3, 4), LABELS)),
    Case(embedding_backward, (normal(4, 2), np.array([1, 3, 1, 0]))),
    Case(attention, (normal(3, 2), normal(3, 2), normal(3, 4))),
    Case(conv1d_backward, (normal(6), normal(3), normal(4))),
    Case(slice_view, (normal(2),)),
    Case(scalar_rebinding, (normal(4),)),
    Case(statistics, (X,)),
    Case(rearranged, (normal(3), normal(2))),
    Case(multilinear, (normal(2, 3), normal(2, 3))),
    Case(packed, (normal(2),)),
    Case(epsilon, (X,)),
    Case(lambda g: g * np.eye(2, 3), (normal(1)[0],), "trace_rule"),
    Case(lambda x: np.linalg.norm(x, axis=1, keepdims=True), (normal(2, 3),), "norm_axis"),
    Case(lambda x: np.clip(x, -0.5, 0.5), (X,), "clip"),
    Case(lambda x: x.clip(min=0), (X,), "clip_method"),
    Case(lambda x: np.logaddexp(0, x), (10 * X,), "softplus"),
    Case(lambda x: np.maximum(x, 0) + np.minimum(x, 0.1) ** 3, (X,), "max_min"),
    Case(lambda x: np.max(np.stack([x, x * x, -x]), axis=0), (X,), "max_axis"),
    Case(lambda x: np.sign(x) * np.log1p(np.abs(x)) + np.expm1(x) + np.tanh(x) ** 2, (X,), "elementary"),
    Case(lambda x: np.arctan2(x, 2.0) + np.hypot(x, 1) + np.cbrt(x) + np.log2(x * x) + 2.0**x, (X,), "binary"),
    Case(lambda x: np.arcsinh(x) + np.cosh(x) + np.sin(x) * np.cos(x) + np.reciprocal(x) + x**-2, (X,), "more"),
    Case(lambda x: np.add.reduce(x) * np.multiply.accumulate(x) + np.add.outer(x, x)[0], (X,), "ufunc_methods"),
    Case(lambda x: (x % 0.75, x // 0.75, np.floor(x), np.square(x)), (X,), "steps"),
    Case(lambda x: (x[[1, 0]], x.round(1), x[None].repeat(2, 0).T.flatten(), x.dot(x)), (X,), "methods"),
    Case(np.vectorize(lambda v: v * abs(v)), (X,), "vectorize", traceable=False),
    Case(lambda x: x[(x > 0) | (x < -0.2)].sum(), (X,), "mask_selection", traceable=False),
    Case(lambda x: x if x[0] > 0 else -x, (X,), "python_if", traceable=False),
    Case(
        lambda x: (g := x.reshape(2, 3) * 1.0).T.__setitem__(0, 0.0) or g,
        (X,),
        "write_through_transpose",
        traceable=False,
    ),
]


def flat(result: Any) -> list[Any]:
    """The arrays of a result, in order."""
    return [np.asarray(r) for r in result] if isinstance(result, (tuple, list)) else [np.asarray(result)]


def call(case: Case) -> list[Any]:
    """Plain NumPy on copies of the inputs."""
    return flat(case.function(*(np.array(a) for a in case.inputs)))
