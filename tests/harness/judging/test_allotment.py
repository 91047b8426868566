"""Over the formats of a catalogue run every size has its special points, and each format has some."""

from __future__ import annotations

import pytest

from backprove.harness.judging.allotment import FIRST_SIZES, sizes_with_special_points

FORMATS = ("float64", "float32", "bfloat16")


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("count", range(1, 7))
def test_the_sizes_are_shared_out_over_the_formats(first: str, count: int) -> None:
    found = [sizes_with_special_points(count, first, further=False)]
    assert len(found[0]) == min(FIRST_SIZES, count)
    for dtype in FORMATS:
        if dtype != first:
            found.append(sizes_with_special_points(count, dtype, further=True))
            assert len(found[-1]) == 1
    for places in found:
        assert len(set(places)) == len(places) and set(places) <= set(range(count))
    if first == "float64" and count <= FIRST_SIZES + 2:
        assert {k for places in found for k in places} == set(range(count))


def test_the_ordinary_sizes_come_first() -> None:
    """The first and the last of the fixed sizes; the second is all ones."""
    assert sizes_with_special_points(5, "float64", further=False) == [0, 4, 1]
    assert sizes_with_special_points(0, "float64", further=False) == []
    assert sizes_with_special_points(0, "float32", further=True) == []
