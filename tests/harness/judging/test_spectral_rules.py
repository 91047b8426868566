"""Rules of eigenvalues, singular values and QR factors: right ones hold, mistakes of a billionth are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm

import backprove as bp


@dataclass(frozen=True)
class Known:
    """A function, its right VJP, and the shape of its matrix."""

    forward: Callable[..., Any]
    vjp: Callable[..., Any]
    dims: str
    name: str = "x"

    def report(self, factor: float) -> bp.Report:
        def rule(*v: Any) -> Any:
            return factor * self.vjp(*v)

        inputs = {self.name: bp.array(self.dims, low=-3, high=3)}
        stated = bp.Rule("rule", forward=self.forward, vjp=rule, inputs=inputs)
        return bp.check(stated, points=200, dtypes=("float64",))


def half(x: Any) -> Any:
    return (x + x.mT) / 2


def eigvalsh_vjp(x: Any, g: Any) -> Any:
    _, v = jnp.linalg.eigh(half(x))
    return (v * g[None, :]) @ v.T


def projector(x: Any) -> Any:
    """On the eigenvector of the largest eigenvalue: its sign does not matter."""
    _, v = jnp.linalg.eigh(half(x))
    return jnp.outer(v[:, -1], v[:, -1])


def projector_vjp(x: Any, g: Any) -> Any:
    w, v = jnp.linalg.eigh(half(x))
    last = jnp.arange(w.shape[0]) == w.shape[0] - 1
    pulled = v.T @ (2 * half(g) @ v[:, -1])
    weights = jnp.where(last, 0.0, pulled / jnp.where(last, 1.0, w[-1] - w))
    return half(jnp.outer(v @ weights, v[:, -1]))


def singular_values_vjp(x: Any, g: Any) -> Any:
    u, _, vt = jnp.linalg.svd(x, full_matrices=False)
    return (u * g[None, :]) @ vt


def spectral_norm_vjp(x: Any, g: Any) -> Any:
    u, _, vt = jnp.linalg.svd(x, full_matrices=False)
    return g * jnp.outer(u[:, 0], vt[0])


def qr_vjp(x: Any, gq: Any, gr: Any) -> Any:
    q, r = jnp.linalg.qr(x)
    m = r @ gr.T - gq.T @ q
    copied = jnp.tril(m) + jnp.tril(m, -1).T
    return jax.scipy.linalg.solve_triangular(r, (gq + q @ copied).T, lower=False).T


def nuclear_vjp(x: Any, g: Any) -> Any:
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return g * (u @ vt)


KNOWN = {
    "eigenvalues": Known(jnp.linalg.eigvalsh, eigvalsh_vjp, "n n", "a"),
    "projector on an eigenvector": Known(projector, projector_vjp, "3 3"),
    "singular values": Known(lambda x: jnp.linalg.svd(x, compute_uv=False), singular_values_vjp, "m n"),
    "spectral norm": Known(lambda x: jnp.linalg.norm(x, 2), spectral_norm_vjp, "3 4"),
    "qr": Known(lambda x: tuple(jnp.linalg.qr(x)), qr_vjp, "4 3"),
    "nuclear norm in NumPy": Known(lambda x: np.linalg.norm(x, "nuc"), nuclear_vjp, "3 2"),
    "matrix exponential": Known(expm, lambda x, g: jax.vjp(expm, x)[1](g)[0], "2 2"),
    "trace of a power": Known(
        lambda x: jnp.trace(jnp.linalg.matrix_power(x, 3)), lambda x, g: 3 * g * (x @ x).T, "n n"
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_right_rule_holds(name: str) -> None:
    assert KNOWN[name].report(1.0).verdict == "holds"


@pytest.mark.parametrize("name", KNOWN)
def test_a_relative_mistake_of_a_billionth_is_refused(name: str) -> None:
    report = KNOWN[name].report(1 + 1e-9)
    assert report.verdict == "falsified" and report.counterexamples[0].oracle == "dual balls"
