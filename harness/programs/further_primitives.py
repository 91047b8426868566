"""Functions that JAX composes in floats become primitives here, so that a program means the function itself.

JAX's `log_ndtr` is a series with a last term; over the reals it is another function. Number systems have rows for the
names; JAX evaluates and differentiates them by its own code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    from jax.extend.core import Primitive


@cache
def further_primitives() -> Mapping[str, Primitive]:
    """The primitives by name."""
    from jax import numpy as jnp
    from jax.scipy import special

    def slope_of_erfcx(x: jax.Array) -> jax.Array:
        return 2 * x * special.erfcx(x) - 2 / math.sqrt(math.pi)

    def slope_of_log_ndtr(x: jax.Array) -> jax.Array:
        return jnp.exp(-x * x / 2 - special.log_ndtr(x)) / math.sqrt(2 * math.pi)

    def slope_of_gamma(x: jax.Array) -> jax.Array:
        return special.gamma(x) * special.digamma(x)

    return {
        "gamma": _primitive("gamma", special.gamma, slope_of_gamma),
        "erfcx": _primitive("erfcx", special.erfcx, slope_of_erfcx),
        "log_ndtr": _primitive("log_ndtr", special.log_ndtr, slope_of_log_ndtr),
    }


def _primitive(name: str, call: Callable[..., Any], slope: Callable[..., Any]) -> Primitive:
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    made = Primitive(name)
    made.def_impl(call)
    made.def_abstract_eval(lambda x: x)
    mlir.register_lowering(made, mlir.lower_fun(call, multiple_results=False))
    ad.defjvp(made, lambda t, x: (t * slope(x)).astype(x.dtype))
    batching.defvectorized(made)
    return made
