"""Narrow formats are rounded to inside arrays of wider ones: bfloat16 in float32.

bfloat16 and float16 numbers are kept as float32, which holds them exactly; one operation in float32 and one rounding
give the correctly rounded result for + - * / and sqrt, since 24 >= 2 * 11 + 2 (Figueroa, 1995).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS

STORAGE: dict[str, np.dtype[np.generic]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(np.float32),
    "float16": np.dtype(np.float32),
}
"""The NumPy dtype in which the numbers of each format are kept and computed."""


def to_bfloat16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 numbers rounded to the nearest bfloat16, ties to even; NaN stays NaN with its sign, quiet."""
    out = np.array(x, dtype=np.float32, order="C")
    round_to_bfloat16(out, np.empty(out.shape, np.uint32), np.empty(out.shape, np.bool_))
    return out


def round_to_bfloat16(x: Array, bits: Array, nan: Array) -> None:
    """As `to_bfloat16`, in place.

    Args:
        bits, nan: buffers of the same shape, of uint32 and truth values.
    """
    np.isnan(x, nan)
    raw = x.view(np.uint32)
    if nan.any():  # the payload must not carry into the sign
        np.copyto(raw, (raw & 0x80000000) | 0x7FC00000, where=nan)
    np.right_shift(raw, 16, bits)
    np.bitwise_and(bits, 1, bits)
    np.add(bits, 0x7FFF, bits)
    np.add(raw, bits, raw)
    np.bitwise_and(raw, 0xFFFF0000, raw)


def to_float16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 numbers rounded to the nearest float16, ties to even; beyond its range infinite, NaN stays NaN."""
    bits = np.ascontiguousarray(x).view(np.uint32).reshape(x.shape)
    rounded = bits >> np.uint32(13)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x0FFF)
    rounded += bits
    rounded &= np.uint32(0xFFFFE000)
    out = rounded.view(np.float32)
    size = np.abs(x)
    ordinary = (size >= np.float32(2.0**-14)) & (size < np.float32(65520))
    if ordinary.all():
        return out
    # Below 2**-14 the spacing is 2**-24, which is that of float32 between 1/2 and 1.
    small = (size + np.float32(0.5)) - np.float32(0.5)
    rest = np.copysign(np.where(size < 1, small, np.where(np.isnan(x), x, np.float32(np.inf))), x)
    return np.where(ordinary, out, rest)


def to_format(x: Array, dtype: str) -> Array:
    """`x` in the storage of a format, rounded to the format (float64 to bfloat16 by way of float32, as JAX does)."""
    x = np.asarray(x)
    if dtype == "float16":
        return to_float16(x) if x.dtype == np.float32 else x.astype(np.float16).astype(np.float32)
    x = x.astype(STORAGE[dtype], copy=False)
    return to_bfloat16(x) if dtype == "bfloat16" else x


def next_after(x: Array, y: Array, dtype: str) -> Array:
    """The neighbour of `x` in the direction of `y` in a format."""
    exact = FORMATS[dtype].numpy
    return np.asarray(np.nextafter(x.astype(exact), y.astype(exact))).astype(STORAGE[dtype])


def reduce_precision(x: Array, exponent_bits: int, mantissa_bits: int) -> Array:
    """`x` rounded to a binary format of the given widths, in its own dtype; what is subnormal there becomes zero."""
    bias = 2 ** (exponent_bits - 1) - 1
    fraction, exponent = np.frexp(x)
    rounded = np.ldexp(np.rint(np.ldexp(fraction, mantissa_bits + 1)), exponent - mantissa_bits - 1)
    size = np.abs(rounded)
    largest = np.ldexp(2.0 - 2.0**-mantissa_bits, bias)
    rounded = np.where(size > largest, np.copysign(np.inf, x), rounded)
    rounded = np.where(size < np.ldexp(1.0, 1 - bias), np.copysign(0.0, x), rounded)
    return np.where(np.isfinite(x), rounded, x).astype(x.dtype)


def to_integer(x: Array, dtype: str) -> Array:
    """Floats truncated to an integer type as XLA does: NaN gives 0, what is out of range the nearest end."""
    info = np.iinfo(dtype)
    low, high = float(info.min), float(info.max) + 1.0 if info.bits < 64 else 2.0 ** (info.bits - (info.kind == "i"))
    wide = np.trunc(x.astype(np.float64))
    inside = (wide >= low) & (wide < high)
    if inside.all():
        return wide.astype(dtype)
    ends = np.where(wide >= high, info.max, np.where(wide < low, info.min, 0)).astype(dtype)
    return np.where(inside, np.where(inside, wide, 0.0).astype(dtype), ends)
