"""Bulk points take every entry from a mixture of regimes, drawn with NumPy's Philox, points on the last axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UsageError
from backprove.strategies.arranged import arranged, drawn_structure, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Domain, Floats, integer_bounds, point_domain, special_values
from backprove.strategies.kinds import (
    ROWS,
    index_entries,
    is_plain,
    mask_entries,
    normalise_rows,
    one_hot_entries,
    storage,
)
from backprove.strategies.philox import Words, below, generator, octets, quotas, shuffled, words
from backprove.strategies.points import Points
from backprove.strategies.regimes import regime_columns, regime_ends
from backprove.strategies.regions import regions
from backprove.strategies.shapes import Sizes, Specs, entries

# Per point, in 256ths: share of entries that leave the regime of their point, and share of special values.
_MIXING = np.repeat(np.array([0, 64, 255], dtype=np.uint8), [150, 70, 36])
_SPECIAL = np.repeat(np.array([0, 32, 128, 255], dtype=np.uint8), [140, 70, 36, 10])
_TIES = (10, 12, 20, 10, 14)
"""Per point, in 256ths: all equal, rows equal, one pair equal, one pair opposite, runs of equal entries."""

FRESH = 6
"""So many entries of a draw have numbers of their own where there are points enough for others to take theirs."""
KEPT_ENTRIES = 2**17
"""Draws with at most so many entries are kept for the next claims of the same theorem."""
KEPT_DRAWS = 32


def draw_points(
    specs: Specs,
    sizes: Sizes,
    dtype: str,
    count: int,
    seed: int,
    item: object,
    specials: Iterable[float] = (),
    extreme: bool = False,
) -> Points:
    """`count` points of one shape; the same arguments give the same bytes.

    The arrays may be shared with other callers of the same arguments and cannot be written.

    Args:
        specs: the inputs, in order.
        sizes: sizes of the names.
        dtype: the float format under test.
        count: number of points.
        seed, item: identity of the work; other values give other points. `item` has a stable `repr`.
        specials: constants of interest (kinks, thresholds harvested from the program).
        extreme: open sides reach to the largest number of the dtype.

    Raises:
        UsageError: if an input has no admissible value in this dtype or at these sizes.
    """
    constants = tuple(float(c) + 0.0 for c in specials)  # both zeros are one key, as they are one constant
    inputs, named = tuple(specs.items()), tuple(sizes.items())
    if count * sum(entries(s, sizes) for s in specs.values()) > KEPT_ENTRIES:
        return _drawn(inputs, named, dtype, count, seed, repr(item), constants, extreme)
    return _kept(inputs, named, dtype, count, seed, repr(item), constants, extreme)


def _drawn(
    inputs: tuple[tuple[str, ArraySpec], ...],
    named: tuple[tuple[str, int | tuple[int, ...]], ...],
    dtype: str,
    count: int,
    seed: int,
    item: str,
    constants: tuple[float, ...],
    extreme: bool,
) -> Points:
    specs, sizes = dict(inputs), dict(named)
    g = generator("points", seed, item, dtype, named, _text(inputs), extreme)
    flat: list[NDArray[Any]] = []
    alike: dict[Domain, list[int]] = {}
    for k, (name, spec) in enumerate(inputs):
        n = entries(spec, sizes)
        if n and count and is_free(spec):
            alike.setdefault(point_domain(spec, dtype, extreme), []).append(k)
            flat.append(np.empty(0))
        elif n and count:
            flat.append(other_entries(g, name, spec, sizes, dtype, count, extreme))
        else:
            flat.append(np.zeros((n, count), dtype=storage(spec)))
    for domain, members in alike.items():
        chosen = [inputs[k][1] for k in members]
        found = _float_entries(g, domain, chosen, [s.shape(sizes) for s in chosen], count, constants, extreme)
        for k, values in zip(members, found, strict=True):
            spec = inputs[k][1]
            flat[k] = values if spec.kind is None else _arranged(g, spec, spec.shape(sizes), values, domain, dtype)
    _copy_between_inputs(g, specs, sizes, dtype, flat, count, extreme)
    arrays = tuple(a.reshape((*spec.shape(sizes), count)) for a, (_, spec) in zip(flat, inputs, strict=True))
    points = as_points(specs, sizes, dtype, arrays, constants)
    for a in (*points.arrays, points.region):
        a.flags.writeable = False
    return points


_kept = lru_cache(maxsize=KEPT_DRAWS)(_drawn)


@lru_cache(maxsize=64)
def _text(inputs: tuple[tuple[str, ArraySpec], ...]) -> str:
    return repr(inputs)


def as_points(
    specs: Specs, sizes: Sizes, dtype: str, arrays: tuple[NDArray[Any], ...], specials: tuple[float, ...]
) -> Points:
    """`Points` of admissible arrays (shape + points), with their regions."""
    shapes = tuple(s.shape(sizes) for s in specs.values())
    region = regions(specs, arrays, dtype, specials)
    return Points(dict(sizes), shapes, arrays, dtype, region, tuple(s.dtype for s in specs.values()))


def _float_entries(
    g: np.random.Generator,
    domain: Domain,
    inputs: Sequence[ArraySpec],
    shapes: Sequence[tuple[int, ...]],
    count: int,
    specials: tuple[float, ...],
    extreme: bool,
) -> list[Floats]:
    """Admissible floats of inputs of one domain, each (entries, count): regimes, then special values, then ties.

    They are made together, which costs less, but points of their own say which regime and shares each input has.
    """
    sizes = [math.prod(shape) for shape in shapes]
    n, starts = sum(sizes), [0, *accumulate(sizes)]
    x = _regime_entries(g, domain, starts, count, specials, extreme)
    flat, columns = x.reshape(-1), words(g, len(inputs), count)
    chance = words(g, -(-n * count // 4)).astype("<u8", copy=False).view(np.uint8)[: 2 * n * count].reshape(2, n, count)
    # an entry that leaves the regime of its point takes the number of another entry of any point
    leaves = np.flatnonzero(chance[0] < np.repeat(_MIXING[octets(columns, 0)], sizes, axis=0))
    flat[leaves] = flat[below(words(g, len(leaves)), flat.size, 0)]
    table = _weighted(domain, specials)
    if len(table):
        hit = np.flatnonzero(chance[1] < np.repeat(_SPECIAL[octets(columns, 1)], sizes, axis=0))
        flat[hit] = table[below(words(g, len(hit)), len(table), 0)]
    out = []
    for k, (a, b) in enumerate(pairwise(starts)):
        if inputs[k].distinct:
            out.append(domain.separate(x[a:b]))
        else:
            if b - a > 1:
                _tie(g, domain, x[a:b], shapes[k], columns[k])
            out.append(x[a:b])
    return out


def _regime_entries(
    g: np.random.Generator,
    domain: Domain,
    starts: Sequence[int],
    count: int,
    specials: tuple[float, ...],
    extreme: bool,
) -> Floats:
    """Admissible numbers, shape (entries, count), for inputs that start at rows `starts`: one regime per point of each.

    Where there are many points, the numbers of an entry serve further entries too, at other points of the regime.
    """
    ends = regime_ends(count, extreme, g.random())
    widths = [b - a for a, b in pairwise(ends)]
    most = max(b - a for a, b in pairwise(starts))
    turns = -(-most // FRESH)
    fresh = min(FRESH, most) if turns <= min(widths) else most
    drawn = domain.admit(regime_columns(words(g, fresh, count), domain, specials, ends))
    x = np.empty((starts[-1], count))
    first, width = np.repeat(ends[:-1], widths), np.repeat(widths, widths)
    # of each further turn, the place in the same regime from which a point takes its numbers
    moved = [
        first + (np.arange(count) - first + turn * (width // turns)) % width for turn in range(1, -(-most // fresh))
    ]
    for a, b in pairwise(starts):
        order = shuffled(g, count)
        for turn, start in enumerate(range(a, b, fresh)):
            stop = min(b, start + fresh)
            chosen = moved[turn - 1][order] if turn else order
            np.take(drawn[: stop - start], chosen, axis=1, out=x[start:stop], mode="clip")
    return x


@lru_cache(maxsize=256)
def _weighted(domain: Domain, specials: tuple[float, ...]) -> Floats:
    """The special values; an eighth of them are zeros of either sign, however many constants there are."""
    table = special_values(domain, specials)
    zeros = table[table == 0]
    return np.concatenate([table, np.resize(zeros, len(table) // 7)]) if len(zeros) else table


def _tie(g: np.random.Generator, domain: Domain, x: Floats, shape: tuple[int, ...], columns: Words) -> None:
    """Make entries of some points equal, in place: all, rows, a pair, an opposite pair, runs."""
    n, count = x.shape
    ends = quotas(_TIES, count, g.random())
    order = shuffled(g, count)[: ends[-1]]
    everything, rows, runs = order[: ends[1]], order[ends[1] : ends[2]], order[ends[4] :]
    if len(everything):
        x[:, everything] = x[0, everything]
    if len(shape) > 1 and len(rows):
        grid = x.reshape((n // shape[-1], shape[-1], count))
        grid[:, :, rows] = grid[:, :1, rows]
    pairs = order[ends[2] : ends[4]]
    if len(pairs):
        mine = columns[pairs]
        source, target = below(mine, n, 16), below(mine, n - 1, 40)
        target += target >= source
        values = x[source, pairs]
        opposite = values[ends[3] - ends[2] :]
        opposite *= -1.0
        x[target, pairs] = values if domain.low == -domain.high else domain.admit(values)
    if len(runs):
        first = np.where(words(g, n, len(runs)) & np.uint64(1), np.arange(n)[:, None], 0)
        x[:, runs] = x[np.maximum.accumulate(first, axis=0), runs]


def other_entries(
    g: np.random.Generator, name: str, spec: ArraySpec, sizes: Sizes, dtype: str, count: int, extreme: bool = False
) -> NDArray[Any]:
    """Masks, one-hot rows, simplex rows, structures and integers, shape (entries, count)."""
    shape = spec.shape(sizes)
    n = math.prod(shape)
    if spec.kind == "one_hot":
        return one_hot_entries(g, shape, count).astype(storage(spec))
    if spec.kind in ("spd", "orthogonal", "unit"):
        return drawn_structure(g, spec, shape, dtype, count, extreme).reshape((n, count))
    if spec.kind in ROWS:
        rows = n // shape[-1] if shape else 1
        return normalise_rows(_weights(g, rows, n // rows, count), spec, dtype).reshape((n, count))
    low, high = integer_bounds(spec, sizes)
    if high < low or (spec.distinct and n > high - low + 1):
        raise UsageError(
            f"input {name!r}: {n} {'distinct ' if spec.distinct else ''}integers between {low} and {high} do not "
            f"exist at sizes {sizes}; widen the bounds or choose other sizes"
        )
    if (low, high) == (0, 1) and not spec.distinct and spec.kind != "index":
        return mask_entries(g, n, count).astype(storage(spec))
    return index_entries(g, n, count, low, high, spec)


def _weights(g: np.random.Generator, rows: int, n: int, count: int) -> Floats:
    """Nonnegative weights of simplex rows, shape (rows, n, count): even, peaked, with zeros, vertices, equal."""
    style = g.integers(0, 8, (rows, 1, count), dtype=np.uint8)
    e = -np.log1p(-g.random((rows, n, count)))
    power = np.where(style < 3, 1.0, np.where(style == 3, 8.0, 30.0))
    w: Floats = e**power
    zero = g.integers(0, 2, (rows, n, count), dtype=np.uint8) == 0
    w = np.where((style == 5) & zero, 0.0, w)
    vertex = np.arange(n)[:, None] == g.integers(0, n, (rows, 1, count))
    w = np.where(style == 6, vertex, w)
    return np.where(style == 7, 1.0, w)


def _arranged(
    g: np.random.Generator, spec: ArraySpec, shape: tuple[int, ...], x: Floats, domain: Domain, dtype: str
) -> Floats:
    """Free entries, shape (entries, count), as a structure; some of the matrices are diagonal."""
    a = x.reshape((*shape, x.shape[-1]))
    if spec.kind == "symmetric" and domain.contains(np.zeros(1)).all():
        off = ~np.eye(shape[-1], dtype=bool)
        a = np.where(off[..., None] & (g.integers(0, 10, x.shape[-1]) == 0), 0.0, a)
    return arranged(spec, a, dtype).reshape(x.shape)


def _copy_between_inputs(
    g: np.random.Generator,
    specs: Specs,
    sizes: Sizes,
    dtype: str,
    flat: list[NDArray[Any]],
    count: int,
    extreme: bool,
) -> None:
    """Make two float inputs of one shape equal, or opposite, at some points (in place)."""
    plain = [(i, s) for i, s in enumerate(specs.values()) if is_plain(s) and len(flat[i])]
    for k, (j, spec) in enumerate(plain):
        for i, other in plain[:k]:
            if spec.shape(sizes) != other.shape(sizes):
                continue
            byte = octets(words(g, count), 0)
            domain = point_domain(spec, dtype, extreme)
            for at, sign in ((np.flatnonzero(byte < 12), 1.0), (np.flatnonzero(byte >= 250), -1.0)):
                copied = domain.admit(sign * flat[i][:, at])
                flat[j][:, at] = domain.separate(copied) if spec.distinct else copied


__all__ = ["as_points", "draw_points", "other_entries"]
