"""These rows resample and pad the last axes of an array, or read it at places that a grid names between its entries."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.matrices import transpose
from backprove.harness.frontends.torch_trace.table import ROWS, row

Weights = Callable[[int, int, float], Array]
"""The matrix, made x had, that resamples one axis, from the sizes and the scale."""


def _scale(had: int, made: int, align: bool, given: float | None) -> float:
    """Steps of the source for one step of the result."""
    if align:
        return (had - 1) / (made - 1) if made > 1 else 0.0
    return 1 / given if given else had / made


def _nearest(exact: bool) -> Weights:
    def weights(had: int, made: int, scale: float) -> Array:
        source = np.floor((np.arange(made) + (0.5 if exact else 0.0)) * scale)
        return np.asarray(np.eye(had)[np.minimum(source, had - 1).astype(int)])

    return weights


def _linear(align: bool) -> Weights:
    def weights(had: int, made: int, scale: float) -> Array:
        at = np.arange(made) * scale if align else np.maximum((np.arange(made) + 0.5) * scale - 0.5, 0)
        low = np.minimum(np.floor(at).astype(int), had - 1)
        part = np.clip(at - low, 0, 1)[:, None]
        return np.asarray((1 - part) * np.eye(had)[low] + part * np.eye(had)[np.minimum(low + 1, had - 1)])

    return weights


def _cubic(align: bool) -> Weights:
    a = -0.75  # torch's parameter of the cubic kernel

    def weights(had: int, made: int, scale: float) -> Array:
        at = np.arange(made) * scale if align else (np.arange(made) + 0.5) * scale - 0.5
        low = np.floor(at).astype(int)
        part, out = at - low, np.zeros((made, had))
        for tap in range(-1, 3):
            d = np.abs(part - tap)
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * (d**3 - 5 * d**2 + 8 * d - 4)
            out += np.where(d <= 1, near, far)[:, None] * np.eye(had)[np.clip(low + tap, 0, had - 1)]
        return out

    return weights


def _smoothed(align: bool) -> Weights:
    """The weights of a triangle as wide as the steps are where the result is smaller (antialiasing)."""

    def weights(had: int, made: int, scale: float) -> Array:
        wide = max(scale, 1.0)
        centre = scale * (np.arange(made) + 0.5)[:, None]
        near = np.maximum((centre - wide + 0.5).astype(int), 0)
        end = np.minimum((centre + wide + 0.5).astype(int), had)
        at = np.arange(had)
        part = np.maximum(1 - np.abs((at - centre + 0.5) / wide), 0) * ((at >= near) & (at < end))
        return np.asarray(part / part.sum(1, keepdims=True))

    return weights


def _resampled(x: Any, sizes: Any, weights: Weights, align: bool, scales: tuple[float | None, ...]) -> Any:
    n = len(sizes)
    for axis, made, given in zip(range(x.ndim - n, x.ndim), sizes, scales or (None,) * n, strict=True):
        had = x.shape[axis]
        matrix = jnp.asarray(weights(had, made, _scale(had, made, align, given)).T, x.dtype)
        x = jnp.moveaxis(jnp.moveaxis(x, axis, -1) @ matrix, -1, axis)
    return x


def _enter_nearest(name: str, exact: bool) -> None:
    def forward(x: Any, sizes: Any, *scales: float | None) -> Any:
        return _resampled(x, sizes, _nearest(exact), False, scales)

    def backward(g: Any, sizes: Any, had: Any, *scales: float | None) -> Any:
        return transpose(lambda a: forward(a, sizes, *scales), jnp.zeros(tuple(had), g.dtype), g)

    ROWS[name], ROWS[f"{name}_backward"] = forward, backward


def _enter_smooth(name: str, kernel: Callable[[bool], Weights]) -> None:
    def forward(x: Any, sizes: Any, align: bool, *scales: float | None) -> Any:
        return _resampled(x, sizes, kernel(align), align, scales)

    def backward(g: Any, sizes: Any, had: Any, align: bool, *scales: float | None) -> Any:
        return transpose(lambda a: forward(a, sizes, align, *scales), jnp.zeros(tuple(had), g.dtype), g)

    ROWS[name], ROWS[f"{name}_backward"] = forward, backward


for _n in (1, 2, 3):
    _enter_nearest(f"upsample_nearest{_n}d", exact=False)
    _enter_nearest(f"_upsample_nearest_exact{_n}d", exact=True)
for _name, _kernel in (
    ("upsample_linear1d", _linear),
    ("upsample_bilinear2d", _linear),
    ("upsample_trilinear3d", _linear),
    ("upsample_bicubic2d", _cubic),
    ("_upsample_bilinear2d_aa", _smoothed),
):
    _enter_smooth(_name, _kernel)


# -- padding -----------------------------------------------------------------------------------------------------------


def _padded(mode: str) -> Callable[[Any, Any], Any]:
    def pad(x: Any, padding: Any) -> Any:
        for k in range(len(padding) // 2):
            axis, before, after = x.ndim - 1 - k, padding[2 * k], padding[2 * k + 1]
            places = np.pad(np.arange(x.shape[axis]), (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
            end = places.size + min(after, 0)
            x = jnp.take(x, places[max(-before, 0) : end], axis=axis)
        return x

    return pad


def _unpadded(mode: str) -> Callable[[Any, Any, Any], Any]:
    return lambda g, x, padding: transpose(lambda a: _padded(mode)(a, padding), x, g)


for _n in (1, 2, 3):
    for _name, _mode in (("replication", "edge"), ("reflection", "reflect")):
        ROWS[f"{_name}_pad{_n}d"] = _padded(_mode)
        ROWS[f"{_name}_pad{_n}d_backward"] = _unpadded(_mode)


# -- at the places of a grid ------------------------------------------------------------------------------------------

BILINEAR, NEAREST = 0, 1
ZEROS, BORDER = 0, 1
"""torch's numbers of its modes and paddings; 2 is bicubic, and reflection."""


