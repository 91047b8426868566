"""These rows read an array at places that a grid names, between its entries, and spread cotangents to them again."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from backprove.harness.frontends.torch_trace.table import row

BILINEAR, NEAREST = 0, 1
ZEROS, BORDER = 0, 1
"""torch's numbers of its modes and paddings; 2 is bicubic, and reflection."""


@row("grid_sampler_3d")
def _grid_sampler(x: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    if mode not in (BILINEAR, NEAREST):
        raise NotImplementedError("bicubic sampling")
    taps = [
        _taps(_padded(_place(grid[..., -1 - k], size, align_corners), size, padding, align_corners), size, mode)
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


def _padded(place: Any, size: int, padding: int, align_corners: bool) -> Any:
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
