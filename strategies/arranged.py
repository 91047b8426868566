"""Matrices and rows of a structure are drawn here, and raw numbers brought to the nearest one that has it.

arranged(array("n n", kind="symmetric"), x, "float64")        the lower triangle, mirrored
arranged(array("n", kind="unit"), [3, 4] on axis -2, ...)     [0.6, 0.8]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Floats
from backprove.strategies.kinds import normalise_rows
from backprove.strategies.structures import FREE

OFF = 4
"""Unit roundoffs per entry of a row by which lengths and scalar products of floats may be off."""
MARGIN = 8
"""Unit roundoffs per row, times the largest eigenvalue, that the smallest one of an spd matrix keeps from zero: a
Cholesky factorisation in the format succeeds."""
WORST_CONDITION = 12.0
"""Decimal logarithm of the largest condition drawn, in formats that can hold it."""
SPREAD = 2.0
"""Matrices are scaled by powers of ten up to this one."""


def is_free(spec: ArraySpec) -> bool:
    """Whether entries are floats between the bounds, drawn one by one and then arranged."""
    return spec.dtype == "float" and spec.kind in FREE


def independent(spec: ArraySpec, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which entries of a shape are of their own; the others follow from them."""
    if spec.kind in ("symmetric", "lower", "spd"):
        return np.broadcast_to(np.tri(shape[-2], shape[-1], dtype=np.bool_), shape)
    if spec.kind == "upper":
        return np.broadcast_to(~np.tri(shape[-2], shape[-1], k=-1, dtype=np.bool_), shape)
    return np.ones(shape, dtype=bool)


def arranged(spec: ArraySpec, x: Floats, dtype: str) -> Floats:
    """The nearest input of the kind, shape + points; those that are of the kind stay as they are."""
    if spec.kind not in ARRANGE or not x.size:
        return x
    return ARRANGE[spec.kind](spec, np.asarray(x, dtype=np.float64), FORMATS[dtype])


def drawn_structure(
    g: np.random.Generator, spec: ArraySpec, shape: tuple[int, ...], dtype: str, count: int, extreme: bool = False
) -> Floats:
    """Random inputs of the kinds "spd", "orthogonal" and "unit", shape + points."""
    lead, n = shape[: -1 if spec.kind == "unit" else -2], shape[-1]
    batch = (count, *lead)
    fmt = FORMATS[dtype]
    if spec.kind == "unit":
        x = np.moveaxis(_rows(g, batch, n), 0, -1)
    elif spec.kind == "orthogonal":
        x = np.moveaxis(_orthogonal(g, batch, n), 0, -1)
    else:
        x = np.moveaxis(_spd(g, spec, fmt, batch, n, extreme), 0, -1)
    return arranged(spec, np.ascontiguousarray(x), dtype)


def _flushed(x: Floats, fmt: FloatFormat) -> Floats:
    """Rounded to the format, without subnormal numbers."""
    rounded = fmt.round(x)
    return np.asarray(rounded * (np.abs(rounded) >= fmt.tiny))


def _is_held(x: Floats, fmt: FloatFormat) -> NDArray[np.bool_]:
    """Entry by entry, whether the format has the number."""
    return np.asarray((_flushed(x, fmt) == x) & np.isfinite(x))


# -- free entries ------------------------------------------------------------------------------------------------------


