"""These rows are distances between rows of matrices, and their backward operations as torch's kernels define them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.frontends.torch_trace.table import row


@row("_pdist_forward")
def _pdist(x: Any, p: float = 2.0) -> Any:
    i, j = np.triu_indices(x.shape[0], 1)
    return _distance(x[i] - x[j], p)


@row("_cdist_forward", "_euclidean_dist")
def _cdist(x: Any, y: Any, p: float = 2.0, *_: Any) -> Any:
    return _distance(x[..., :, None, :] - y[..., None, :, :], p)


@row("_pdist_backward")
def _pdist_backward(g: Any, x: Any, p: float, distance: Any) -> Any:
    i, j = np.triu_indices(x.shape[0], 1)
    slopes = _slope(x[i] - x[j], p, distance) * g[:, None]
    return jnp.zeros(x.shape, x.dtype).at[i].add(slopes).at[j].add(-slopes)


@row("_cdist_backward")
def _cdist_backward(g: Any, x: Any, y: Any, p: float, distance: Any) -> Any:
    slopes = _slope(x[..., :, None, :] - y[..., None, :, :], p, distance)
    return jnp.sum(slopes * g[..., None], -2)


def _distance(d: Any, p: float) -> Any:
    size = jnp.abs(d)
    if p == float("inf"):
        return jnp.max(size, -1)
    if p == 0:
        return jnp.sum((d != 0).astype(d.dtype), -1)
    if p == 1:
        return jnp.sum(size, -1)
    return jnp.sqrt(jnp.sum(d * d, -1)) if p == 2 else jnp.sum(size**p, -1) ** (1 / p)


def _slope(d: Any, p: float, distance: Any) -> Any:
    """Slopes of the distance in the entries of the difference; 0 where the distance is 0."""
    distance = distance[..., None]
    if p == 0:
        return jnp.zeros_like(d)
    if p == 1:
        return jnp.sign(d)
    if p == float("inf"):
        return jnp.sign(d) * (jnp.abs(d) == distance)
    safe = jnp.where(distance == 0, 1, distance)
    powers = d if p == 2 else jnp.sign(d) * jnp.abs(d) ** (p - 1)
    return jnp.where(distance == 0, 0, powers / safe ** (p - 1))
