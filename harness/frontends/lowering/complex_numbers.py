"""Complex numbers are pairs of reals: every primitive on complex operands becomes JAX code on real and imaginary parts.

    multiply: (a + bi)(c + di) = (ac - bd) + (ad + bc)i

Structural primitives act on both parts; what others do to pairs stands in `pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprove.harness.frontends.lowering import pairs
from backprove.harness.frontends.lowering.pairs import Pair, Value
from backprove.harness.programs.further_primitives import further_primitives

if TYPE_CHECKING:
    import jax
    from jax.extend.core import JaxprEqn


def is_complex(dtype: Any) -> bool:
    """Whether a dtype of JAX is one of complex numbers; those of keys are no dtypes of NumPy."""
    return str(dtype).startswith("complex")


def part_dtype(dtype: Any) -> Any:
    """The dtype of the parts of complex numbers, and any other one itself."""
    return np.zeros(0, dtype).real.dtype if is_complex(dtype) else dtype


def touches_complex(eqn: JaxprEqn) -> bool:
    return any(is_complex(getattr(v.aval, "dtype", "")) for v in (*eqn.invars, *eqn.outvars))


def rewritten(eqn: JaxprEqn, operands: Sequence[Value]) -> list[Value]:
    """The results of an equation on complex operands, which come as pairs.

    Raises:
        TypeError: for a primitive that is not rewritten.
    """
    name = eqn.primitive.name
    if name in FORMS:
        return [FORMS[name](*operands, **_own_parameters(name, eqn.params))]
    if name in LINEAR:
        return _on_both_parts(eqn, operands)
    if name in BILINEAR:
        return [_bilinear(eqn, *operands)]
    raise TypeError(f"the code computes {name} of complex numbers, which no number system here has")


def _own_parameters(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {k: params[k] for k in PARAMETERS.get(name, ())}


def _on_both_parts(eqn: JaxprEqn, operands: Sequence[Value]) -> list[Value]:
    params = {k: part_dtype(v) if k.endswith("dtype") and v is not None else v for k, v in eqn.params.items()}
    found = []
    for k in range(2):
        results = eqn.primitive.bind(*(x[k] if isinstance(x, Pair) else x for x in operands), **params)
        found.append(results if eqn.primitive.multiple_results else [results])
    return [Pair(re, im) for re, im in zip(*found, strict=True)]


def _bilinear(eqn: JaxprEqn, a: Value, b: Value) -> Pair:
    params = dict(eqn.params)
    if params.get("preferred_element_type") is not None:
        params["preferred_element_type"] = part_dtype(params["preferred_element_type"])

    def product(x: Any, y: Any) -> Any:
        return eqn.primitive.bind(x, y, **params)

    return Pair(product(a.re, b.re) - product(a.im, b.im), product(a.re, b.im) + product(a.im, b.re))


# ---------------------------------------------------------------- conversions and transforms


def _conj(a: Value) -> Pair:
    import jax.numpy as jnp

    return Pair(a.re, -a.im) if isinstance(a, Pair) else Pair(a, jnp.zeros_like(a))


def _of_parts(re: Any, im: Any) -> Pair:
    """One number for all entries, as in JAX's derivative of `imag`, is repeated."""
    import jax.numpy as jnp

    return Pair(*jnp.broadcast_arrays(re, im))


def _convert(a: Value, new_dtype: Any) -> Value:
    import jax.numpy as jnp

    if not is_complex(new_dtype):
        return a.re.astype(new_dtype)
    dtype = part_dtype(new_dtype)
    if isinstance(a, Pair):
        return Pair(a.re.astype(dtype), a.im.astype(dtype))
    return Pair(a.astype(dtype), jnp.zeros(a.shape, dtype))


def _along(a: Pair, axis: int, inverse: bool) -> Pair:
    """The transform along one axis, without a factor."""
    import jax.numpy as jnp

    moved = (jnp.moveaxis(x, axis, -1) for x in a)
    re, im = further_primitives()["dft"].bind(*moved, inverse=inverse)
    return Pair(jnp.moveaxis(re, -1, axis), jnp.moveaxis(im, -1, axis))


