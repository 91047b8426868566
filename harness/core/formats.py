"""The four floating-point formats under test are described here by their constants: `FORMATS["float32"].u` is
2**-24.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Dtype = Literal["float64", "float32", "bfloat16", "float16"]
"""Name of a format under test: a key of `FORMATS`."""

Mode = Literal["jvp", "vjp", "pairing", ""]
"""What kind of derivative a rule states; empty for what states none."""


@dataclass(frozen=True)
class FloatFormat:
    """Constants of one binary floating-point format.

    Attributes:
        name: NumPy/JAX name of the format.
        numpy: the NumPy dtype (from ml_dtypes for bfloat16).
        digits: significand bits, the hidden one included (p).
        u: unit roundoff, 2**-p.
        tiny: smallest positive normal number.
        max: largest finite number.
    """

    name: Dtype
    numpy: np.dtype[Any]
    digits: int
    u: float
    tiny: float
    max: float

    def round(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """`values` rounded to this format, returned as the float64 numbers they are (exact for all four)."""
        with np.errstate(all="ignore"):
            return np.asarray(values).astype(self.numpy).astype(np.float64)

    def ulp(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Unit in the last place at `values`: 2**(e - p + 1) with e the exponent, at least that of `tiny`."""
        a = np.maximum(np.abs(np.asarray(values)), self.tiny)
        with np.errstate(all="ignore"):
            _, e = np.frexp(np.where(np.isfinite(a), a, 1.0))
            out: NDArray[np.float64] = np.ldexp(1.0, e.astype(np.int64) - self.digits).astype(np.float64)
        return out


def _make(name: Dtype, dtype: Any, digits: int) -> FloatFormat:
    info = ml_dtypes.finfo(dtype)
    return FloatFormat(name, np.dtype(dtype), digits, 2.0**-digits, float(info.tiny), float(info.max))


FORMATS: dict[str, FloatFormat] = {
    "float64": _make("float64", np.float64, 53),
    "float32": _make("float32", np.float32, 24),
    "bfloat16": _make("bfloat16", ml_dtypes.bfloat16, 8),
    "float16": _make("float16", np.float16, 11),
}


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name: of a format, an integer type or bool."""
    return np.dtype(FORMATS[name].numpy if name in FORMATS else name)


@cache
def is_float(dtype: Any) -> bool:
    """Whether `dtype` (name or dtype) is one of the four formats under test."""
    return str(np.dtype(dtype)) in FORMATS
