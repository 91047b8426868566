"""Sizes of the named dimensions are chosen here: a few fixed buckets for bulk work, and the encoding of drawn ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from backprove.harness.core.errors import UsageError
from backprove.strategies.array import ArraySpec
from backprove.strategies.dimensions import Bounds, bounds_of
from backprove.strategies.domain import integer_bounds

Shape = tuple[int, ...]
Sizes = dict[str, int | tuple[int, ...]]
Specs = Mapping[str, ArraySpec]

MAX_ENTRIES = 64
"""Most entries of one input, unless its fixed dimensions alone make more."""
MAX_SIZE = 6
"""Largest size that Hypothesis draws on most examples."""
LARGE_EVERY = 32
"""One drawn example in so many may have sizes up to MAX_ENTRIES; points found in bulk are encoded so."""
MAX_BATCH_AXES = 2

_ORDINARY = ((3, 5, 2, 7, 6), (5, 3, 7, 2, 6), (2, 3, 5, 6, 7), (3, 2, 3, 5, 2), (2, 3, 2, 3, 2), (2, 2, 2, 2, 3))
_REPEATED = (33, 21, 13, 11, 7, 6, 5, 3, 2, 1)


def dim_names(specs: Specs) -> tuple[str, ...]:
    """All names in order of first use, those of any number of axes with their star, `high` names included."""
    found: dict[str, None] = {}
    for spec in specs.values():
        for d in spec.dims:
            if isinstance(d, str):
                found[d] = None
    for spec in specs.values():
        if isinstance(spec.high, str) and spec.high not in found and f"*{spec.high.lstrip('*')}" not in found:
            found[spec.high] = None
    stars = {n.lstrip("*") for n in found if n.startswith("*")}
    for clash in sorted(stars & set(found)):
        raise UsageError(f'array: "{clash}" stands for one axis and "*{clash}" for several; use two different names')
    return tuple(found)


def size_label(sizes: Sizes) -> str:
    """How reports name sizes: "m=3, n=5"; "scalar" where nothing has a name."""
    return ", ".join(f"{k}={v}" for k, v in sizes.items()) or "scalar"


def entries(spec: ArraySpec, sizes: Sizes) -> int:
    """Number of entries of one input."""
    return math.prod(spec.shape(sizes))


def feasible(specs: Specs, sizes: Sizes, most: int | None = None) -> bool:
    """Whether points of these sizes exist: indices and one-hot rows have something to choose from, distinct integers
    are not more than there are integers, the bounds of the names are kept, and no array is much larger than
    MAX_ENTRIES (or `most`, where given), or than the smallest that the bounds leave."""
    bounds = bounds_of(specs)
    if not bounds.admit(sizes):
        return False
    for spec in specs.values():
        count = entries(spec, sizes)
        if count > max(_limit(spec, bounds), most or 0):
            return False
        if spec.dtype != "float" or spec.kind in ("index", "mask"):
            low, high = integer_bounds(spec, sizes)
            if (count and high < low) or (spec.distinct and count > high - low + 1):
                return False
    return True


def has_empty(specs: Specs, sizes: Sizes) -> bool:
    """Whether some input has no entries."""
    return any(entries(spec, sizes) == 0 for spec in specs.values())


def shape_buckets(specs: Specs, count: int = 5, seed: int = 0) -> list[Sizes]:
    """About `count` different sizes for bulk work, always the same for the same arguments.

    The first is small, non-square and no power of two; all ones, one name of size 1, and one larger size for all names
    follow; names of any number of axes get 1, 0 and 2 axes in turn. Where a name exists one more bucket, the last, has
    size 0 (see `has_empty`).

    Raises:
        UsageError: if no sizes are feasible.
    """
    return [dict(sizes) for sizes in _buckets(tuple(specs.items()), count, seed)]


@lru_cache(maxsize=256)
def _buckets(inputs: tuple[tuple[str, ArraySpec], ...], count: int, seed: int) -> list[Sizes]:
    specs = dict(inputs)
    names = dim_names(specs)
    if not names:
        return [{}]
    chosen: list[Sizes] = []
    bounds = bounds_of(specs)
    for wanted in _candidates(names, seed):
        sizes = _fit(specs, bounds.adapted(wanted))
        if sizes is not None and sizes not in chosen and not has_empty(specs, sizes):
            chosen.append(sizes)
        if len(chosen) == count:
            break
    empty = next((s for s in _empty_candidates(specs, names, chosen) if feasible(specs, s)), None)
    buckets = chosen + ([empty] if empty is not None else [])
    if not buckets:
        raise UsageError(
            f"no sizes of {', '.join(names)} allow a point: an index needs a positive size to point into, distinct "
            "integers need enough integers between low and high, and bounds of sizes must leave some"
        )
    return buckets


def _candidates(names: tuple[str, ...], seed: int) -> Iterator[Sizes]:
    def bind(values: Any, batch: tuple[int, ...]) -> Sizes:
        return {n.lstrip("*"): batch if n.startswith("*") else v for n, v in zip(names, values, strict=False)}

    k = len(names)

    def ordinary(turn: int) -> tuple[int, ...]:
        pattern = _ORDINARY[(turn + seed) % 2]
        return tuple(pattern[(i + turn // 2) % len(pattern)] for i in range(k))

    yield bind(ordinary(0), (3,))
    yield bind((1,) * k, ())
    largest = _REPEATED if seed % 2 == 0 else _REPEATED[1:]
    yield bind((largest[min(k - 1, 2) * 2 + 1],) * k, (2, 1))
    yield bind(tuple(1 if i == seed % k else v for i, v in enumerate(ordinary(1))), (1,))
    yield bind(ordinary(1), (2, 3))
    for turn in range(2, 12):
        yield bind(ordinary(turn), ((), (1,), (2,), (1, 3))[turn % 4])
    yield from (bind((s,) * k, ()) for s in (2, 3, 4, 5))


def _fit(specs: Specs, wanted: Sizes) -> Sizes | None:
    """`wanted` with its sizes lowered, as little as the feasibility asks for; None where nothing helps."""
    sizes = dict(wanted)
    equal = len({s for s in sizes.values() if isinstance(s, int)}) == 1
    while not feasible(specs, sizes):
        smaller = _lowered(sizes, equal)
        if smaller is None:
            return _shrink_counts(specs, wanted)
        sizes = smaller
    return sizes


def _lowered(sizes: Sizes, together: bool) -> Sizes | None:
    largest = max((s for s in sizes.values() if isinstance(s, int)), default=0)
    if largest <= 1:
        batch = next((n for n, s in sizes.items() if isinstance(s, tuple) and s), None)
        return None if batch is None else {**sizes, batch: ()}
    # The repeated size skips powers of two; otherwise the largest name gives way, the last one first.
    if together:
        step = next(s for s in _REPEATED if s < largest)
        return {n: step if isinstance(s, int) else s for n, s in sizes.items()}
    last = [n for n, s in sizes.items() if s == largest][-1]
    return {**sizes, last: largest - 1}


def _shrink_counts(specs: Specs, wanted: Sizes) -> Sizes | None:
    """Sizes for specifications where lowering every name fails: one name at a time is lowered, the others kept."""
    for name, size in wanted.items():
        if isinstance(size, int):
            for s in range(size - 1, 0, -1):
                sizes = {**wanted, name: s}
                if feasible(specs, sizes):
                    return sizes
    return None


def _empty_candidates(specs: Specs, names: tuple[str, ...], chosen: list[Sizes]) -> Iterator[Sizes]:
    fallback: Sizes = {n.lstrip("*"): () if n.startswith("*") else 2 for n in names}
    for base in [*chosen, fallback]:
        for name in names:
            sizes: Sizes = {**base, name.lstrip("*"): (0,) if name.startswith("*") else 0}
            if has_empty(specs, sizes):
                yield sizes


def _limit(spec: ArraySpec, bounds: Bounds) -> int:
    least = math.prod(d if isinstance(d, int) else _smallest(d, bounds) for d in spec.dims)
    enough = MAX_ENTRIES // 2 if _is_bounded(spec, bounds) else MAX_ENTRIES
    return MAX_ENTRIES if least <= enough else 2 * least


def _smallest(name: str, bounds: Bounds) -> int:
    return 1 if name.startswith("*") else max(1, bounds.nearest(name, 1))


def _is_bounded(spec: ArraySpec, bounds: Bounds) -> bool:
    return any(bounds.is_bounded(name) for name in spec.names)


def choices_of(name: str, bounds: Bounds) -> tuple[int, ...]:
    """The sizes of a name in the order in which they are drawn: choice k draws the k-th."""
    if name.startswith("*") or not bounds.is_bounded(name):
        return SIZE_OF
    least, step = bounds.least(name), bounds.step(name)
    several = range(max(least, 2), max(2 * MAX_ENTRIES, least + MAX_ENTRIES * step))
    return tuple(s for s in (1, 0, *several) if least <= s <= bounds.most(name) and s % step == 0)


def encode_sizes(specs: Specs, sizes: Sizes) -> list[int]:
    """The choices with which `shape_strategy` draws `sizes`."""
    names = dim_names(specs)
    if not names:
        return []
    flat = [s for v in sizes.values() for s in (v if isinstance(v, tuple) else (v,))]
    bounds = bounds_of(specs)
    out = [LARGE_EVERY - 1 if max(flat, default=0) > MAX_SIZE else 0]
    for name in names:
        value, order = sizes[name.lstrip("*")], choices_of(name, bounds)
        out += [len(value), *map(order.index, value)] if isinstance(value, tuple) else [order.index(value)]
    return out


def is_drawn(specs: Specs, sizes: Sizes) -> bool:
    """Whether `shape_strategy` ever draws these sizes."""
    flat = [s for v in sizes.values() for s in (v if isinstance(v, tuple) else (v,))]
    axes = max((len(v) for v in sizes.values() if isinstance(v, tuple)), default=0)
    return axes <= MAX_BATCH_AXES and max(flat, default=0) <= MAX_ENTRIES and feasible(specs, sizes)


# Choice k draws size k, but 1 comes before 0: a point with one entry explains more than one with none.
SIZE_OF = (1, 0, *range(2, 2 * MAX_ENTRIES))


def room(specs: Specs, sizes: Sizes, key: str, axes: tuple[int, ...] | None, cap: int) -> int:
    """Largest size of the next axis such that every input stays within its limit, names not drawn yet counting 1."""
    bounds = bounds_of(specs)
    for size in range(cap, 1, -1):
        trial: Sizes = {**sizes, key: size if axes is None else (*axes, size)}
        if all(entries(spec, trial) <= _limit(spec, bounds) for spec in specs.values()):
            return size
    return 1
