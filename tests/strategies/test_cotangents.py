"""Tangents and cotangents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.drawing import direction_strategy
from backprove.strategies.shrinking import sample, search, shrink

SHAPES = ((2, 3), (3,), ())


def test_patterns_come_in_their_shares(dtype: str) -> None:
    arrays = draw_directions(SHAPES, 4000, 1, "item", dtype)
    assert [a.shape for a in arrays] == [(2, 3, 4000), (3, 4000), (4000,)]
    x = np.concatenate([a.reshape(-1, 4000) for a in arrays])
    assert (FORMATS[dtype].round(x) == x).all()
    filled = (x != 0).sum(axis=0)
    dyadic = (4 * x == np.rint(4 * x)).all(axis=0) & (filled > 1)
    assert 0.03 < (filled == 0).mean() < 0.07
    assert 0.12 < (filled == 1).mean() < 0.18
    assert 0.17 < dyadic.mean() < 0.23
    assert 0.55 < ((filled == 10) & ~dyadic).mean() < 0.65


@pytest.mark.parametrize("shapes", [((),), ((1,),), ((2,),), ((2, 3), (3,))])
def test_no_array_is_all_ones(shapes: tuple[tuple[int, ...], ...]) -> None:
    for a in draw_directions(shapes, 20_000, 0, "ones", "bfloat16"):
        assert not (a.reshape(-1, 20_000) == 1).all(axis=0).any()


def test_same_seed_same_bytes_other_item_other_bytes() -> None:
    def raw(item: str) -> bytes:
        return b"".join(a.tobytes() for a in draw_directions(SHAPES, 50, 0, item, "float32"))

    assert raw("a") == raw("a") != raw("b")
    assert draw_directions(((0, 3),), 5, 0, "", "float32")[0].shape == (0, 3, 5)


def test_drawn_directions_vary_and_replay(dtype: str) -> None:
    strategy = direction_strategy(SHAPES, dtype)
    drawn = sample(strategy, 100, 3)
    x = np.array([np.concatenate([a.reshape(-1) for a in d]) for d in drawn])
    assert (FORMATS[dtype].round(x) == x).all()
    filled = (x != 0).sum(axis=1)
    assert (filled == 0).any() and (filled == 1).any() and (filled == 10).any() and (x < 0).any()
    for arrays in drawn[:30]:
        value, calls = shrink(strategy, never, encode_directions(arrays))
        assert calls == 1 and [a.tobytes() for a in value] == [a.tobytes() for a in arrays]


def encode_directions(arrays: Sequence[NDArray[Any]]) -> tuple[int | float, ...]:
    """The choices with which `direction_strategy` of the same shapes draws exactly these arrays."""
    out: list[int | float] = [0]
    sizes = [a.size for a in arrays]
    for size in dict.fromkeys(sizes):
        group = [a.reshape(-1).tolist() for a in arrays if a.size == size]
        for k in range(size):
            out += [float(a[k]) for a in group]
    return tuple(out)


def never(value: object) -> bool:
    return False


def test_directions_shrink_to_zeros_and_a_one() -> None:
    (g,) = search(direction_strategy(((3,),), "float32"), lambda v: v[0][1] > 0.5) or ()
    assert g.tolist() == [0.0, 1.0, 0.0]