def _symmetric(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    below = np.tri(x.shape[-2], dtype=bool)[..., None]
    return np.where(below, x, np.swapaxes(x, -3, -2))


def _triangular(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    return np.where(independent(spec, x.shape[:-1])[..., None], x, 0.0)


def _sorted(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    return x if (x[..., 1:, :] >= x[..., :-1, :]).all() else np.sort(x, axis=-2)


# -- rows --------------------------------------------------------------------------------------------------------------


def _unit(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    n = x.shape[-2]
    with np.errstate(all="ignore"):
        largest = np.abs(x).max(axis=-2, keepdims=True)
        first = np.arange(n)[:, None] == 0
        y = np.where((largest > 0) & np.isfinite(largest), x / largest, first)
        made = np.clip(_flushed(y / np.sqrt((y * y).sum(axis=-2, keepdims=True)), fmt), -1.0, 1.0)
        fine = (np.abs((x * x).sum(axis=-2) - 1) <= OFF * n * fmt.u) & (_is_held(x, fmt) & (np.abs(x) <= 1)).all(
            axis=-2
        )
    return np.where(fine[..., None, :], x, made)


def _stochastic(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    return normalise_rows(x, spec, fmt.name)


def _rows(g: np.random.Generator, batch: tuple[int, ...], n: int) -> Floats:
    """Rows of length one: dense, with tiny entries, along an axis, of equal entries."""
    x = g.standard_normal((*batch, n))
    style = g.integers(0, 8, (*batch, 1))
    small = np.exp(-g.exponential(6.0, (*batch, n)))
    x = np.where(style == 5, x * small, x)
    axis = np.arange(n) == g.integers(0, n, (*batch, 1))
    sign = np.where(g.integers(0, 2, (*batch, 1)) == 0, 1.0, -1.0)
    x = np.where(style == 6, sign * axis, x)
    return np.where(style == 7, np.copysign(1.0, x), x)


# -- orthogonal --------------------------------------------------------------------------------------------------------


def _orthogonal(g: np.random.Generator, batch: tuple[int, ...], n: int) -> Floats:
    """Both determinants; signed permutations, I and -I, reflections and small rotations among them."""
    q = _random_frames(g, batch, n)
    style = g.integers(0, 16, (*batch, 1, 1))
    order = np.argsort(g.random((*batch, n)), axis=-1)
    permutation = (np.arange(n) == order[..., None]).astype(np.float64)
    signs = np.where(g.integers(0, 2, (*batch, n)) == 0, 1.0, -1.0)[..., None]
    v = q[..., :1]
    reflection = np.eye(n) - 2 * v * np.swapaxes(v, -1, -2)
    skew = g.standard_normal((*batch, n, n)) * 10.0 ** -g.integers(1, 9, (*batch, 1, 1))
    skew = skew - np.swapaxes(skew, -1, -2)
    q = np.where(style == 9, permutation, q)
    q = np.where(style == 10, signs * permutation, q)
    q = np.where(style == 11, np.eye(n), q)
    q = np.where(style == 12, -np.eye(n), q)
    q = np.where(style == 13, reflection, q)
    return np.where(style == 14, np.eye(n) + skew, q)


def _random_frames(g: np.random.Generator, batch: tuple[int, ...], n: int) -> Floats:
    q, r = np.linalg.qr(g.standard_normal((*batch, n, n)))
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    return np.asarray(q * np.where(diagonal < 0, -1.0, 1.0)[..., None, :])


def _nearest_orthogonal(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    n = x.shape[-2]
    q = np.moveaxis(x, -1, 0)
    with np.errstate(all="ignore"):
        gram = np.swapaxes(q, -1, -2) @ q - np.eye(n)
        fine = (np.abs(gram) <= OFF * n * fmt.u).all(axis=(-1, -2)) & _is_held(q, fmt).all(axis=(-1, -2))
    if fine.all():
        return x
    wrong = np.nan_to_num(q[~fine], posinf=1.0, neginf=-1.0)
    largest = np.abs(wrong).max(axis=(-1, -2), keepdims=True)
    u, _, v = np.linalg.svd(wrong / np.where(largest > 0, largest, 1.0))
    made = q.copy()
    made[~fine] = np.clip(_flushed(u @ v, fmt), -1.0, 1.0)
    return np.moveaxis(made, 0, -1)


# -- symmetric and positive definite -----------------------------------------------------------------------------------


def _spd(
    g: np.random.Generator, spec: ArraySpec, fmt: FloatFormat, batch: tuple[int, ...], n: int, extreme: bool
) -> Floats:
    """Well and ill conditioned, with equal eigenvalues, diagonal, and of small integers."""
    style = g.integers(0, 10, (*batch, 1))
    worst = min(WORST_CONDITION, -math.log10(2 * MARGIN * n * fmt.u) - 0.5)
    t = g.random((*batch, n))
    t[..., 0] = 0.0
    ill = np.where(style == 5, (np.arange(n) == 0) * 1.0, t) * max(worst, 0.0) * g.random((*batch, 1))
    exponent = -np.where(style < 4, 1.5 * t, ill)
    exponent = np.where(style == 6, 0.0, exponent)
    exponent = np.where(style == 7, np.round(t) * -0.5, exponent)
    reach = 0.4 * math.log10(fmt.max) if extreme or spec.extreme else SPREAD
    values = 10.0 ** (exponent + reach * g.uniform(-1, 1, (*batch, 1)))
    values = np.clip(values, *_eigenvalue_bounds(spec, fmt, n))
    q = _random_frames(g, batch, n)
    q = np.where((style == 8)[..., None], np.eye(n), q)
    a = (q * values[..., None, :]) @ np.swapaxes(q, -1, -2)
    b = g.integers(-3, 4, (*batch, n, n)).astype(np.float64)
    return np.where((style == 9)[..., None], b @ np.swapaxes(b, -1, -2) + np.eye(n), a)


def _eigenvalue_bounds(spec: ArraySpec, fmt: FloatFormat, n: int) -> tuple[float, float]:
    """Bounds of eigenvalues, moved inward by what rounding the entries may change."""
    slack = 1 + MARGIN * n * fmt.u
    low = 0.0 if spec.low is None else spec.low * slack
    high = fmt.max if not isinstance(spec.high, (int, float)) else spec.high / slack
    return min(low, high), high


def _nearest_spd(spec: ArraySpec, x: Floats, fmt: FloatFormat) -> Floats:
    """Multiples of the identity are added where a matrix is not positive definite: its entries stay short."""
    n = x.shape[-2]
    a = np.moveaxis(_flushed(_symmetric(spec, x, fmt), fmt), -1, 0)
    margin = MARGIN * n * fmt.u
    low = 0.0 if spec.low is None else float(spec.low)
    high = np.inf if not isinstance(spec.high, (int, float)) else float(spec.high)
    limit = math.sqrt(fmt.max)

    def fine(a: Floats) -> NDArray[np.bool_]:
        w = np.linalg.eigvalsh(a)
        least, most = w[..., 0], w[..., -1]
        inside = (least >= low - margin * most) & (most <= high * (1 + margin))
        return np.asarray(inside & (least >= margin * most) & (most > 0) & _is_held(a, fmt).all(axis=(-1, -2)))

    a = np.clip(np.nan_to_num(a), -limit, limit)
    good = fine(a)
    for repair in (_lifted, _clipped, _plain):
        if good.all():
            break
        bad = ~good
        mended = a[bad]
        mended = _flushed(repair(mended, max(2 * margin, fmt.tiny), low, high), fmt)
        mended = np.where(np.tri(n, dtype=bool), mended, np.swapaxes(mended, -1, -2))
        a[bad] = mended
        good[bad] = fine(mended)
    return np.moveaxis(a, 0, -1)


def _lifted(a: Floats, margin: float, low: float, high: float) -> Floats:
    w = np.linalg.eigvalsh(a)
    least, most = w[..., 0], w[..., -1]
    missing = np.maximum((margin * most - least) / (1 - margin), low - least)
    steps = np.where(missing > 0, np.floor(missing) + 1, 0.0)
    return np.asarray(a + steps[..., None, None] * np.eye(a.shape[-1]))


def _clipped(a: Floats, margin: float, low: float, high: float) -> Floats:
    w, v = np.linalg.eigh(a)
    top = np.clip(np.abs(w).max(axis=-1, keepdims=True), None, high / (1 + margin))
    top = np.maximum(top, low * (1 + margin))
    w = np.clip(w, np.maximum(margin * top, low * (1 + margin)), top)
    return np.asarray((v * w[..., None, :]) @ np.swapaxes(v, -1, -2))


def _plain(a: Floats, margin: float, low: float, high: float) -> Floats:
    return np.broadcast_to(min(max(1.0, low), high) * np.eye(a.shape[-1]), a.shape)


ARRANGE: dict[str | None, Callable[[ArraySpec, Floats, FloatFormat], Floats]] = {
    "symmetric": _symmetric,
    "spd": _nearest_spd,
    "lower": _triangular,
    "upper": _triangular,
    "orthogonal": _nearest_orthogonal,
    "unit": _unit,
    "sorted": _sorted,
    "stochastic": _stochastic,
}


def generic_structure(spec: ArraySpec, x: Any, rng: np.random.Generator) -> Floats:
    """A generic input of a kind from generic entries, without a points axis."""
    shape = np.shape(x)
    if spec.kind == "spd" and x.size:
        n = shape[-1]
        values = np.linspace(1.0, 2.0, n) if n > 1 else np.ones(1)
        low = 0.0 if spec.low is None else spec.low
        high = spec.high if isinstance(spec.high, (int, float)) else max(2.0, 3 * low)
        q = _random_frames(rng, shape[:-2], n)
        x = (q * np.clip(values, low, high)) @ np.swapaxes(q, -1, -2)
    elif spec.kind == "orthogonal" and x.size:
        x = _random_frames(rng, shape[:-2], shape[-1])
    return np.asarray(arranged(spec, np.asarray(x)[..., None], "float64")[..., 0])


__all__ = ["arranged", "drawn_structure", "generic_structure", "independent", "is_free"]
