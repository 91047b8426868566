"""Rounding to bfloat16 and float16, bit by bit against ml_dtypes and NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.floats import narrow

ALL = np.arange(2**16, dtype=np.uint32).astype(np.uint16)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_number_is_kept(dtype: str) -> None:
    numbers = ALL.view(FORMATS[dtype].numpy)
    wide = numbers.astype(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaN
        back = narrow.to_format(wide, dtype)
    same = (back.view(np.uint32) == wide.view(np.uint32)) | (np.isnan(back) & np.isnan(wide))
    assert same.all() and np.array_equal(np.signbit(back), np.signbit(wide))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_that_of_the_libraries(dtype: str) -> None:
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 400_000, dtype=np.uint32)
    x = bits.view(np.float32)
    y = (rng.standard_normal(200_000) * 2.0 ** rng.integers(-30, 20, 200_000)).astype(np.float32)
    finite = ALL.view(FORMATS[dtype].numpy).astype(np.float32)
    halfway = finite[np.isfinite(finite)]
    halfway = np.concatenate([halfway + np.spacing(halfway) * s for s in (2**15, 2**15 + 1, 2**12, 2**12 - 1)])
    edge = np.array(
        [65504, 65519.996, 65520, 65536, 3.3961775e38, 3.4e38, 2.0**-25, 2.0**-24, 4.4703484e-8], np.float32
    )
    for values in (x, y, halfway, edge, -edge):
        with np.errstate(all="ignore"):
            got = narrow.to_format(values, dtype)
            expected = values.astype(FORMATS[dtype].numpy).astype(np.float32)
        number = ~np.isnan(values)
        assert np.array_equal(got.view(np.uint32)[number], expected.view(np.uint32)[number])
        assert np.isnan(got[~number]).all()
        assert np.array_equal(np.signbit(got), np.signbit(values))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide", "sqrt"])
def test_arithmetic_is_correctly_rounded(dtype: str, operation: str) -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.integers(0, 2**16, 300_000).astype(np.uint16).view(FORMATS[dtype].numpy) for _ in range(2))
    ufunc = getattr(np, operation)
    with np.errstate(all="ignore"):
        args = (a, b) if ufunc.nin == 2 else (a,)
        got = narrow.to_format(ufunc(*(v.astype(np.float32) for v in args)), dtype)
        exact = ufunc(*(v.astype(np.float64) for v in args))
        expected = exact.astype(np.float16).astype(np.float64) if dtype == "float16" else _bfloat16(exact)
    np.testing.assert_array_equal(got.astype(np.float64), expected)


def test_float64_to_float16_is_rounded_once() -> None:
    x = np.array([1 + 2.0**-11 + 2.0**-40])
    assert narrow.to_format(x, "float16")[0] == 1 + 2.0**-10


def test_views_and_broadcasts() -> None:
    x = np.broadcast_to(np.float32([[1.01], [2.02]]), (2, 3)).T
    assert np.array_equal(narrow.to_format(x, "bfloat16"), x.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert narrow.to_format(np.float32(1.01), "bfloat16").shape == ()


def _bfloat16(x: np.ndarray) -> np.ndarray:
    """float64 rounded once to bfloat16: round to odd at 24 bits, then to 8."""
    near = x.astype(np.float32)
    off = near.astype(np.float64) != x
    even = (near.view(np.uint32) & 1) == 0
    towards = np.where(x > near, np.float32(np.inf), np.float32(-np.inf))
    odd = np.where(off & even & np.isfinite(near), np.nextafter(near, towards), near)
    return odd.astype(ml_dtypes.bfloat16).astype(np.float64)
