"""These rows are distances between rows, losses with margins, and their backward operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
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


# -- losses with margins ----------------------------------------------------------------------------------------------

MEAN, SUM = 1, 2
"""torch's numbers of reductions; 0 is none."""


@row("multi_margin_loss_backward")
def _multi_margin(g: Any, x: Any, target: Any, p: Any, margin: Any, weight: Any = None, reduction: int = MEAN) -> Any:
    def loss(x: Any) -> Any:
        rows, classes = jnp.atleast_2d(x), jnp.reshape(target, (-1, 1))
        gap = _positive(margin - jnp.take_along_axis(rows, classes, 1) + rows) ** p
        if weight is not None:
            gap = gap * weight[classes]
        others = jnp.arange(rows.shape[1]) != classes
        return _reduced(jnp.where(others, gap, 0).sum(1) / rows.shape[1], reduction, x.ndim)

    return _pulled(loss, x, g)


@row("binary_cross_entropy_backward")
def _binary_cross_entropy(g: Any, x: Any, target: Any, weight: Any = None, reduction: int = MEAN) -> Any:
    """torch's kernel holds 1e-12 in float32, whatever the format, and its decomposition does not."""
    slopes = g * (x - target) / jnp.maximum((1 - x) * x, float(np.float32(1e-12)))
    slopes = slopes if weight is None else slopes * weight
    return slopes / x.size if reduction == MEAN else slopes


@row("multilabel_margin_loss_forward")
def _multilabel_margin(x: Any, target: Any, reduction: int) -> Any:
    """torch's own decomposition counts the labels after the first -1 as well, which its kernel does not."""
    rows, labels = jnp.atleast_2d(x), jnp.atleast_2d(target)
    counted = jnp.cumsum(labels < 0, 1) == 0
    mine = ((labels[:, :, None] == jnp.arange(rows.shape[1])) & counted[:, :, None]).any(1)
    named = jnp.take_along_axis(rows, jnp.maximum(labels, 0), 1)
    gap = _positive(1 - named[:, :, None] + rows[:, None, :])
    gap = jnp.where(counted[:, :, None] & ~mine[:, None, :], gap, 0)
    loss = _reduced(gap.sum((1, 2)) / rows.shape[1], reduction, x.ndim)
    return loss, mine.astype(x.dtype).reshape(target.shape)


@row("multilabel_margin_loss_backward")
def _multilabel_margin_backward(g: Any, x: Any, target: Any, reduction: int, is_target: Any) -> Any:
    return _pulled(lambda x: _multilabel_margin(x, target, reduction)[0], x, g)


def _positive(x: Any) -> Any:
    return jnp.where(x > 0, x, 0)


def _reduced(losses: Any, reduction: int, axes: int) -> Any:
    if reduction == MEAN:
        return losses.mean()
    return losses.sum() if reduction == SUM or axes < 2 else losses


def _pulled(loss: Callable[[Any], Any], x: Any, g: Any) -> Any:
    found, pull = jax.vjp(loss, x)
    return pull(jnp.broadcast_to(g, found.shape))[0]