def _fft(a: Value, fft_type: Any, fft_lengths: Sequence[int]) -> Value:
    """`fft_type` is 0 to 3: fft, ifft, rfft, irfft; the imaginary parts of the ends are ignored by irfft."""
    import jax.numpy as jnp

    kind, lengths = int(fft_type), list(fft_lengths)
    inverse = kind in (1, 3)
    if not isinstance(a, Pair):
        a = Pair(a, jnp.zeros_like(a))
    ndim = a.re.ndim
    axes = list(range(ndim - len(lengths), ndim))
    for axis, n in zip(axes, lengths, strict=True):
        if kind == 3 and axis == axes[-1]:
            a = _hermitian(a, n)
        a = _along(a, axis, inverse)
        if inverse:
            a = pairs.scaled(a, n)
    if kind == 3:
        return a.re
    half = lengths[-1] // 2 + 1
    return Pair(a.re[..., :half], a.im[..., :half]) if kind == 2 else a


def _hermitian(a: Pair, n: int) -> Pair:
    """The whole spectrum of a real array from its first half, on the last axis."""
    import jax.numpy as jnp

    half = n // 2 + 1
    rest = np.arange(n - half, 0, -1)
    re = jnp.concatenate([a.re[..., :half], a.re[..., rest]], axis=-1)
    own = np.ones(half)
    own[0] = 0
    if n % 2 == 0:
        own[-1] = 0
    im = jnp.concatenate([a.im[..., :half] * own.astype(a.im.dtype), -a.im[..., rest]], axis=-1)
    return Pair(re, im)


FORMS: Mapping[str, Callable[..., Value]] = {
    "add": lambda a, b: Pair(a.re + b.re, a.im + b.im),
    "add_any": lambda a, b: Pair(a.re + b.re, a.im + b.im),
    "sub": lambda a, b: Pair(a.re - b.re, a.im - b.im),
    "neg": lambda a: Pair(-a.re, -a.im),
    "mul": pairs.mul,
    "div": pairs.div,
    "square": pairs.square,
    "reduce_prod": pairs.product,
    "integer_pow": pairs.integer_pow,
    "pow": pairs.power,
    "exp": pairs.exp,
    "expm1": pairs.expm1,
    "log": pairs.log,
    "log1p": pairs.log1p,
    "sqrt": pairs.sqrt,
    "rsqrt": lambda a: pairs.div(pairs.one(a), pairs.sqrt(a)),
    "sin": pairs.sin,
    "cos": pairs.cos,
    "tan": lambda a: pairs.div(pairs.sin(a), pairs.cos(a)),
    "sinh": pairs.sinh,
    "cosh": pairs.cosh,
    "tanh": lambda a: pairs.div(pairs.sinh(a), pairs.cosh(a)),
    "asin": pairs.asin,
    "acos": pairs.acos,
    "atan": lambda a: pairs.back(pairs.atanh(pairs.turned(a))),
    "asinh": pairs.asinh,
    "acosh": pairs.acosh,
    "atanh": pairs.atanh,
    "logistic": pairs.logistic,
    "abs": pairs.size,
    "sign": pairs.sign,
    "real": lambda a: a.re,
    "imag": lambda a: a.im,
    "complex": _of_parts,
    "conj": _conj,
    "eq": lambda a, b: (a.re == b.re) & (a.im == b.im),
    "ne": lambda a, b: (a.re != b.re) | (a.im != b.im),
    "is_finite": lambda a: _finite(a.re) & _finite(a.im),
    "convert_element_type": _convert,
    "fft": _fft,
}
"""What each primitive does to pairs."""

PARAMETERS = {
    "integer_pow": ("y",),
    "reduce_prod": ("axes",),
    "convert_element_type": ("new_dtype",),
    "fft": ("fft_type", "fft_lengths"),
}
"""The parameters that forms take."""

LINEAR = frozenset(
    {
        *("reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "pad", "concatenate", "rev"),
        *("gather", "scatter", "scatter-add", "scatter_add", "dynamic_slice", "dynamic_update_slice", "select_n"),
        *("reduce_sum", "cumsum", "copy", "copy_p", "split", "stop_gradient", "optimization_barrier", "tile", "stack"),
        "unstack",
    }
)
"""Primitives that act on real and imaginary parts alike."""

BILINEAR = frozenset({"dot_general", "conv_general_dilated"})


def _finite(x: jax.Array) -> jax.Array:
    from jax import lax

    return lax.is_finite(x)
