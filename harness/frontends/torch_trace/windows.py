"""These rows are pooling over windows, and normalisation of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.matrices import transpose
from backprove.harness.frontends.torch_trace.table import ROWS, row


@dataclass(frozen=True)
class Windows:
    """Which entries each window of a pooling covers, over the last axes of its input.

    Attributes:
        shape: of the output, along these axes.
        entries: positions in the flattened axes, windows + entries of a window; 0 where there is none.
        inside: whether there is one.
        padded: entries of each window, padding included, as torch counts them: not beyond the padded input.
    """

    shape: tuple[int, ...]
    entries: Array
    inside: Array
    padded: Array

    @staticmethod
    def of(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Windows:
        n = len(sizes)
        kernel, padding, dilation = (_each(v, n) for v in (kernel, padding, dilation))
        stride = _each(stride, n) if len(stride) else kernel
        grids, padded = [], np.ones((1,) * n)
        for axis, (size, k, s, p, d) in enumerate(zip(sizes, kernel, stride, padding, dilation, strict=True)):
            count = (size + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil else 0)) // s + 1
            if ceil and (count - 1) * s >= size + p:  # a window that would begin behind the input
                count -= 1
            starts = np.arange(count) * s - p
            grids.append(starts[:, None] + np.arange(k) * d)
            ends = np.minimum(starts + k, size + p)
            padded = padded * (ends - starts).reshape([-1 if a == axis else 1 for a in range(n)])
        return Windows._of_grids(sizes, grids, padded)

    @staticmethod
    def adaptive(sizes: Any, wanted: Any) -> Windows:
        """Windows of several lengths, so many along each axis as are wanted."""
        grids, n = [], len(sizes)
        for have, made in zip(sizes, wanted, strict=True):
            starts = np.arange(made) * have // made
            ends = -(-(np.arange(made) + 1) * have // made)
            grid = starts[:, None] + np.arange(max(ends - starts))
            grids.append(np.where(grid < ends[:, None], grid, -1))
        return Windows._of_grids(sizes, grids, np.ones((1,) * n))

    @staticmethod
    def _of_grids(sizes: Any, grids: Sequence[Array], padded: Array) -> Windows:
        """From the entries, windows x entries of one, along each axis; those beyond it are none."""
        n = len(sizes)
        counts = tuple(len(g) for g in grids)
        entries, inside = np.zeros((1,) * (2 * n), np.int64), np.ones((1,) * (2 * n), bool)
        for axis, (size, grid) in enumerate(zip(sizes, grids, strict=True)):
            shape = [1] * (2 * n)
            shape[axis], shape[n + axis] = grid.shape
            inside = inside & ((grid >= 0) & (grid < size)).reshape(shape)
            entries = entries * size + np.clip(grid, 0, size - 1).reshape(shape)
        taps = int(np.prod([g.shape[1] for g in grids]))
        return Windows(
            counts, entries.reshape(*counts, taps), inside.reshape(*counts, taps), np.broadcast_to(padded, counts)
        )

    def values(self, x: Any, outside: float) -> Any:
        """The entries of all windows on a last axis."""
        found = x.reshape(*x.shape[: x.ndim - len(self.shape)], -1)[..., self.entries]
        return found if self.inside.all() else jnp.where(self.inside, found, outside)


def _each(value: Any, n: int) -> list[int]:
    found = list(value) if isinstance(value, (list, tuple)) else [value]
    return found * n if len(found) == 1 else found


def _max_pool(n: int) -> Callable[..., Any]:
    def pool(
        x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil: bool = False
    ) -> Any:
        windows = Windows.of(x.shape[-n:], kernel, stride, padding, dilation, ceil)
        return _first_largest(windows, windows.values(x, -jnp.inf))

    return pool


def _first_largest(windows: Windows, found: Any) -> tuple[Any, Any]:
    first = jnp.argmax(found, -1)[..., None]
    places = jnp.broadcast_to(windows.entries, found.shape)
    return jnp.max(found, -1), jnp.take_along_axis(places, first, -1)[..., 0]


def _max_pool_backward(n: int) -> Callable[..., Any]:
    def backward(g: Any, x: Any, *given: Any) -> Any:
        places = given[-1]
        rows = int(np.prod(x.shape[:-n]))
        zeros = jnp.zeros((rows, int(np.prod(x.shape[-n:]))), g.dtype)
        added = zeros.at[np.arange(rows)[:, None], places.reshape(rows, -1)].add(g.reshape(rows, -1))
        return added.reshape(x.shape)

    return backward


def _avg_pool(n: int) -> Callable[..., Any]:
    def pool(
        x: Any,
        kernel: Any,
        stride: Any = (),
        padding: Any = (0,),
        ceil: bool = False,
        padding_counts: bool = True,
        divisor: int | None = None,
    ) -> Any:
        windows = Windows.of(x.shape[-n:], kernel, stride, padding, (1,), ceil)
        count: Any = windows.padded if padding_counts else windows.inside.sum(-1)
        return jnp.sum(windows.values(x, 0.0), -1) / jnp.asarray(divisor or count, x.dtype)

    return pool


def _adaptive_max_pool(n: int) -> Callable[..., Any]:
    def pool(x: Any, sizes: Any) -> Any:
        windows = Windows.adaptive(x.shape[-n:], sizes)
        return _first_largest(windows, windows.values(x, -jnp.inf))

    return pool


def _adaptive_avg_pool(n: int) -> Callable[..., Any]:
    def pool(x: Any, sizes: Any) -> Any:
        for axis, wanted in zip(range(x.ndim - n, x.ndim), sizes, strict=True):
            have = x.shape[axis]
            means = np.zeros((wanted, have))
            for i in range(wanted):
                start, end = i * have // wanted, -(-(i + 1) * have // wanted)
                means[i, start:end] = 1 / (end - start)
            x = jnp.moveaxis(jnp.moveaxis(x, axis, -1) @ jnp.asarray(means.T, x.dtype), -1, axis)
        return x

    return pool


for _n in (1, 2, 3):
    ROWS[f"avg_pool{_n}d"] = _avg_pool(_n)
for _n in (2, 3):
    ROWS[f"max_pool{_n}d_with_indices"] = _max_pool(_n)
    ROWS[f"max_pool{_n}d_with_indices_backward"] = _max_pool_backward(_n)
    ROWS[f"adaptive_max_pool{_n}d"] = _adaptive_max_pool(_n)
    ROWS[f"adaptive_max_pool{_n}d_backward"] = _max_pool_backward(_n)
    ROWS[f"_adaptive_avg_pool{_n}d"] = _adaptive_avg_pool(_n)


def _linear_backward(forward: str) -> Callable[..., Any]:
    return lambda g, x, *given: transpose(lambda a: ROWS[forward](a, *given), x, g)


def _adaptive_backward(n: int) -> Callable[..., Any]:
    return lambda g, x: transpose(lambda a: _adaptive_avg_pool(n)(a, g.shape[-n:]), x, g)


for _n in (2, 3):
    ROWS[f"avg_pool{_n}d_backward"] = _linear_backward(f"avg_pool{_n}d")
    ROWS[f"_adaptive_avg_pool{_n}d_backward"] = _adaptive_backward(_n)


# -- normalisation -----------------------------------------------------------------------------------------------------


def _normalised(x: Any, over: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Deviations from the mean over some axes in units of the standard deviation, the mean, and one over the unit."""
    mean = jnp.mean(x, axis=over, keepdims=True)
    scale = lax.rsqrt(jnp.mean((x - mean) ** 2, axis=over, keepdims=True) + eps)
    return (x - mean) * scale, mean, scale


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


