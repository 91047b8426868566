"""These rows are backward operations of losses that torch's core keeps whole, as the cotangents of their formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from backprove.harness.frontends.torch_trace.table import row

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
