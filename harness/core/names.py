"""Names that are not found are answered with near ones: `did_you_mean("verfy", COMMANDS)`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEAR, MOST = 0.5, 3
"""Likeness that a name must have to be suggested (as difflib measures it), and how many are."""


def nearest(word: str, known: Iterable[str], near: float = NEAR) -> list[str]:
    """The names most like `word`, without regard to case and to what a glob adds to it; [] where none is near.

    Args:
        near: likeness that a name must have.
    """
    by_key: dict[str, str] = {}
    for name in known:
        for key in (name, name.rpartition(".")[2]):
            by_key.setdefault(key.lower(), name)
    plain = word.strip("*?").lower()
    inside = [name for key, name in by_key.items() if plain and plain in key]
    alike = difflib.get_close_matches(plain, by_key, n=MOST, cutoff=near)
    return list(dict.fromkeys([*(by_key[k] for k in alike), *inside]))[:MOST]


def did_you_mean(word: str, known: Iterable[str], near: float = NEAR) -> str:
    """`; did you mean verify?`, or "" where no name is near."""
    found = nearest(word, known, near)
    return f"; did you mean {' or '.join(found)}?" if found else ""
