"""These rows are operations that work entry by entry: arithmetic, functions of one variable, comparisons, choices."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from backprove.harness.frontends.torch_trace.table import ROWS, Row, dtype_of, row
from backprove.harness.programs.further_primitives import further_primitives

LARGEST_INTEGER_POWER = 64
"""Up to this exponent a power is a product, as it is for JAX."""


def _same(x: Any, *_: Any, **__: Any) -> Any:
    return x


ONE_ARGUMENT: dict[str, Row] = {
    "abs": jnp.abs,
    "acos": jnp.arccos,
    "acosh": jnp.arccosh,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "atanh": jnp.arctanh,
    "bitwise_not": jnp.invert,
    "ceil": jnp.ceil,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "deg2rad": jnp.deg2rad,
    "digamma": special.digamma,
    "erf": special.erf,
    "erfc": special.erfc,
    "erfinv": special.erfinv,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "i0": special.i0,
    "isfinite": jnp.isfinite,
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "lgamma": special.gammaln,
    "log": jnp.log,
    "log10": jnp.log10,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "neg": jnp.negative,
    "positive": jnp.positive,
    "rad2deg": jnp.rad2deg,
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: jnp.maximum(x, 0),
    "rsqrt": lax.rsqrt,
    "sgn": jnp.sign,
    "sigmoid": jax.nn.sigmoid,
    "sign": jnp.sign,
    "signbit": jnp.signbit,
    "sin": jnp.sin,
    "sinc": jnp.sinc,
    "sinh": jnp.sinh,
    "special_entr": special.entr,
    "special_erfcx": further_primitives()["erfcx"].bind,
    "special_i0": special.i0,
    "special_i0e": special.i0e,
    "special_i1": special.i1,
    "special_i1e": special.i1e,
    "special_log_ndtr": special.log_ndtr,
    "special_ndtri": special.ndtri,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "trunc": jnp.trunc,
}
"""Functions of one variable; further arguments of torch's schema do not change the values."""

TWO_ARGUMENTS: dict[str, Row] = {
    "atan2": jnp.arctan2,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_left_shift": jnp.left_shift,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_right_shift": jnp.right_shift,
    "bitwise_xor": jnp.bitwise_xor,
    "eq": lambda x, y: x == y,
    "floor_divide": jnp.floor_divide,
    "fmax": jnp.fmax,
    "fmin": jnp.fmin,
    "ge": lambda x, y: x >= y,
    "gt": lambda x, y: x > y,
    "hypot": jnp.hypot,
    "igamma": special.gammainc,
    "igammac": special.gammaincc,
    "le": lambda x, y: x <= y,
    "logaddexp": jnp.logaddexp,
    "logical_and": jnp.logical_and,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "lt": lambda x, y: x < y,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "mul": lambda x, y: x * y,
    "ne": lambda x, y: x != y,
    "nextafter": jnp.nextafter,
    "polygamma": special.polygamma,
    "remainder": jnp.mod,
    "special_xlog1py": special.xlog1py,
    "special_zeta": special.zeta,
    "xlogy": special.xlogy,
}
"""Functions of two variables."""


def _dropping(function: Row) -> Row:
    """The function of its first argument alone."""
    return lambda x, *_, **__: function(x)


ROWS.update({name: _dropping(function) for name, function in ONE_ARGUMENT.items()})
ROWS.update(TWO_ARGUMENTS)
ROWS.update({"__and__": jnp.bitwise_and, "__or__": jnp.bitwise_or, "special_xlogy": special.xlogy})
ROWS.update(dict.fromkeys(("alias", "clone", "contiguous", "detach", "lift", "lift_fresh", "lift_fresh_copy"), _same))