@row("native_layer_norm")
def _layer_norm(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    found, mean, scale = _normalised(x, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(found, weight, bias), mean, scale


@row("native_group_norm")
def _group_norm(x: Any, weight: Any, bias: Any, batch: int, channels: int, _: int, groups: int, eps: float) -> Any:
    found, mean, scale = _normalised(x.reshape(batch, groups, -1), (2,), eps)
    weight, bias = (None if v is None else v.reshape(1, channels, *(1,) * (x.ndim - 2)) for v in (weight, bias))
    return _affine(found.reshape(x.shape), weight, bias), mean[..., 0], scale[..., 0]


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, eps: float) -> Any:
    def channels(v: Any) -> Any:
        return None if v is None else v.reshape(1, -1, *(1,) * (x.ndim - 2))

    if training:
        found, mean, scale = _normalised(x, (0, *range(2, x.ndim)), eps)
        return _affine(found, channels(weight), channels(bias)), mean.reshape(-1), scale.reshape(-1)
    found = (x - channels(mean)) * lax.rsqrt(channels(variance) + eps)
    nothing = jnp.zeros(0, x.dtype)
    return _affine(found, channels(weight), channels(bias)), nothing, nothing


@row("native_batch_norm")
def _native_batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, _: float, eps: float
) -> Any:
    return _batch_norm(x, weight, bias, mean, variance, training, eps)


@row("_native_batch_norm_legit_no_training")
def _batch_norm_no_training(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, _: float, eps: float) -> Any:
    return _batch_norm(x, weight, bias, mean, variance, False, eps)


@row("nll_loss_forward")
def _nll_loss(x: Any, target: Any, weight: Any, reduction: int, ignored: int) -> Any:
    rows = x[None] if x.ndim == 1 else x
    flat = target.reshape(-1)
    chosen = jnp.clip(flat, 0, rows.shape[1] - 1)
    weights = jnp.ones(rows.shape[1], x.dtype) if weight is None else weight
    used = jnp.where(flat == ignored, 0, weights[chosen])
    losses = -jnp.take_along_axis(rows, chosen[:, None], 1)[:, 0] * used
    total = jnp.sum(used)
    if reduction == 0:
        return losses.reshape(target.shape), jnp.zeros((), x.dtype)
    return (jnp.sum(losses) / total if reduction == 1 else jnp.sum(losses)), total
