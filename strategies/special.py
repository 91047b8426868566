"""Special points are systematic: zeros, ties, domain ends, saturated numbers, and constants with their neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS
from backprove.strategies.arranged import arranged, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Floats, neighbours, point_domain, special_values
from backprove.strategies.kinds import is_plain, storage
from backprove.strategies.philox import generator
from backprove.strategies.points import Points
from backprove.strategies.shapes import Sizes, Specs, entries
from backprove.strategies.values import KEPT_ENTRIES, as_points, other_entries

Inputs = tuple[tuple[str, ArraySpec], ...]
Case = tuple[str | None, str, float]
"""Which input (None: all), which entries ("all", "first", "last", "two"), which value."""

PLACES = {"all": slice(None), "first": slice(0, 1), "last": slice(-1, None)}


def special_points(
    specs: Specs,
    sizes: Sizes,
    dtype: str,
    specials: Iterable[float] = (),
    limit: int = 150,
    turn: int = 0,
    turns: int = 1,
) -> Points:
    """Systematic points, at most `limit`, each once.

    Zeros, all equal, ties, domain ends, saturated, and each constant of `specials` with its neighbours, in all entries
    and in single ones; the other entries are short dyadics.

    Args:
        turn, turns: every `turns`-th of them, from number `turn` on, where several sizes share them out.
    """
    constants = tuple(float(c) + 0.0 for c in specials)  # both zeros are one constant, as they are one key
    large = limit * sum(entries(s, sizes) for s in specs.values()) > KEPT_ENTRIES
    make = _special_points if large else _kept
    return make(tuple(specs.items()), tuple(sizes.items()), dtype, constants, limit, turn, turns)


def _special_points(
    inputs: Inputs,
    named: tuple[tuple[str, Any], ...],
    dtype: str,
    constants: tuple[float, ...],
    limit: int,
    turn: int,
    turns: int,
) -> Points:
    """The claims of one theorem often have the same constants, and so the same points."""
    specs, sizes = dict(inputs), dict(named)
    plain = tuple(k for k, s in inputs if is_free(s) and entries(s, sizes))
    cases = _cases(inputs, dtype, constants, plain) if plain else []
    # Evenly thinned where there are too many, so that the last constants are not the ones left out.
    kept = [cases[i * len(cases) // limit] for i in range(limit)] if len(cases) > limit else cases
    kept = kept[turn::turns]
    count = len(kept) if plain else len(range(turn, min(limit, 8), turns))
    g = generator("special points", dtype, named, inputs)
    arrays: list[NDArray[Any]] = []
    for name, spec in inputs:
        n = entries(spec, sizes)
        if name in plain:
            domain = point_domain(spec, dtype)
            x = domain.admit(g.integers(-12, 13, (n, count)) / 4)
            _place(x, name, kept, domain.admit(np.array([value for _, _, value in kept], dtype=np.float64)))
            values: NDArray[Any] = domain.separate(x) if spec.distinct else x
            values = arranged(spec, values.reshape((*spec.shape(sizes), count)), dtype)
        elif is_plain(spec) or not n or not count:
            values = np.zeros((n, count), dtype=storage(spec))
        else:
            values = other_entries(g, name, spec, sizes, dtype, count)
        arrays.append(values.reshape((*spec.shape(sizes), count)))
    at = _first_of_each(arrays, count)
    return as_points(specs, sizes, dtype, tuple(a[..., at] for a in arrays), constants)


_kept = lru_cache(maxsize=64)(_special_points)


@lru_cache(maxsize=64)
def _cases(inputs: Inputs, dtype: str, specials: tuple[float, ...], plain: tuple[str, ...]) -> list[Case]:
    specs = dict(inputs)
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


def _place(x: Floats, name: str, cases: list[Case], values: Floats) -> None:
    """Put the value of each case about the input `name` into the chosen entries of its point (in place)."""
    ends = slice(None, None, max(1, len(x) - 1))
    for place in ("all", "first", "last", "two"):
        at = [k for k, (only, where, _) in enumerate(cases) if where == place and (only is None or only == name)]
        if at:
            x[PLACES.get(place, ends), at] = values[at]


def _first_of_each(arrays: list[NDArray[Any]], count: int) -> list[int]:
    """Numbers of the points that differ in some bit from all before them."""
    rows = [np.ascontiguousarray(a.reshape((math.prod(a.shape[:-1]), count)).T) for a in arrays]
    seen: dict[tuple[bytes, ...], int] = {}
    for k in range(count):
        seen.setdefault(tuple(r[k].tobytes() for r in rows), k)
    return list(seen.values())