@row("grid_sampler_3d")
def _grid_sampler(x: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    if mode not in (BILINEAR, NEAREST):
        raise NotImplementedError("bicubic sampling")
    taps = [
        _taps(_brought_back(_place(grid[..., -1 - k], size, align_corners), size, padding, align_corners), size, mode)
        for k, size in enumerate(x.shape[2:])
    ]
    images = jnp.arange(x.shape[0]).reshape(-1, *[1] * (grid.ndim - 2))
    moved = jnp.moveaxis(x, 1, -1)
    found = sum(moved[(images, *(i for i, _ in tap))] * prod(w for _, w in tap)[..., None] for tap in product(*taps))
    return jnp.moveaxis(jnp.asarray(found), -1, 1)


@row("grid_sampler_2d_backward", "grid_sampler_3d_backward")
def _backward(g: Any, x: Any, grid: Any, mode: int, padding: int, align_corners: bool, mask: Any) -> Any:
    _, pull = jax.vjp(lambda x, grid: _grid_sampler(x, grid, mode, padding, align_corners), x, grid)
    return tuple(found if wanted else jnp.zeros_like(found) for found, wanted in zip(pull(g), mask, strict=True))


def _place(grid: Any, size: int, align_corners: bool) -> Any:
    """Where -1 to 1 lies on an axis: its first and last entry, or half an entry beyond them."""
    return (grid + 1) / 2 * (size - 1) if align_corners else ((grid + 1) * size - 1) / 2


def _brought_back(place: Any, size: int, padding: int, align_corners: bool) -> Any:
    """Places beyond the axis brought back to it; nothing moves where a place is held at the border."""
    if padding == ZEROS:
        return place
    if padding != BORDER:
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return jnp.zeros_like(place)
        off = jnp.abs(place - low)
        turns = jnp.floor(off / span)
        rest = off - turns * span
        place = jnp.where(turns % 2 == 0, rest, span - rest) + low
    return jnp.where(place <= 0, 0.0, jnp.where(place >= size - 1, size - 1.0, place))


def _taps(place: Any, size: int, mode: int) -> list[tuple[Any, Any]]:
    """Entries that are read, each with its weight: 0 beyond the axis."""
    if mode == NEAREST:
        near = jnp.round(place)
        pairs = [(near, jnp.ones_like(place))]
    else:
        low = jnp.floor(place)
        pairs = [(low, 1 - (place - low)), (low + 1, place - low)]
    return [
        (jnp.minimum(jnp.maximum(i, 0), size - 1).astype("int64"), jnp.where((i >= 0) & (i < size), w, 0))
        for i, w in pairs
    ]