@row("add")
def _add(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    return x + (y if alpha == 1 else alpha * y)


@row("sub")
def _sub(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    return x - (y if alpha == 1 else alpha * y)


@row("rsub")
def _rsub(x: Any, y: Any, alpha: Any = 1) -> Any:
    return y - (x if alpha == 1 else alpha * x)


@row("div", "true_divide")
def _div(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    quotient = x / y
    rounded: dict[str | None, Row] = {None: _same, "trunc": jnp.trunc, "floor": jnp.floor}
    return rounded[rounding_mode](quotient)


@row("fmod")
def _fmod(x: Any, y: Any) -> Any:
    return jnp.fmod(x, y)


@row("pow")
def _pow(x: Any, y: Any) -> Any:
    whole = isinstance(y, (int, float)) and float(y).is_integer() and abs(y) < LARGEST_INTEGER_POWER
    return lax.integer_pow(x, int(y)) if whole and jnp.issubdtype(x.dtype, jnp.floating) else jnp.power(x, y)


@row("logical_not")
def _logical_not(x: Any) -> Any:
    return jnp.logical_not(x)


@row("round")
def _round(x: Any, *, decimals: int = 0) -> Any:
    return jnp.round(x, decimals)


@row("clamp", "clip")
def _clamp(x: Any, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = low if min is None else min, high if max is None else max
    x = x if low is None else jnp.maximum(x, low)
    return x if high is None else jnp.minimum(x, high)


@row("clamp_min")
def _clamp_min(x: Any, low: Any) -> Any:
    return jnp.maximum(x, low)


@row("clamp_max")
def _clamp_max(x: Any, high: Any) -> Any:
    return jnp.minimum(x, high)


@row("where")
def _where(condition: Any, x: Any, y: Any) -> Any:
    return jnp.where(condition, x, y)


@row("copysign")
def _copysign(x: Any, y: Any) -> Any:
    """Of -0, whose sign comparisons do not see, the reciprocal is negative."""
    zero = y == 0
    negative = (y < 0) | (zero & (1 / jnp.where(zero, y, 1) < 0))
    return jnp.where(negative, -jnp.abs(x), jnp.abs(x))


@row("frexp")
def _frexp(x: Any) -> tuple[Any, Any]:
    """Mantissas of 1/2 to 1; a logarithm that was rounded to a whole number is one off, which the mantissa shows."""
    some = (x != 0) & (jnp.abs(x) < jnp.inf)
    power = jnp.floor(jnp.log2(jnp.where(some, jnp.abs(x), 1))) + 1
    half = jnp.floor(power / 2)  # powers of 2 beyond the range of the format are taken in two steps
    mantissa = x / jnp.exp2(half) / jnp.exp2(power - half)
    size = jnp.abs(mantissa)
    shift = jnp.where(size >= 1, 1, jnp.where(size < 0.5, -1, 0))
    scaled = jnp.where(size >= 1, mantissa / 2, jnp.where(size < 0.5, mantissa * 2, mantissa))
    return jnp.where(some, scaled, x), jnp.where(some, power + shift, 0).astype("int32")


@row("masked_fill")
def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return jnp.where(mask, value, x)


@row("lerp")
def _lerp(x: Any, y: Any, weight: Any) -> Any:
    return x + weight * (y - x)


@row("addcmul")
def _addcmul(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a * b


@row("addcdiv")
def _addcdiv(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a / b


@row("_to_copy", "to")
def _to_copy(x: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
    return x if dtype is None else _cast(x, dtype_of(dtype))


@row("prims.convert_element_type")
def _convert(x: Any, dtype: Any) -> Any:
    return _cast(x, dtype_of(dtype))


@row("copy")
def _copy(x: Any, y: Any, non_blocking: bool = False) -> Any:
    return jnp.broadcast_to(y, x.shape).astype(x.dtype)


def _cast(x: Any, dtype: str) -> Any:
    """Floats lose their fraction on the way to integers."""
    cut = jnp.issubdtype(x.dtype, jnp.floating) and jnp.issubdtype(jnp.dtype(dtype), jnp.integer)
    return (jnp.trunc(x) if cut else x).astype(dtype)
