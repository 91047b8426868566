"""This module makes Python's garbage collector run less often.

Tracing makes many small objects, and each full collection walks all modules that were imported: together they cost a
twentieth of a run. Numbers of points, which need the memory, are arrays, and those are freed without the collector.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

THRESHOLDS = (200_000, 20, 20)


@contextlib.contextmanager
def few_collections() -> Iterator[None]:
    """Collect after `THRESHOLDS` within the block; where the collector is off, it stays off."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(*map(max, before, THRESHOLDS))
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """None within the block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
