"""Kinds draw inputs that are not plain floats: one-hot and simplex rows, masks, indices and other integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Floats, float_domain

ROWS = ("simplex", "stochastic")
"""Kinds whose rows sum to one."""


def is_plain(spec: ArraySpec) -> bool:
    """Whether the entries are free floats of the dtype under test."""
    return spec.dtype == "float" and spec.kind is None


def storage(spec: ArraySpec) -> np.dtype[Any]:
    """NumPy dtype in which points keep the input: float64, int64 or bool."""
    if spec.dtype == "float":
        return np.dtype(np.float64)
    return np.dtype(bool) if spec.dtype == "bool" else np.dtype(np.int64)


def one_hot_rows(indices: NDArray[Any], n: int) -> NDArray[np.bool_]:
    """One-hot rows from `indices`, shape (rows, points), to shape (rows * n, points)."""
    hot: NDArray[np.bool_] = np.arange(n)[:, None] == indices[:, None, :]
    return hot.reshape((indices.shape[0] * n, indices.shape[1]))


def one_hot_entries(g: np.random.Generator, shape: tuple[int, ...], count: int) -> NDArray[np.bool_]:
    """Random one-hot rows along the last axis of `shape` (a scalar is one row), shape (entries, count)."""
    n = shape[-1] if shape else 1
    rows = math.prod(shape) // n
    indices = g.integers(0, n, (rows, count))
    same = g.integers(0, 8, count) == 0
    indices[:, same] = indices[:1, same]
    return one_hot_rows(indices, n)


def mask_entries(g: np.random.Generator, n: int, count: int) -> NDArray[np.bool_]:
    """Random masks, shape (n, count); an eighth of the points are all true, an eighth all false."""
    threshold = np.repeat(np.array([0, 256, 128, 40, 216], dtype=np.int64), [32, 32, 128, 32, 32])
    return g.integers(0, 256, (n, count)) < threshold[g.integers(0, 256, count)]


def index_entries(
    g: np.random.Generator, n: int, count: int, low: int, high: int, spec: ArraySpec
) -> NDArray[np.int64]:
    """Random integers in [low, high], shape (n, count), with ends and repeats; no two equal where `spec` says so."""
    if spec.distinct:
        # Sorted draws from a range shorter by n - 1, moved apart by one each, then shuffled.
        apart = np.sort(g.integers(low, high - n + 2, (n, count)), axis=0) + np.arange(n)[:, None]
        return np.take_along_axis(apart, np.argsort(g.random((n, count)), axis=0), axis=0)
    x = g.integers(low, high, (n, count), endpoint=True)
    ends = np.unique(np.clip([low, high, 0, 1, -1], low, high))
    hit = g.integers(0, 8, (n, count), dtype=np.uint8) == 0
    x = np.where(hit, ends[g.integers(0, len(ends), (n, count))], x)
    if spec.nonzero:
        x = np.where(x == 0, nonzero_integer(low, high), x)
    same = g.integers(0, 12, count) == 0
    x[:, same] = x[:1, same]
    return x


def nonzero_integer(low: int, high: int) -> int:
    """The nonzero integer of [low, high] closest to 1."""
    nearest = min(max(1, low), high)
    return nearest if nearest else low


def simplex_floor(spec: ArraySpec, dtype: str, n: int) -> float:
    """Least admissible entry of a simplex row of `n` entries.

    Raises:
        UsageError: if the bounds leave no row that sums to 1.
    """
    if isinstance(spec.high, (int, float)) and spec.high < 1:
        raise UsageError(f"array: kind={spec.kind!r} reaches 1 in rows of one entry; leave out high={spec.high!r}")
    floor = max(0.0, float_domain(spec, dtype).low) if spec.low is not None or spec.nonzero else 0.0
    if spec.nonzero:
        floor = max(floor, FORMATS[dtype].tiny)
    if n * floor > 1:
        raise UsageError(f"array: kind={spec.kind!r} with low={spec.low!r} has no row of {n} entries; lower it")
    return floor


def is_simplex(rows: Floats, spec: ArraySpec, dtype: str) -> NDArray[np.bool_]:
    """Which rows, shape (..., n, points), are admissible: representable, not below the floor, sum 1 up to rounding."""
    fmt, n = FORMATS[dtype], rows.shape[-2]
    normal = (rows == 0) | (np.abs(rows) >= fmt.tiny)
    fine = (fmt.round(rows) == rows) & (rows >= simplex_floor(spec, dtype, n)) & normal
    whole = np.abs(rows.sum(axis=-2) - 1) <= (n + 2) * fmt.u
    return np.asarray(fine.all(axis=-2) & whole)


def normalise_rows(weights: Floats, spec: ArraySpec, dtype: str) -> Floats:
    """Simplex rows from nonnegative weights, shape (rows, n, points); admissible rows stay as they are.

    Rows of zeros become even rows.
    """
    n = weights.shape[-2]
    if not weights.size:
        return weights
    floor = simplex_floor(spec, dtype, n)
    fmt = FORMATS[dtype]
    w = np.abs(weights)
    total = w.sum(axis=-2, keepdims=True)
    with np.errstate(all="ignore"):
        even = ~(np.isfinite(total) & (total > 0))
        share = np.where(even, 1 / n, w / np.where(even, 1.0, total))
    p = fmt.round(floor + (1 - n * floor) * share)
    p = np.maximum(p * (p >= fmt.tiny), floor)
    return np.where(is_simplex(w, spec, dtype)[..., None, :], w, p)
