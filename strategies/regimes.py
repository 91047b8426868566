"""Raw numbers of the regimes from which the entries of bulk points come: near zero, log-scaled, saturated, ..."""

from __future__ import annotations

import math

import numpy as np

from backprove.strategies.domain import Domain, Floats
from backprove.strategies.philox import Words, below, quotas, signed

SHARES = {"small": 76, "large": 30, "bound": 20, "log": 52, "dyadic": 30, "saturated": 28, "near": 20}
"""Shares of the regimes, in 256ths: which distribution the entries of a point come from."""
EXTREME_SHARES = {k: v // 2 + (128 if k == "log" else 0) for k, v in SHARES.items()}
"""Half the points are log-scaled up to the range of the dtype, where ordinary draws never come."""
SATURATED = (20.0, 1e4)
WHOLE_FROM = 2.0**60
"""Every number from here on is an integer, and four times it may overflow."""


def regime_columns(raw: Words, domain: Domain, specials: tuple[float, ...], extreme: bool, at: float) -> Floats:
    """Numbers of shape `raw`, (entries, points); the points of one regime side by side. Not all are admissible.

    Args:
        raw: a word per entry.
        at: in [0, 1), see `quotas`.
    """
    anchors = np.array([a for a in (*domain.anchors, *specials) if domain.low <= a <= domain.high and a != 0])
    shares = EXTREME_SHARES if extreme else SHARES
    ends = quotas(tuple(shares.values()), raw.shape[1], at)
    x = signed(raw)
    for name, start, stop in zip(shares, ends, ends[1:], strict=False):
        if stop > start:
            block = x[:, start:stop]
            block[...] = _regime(raw[:, start:stop], domain, name, anchors, block)
    return x


def _regime(raw: Words, domain: Domain, name: str, anchors: Floats, s: Floats) -> Floats:
    """Numbers of one regime from `s`, uniform in [-1, 1]."""
    if name == "log":
        return _log_scaled(domain, 0.0, math.inf, s)
    if name == "saturated":
        return _log_scaled(domain, *SATURATED, s)
    if name == "near" and len(anchors):
        c = anchors[below(raw, len(anchors), 12)]
        with np.errstate(over="ignore"):
            near: Floats = c + np.copysign(c, s) * np.exp(np.abs(s) * math.log(domain.format.u))
        return near
    span = {"large": (-100.0, 100.0), "bound": (domain.low, domain.high), "dyadic": (-8.0, 8.0)}.get(name, (-5.0, 5.0))
    a, b = _within(span, domain.low, domain.high)
    # half of each end: the width of the whole range overflows
    x = s * (b / 2 - a / 2)
    x += a / 2 + b / 2
    if name == "dyadic" and max(abs(a), abs(b)) < WHOLE_FROM:
        x = np.rint(4 * x) / 4
    return x


def _within(span: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """`span` cut to [low, high], or all of that where they do not meet."""
    a, b = max(span[0], low), min(span[1], high)
    return (a, b) if a < b else (low, high)


def _log_scaled(domain: Domain, least: float, most: float, s: Floats) -> Floats:
    """Numbers with log-uniform magnitude in [least, most] as far as the domain has them, of either sign it allows."""
    sides = []
    for sign, far, near in ((1.0, domain.high, domain.low), (-1.0, -domain.low, -domain.high)):
        if far > 0:
            a, b = max(near, least, domain.format.tiny), min(far, most)
            a = a if a <= b else max(near, domain.format.tiny, far / 2)
            sides.append((sign, math.log(a), math.log(max(a, b))))
    if not sides:
        return np.zeros_like(s)
    size = np.abs(s)
    with np.errstate(over="ignore"):
        found = [np.exp(size * (b - a) + a) for _, a, b in dict.fromkeys((1.0, a, b) for _, a, b in sides)]
    if len(sides) == 1:
        return found[0] * sides[0][0]
    x: Floats = np.copysign(found[0] if len(found) == 1 else np.where(s < 0, found[1], found[0]), s)
    return x


__all__ = ["EXTREME_SHARES", "SHARES", "regime_columns"]
