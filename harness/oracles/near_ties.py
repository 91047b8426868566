"""Near ties are two entries nearer to each other than differences step: a sort changes its order on the way.

A median of [0, a, b, 1] with a and b one rounding apart has slope 1 in b; differences that step past both neighbours
see 0 on either side, and nothing that looks like a kink.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.differences import STEPS_APART


def nearly_tied(moving: Sequence[Array], step: float) -> Array:
    """Per point: whether two entries differ, and by less than differences with this step bridge.

    Args:
        moving: the differentiated inputs, shape + points.
        step: of the differences, relative to the entries.
    """
    points = moving[0].shape[-1] if moving else 1
    flat = [np.broadcast_to(a, (*a.shape[:-1], points)).reshape(-1, points) for a in moving]
    every = np.sort(np.concatenate(flat), axis=0) if flat else np.zeros((0, points))
    with np.errstate(all="ignore"):
        gap = np.diff(every, axis=0)
        size = np.maximum(np.abs(every[1:]), np.abs(every[:-1]))
        near = (gap > 0) & (gap <= STEPS_APART * step * size)
    return np.asarray(near.any(axis=0))
