"""Hypothesis draws sizes, directions and single points here; the bulk draws run without it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from backprove.strategies.array import ArraySpec
from backprove.strategies.cotangents import direction_domain
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.domain import Floats
from backprove.strategies.encoding import layout
from backprove.strategies.kinds import one_hot_rows, storage
from backprove.strategies.mixture import PATTERNS, Tie, mixed_column, mixed_entries, plain_column, plain_entries
from backprove.strategies.points import Direction, DrawnPoint, PointSpace
from backprove.strategies.shapes import (
    LARGE_EVERY,
    MAX_BATCH_AXES,
    MAX_ENTRIES,
    MAX_SIZE,
    SIZE_OF,
    Shape,
    Sizes,
    Specs,
    choices_of,
    dim_names,
    feasible,
    room,
)


def shape_strategy(specs: Specs) -> st.SearchStrategy[Sizes]:
    """Sizes of all names: 0 to MAX_SIZE, rarely larger, at most MAX_ENTRIES entries per input; shrinks to 1, then 0.

    Names of any number of axes get 0 to 2 axes and shrink to none.
    """
    return _sizes(specs)


@st.composite
def _sizes(draw: st.DrawFn, specs: Specs) -> Sizes:
    names = dim_names(specs)
    if not names:
        return {}
    cap = MAX_ENTRIES if draw(st.integers(0, LARGE_EVERY - 1)) == LARGE_EVERY - 1 else MAX_SIZE
    bounds = bounds_of(specs)
    sizes = bounds.adapted({n.lstrip("*"): () if n.startswith("*") else 1 for n in names})
    for name in names:
        key = name.lstrip("*")
        if name.startswith("*"):
            axes: tuple[int, ...] = ()
            for _ in range(draw(st.integers(0, MAX_BATCH_AXES))):
                axes += (_draw_size(draw, room(specs, sizes, key, axes, cap)),)
                sizes[key] = axes
        else:
            least = bounds.nearest(name, 1)
            most = room(specs, sizes, key, None, cap if least <= 1 else max(cap, 2 * least))
            sizes[key] = (
                _draw_bounded(draw, choices_of(name, bounds), max(most, least))
                if bounds.is_bounded(name)
                else _draw_size(draw, most)
            )
    assume(feasible(specs, sizes))
    return sizes


def _draw_size(draw: st.DrawFn, most: int) -> int:
    """A size up to `most`; the choices above it stand for sizes from 2 again, lest 0 and 1 be too frequent."""
    k = draw(st.integers(0, 2 * most if most > 1 else 1))
    return SIZE_OF[k] if k <= most else 2 + k % (most - 1)


def _draw_bounded(draw: st.DrawFn, order: Sequence[int], most: int) -> int:
    """One of the sizes in `order` up to `most`."""
    return order[draw(st.integers(0, max(sum(s <= most for s in order) - 1, 0)))]


def direction_strategy(shapes: Sequence[Shape], dtype: str) -> st.SearchStrategy[tuple[Floats, ...]]:
    """Tangents or cotangents of the given shapes, without a points axis; shrinks toward zeros and ones."""
    return _directions(tuple(shapes), dtype)


@st.composite
def _directions(draw: st.DrawFn, shapes: tuple[Shape, ...], dtype: str) -> tuple[Floats, ...]:
    pattern = draw(st.integers(0, 9))
    entry = mixed_entries() if pattern else plain_entries()
    sizes = [math.prod(s) for s in shapes]
    total = sum(sizes)
    x = np.zeros(total)
    if pattern == 9 and total:
        x[draw(st.integers(0, total - 1))] = draw(entry)
    elif pattern != 8:
        # One coordinate at a time over all arrays of a size: deleting it deletes it everywhere.
        for size in dict.fromkeys(sizes):
            at = [sum(sizes[:k]) for k, s in enumerate(sizes) if s == size]
            coordinate = st.tuples(*(entry for _ in at))
            for k in range(size):
                x[[a + k for a in at]] = draw(coordinate)
    x = direction_domain(dtype).admit(x)
    return tuple(x[sum(sizes[:k]) : sum(sizes[: k + 1])].reshape(s) for k, s in enumerate(shapes))


def point_strategy(
    specs: Mapping[str, ArraySpec],
    dtype: str,
    directions: tuple[Direction, ...] = (),
    specials: Iterable[float] = (),
    extreme: bool = False,
    pool: Sequence[Sizes] = (),
) -> st.SearchStrategy[DrawnPoint]:
    """Single points with drawn shapes, for Hypothesis.

    Shrinks toward size 1, entries 0, 1, small integers. Arrays of one shape are drawn coordinate by coordinate, so that
    deleting a coordinate deletes it in all of them.

    Args:
        specs: the inputs, in order.
        dtype: the float format under test.
        directions: tangents or cotangents to draw along.
        specials: constants of interest (kinks, thresholds harvested from the program).
        extreme: open sides reach to the largest number of the dtype.
        pool: sizes to choose from; where there are none they are drawn too, and only then `choices` encodes a point.
    """
    return _draw_point(PointSpace(specs, dtype, directions, tuple(float(c) for c in specials), extreme), tuple(pool))


@st.composite
def _draw_point(draw: st.DrawFn, space: PointSpace, pool: tuple[Sizes, ...]) -> DrawnPoint:
    specs = space.specs
    sizes = dict(draw(st.sampled_from(pool))) if pool else draw(shape_strategy(specs))
    pattern = draw(st.integers(0, len(PATTERNS) - 1))
    shapes = (*(s.shape(sizes) for s in specs.values()), *space.direction_shapes(sizes))
    plan = layout(specs, shapes)
    dtypes = [*(storage(s) for s in specs.values()), *(np.dtype(np.float64) for _ in space.directions)]
    flat = [np.zeros(int(np.prod(shape)), dtype=d) for shape, d in zip(shapes, dtypes, strict=True)]
    for k in plan.one_hot:
        n = shapes[k][-1] if shapes[k] else 1
        rows = len(flat[k]) // n if n else 0
        hot = np.array([draw(st.integers(0, n - 1)) for _ in range(rows)], dtype=np.int64)
        flat[k] = one_hot_rows(hot[:, None], n)[:, 0].astype(dtypes[k])
    kinds = list(specs.values())
    for members in plan.groups:
        count = len(flat[members[0]])
        if not count:
            continue
        columns = [
            plain_column(kinds[k] if k < len(kinds) else None, sizes, space.dtype, space.extreme)
            if pattern == 0
            else mixed_column(
                kinds[k] if k < len(kinds) else None, sizes, space.dtype, space.extreme, space.specials, pattern
            )
            for k in members
        ]
        alone = len(columns) == 1
        coordinate = columns[0] if alone else st.tuples(*columns)
        for i in range(count):
            found = draw(coordinate)
            for k, value in zip(members, (found,) if alone else found, strict=True):
                flat[k][i] = _resolve(value, flat, members, k, i) if isinstance(value, Tie) else value
    shaped = [a.reshape(shape) for a, shape in zip(flat, shapes, strict=True)]
    return space.repaired(sizes, shaped[: len(kinds)], shaped[len(kinds) :])


def _resolve(tie: Tie, flat: list[NDArray[Any]], members: Sequence[int], k: int, i: int) -> Any:
    """The value a tie stands for: an earlier entry of the same array, or the same entry of an array before it."""
    others = [m for m in members if m < k and flat[m].dtype == flat[k].dtype]
    if others and (tie.across or i == 0):
        return tie.sign * flat[others[tie.back % len(others)]][i]
    return tie.sign * flat[k][i - 1 - tie.back % i] if i else flat[k][i]


__all__ = ["direction_strategy", "point_strategy", "shape_strategy"]
