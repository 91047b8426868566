"""A budget of entries decides how many points there are, where a single point is large.

few(10_000, entries=3, budget=DRAWN_ENTRIES)             # 10000
few(10_000, entries=1_000_000, budget=DRAWN_ENTRIES)     # 16
"""

from __future__ import annotations

from backprove.harness.core.thresholds.large import FEWEST


def few(count: int, entries: int, budget: int) -> int:
    """How many of `count` points with so many entries a budget of entries allows; `FEWEST` in any case."""
    return min(count, max(FEWEST, budget // max(entries, 1)))
