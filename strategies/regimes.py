"""Regimes give the raw numbers of bulk points: near zero, log-scaled, saturated, ..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from backprove.strategies.domain import Domain, Floats
from backprove.strategies.philox import Words, below, quotas, signed

# Shares of the regimes, in 256ths: which distribution the entries of a point come from.
LINEAR = {"dyadic": 30, "small": 76, "large": 30, "bound": 20}
LOGARITHMIC = {"log": 52, "saturated": 28}
NEAR = 20
SPANS = {"dyadic": (-8.0, 8.0), "small": (-5.0, 5.0), "large": (-100.0, 100.0)}
LEAST_AND_MOST = {"log": (0.0, math.inf), "saturated": (20.0, 1e4)}
SHARES = (*LINEAR.values(), *LOGARITHMIC.values(), NEAR)
EXTREME_SHARES = tuple(v // 2 + (128 if k == 4 else 0) for k, v in enumerate(SHARES))
"""Half the points are log-scaled up to the range of the dtype, where ordinary draws never come."""
WHOLE_FROM = 2.0**60
"""Every number from here on is an integer, and four times it may overflow."""


@dataclass(frozen=True)
class _Regimes:
    """What the regimes of one domain are.

    Attributes:
        middle, half: of each linear regime.
        signs: those that the domain has, positive first.
        start, length: logarithms; one array for each sign, of one number for each logarithmic regime.
        anchors: numbers whose surroundings are drawn.
        short: whether dyadics are short ones; far out all numbers are integers.
    """

    middle: Floats
    half: Floats
    signs: tuple[float, ...]
    start: tuple[Floats, ...]
    length: tuple[Floats, ...]
    anchors: Floats
    short: bool


@lru_cache(maxsize=256)
def _regimes(domain: Domain, specials: tuple[float, ...]) -> _Regimes:
    low, high = domain.low, domain.high
    spans = [_within(SPANS.get(name, (low, high)), low, high) for name in LINEAR]
    # half of each end: the width of the whole range overflows
    middle, half = (np.array([b / 2 + sign * (a / 2) for a, b in spans]) for sign in (1, -1))
    signs, start, length = [], [], []
    for sign, far, near in ((1.0, high, low), (-1.0, -low, -high)):
        if far > 0:
            ends = [_magnitudes(domain, near, far, *wanted) for wanted in LEAST_AND_MOST.values()]
            signs.append(sign)
            start.append(np.log([a for a, _ in ends]))
            length.append(np.log([b for _, b in ends]) - start[-1])
    anchors = np.array([a for a in (*domain.anchors, *specials) if low <= a <= high and a != 0])
    short = max(map(abs, spans[0])) < WHOLE_FROM
    return _Regimes(middle, half, tuple(signs), tuple(start), tuple(length), anchors, short)


def _within(span: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """`span` cut to [low, high], or all of that where they do not meet."""
    a, b = max(span[0], low), min(span[1], high)
    return (a, b) if a < b else (low, high)


def _magnitudes(domain: Domain, near: float, far: float, least: float, most: float) -> tuple[float, float]:
    """Magnitudes of one sign in [least, most] as far as the domain has them, `near` and `far` being its ends."""
    a, b = max(near, least, domain.format.tiny), min(far, most)
    a = a if a <= b else max(near, domain.format.tiny, far / 2)
    return a, max(a, b)


def regime_ends(count: int, extreme: bool, at: float) -> list[int]:
    """Where among `count` points the regimes begin and end; `at` in [0, 1), see `quotas`."""
    return quotas(EXTREME_SHARES if extreme else SHARES, count, at)


def regime_columns(raw: Words, domain: Domain, specials: tuple[float, ...], ends: Sequence[int]) -> Floats:
    """Numbers of shape `raw`, (entries, points); the points of one regime side by side. Not all are admissible.

    Args:
        raw: a word per entry.
        ends: of the regimes.
    """
    of = _regimes(domain, specials)
    widths = [b - a for a, b in pairwise(ends)]
    x = signed(raw)
    k = len(LINEAR)
    linear, logarithmic, near = x[:, : ends[k]], x[:, ends[k] : ends[-2]], x[:, ends[-2] :]
    linear *= np.repeat(of.half, widths[:k])
    linear += np.repeat(of.middle, widths[:k])
    if of.short and ends[1]:
        dyadic = x[:, : ends[1]]
        dyadic *= 4
        np.rint(dyadic, out=dyadic)
        dyadic /= 4
    if logarithmic.size:
        _logarithmic(logarithmic, of, widths[k:-1])
    if near.size:
        if len(of.anchors):
            c = of.anchors[below(raw[:, ends[-2] :], len(of.anchors), 12)]
            with np.errstate(over="ignore"):
                near[...] = c + np.copysign(c, near) * np.exp(np.abs(near) * math.log(domain.format.u))
        else:
            near *= of.half[1]
            near += of.middle[1]
    return x


def _logarithmic(s: Floats, of: _Regimes, widths: Sequence[int]) -> None:
    """Log-uniform magnitudes of either sign that the domain has, from `s` in [-1, 1] (in place)."""
    if not of.signs:
        s[...] = 0.0
        return
    size = np.abs(s)
    found: list[Floats] = []
    with np.errstate(over="ignore"):
        for start, length in zip(of.start, of.length, strict=True):
            if found and (start == of.start[0]).all() and (length == of.length[0]).all():
                continue
            y = size * np.repeat(length, widths)
            y += np.repeat(start, widths)
            found.append(np.exp(y, out=y))
    if len(of.signs) == 1:
        np.multiply(found[0], of.signs[0], out=s)
    else:
        np.copysign(found[0] if len(found) == 1 else np.where(s < 0, found[1], found[0]), s, out=s)


__all__ = ["regime_columns", "regime_ends"]
