"""Bulk points: every entry from a mixture of regimes, drawn with NumPy's Philox, points on the last axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.harness.errors import UsageError
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Domain, Floats, integer_bounds, neighbours, point_domain, special_values
from backprove.strategies.kinds import (
    index_entries,
    is_plain,
    mask_entries,
    normalise_rows,
    one_hot_entries,
    storage,
)
from backprove.strategies.philox import generator
from backprove.strategies.points import Points
from backprove.strategies.regions import regions
from backprove.strategies.shapes import Sizes, Specs, entries

# Shares of the regimes, in 256ths: which distribution an entry comes from.
SHARES = {"small": 76, "large": 30, "bound": 20, "log": 52, "dyadic": 30, "saturated": 28, "near": 20}
SATURATED = (20.0, 1e4)
_NAMES = tuple(SHARES)
_REGIME_OF_BYTE = np.repeat(np.arange(len(SHARES), dtype=np.uint8), list(SHARES.values()))
# Per point, in 256ths: share of entries that leave the regime of their point, and share of special values.
_MIXING = np.repeat(np.array([0, 64, 255], dtype=np.uint8), [150, 70, 36])
_SPECIAL = np.repeat(np.array([0, 32, 128, 255], dtype=np.uint8), [140, 70, 36, 10])
# Per point, in 256ths: all equal, rows equal, one pair equal, one pair opposite, runs of equal entries, else nothing.
_TIES = np.repeat(np.arange(6, dtype=np.uint8), [10, 12, 20, 10, 14, 190])


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
    g = generator("points", seed, item, dtype, tuple(sizes.items()), tuple(specs), extreme)
    constants = tuple(float(c) for c in specials)
    flat: list[NDArray[Any]] = []
    for name, spec in specs.items():
        shape = spec.shape(sizes)
        n = math.prod(shape)
        if not n or not count:
            values: NDArray[Any] = np.zeros((n, count), dtype=storage(spec))
        elif is_plain(spec):
            domain = point_domain(spec, dtype, extreme)
            values = _float_entries(g, domain, spec, shape, count, constants, extreme)
        else:
            values = _other_entries(g, name, spec, sizes, dtype, count)
        flat.append(values)
    _copy_between_inputs(g, specs, sizes, dtype, flat, count, extreme)
    arrays = tuple(a.reshape((*spec.shape(sizes), count)) for a, spec in zip(flat, specs.values(), strict=True))
    return as_points(specs, sizes, dtype, arrays, constants)


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
    spec: ArraySpec,
    shape: tuple[int, ...],
    count: int,
    specials: tuple[float, ...],
    extreme: bool,
) -> Floats:
    """Admissible floats, shape (entries, count): regimes, then special values, then ties."""
    n = math.prod(shape)
    x = domain.admit(_regime_entries(g, domain, n, count, specials, extreme))
    table = special_values(domain, specials)
    if len(table):
        zeros = table[table == 0]
        # An eighth of the special values are zeros of either sign, however many constants there are.
        weighted = np.concatenate([table, np.resize(zeros, len(table) // 7)]) if len(zeros) else table
        share = _SPECIAL[g.integers(0, 256, count, dtype=np.uint8)]
        hit = np.flatnonzero(g.integers(0, 255, (n, count), dtype=np.uint8) < share)
        x.reshape(-1)[hit] = weighted[g.integers(0, len(weighted), len(hit))]
    if spec.distinct:
        return domain.separate(x)
    _tie(g, domain, x, shape)
    return x


def _regime_entries(
    g: np.random.Generator, domain: Domain, n: int, count: int, specials: tuple[float, ...], extreme: bool
) -> Floats:
    """Raw numbers, shape (n, count): one regime per point, which some entries leave."""
    base = _REGIME_OF_BYTE[g.integers(0, 256, count, dtype=np.uint8)]
    if extreme:
        # Half the points are log-scaled up to the range of the dtype, where ordinary draws never come.
        base = np.where(g.integers(0, 2, count, dtype=np.uint8) == 0, np.uint8(_NAMES.index("log")), base)
    anchors = np.array([a for a in (*domain.anchors, *specials) if domain.low <= a <= domain.high and a != 0])
    x: Floats = g.random((n, count))
    own = np.flatnonzero(g.integers(0, 255, (n, count), dtype=np.uint8) < _MIXING[g.integers(0, 256, count)])
    regime = _REGIME_OF_BYTE[g.integers(0, 256, len(own), dtype=np.uint8)]
    drawn = x.reshape(-1)[own]
    for k, name in enumerate(_NAMES):
        columns = np.flatnonzero(base == k)
        x[:, columns] = _regime(g, domain, name, anchors, x[:, columns])
        at = np.flatnonzero(regime == k)
        drawn[at] = _regime(g, domain, name, anchors, drawn[at])
    x.reshape(-1)[own] = drawn
    return x


def _regime(g: np.random.Generator, domain: Domain, name: str, anchors: Floats, u: Floats) -> Floats:
    """Numbers of one regime from uniform `u` in [0, 1)."""
    if name == "log":
        return _log_scaled(g, domain, 0.0, math.inf, u)
    if name == "saturated":
        return _log_scaled(g, domain, *SATURATED, u)
    if name == "near" and len(anchors):
        c = anchors[g.integers(0, len(anchors), u.shape)]
        with np.errstate(over="ignore"):
            return c + np.copysign(c, u - 0.5) * domain.format.u ** g.random(u.shape)
    span = {"large": (-100.0, 100.0), "bound": (domain.low, domain.high), "dyadic": (-8.0, 8.0)}.get(name, (-5.0, 5.0))
    a, b = _within(span, domain.low, domain.high)
    # a(1-u) + bu instead of a + (b-a)u: the width of the whole range overflows.
    x = a * (1 - u) + b * u
    # Beyond 2^60 every number is an integer, and four times it may overflow.
    return np.where(np.abs(x) < 2.0**60, np.rint(4 * np.clip(x, -(2.0**60), 2.0**60)) / 4, x) if name == "dyadic" else x


def _within(span: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """`span` cut to [low, high], or all of that where they do not meet."""
    a, b = max(span[0], low), min(span[1], high)
    return (a, b) if a < b else (low, high)


def _log_scaled(g: np.random.Generator, domain: Domain, least: float, most: float, u: Floats) -> Floats:
    """Numbers with log-uniform magnitude in [least, most] as far as the domain has them, of either sign it allows."""
    sides = []
    for sign, far, near in ((1.0, domain.high, domain.low), (-1.0, -domain.low, -domain.high)):
        if far > 0:
            a, b = max(near, least, domain.format.tiny), min(far, most)
            a = a if a <= b else max(near, domain.format.tiny, far / 2)
            sides.append((sign, math.log(a), math.log(max(a, b))))
    if not sides:
        return np.zeros_like(u)
    sign, a, b = sides[0]
    x: Floats = np.exp(u * (b - a) + a)
    if len(sides) == 2:
        other_sign, other_a, other_b = sides[1]
        mirrored = g.integers(0, 2, u.shape, dtype=np.uint8) == 1
        y = x if (a, b) == (other_a, other_b) else np.exp(u * (other_b - other_a) + other_a)
        x = np.where(mirrored, other_sign * y, sign * x)
    else:
        x *= sign
    return np.clip(x, -domain.format.max, domain.format.max)


def _tie(g: np.random.Generator, domain: Domain, x: Floats, shape: tuple[int, ...]) -> None:
    """Make entries of some points equal, in place: all, rows, a pair, an opposite pair, runs."""
    n, count = x.shape
    kind = _TIES[g.integers(0, 256, count, dtype=np.uint8)]
    if n < 2:
        return
    everything, rows, pair, opposite, runs = (np.flatnonzero(kind == k) for k in range(5))
    x[:, everything] = x[0, everything]
    if len(shape) > 1:
        grid = x.reshape((n // shape[-1], shape[-1], count))
        grid[:, :, rows] = grid[:, :1, rows]
    for at, sign in ((pair, 1.0), (opposite, -1.0)):
        source, target = g.integers(0, n, len(at)), g.integers(0, n - 1, len(at))
        target += target >= source
        x[target, at] = domain.admit(sign * x[source, at])
    first = np.where(g.integers(0, 2, (n, len(runs))) == 0, np.arange(n)[:, None], 0)
    x[:, runs] = np.take_along_axis(x[:, runs], np.maximum.accumulate(first, axis=0), axis=0)


def _other_entries(
    g: np.random.Generator, name: str, spec: ArraySpec, sizes: Sizes, dtype: str, count: int
) -> NDArray[Any]:
    """Masks, one-hot rows, simplex rows and integers, shape (entries, count)."""
    shape = spec.shape(sizes)
    n = math.prod(shape)
    if spec.kind == "one_hot":
        return one_hot_entries(g, shape, count).astype(storage(spec))
    if spec.kind == "simplex":
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
            byte = g.integers(0, 256, count, dtype=np.uint8)
            domain = point_domain(spec, dtype, extreme)
            for at, sign in ((byte < 12, 1.0), (byte >= 250, -1.0)):
                copied = domain.admit(sign * flat[i][:, at].astype(np.float64))
                flat[j][:, at] = domain.separate(copied) if spec.distinct else copied


def special_points(specs: Specs, sizes: Sizes, dtype: str, specials: Iterable[float] = (), limit: int = 150) -> Points:
    """Systematic points, at most `limit`, each once.

    Zeros, all equal, ties, domain ends, saturated, and each constant of `specials` with its neighbours, in all entries
    and in single ones; the other entries are short dyadics.
    """
    constants = tuple(float(c) + 0.0 for c in specials)  # both zeros are one constant, as they are one key
    return _special_points(tuple(specs.items()), tuple(sizes.items()), dtype, constants, limit)


@lru_cache(maxsize=64)
def _special_points(
    inputs: tuple[tuple[str, ArraySpec], ...],
    named: tuple[tuple[str, Any], ...],
    dtype: str,
    constants: tuple[float, ...],
    limit: int,
) -> Points:
    """The claims of one theorem often have the same constants, and so the same points."""
    specs, sizes = dict(inputs), dict(named)
    plain = [k for k, s in specs.items() if is_plain(s) and entries(s, sizes)]
    cases = _cases(specs, dtype, constants, plain) if plain else []
    # Evenly thinned where there are too many, so that the last constants are not the ones left out.
    kept = [cases[i * len(cases) // limit] for i in range(limit)] if len(cases) > limit else cases
    points = draw_points(specs, sizes, dtype, len(kept) or min(limit, 8), 0, "special points", constants)
    g = generator("special dyadics", dtype, tuple(sizes.items()), tuple(specs))
    arrays: list[NDArray[Any]] = []
    for (name, spec), array in zip(specs.items(), points.arrays, strict=True):
        if name in plain:
            domain = point_domain(spec, dtype)
            x = domain.admit(g.integers(-12, 13, (entries(spec, sizes), len(kept))) / 4)
            for k, (only, place, value) in enumerate(kept):
                if only is None or only == name:
                    _place(x[:, k], domain, place, value)
            arrays.append((domain.separate(x) if spec.distinct else x).reshape(array.shape))
        else:
            arrays.append(array)
    _, first = np.unique(_bytes(arrays, points.count), axis=0, return_index=True)
    at = np.sort(first)
    return as_points(specs, sizes, dtype, tuple(a[..., at] for a in arrays), constants)


Case = tuple[str | None, str, float]
"""Which input (None: all), which entries ("all", "first", "last", "two"), which value."""


def _cases(specs: Specs, dtype: str, specials: tuple[float, ...], plain: list[str]) -> list[Case]:
    fmt = FORMATS[dtype]
    cases: list[Case] = [(None, "all", v) for v in (0.0, -0.0, 1.0, -1.0, 0.75, 20.0, -20.0, 100.0, -100.0)]
    cases += [(None, "all", s * v) for v in (1000.0, fmt.max) for s in (1, -1)]
    cases += [(None, "two", v) for v in (0.0, 0.25, 3.25, -2.0)]
    domains = {name: point_domain(specs[name], dtype) for name in plain}
    around: list[Case] = []
    for c in dict.fromkeys(v for v in specials if abs(v) <= fmt.max / 2):
        close, far = list(neighbours(c, fmt, 2)), [c / 2, 2 * c, 1.05 * c, -c]
        for name in plain:
            inside = domains[name].contains(fmt.round(np.array(close + far)))
            values = [v for v, kept in zip(close + far, inside, strict=True) if kept]
            around += [(name, place, v) for v in values for place in ("first", "last")]
            around += [(name, "all", v) for v in values if v not in far]
    for name in plain:
        table = special_values(domains[name]).tolist()
        cases += [(name, place, v) for v in table for place in ("first", "last")]
    return cases[:17] + around + cases[17:]


def _place(x: Floats, domain: Domain, place: str, value: float) -> None:
    """Put `value` into the chosen entries of one point (in place)."""
    ends = slice(None, None, max(1, len(x) - 1))
    where = {"all": slice(None), "first": slice(0, 1), "last": slice(-1, None), "two": ends}
    x[where[place]] = domain.admit(np.array([value]))[0]


def _bytes(arrays: Sequence[NDArray[Any]], count: int) -> NDArray[np.uint8]:
    """One row of raw bytes per point."""
    rows = [np.ascontiguousarray(a.reshape(-1, count).T).view(np.uint8).reshape(count, -1) for a in arrays]
    return np.concatenate([*rows, np.zeros((count, 1), dtype=np.uint8)], axis=1)


__all__ = ["as_points", "draw_points", "generator", "special_points"]
