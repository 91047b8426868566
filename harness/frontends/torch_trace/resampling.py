"""These rows resample and pad the last axes of an array; backward operations are transposes of these linear maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.matrices import transpose
from backprove.harness.frontends.torch_trace.table import ROWS

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
