"""Large points come in pieces here, so that time and memory grow with the entries of a point and then no further.

for piece in in_pieces(batch):      # four points of 1e6 entries at once, two of which meet the exact layer
    ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backprove.harness.core.amounts import few
from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.large import BATCH_ENTRIES, EXACT_ENTRIES
from backprove.harness.judging.drawing.batch import Batch


def entries_of(batch: Batch) -> int:
    """Entries of the inputs and directions of one point."""
    return sum(a.size // max(a.shape[-1], 1) for a in (*batch.points.arrays, *batch.directions))


def in_pieces(batch: Batch) -> Iterator[Batch]:
    """The batch in pieces of at most `BATCH_ENTRIES` entries, of which not too many points meet the exact layer."""
    entries, count = entries_of(batch), batch.points.count
    at_once = few(count, entries, BATCH_ENTRIES)
    batch = replace(batch, exact=_thinned(batch.exact, few(count, entries, EXACT_ENTRIES)))
    if at_once >= count:
        yield batch
        return
    for k, start in enumerate(range(0, count, at_once)):
        piece = batch.take(np.arange(start, min(start + at_once, count)))
        yield replace(piece, item=(batch.item, k))


def _thinned(chosen: Array, most: int) -> Array:
    """Of the chosen points so many, from all of them alike: they lie in the order of their sources."""
    at = np.flatnonzero(chosen)
    if at.size <= most:
        return chosen
    out = np.zeros_like(chosen)
    out[at[np.arange(most) * at.size // most]] = True
    return out
