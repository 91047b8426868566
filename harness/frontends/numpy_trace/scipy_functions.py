"""Functions of `scipy.special` and `scipy.linalg` by name are traced as `jax.numpy` computes the same over the reals.

SciPy is imported by the code under test alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprove.harness.core.arrays import Code
from backprove.harness.frontends.numpy_trace import scipy_linalg
from backprove.harness.programs.further_primitives import further_primitives

if TYPE_CHECKING:
    import jax

    Traceable = Callable[..., Any]


def _special(name: str) -> Traceable:
    """The function of `jax.scipy.special`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        from jax.scipy import special

        return getattr(special, name)(*args, **kwargs)

    return call


def _lax(name: str) -> Traceable:
    def call(*args: Any) -> Any:
        from jax import lax

        return getattr(lax, name)(*args)

    return call


def _own(name: str) -> Traceable:
    def call(*x: Any) -> Any:
        return further_primitives()[name].bind(*x)

    return call


def _ndtr(x: jax.Array) -> jax.Array:
    """erfc(-x / sqrt 2) / 2, without a rounded literal."""
    from jax import lax

    return lax.erfc(-x / lax.sqrt(lax.full_like(x, 2))) / 2


def _logit(p: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    return jnp.log(p / (1 - p))


def _log_expit(x: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    return -jnp.logaddexp(-x, 0)


def _log_beta(a: jax.Array, b: jax.Array) -> jax.Array:
    """Without the series that JAX's own has for large arguments."""
    from jax import lax

    return lax.lgamma(a) + lax.lgamma(b) - lax.lgamma(a + b)


def _beta(a: jax.Array, b: jax.Array) -> jax.Array:
    gamma: Callable[[jax.Array], jax.Array] = _own("gamma")
    return gamma(a) / gamma(a + b) * gamma(b)


def _polygamma(n: Any, x: Any) -> jax.Array:
    import jax.numpy as jnp
    from jax import lax

    n, x = jnp.broadcast_arrays(jnp.asarray(n), jnp.asarray(x))
    return lax.polygamma(n.astype(x.dtype), x)


def _zeta(x: Any, q: Any = None) -> jax.Array:
    import jax.numpy as jnp
    from jax import lax

    q = jnp.ones_like(x) if q is None else q
    return lax.zeta(*jnp.broadcast_arrays(*_of_one_dtype(x, q)))


def _of_one_dtype(*values: Any) -> tuple[jax.Array, ...]:
    import jax.numpy as jnp

    dtype = jnp.result_type(*values, np.float32)
    return tuple(jnp.asarray(v, dtype) for v in values)


def _softmax(x: Any, axis: Any = None) -> jax.Array:
    from jax import nn

    return nn.softmax(x, axis=axis)


def _log_softmax(x: Any, axis: Any = None) -> jax.Array:
    from jax import nn

    return nn.log_softmax(x, axis=axis)


UFUNCS: dict[str, Traceable] = {
    **{name: _special(name) for name in ("xlogy", "xlog1py", "gammainc", "gammaincc", "betainc", "i0", "i1")},
    **{name: _special(name) for name in ("entr", "rel_entr", "kl_div")},
    "gamma": _own("gamma"),
    "beta": _beta,
    "betaln": _log_beta,
    "erf": _lax("erf"),
    "erfc": _lax("erfc"),
    "erfinv": _lax("erf_inv"),
    "erfcx": _own("erfcx"),
    "expit": _lax("logistic"),
    "logit": _logit,
    "log_expit": _log_expit,
    "ndtr": _ndtr,
    "log_ndtr": _own("log_ndtr"),
    "gammaln": _lax("lgamma"),
    "psi": _lax("digamma"),
    "i0e": _lax("bessel_i0e"),
    "i1e": _lax("bessel_i1e"),
}
"""Ufuncs by their own names."""

FUNCTIONS: dict[str, dict[str, Traceable]] = {
    "scipy.special": {
        "logsumexp": _special("logsumexp"),
        "softmax": _softmax,
        "log_softmax": _log_softmax,
        "polygamma": _polygamma,
        "zeta": _zeta,
    },
    "scipy.linalg": scipy_linalg.FUNCTIONS,
}
"""Functions written in Python, by module and name."""


def of_ufunc(ufunc: np.ufunc) -> Traceable | None:
    """What a ufunc of `scipy.special` is traced as."""
    special = sys.modules.get("scipy.special")
    known = special is not None and getattr(special, ufunc.__name__, None) is ufunc
    return UFUNCS.get(ufunc.__name__) if known else None


def of_function(function: Code) -> Traceable:
    """What a function of `FUNCTIONS` is traced as."""
    names = next(names for module, names in FUNCTIONS.items() if function.__module__.startswith(module))
    return names[function.__name__]
