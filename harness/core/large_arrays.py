"""Large arrays are written in one line here: the number of most entries, and the few entries that have another.

x = np.zeros(1000); x[7] = 2.0
in_words(x.tolist())                # 1,000 entries of 0.0 but [7] = 2.0
statements("x", x, "float64")       # x = np.full((1000,), 0.0, dtype='float64'), then x[7] = 2.0
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # reports and the main process go without NumPy
    from backprove.harness.core.arrays import Array

SHOWN = 256
"""Entries of an array up to which all are written."""
EXCEPTIONS = 8
"""Entries that may have another number than the others."""


def in_words(value: Any, show: Callable[[Any], str] = str) -> str:
    """A number or nested list in words, where it has more than `SHOWN` entries; else ""."""
    entries = list(_entries(value, ()))
    if len(entries) <= SHOWN:
        return ""
    found = _exceptions(entries)
    if found is None:
        return f"{len(entries):,} entries, all of them in the record of the run"
    usual, others = found
    said = ", ".join(f"{list(place)} = {show(v)}" for place, v in others)
    return f"{len(entries):,} entries of {show(usual)}" + (f" but {said}" if said else "")


def short(value: Any) -> str:
    """A number or nested list as strict JSON in one line, or `in_words`."""
    return in_words(value) or json.dumps(value).replace('"', "")


def statements(name: str, a: Array, dtype: str) -> list[str] | None:
    """Python code that makes an array and calls it `name`; None where a large one has too many different numbers."""
    if a.size <= SHOWN:
        return [f"{name} = np.array({a.tolist()!r}, dtype={dtype!r})"]
    found = _exceptions(list(_entries(a.tolist(), ())))
    if found is None:
        return None
    usual, others = found
    changes = [f"{name}[{', '.join(map(str, place))}] = {v!r}" for place, v in others]
    return [f"{name} = np.full({a.shape}, {usual!r}, dtype={dtype!r})", *changes]


def _entries(value: Any, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    if isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from _entries(v, (*place, i))
    else:
        yield place, value


def _exceptions(entries: list[tuple[tuple[int, ...], Any]]) -> tuple[Any, list[tuple[tuple[int, ...], Any]]] | None:
    """What most entries are, and the few others with their places; None where they are many. -0.0 is not 0.0."""
    [(text, times)] = Counter(repr(v) for _, v in entries).most_common(1)
    if len(entries) - times > EXCEPTIONS:
        return None
    usual = next(v for _, v in entries if repr(v) == text)
    return usual, [(place, v) for place, v in entries if repr(v) != text]
