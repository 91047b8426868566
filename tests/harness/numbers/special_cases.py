"""Functions that use the primitives of special functions, each with the inputs and the range on which it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import lax

from backprove.harness.programs.further_primitives import further_primitives

ONE, TWO = (((3,), "float64"),), (((3,), "float64"), ((3,), "float64"))


def beta(a: Any, x: Any) -> Any:
    """The derivative in the orders is not JAX's: they are constants."""
    place = x / (1 + x)
    return a * lax.betainc(jnp.array([0.7, 2.5, 9.0]), jnp.array([3.0, 0.4, 11.0]), place)


def further(name: str) -> Callable[..., Any]:
    return further_primitives()[name].bind


def held(call: Callable[..., Any]) -> Callable[..., Any]:
    """JAX has no derivative of the function."""
    return lambda a, x: x * call(lax.stop_gradient(a), lax.stop_gradient(x))


def transform(x: Any, y: Any) -> Any:
    """Both directions of the Fourier transform, and both parts."""
    dft = further_primitives()["dft"]
    (a, b), (c, d) = dft.bind(x, y, inverse=False), dft.bind(y, x * y, inverse=True)
    return a * c + b, b * d


SPECIAL: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[float, float]]] = {
    "lgamma": (lax.lgamma, ONE, (0.1, 9)),
    "lgamma of negatives": (lax.lgamma, ONE, (-1.9, -1.1)),
    "digamma": (lax.digamma, ONE, (0.1, 9)),
    "gamma": (further("gamma"), ONE, (0.1, 9)),
    "erfcx": (further("erfcx"), ONE, (-2, 9)),
    "log_ndtr": (further("log_ndtr"), ONE, (-20, 2)),
    "polygamma": (lambda x: lax.polygamma(jnp.array([0.0, 1.0, 2.0]), x), ONE, (0.1, 9)),
    "zeta": (lambda x: jsp.zeta(jnp.array([1.5, 2.0, 3.5]), x), ONE, (0.1, 9)),
    "igamma": (lax.igamma, TWO, (0.1, 9)),
    "igammac": (lax.igammac, TWO, (0.1, 9)),
    "igamma_grad_a": (held(lax.igamma_grad_a), TWO, (0.1, 9)),
    "regularized_incomplete_beta": (beta, TWO, (0.1, 9)),
    "dft": (transform, TWO, (-3, 3)),
    "bessel_i0e": (lax.bessel_i0e, ONE, (-9, 9)),
    "bessel_i1e": (lax.bessel_i1e, ONE, (-9, 9)),
}
