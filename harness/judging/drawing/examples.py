"""Hypothesis draws these inputs once for a rule or theorem; all its claims see them, at every dtype.

Drawing costs milliseconds an example, and every new shape is a program to trace: a few shapes are drawn, then the
examples at these and at the small ones of the fixed sizes. Directions are not part of an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.cache import Cache
from backprove.harness.core.thresholds.large import DRAWN_ONE_BY_ONE
from backprove.strategies.array import ArraySpec
from backprove.strategies.points import DrawnPoint, Points, PointSpace
from backprove.strategies.shapes import Sizes, Specs, entries, has_empty, shape_buckets
from backprove.strategies.values import as_points

NEW_SHAPES, USERS_SHAPES = 1, 2
"""Drawn shapes beside the fixed ones, of the catalogue and of users' rules; at the first dtype alone, since each is a
program to trace for every function."""
SHAPES_TRIED = 12
SMALL_POINT = 24
"""Entries of all inputs up to which a fixed size takes part: every entry is a choice of its own."""


@dataclass
class Examples:
    """Examples of the inputs of one rule or theorem, drawn on first use.

    Attributes:
        specs: the inputs, in order.
        seed: of the run.
        count: examples at the first dtype.
        cache: keeps the examples from run to run.
        new_shapes: drawn shapes beside the fixed ones.
    """

    specs: Specs
    seed: int
    count: int
    cache: Cache | None = None
    new_shapes: int = NEW_SHAPES
    _drawn: list[DrawnPoint] | None = field(default=None, repr=False)

    def at(
        self,
        dtype: str,
        count: int,
        specials: Iterable[float],
        extreme: bool,
        wanted: Callable[[Sizes], bool] = lambda _: True,
    ) -> list[Points]:
        """The first `count` examples in `dtype`, those of one shape together; the shapes of all claims are the same.

        Args:
            specials: constants of interest; those of the claim that asks first are drawn.
            extreme: open sides reach to the largest number of the dtype.
            wanted: which sizes.
        """
        constants = tuple(float(c) + 0.0 for c in specials)  # both zeros are one constant, as they are one key
        if self._drawn is None:
            self._drawn = self._kept_or_new(constants, extreme)
        chosen = [p for p in self._drawn if wanted(p.sizes)]
        space = PointSpace(self.specs, dtype, (), constants, extreme)
        groups: dict[str, list[DrawnPoint]] = {}
        for p in chosen[:count]:
            groups.setdefault(str(p.sizes), []).append(space.repaired(p.sizes, p.arrays, ()))
        return [_joined(members, constants) for members in groups.values()]

    def _kept_or_new(self, specials: tuple[float, ...], extreme: bool) -> list[DrawnPoint]:
        key = ("examples", self.seed, self.count, self.new_shapes, specials, extreme)
        kept = self.cache.get(key) if self.cache is not None else None
        if kept is not None:
            space = PointSpace(self.specs, "float64", (), specials, extreme)
            return [DrawnPoint(space, sizes, arrays) for sizes, arrays in kept]
        drawn = list(_drawn(tuple(self.specs.items()), self.seed, self.count, specials, extreme, self.new_shapes))
        if self.cache is not None:
            self.cache.put(key, [(p.sizes, p.arrays) for p in drawn])
        return drawn


@lru_cache(maxsize=64)
def _drawn(
    inputs: tuple[tuple[str, ArraySpec], ...],
    seed: int,
    count: int,
    specials: tuple[float, ...],
    extreme: bool,
    new_shapes: int,
) -> tuple[DrawnPoint, ...]:
    """The same for all rules of the same inputs in a process."""
    return tuple(draw(dict(inputs), seed, count, specials, extreme, new_shapes))


def draw(
    specs: Specs, seed: int, count: int, specials: tuple[float, ...], extreme: bool, new_shapes: int
) -> list[DrawnPoint]:
    """Examples in float64 at few shapes: some drawn ones, and the small ones among the fixed sizes."""
    # Hypothesis is a third of all imports, and examples of the catalogue are kept from run to run
    from backprove.strategies.drawing import point_strategy, shape_strategy
    from backprove.strategies.shrinking import sample

    if not specs:
        return []
    fixed = [s for s in shape_buckets(specs) if not has_empty(specs, s)]
    sizes_of = {str(s): sum(entries(spec, s) for spec in specs.values()) for s in fixed}
    pool = [s for s in fixed if sizes_of[str(s)] <= SMALL_POINT] or fixed[:1]
    if all(sizes_of[str(s)] > DRAWN_ONE_BY_ONE for s in pool):
        return []
    fresh: list[Sizes] = []
    for sizes in sample(shape_strategy(specs), SHAPES_TRIED, seed):
        if sizes not in fixed and sizes not in fresh and not has_empty(specs, sizes):
            fresh.append(sizes)
    strategy = point_strategy(specs, "float64", (), specials, extreme, pool=[*fresh[:new_shapes], *pool])
    return sample(strategy, count, seed)


def _joined(members: Sequence[DrawnPoint], specials: tuple[float, ...]) -> Points:
    """Points of one shape side by side."""
    space, sizes = members[0].space, members[0].sizes
    columns: list[tuple[NDArray[Any], ...]] = list(zip(*(p.arrays for p in members), strict=True))
    arrays = tuple(np.stack(c, axis=-1) for c in columns)
    assert all(math.prod(a.shape[:-1]) == entries(s, sizes) for a, s in zip(arrays, space.specs.values(), strict=True))
    return as_points(space.specs, sizes, space.dtype, arrays, specials)
