"""Which sizes of a claim have more than bulk points: each costs a pass of all layers, whatever the number of points.

The claims of the catalogue are the same formulas at every dtype, so that the sizes are shared out over the dtypes of a
run; a user's code has special points at every size and dtype. Bulk points are drawn at all sizes in any case.
"""

from __future__ import annotations

from backprove.harness.core.formats import FORMATS

SIZES_COMPARED = 2
"""So many sizes have bulk points that meet all layers; at the others the screen sees all bulk points."""
FIRST_SIZES = 3
"""At the first dtype so many sizes have special, drawn and exact points; at every further dtype one other has."""


def sizes_with_special_points(count: int, dtype: str, further: bool) -> list[int]:
    """Places among `count` sizes (`shapes.shape_buckets`), in the order in which special points are given to them.

    Args:
        further: an earlier dtype of the same run has had its sizes.
    """
    order = list(dict.fromkeys([0, count - 1, *range(1, count - 1)])) if count else []
    if not further:
        return order[:FIRST_SIZES]
    rest = order[FIRST_SIZES:] or order
    return [rest[list(FORMATS).index(dtype) % len(rest)]] if rest else []
