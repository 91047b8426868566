"""Generic points are a few inputs of ordinary size without zeros, ties or kinks, for diagnoses and first calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.strategies.arranged import generic_structure, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.domain import integer_bounds
from backprove.strategies.kinds import ROWS
from backprove.strategies.structures import STRUCTURES


def draw(specs: dict[str, ArraySpec], sizes: dict[str, Any], seed: int) -> list[Array]:
    """A generic point inside the declared bounds: no two entries alike, both signs where allowed."""
    rng = np.random.default_rng(seed)
    return [_values(s, s.shape(sizes), sizes, rng) for s in specs.values()]


def _values(spec: ArraySpec, shape: tuple[int, ...], sizes: dict[str, Any], rng: np.random.Generator) -> Array:
    n = shape[-1] if shape else 1
    if spec.kind == "index":
        first, last = integer_bounds(spec, sizes)
        if not spec.distinct:
            return rng.integers(first, min(last, first + max(n, 7)) + 1, shape)
        return rng.permutation(np.arange(first, last + 1))[: int(np.prod(shape))].reshape(shape)
    if spec.kind == "mask":
        return rng.random(shape) < 0.6
    if spec.kind == "one_hot":
        return np.eye(n)[rng.integers(0, n, shape[:-1])]
    if spec.kind in ROWS:
        raw = 0.2 + rng.random(shape)
        return np.asarray(raw / raw.sum(axis=-1, keepdims=True))
    if spec.dtype != "float":
        least = int(spec.low) if spec.low is not None else -3
        most = int(spec.high) if isinstance(spec.high, (int, float)) else least + 6
        drawn = rng.integers(least, most + 1, shape)
        return drawn.astype(cast_name(spec.dtype))
    if spec.kind in STRUCTURES:
        bounds = spec if is_free(spec) else replace(spec, low=None, high=None)
        return generic_structure(spec, _entries(bounds, shape, rng), rng)
    return _entries(spec, shape, rng)


def _entries(spec: ArraySpec, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    low = -1.5 if spec.low is None else spec.low
    high = low + 3.0 if not isinstance(spec.high, (int, float)) else float(spec.high)
    if spec.low is None and isinstance(spec.high, (int, float)):
        low = min(low, high - 3.0)
    high = min(high, low + 3.0)
    # a jittered grid in random order: no two entries alike, none on a bound
    size = int(np.prod(shape))
    grid = low + (high - low) * (rng.permutation(size) + 0.15 + 0.7 * rng.random(size)) / max(size, 1)
    return np.asarray(grid).reshape(shape)


def cast_name(name: str) -> str:
    return "int64" if name == "float" else name


def small_sizes(specs: dict[str, ArraySpec]) -> list[dict[str, Any]]:
    """Sizes of the names: all different, in another order, equal, and each name alone at 6."""
    names = list(dict.fromkeys(d for s in specs.values() for d in s.dims if isinstance(d, str)))
    plain = [n for n in names if not n.startswith("*")]
    stars = [n.lstrip("*") for n in names if n.startswith("*")]

    def make(values: Sequence[int], star: tuple[int, ...]) -> dict[str, Any]:
        return {**dict(zip(plain, values, strict=True)), **dict.fromkeys(stars, star)}

    k = len(plain)
    out = [make([2 + i for i in range(k)], (2,)), make([3 + k - i - 1 for i in range(k)], (3,)), make([3] * k, (3,))]
    out += [make([6 if j == i else 1 for j in range(k)], ()) for i in range(k)]
    out = [bounds_of(specs).adapted(s) for s in out]
    return [s for i, s in enumerate(out) if s not in out[:i]]
