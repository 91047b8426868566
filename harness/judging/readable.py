"""`readable` gives a failing point numbers that people can follow: 0, 1, -1, 2 or 0.5 where it fails with them too.

Hypothesis shrinks the choices that draw a point, and keeps 2.2e-308 or 8.999999999999998 where it cannot reach 0 or 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.strategies.arranged import is_free
from backprove.strategies.points import DrawnPoint
from backprove.strategies.shapes import feasible

SIMPLE = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 4.0, -4.0, 5.0, -5.0, 10.0, -10.0)
"""Numbers in the order in which they are tried."""
DIGITS = (1, 2, 3, 6)
"""Significant digits to which an entry is rounded where none of them does."""
CALLS = 400
"""Points judged at most."""
CALLS_AROUND = 16
"""The same for points of many entries, each of which takes seconds."""
ROUNDS = 2
"""One entry may become simpler because another one did."""
ENTRIES = 48
"""Entries of an array up to which they are looked at one by one."""

Fails = Callable[[DrawnPoint], bool]


def readable(point: DrawnPoint, still: Fails, calls: int = CALLS) -> DrawnPoint:
    """A point of the same sizes that fails too, each entry as simple as it can be by itself.

    Args:
        point: fails.
        still: whether another point fails with the same verdict.
        calls: points judged at most.
    """
    trial = _Trial(point, still, calls)
    for _ in range(ROUNDS):
        before = trial.best
        for k, a in enumerate(trial.arrays):
            if trial.plain(k):
                trial.whole(k)
                if a.size <= ENTRIES:
                    for entry in np.ndindex(a.shape):
                        trial.entry(k, entry)
        if trial.best is before:
            break
    return trial.best


def around_entry(point: DrawnPoint, entry: tuple[int, ...], still: Fails) -> DrawnPoint:
    """A point of many entries that fails too, in a handful of trials: what is not at the entry becomes 0 or 1.

    Args:
        point: fails.
        entry: of the result, where it does: arrays of its shape keep their number there at most.
        still: whether another point fails with the same verdict.
    """
    trial = _Trial(point, still, CALLS_AROUND)
    for k in reversed(range(len(trial.arrays))):  # directions first
        if trial.plain(k):
            trial.single(k, entry)
            if np.count_nonzero(trial.arrays[k]) > 1:
                trial.whole(k)
    return trial.best


def with_zeros(point: DrawnPoint, still: Fails) -> DrawnPoint:
    """The point with zeros in the place of whole inputs, of each where it fails with them too: one trial an input."""
    trial = _Trial(point, still, len(point.arrays))
    for k, a in enumerate(point.arrays):
        if trial.plain(k) and a.any():
            trial.zeros(k)
    return trial.best


@dataclass
class _Trial:
    """The simplest point so far."""

    best: DrawnPoint
    still: Fails
    calls: int

    @property
    def arrays(self) -> list[Array]:
        """Inputs, then directions."""
        return [*self.best.arrays, *self.best.directions]

    def plain(self, k: int) -> bool:
        """Whether entries of array k may be changed one by one."""
        specs = list(self.best.space.specs.values())
        return k >= len(specs) or (is_free(specs[k]) and not specs[k].distinct)

    def whole(self, k: int) -> None:
        """Replace all entries of array k, from 3 on, at once."""
        a = self.arrays[k]
        if a.size < 3:
            return
        for value in SIMPLE[:4]:
            if (a == value).all() or self._tried(k, np.full_like(a, value)):
                return

    def zeros(self, k: int) -> None:
        """Replace all entries of array k by 0."""
        self._tried(k, np.zeros_like(self.arrays[k]))

    def single(self, k: int, entry: tuple[int, ...]) -> None:
        """Replace all entries of array k but one, or that one too by 0 or 1."""
        a = self.arrays[k]
        if len(entry) != a.ndim or any(i >= n for i, n in zip(entry, a.shape, strict=True)):
            return
        for value in (0.0, 1.0, a[entry]):
            changed = np.zeros_like(a)
            changed[entry] = value
            if self._tried(k, changed):
                return

    def entry(self, k: int, entry: tuple[int, ...]) -> None:
        a = self.arrays[k]
        for value in simpler(float(a[entry])):
            changed = a.copy()
            changed[entry] = value
            if self._tried(k, changed):
                return

    def _tried(self, k: int, changed: Array) -> bool:
        """Take the point with another array k where it is admissible and fails."""
        if self.calls <= 0:
            return False
        space, arrays = self.best.space, self.arrays
        arrays[k] = changed
        n = len(self.best.arrays)
        other = space.repaired(self.best.sizes, arrays[:n], arrays[n:])
        found = [*other.arrays, *other.directions]
        if k < n and list(space.specs.values())[k].kind is not None:
            if np.array_equal(found[k], self.arrays[k]):  # an entry that follows from others
                return False
            arrays[k] = found[k]
        if not all(np.array_equal(a, b) for a, b in zip(found, arrays, strict=True)):
            return False
        self.calls -= 1
        if not self.still(other):
            return False
        self.best = other
        return True


FILLS = ((0, 0), (0, 1), (1, 1), (1, 0), (2, -1))
"""First entry and step of the inputs that are tried at other sizes."""


def with_two(point: DrawnPoint, still: Fails) -> DrawnPoint:
    """The point with two entries along an axis, where it has one along all and fails there with numbers as simple.

    Args:
        point: fails, and is as readable as it can be.
        still: whether another point fails with the same verdict.
    """
    names = [name for name, size in point.sizes.items() if size == 1]
    if len(names) < len(point.sizes):
        return point
    specs, rank = point.space.specs, max(_rank(point), SIMPLE.index(2.0))
    for name in reversed(names):
        sizes = {**point.sizes, name: 2}
        if not feasible(specs, sizes):
            continue
        shapes, directions = [s.shape(sizes) for s in specs.values()], point.space.direction_shapes(sizes)
        if any(0 in shape for shape in (*shapes, *directions)):
            continue
        for first, step in FILLS:
            inputs = [_filled(a, shape, first, step) for a, shape in zip(point.arrays, shapes, strict=True)]
            for one in (True, False):
                given = [_first(shape) if one else np.ones(shape) for shape in directions]
                other = point.space.repaired(sizes, inputs, given)
                if still(other):
                    other = readable(other, still, CALLS // 8)
                    if _rank(other) <= rank:
                        return other
    return point


def _filled(like: Array, shape: tuple[int, ...], first: float, step: float) -> Array:
    size = int(np.prod(shape))
    return (first + step * np.arange(size)).reshape(shape).astype(like.dtype)


def _first(shape: tuple[int, ...]) -> Array:
    """Zeros with a 1 at the first entry."""
    out = np.zeros(shape)
    out.reshape(-1)[:1] = 1.0
    return out


def _rank(point: DrawnPoint) -> int:
    """Where the least simple number of a point stands among the simple ones; beyond all where it is none."""
    values = {float(v) for a in (*point.arrays, *point.directions) for v in np.ravel(a)}
    return max((SIMPLE.index(v) if v in SIMPLE else len(SIMPLE) for v in values), default=0)


def simpler(value: float) -> Iterator[float]:
    """Simpler numbers than this one, the simplest first."""
    limit = SIMPLE.index(value) if value in SIMPLE and not _is_minus_zero(value) else len(SIMPLE)
    yield from SIMPLE[:limit]
    if limit == len(SIMPLE):
        shown = len(repr(value))
        near = [float(np.rint(value))] + [float(f"{value:.{d - 1}e}") for d in DIGITS]
        for v in dict.fromkeys(near):
            if v != value and np.isfinite(v) and len(repr(v)) < shown and v not in SIMPLE:
                yield v


def _is_minus_zero(value: float) -> bool:
    return value == 0 and bool(np.signbit(value))


def with_entries(point: DrawnPoint) -> bool:
    """Whether no array of a point is empty."""
    return all(a.size for a in (*point.arrays, *point.directions))


def with_direction(point: DrawnPoint) -> bool:
    """Whether some entry of a direction is not zero; true where there are no directions."""
    return not point.directions or any(d.any() for d in point.directions)


def along_ones(point: DrawnPoint) -> DrawnPoint:
    """The same inputs with directions of ones: a rule that gives NaN along zero does so along ones too."""
    ones = [np.ones_like(d) for d in point.directions]
    return point.space.repaired(point.sizes, point.arrays, ones)
