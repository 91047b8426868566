"""A mixture draws one entry with Hypothesis: plainly as one choice, or from special values, ties and regimes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.internal.conjecture.data import ConjectureData

from backprove.harness.core.formats import FORMATS
from backprove.strategies.array import ArraySpec
from backprove.strategies.domain import Domain, integer_bounds, neighbours, point_domain, special_values
from backprove.strategies.kinds import ROWS
from backprove.strategies.shapes import Sizes

PATTERNS = (
    ("plain",),
    (
        "plain",
        "integer",
        "quarter",
        "thousandth",
        "across",
        "saturated",
        "tiny",
        "special",
        "special zero",
        "side",
        "tie",
    ),
    ("integer", "quarter", "thousandth"),
    ("thousandth", "saturated", "special", "side"),
    ("special", "special zero", "side"),
    ("side", "special zero", "integer", "side "),
    ("integer", "tie", "tie ", "special zero", "across"),
    ("thousandth", "thousandth ", "tie", "across"),
    ("plain", "special", "saturated", "across", "tiny", "side"),
)
"""Branches of each pattern; the first is the plain one in which points are encoded and shrunk."""


class Tie(NamedTuple):
    """Stands for an earlier entry: `back` counts backwards, `across` means the same entry of an array before."""

    back: int
    across: bool
    sign: float


def plain_column(spec: ArraySpec | None, sizes: Sizes, dtype: str, extreme: bool) -> st.SearchStrategy[Any]:
    """One entry as one choice (`spec` None: of a direction)."""
    if spec is None:
        return plain_entries()
    if spec.kind in ROWS:
        return st.floats(0.0, 1.0, allow_subnormal=False)
    if spec.dtype == "float":
        return _floats(point_domain(spec, dtype, extreme))
    if spec.dtype == "bool":
        return st.booleans()
    return st.integers(*integer_bounds(spec, sizes))


def mixed_column(
    spec: ArraySpec | None, sizes: Sizes, dtype: str, extreme: bool, specials: tuple[float, ...], pattern: int
) -> st.SearchStrategy[Any]:
    """One entry from the branches of a pattern, or a `Tie`; values may need repair (rounding, bounds)."""
    if spec is None:
        return mixed_entries()
    if spec.kind in ROWS:
        return st.one_of(st.floats(0.0, 1.0, allow_subnormal=False), st.integers(0, 1).map(float), _weights())
    if spec.dtype == "float":
        return _float_mixture(point_domain(spec, dtype, extreme), specials, pattern)
    plain = plain_column(spec, sizes, dtype, extreme)
    return st.one_of(plain, _ties()) if spec.kind == "index" or spec.dtype != "bool" else plain


def _floats(domain: Domain) -> st.SearchStrategy[float]:
    # A bound of +0 would leave out -0, which counts as 0.
    return st.floats(domain.low if domain.low else -0.0, domain.high, allow_subnormal=False)


@cache
def _float_mixture(domain: Domain, specials: tuple[float, ...], pattern: int) -> st.SearchStrategy[Any]:
    table = special_values(domain, specials).tolist()
    # The closest neighbours of the constants again: one side of a kink must not depend on luck.
    close = np.array([v for c in specials if abs(c) <= domain.format.max for v in neighbours(c, domain.format, 1)[1:]])
    sides = close[domain.contains(close)].tolist()
    low, high = domain.low, domain.high
    branches: dict[str, _Branch] = {
        "plain": _floats(domain),
        "integer": (-9, 9, float),
        "quarter": (-24, 24, lambda k: k / 4),
        "thousandth": (-5000, 5000, lambda k: k / 1000),
        "across": (0, 1000, lambda k: low * (1 - k / 1000) + high * (k / 1000)),
        "saturated": (-780, 780, _saturated),
        "tiny": (-9, 9, lambda k: math.copysign(10.0 ** -(3 + abs(k)), k)),
        "special": (0, len(table) - 1, table.__getitem__) if table else _floats(domain),
        "side": (0, len(sides or table) - 1, (sides or table).__getitem__) if sides or table else _floats(domain),
        "special zero": (0, 1, (0.0, -0.0).__getitem__),
        "tie": (0, 99, _tie),
    }
    return _Mixture(tuple(branches[name.strip()] for name in PATTERNS[pattern]))


_Branch = st.SearchStrategy[Any] | tuple[int, int, Callable[[int], Any]]
"""A strategy, or bounds of an integer and what becomes of it."""


class _Mixture(st.SearchStrategy[Any]):
    """One of several branches, in the choices of `one_of(integers(...).map(...), ...)` at a third of the time."""

    def __init__(self, branches: tuple[_Branch, ...]) -> None:
        super().__init__()
        self._branches = branches

    def do_draw(self, data: ConjectureData) -> Any:
        branch = self._branches[data.draw_integer(0, len(self._branches) - 1)]
        if isinstance(branch, st.SearchStrategy):
            return data.draw(branch)
        low, high, value = branch
        return value(data.draw_integer(low, high))


def _ties() -> st.SearchStrategy[Any]:
    return st.integers(0, 99).map(_tie)


def _tie(k: int) -> Tie:
    return Tie(k // 5, k % 5 == 4, -1.0 if k % 10 in (7, 9) else 1.0)


def _weights() -> st.SearchStrategy[float]:
    return st.integers(1, 20).map(lambda k: k / 20)


def _saturated(k: int) -> float:
    """+-20 to +-800, mostly near 20 to 100, where the exponential leaves the range of the small dtypes."""
    return math.copysign(20 + abs(k) if abs(k) > 400 else 20 + abs(k) / 5, k)


def plain_entries() -> st.SearchStrategy[float]:
    """One float of a direction as a single choice; any representable entry encodes as itself."""
    reach = FORMATS["float64"].max
    return st.floats(-reach, reach, allow_subnormal=False)


def mixed_entries() -> st.SearchStrategy[float]:
    """One entry of a direction: small integers, short dyadics, any floats."""
    return st.one_of(plain_entries(), st.integers(-3, 3).map(float), st.integers(-12, 12).map(_quarter), _dense())


def _dense() -> st.SearchStrategy[float]:
    return st.integers(-3000, 3000).map(_thousandth)


def _quarter(k: int) -> float:
    return k / 4


def _thousandth(k: int) -> float:
    return k / 1000
