"""Planted directions: constants of the code and every magnitude of a format."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.coverage import DEFAULT_BOUND
from backprove.strategies.planted_directions import planted_directions

SHAPES = ((3,), (2, 2))


def test_constants_stand_in_one_entry_in_all_and_in_the_norm(dtype: str) -> None:
    c = 12.0
    planted = planted_directions(SHAPES, [c], dtype, 200)
    x = np.concatenate([a.reshape(-1, planted.ordinary.size) for a in planted.arrays])
    assert (FORMATS[dtype].round(x) == x).all()
    for value in (c, 2 * c, c / 2):
        assert ((x == value).sum(axis=0) == 1).any() and (x == -value).any()
        assert (x == value).all(axis=0).any()
    above, below = x[x > c].min(), x[(x < c) & (x > 0)].max()
    assert above - c <= 2 * FORMATS[dtype].u * 2 * c and c - below <= 2 * FORMATS[dtype].u * 2 * c
    assert (np.abs(np.linalg.norm(x[:, planted.ordinary], axis=0) / c - 1) < 0.02).any()


def test_magnitudes_reach_over_the_format(dtype: str) -> None:
    planted = planted_directions(SHAPES, [], dtype, 200)
    size = np.abs(np.concatenate([a.reshape(-1, planted.ordinary.size) for a in planted.arrays])).max(axis=0)
    form = FORMATS[dtype]
    assert size.max() > form.max**0.8 and size.min() < 0.1
    assert (size[planted.ordinary] <= DEFAULT_BOUND[dtype]).all()
    near = planted_directions(SHAPES, [], dtype, 200, far=False)
    assert max(np.abs(a).max() for a in near.arrays) <= 4 * form.max**0.25


def test_the_sizes_share_them_out() -> None:
    whole = planted_directions(SHAPES, [1.0, 2.0, 3.0], "float64", 160).ordinary.size
    parts = [planted_directions(SHAPES, [1.0, 2.0, 3.0], "float64", 160, k, 5).ordinary.size for k in range(5)]
    assert sum(parts) == whole <= 160
    assert planted_directions(((0,),), [1.0], "float64", 10).arrays[0].shape == (0, 10)
