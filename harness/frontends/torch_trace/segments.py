"""These rows reduce runs of entries: segments of an axis, and bags of an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.table import Row, row, row_of_constants, row_of_node

EMPTY = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}
"""What a segment without entries holds where no initial value is given."""


def _segments(shape: Any, lengths: Any, offsets: Any, axis: int) -> Iterator[tuple[tuple[int, ...], list[slice]]]:
    """For each line along the leading axes the segments of its entries.

    Raises:
        NotImplementedError: where lengths depend on values.
    """
    given = lengths if offsets is None else offsets
    if not isinstance(given, np.ndarray):
        raise NotImplementedError("segments whose lengths depend on the values of a tensor")
    lines: Array = given
    for line in np.ndindex(*shape[:axis]):
        ends = np.cumsum([0, *lines[line]]) if offsets is None else lines[line]
        yield line, [slice(int(a), int(b)) for a, b in pairwise(ends)]


@row_of_constants("segment_reduce")
def _segment_reduce(
    x: Any, reduce: str, *, lengths: Any = None, offsets: Any = None, axis: int = 0, initial: Any = None, **_: Any
) -> Any:
    x = jnp.asarray(x)
    start = EMPTY[reduce] if initial is None else initial
    folds: dict[str, Row] = {"sum": jnp.sum, "mean": jnp.sum, "prod": jnp.prod, "max": jnp.max, "min": jnp.min}
    lines = []
    for line, segments in _segments(x.shape, lengths, offsets, axis):
        made = []
        for s in segments:
            found = folds[reduce](x[line][s], axis=0, initial=start)
            if reduce == "mean" and s.start < s.stop:
                found = found / (s.stop - s.start)
            made.append(jnp.full_like(found, jnp.nan) if reduce == "mean" and s.start == s.stop else found)
        lines.append(jnp.stack(made))
    return jnp.stack(lines).reshape(*x.shape[:axis], *lines[0].shape)


@row_of_constants("_segment_reduce_backward")
def _segment_reduce_backward(
    g: Any,
    out: Any,
    x: Any,
    reduce: str,
    *,
    lengths: Any = None,
    offsets: Any = None,
    axis: int = 0,
    initial: Any = None,
) -> Any:
    g, out, x = map(jnp.asarray, (g, out, x))
    found = jnp.zeros(x.shape, x.dtype)
    for line, segments in _segments(x.shape, lengths, offsets, axis):
        for k, s in enumerate(segments):
            if s.start < s.stop:
                slopes = _slopes(x[line][s], out[line][k], reduce, 1.0 if initial is None else initial)
                found = found.at[(*line, s)].set(g[line][k] * slopes)
    return found


def _slopes(x: Any, out: Any, reduce: str, initial: Any) -> Any:
    """Slopes of one segment's result in its entries; tied extrema share alike."""
    if reduce in ("max", "min"):
        chosen = (x == out).astype(x.dtype)
        return chosen / jnp.maximum(jnp.sum(chosen, 0), 1)
    if reduce == "prod":
        others = [initial * jnp.prod(jnp.delete(x, k, 0), 0) for k in range(len(x))]
        return jnp.where(x == 0, jnp.stack(others), out / jnp.where(x == 0, 1, x))
    return jnp.full(x.shape, 1 / len(x) if reduce == "mean" else 1.0, x.dtype)


# -- embeddings --------------------------------------------------------------------------------------------------------

SUM, MEAN, MAX = 0, 1, 2
"""torch's numbers of the modes of a bag."""


def _bags(index: Any, offsets: Any, last: bool, padding: int) -> tuple[Any, Any]:
    """Entries x bags: which entry belongs to which bag, as numbers, those of padding left out; and their counts."""
    count = offsets.shape[0] - last
    place = jnp.arange(index.shape[0])
    ends = jnp.concatenate([offsets[1:], jnp.full(1, index.shape[0], offsets.dtype)])[:count]
    inside = (place[:, None] >= offsets[:count]) & (place[:, None] < ends) & (index != padding)[:, None]
    return inside, jnp.sum(inside, 0)


@row_of_node("_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(
    node: Any,
    weight: Any,
    index: Any,
    offsets: Any,
    by_frequency: bool = False,
    mode: int = SUM,
    sparse: bool = False,
    weights: Any = None,
    last: bool = False,
    padding: int = -1,
) -> Any:
    """The other results help torch's backward, which has no need of them here."""
    inside, count = _bags(index, offsets, last, padding)
    rows = weight[index] if weights is None else weight[index] * weights[:, None]
    if mode == MAX:
        largest = jnp.max(jnp.where(inside[..., None], rows[:, None], -jnp.inf), 0)
        found = jnp.where((count > 0)[:, None], largest, 0)
    else:
        found = inside.astype(rows.dtype).T @ rows
        found = found / jnp.maximum(count, 1)[:, None] if mode == MEAN else found
    return found, *(jnp.zeros(tuple(t.shape), "int64") for t in node.meta["val"][1:])


@row("_embedding_bag_backward")
def _embedding_bag_backward(
    g: Any,
    index: Any,
    offsets: Any,
    bag: Any,
    size: Any,
    largest: Any,
    count: int,
    by_frequency: bool,
    mode: int,
    sparse: bool,
    weights: Any = None,
    padding: int = -1,
) -> Any:
    if by_frequency or sparse or mode == MAX:
        raise NotImplementedError("gradients of an embedding scaled by frequency, of its largest entries, or sparse")
    inside, entries = _bags(index, offsets, offsets.shape[0] > g.shape[0], padding)
    of_rows = inside.astype(g.dtype) @ (g / jnp.maximum(entries, 1)[:, None] if mode == MEAN else g)
    of_rows = of_rows if weights is None else of_rows * weights[:, None]
    return jnp.zeros((count, g.shape[1]), g.dtype).at[index].add(of_rows)


@row("_embedding_bag_per_sample_weights_backward")
def _per_sample_weights_backward(
    g: Any, weight: Any, index: Any, offsets: Any, bag: Any, mode: int, padding: int = -1
) -> Any:
    inside, _ = _bags(index, offsets, offsets.shape[0] > g.shape[0], padding)
    return jnp.sum((inside.astype(g.dtype) @ g) * weight[index], -1)
