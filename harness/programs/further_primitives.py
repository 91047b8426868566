"""Functions that JAX composes in floats become primitives here, so that a program means the function itself.

JAX's `log_ndtr` is a series with a last term; over the reals it is another function. Number systems have rows for the
names; JAX evaluates and differentiates them by its own code. `dft` is the Fourier transform of a pair of real arrays,
real and imaginary parts, along their last axis and without a factor: its twiddle factors are no rounded literals.
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
        "dft": _fourier(),
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


def _fourier() -> Primitive:
    from jax import numpy as jnp
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    made = Primitive("dft")
    made.multiple_results = True

    def call(re: jax.Array, im: jax.Array, *, inverse: bool) -> list[jax.Array]:
        transform = jnp.fft.ifft if inverse else jnp.fft.fft
        found = transform(re + 1j * im, norm="forward" if inverse else "backward")
        return [jnp.real(found).astype(re.dtype), jnp.imag(found).astype(re.dtype)]

    def jvp(primals: Any, tangents: Any, *, inverse: bool) -> tuple[Any, Any]:
        moves = [jnp.zeros_like(x) if isinstance(t, ad.Zero) else t for x, t in zip(primals, tangents, strict=True)]
        return made.bind(*primals, inverse=inverse), made.bind(*moves, inverse=inverse)

    def transposed(cotangents: Any, re: Any, im: Any, *, inverse: bool) -> list[Any]:
        """The matrices of both parts are symmetric: (C, S; -S, C) becomes (C, -S; S, C)."""
        like = next(c for c in cotangents if not isinstance(c, ad.Zero))
        given = [jnp.zeros_like(like) if isinstance(c, ad.Zero) else c for c in cotangents]
        return list(made.bind(*given, inverse=not inverse))

    def batched(operands: Any, places: Any, *, inverse: bool) -> tuple[Any, Any]:
        size = next(x.shape[d] for x, d in zip(operands, places, strict=True) if d is not None)
        first = [batching.bdim_at_front(x, d, size) for x, d in zip(operands, places, strict=True)]
        return made.bind(*first, inverse=inverse), [0, 0]

    made.def_impl(call)
    made.def_abstract_eval(lambda re, im, *, inverse: [re, im])
    mlir.register_lowering(made, mlir.lower_fun(call, multiple_results=True))
    ad.primitive_jvps[made] = jvp
    ad.primitive_transposes[made] = transposed
    batching.primitive_batchers[made] = batched
    return made
