"""Truth values over balls are False (0), True (1) or undecided (2), in int8 arrays.

Bit 2 (TOUCH) marks a decided comparison of two different quantities that are exactly equal, so that the other outcome
is arbitrarily near.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from flint import arb
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.numbers import integers

Codes = NDArray[np.int8]
"""Truth values, as above."""

UNDECIDED, TOUCH = 2, 4

COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "lt_to", "le_to"})


class Undecided(Exception):
    """The balls are too wide (or the branch too near) for a discrete choice at this precision."""


class UndecidedChoice(integers.UndecidedInteger):
    """An integer made from truth values of which some are undecided: `cond` takes both branches, all else gives up."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Undecided("an integer depends on a comparison that is not decided")

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        raise Undecided("an integer depends on a comparison that is not decided")


def compare(name: str, a: arb, b: arb) -> int:
    """Truth value of one comparison; `lt_to` and `le_to` are the orders of `jnp.searchsorted`."""
    name = name.removesuffix("_to")
    if a.is_exact() and b.is_exact() and a == b:
        # no step leads away from infinity
        return TOUCH * a.is_finite() | (name in ("eq", "le", "ge"))
    if name in ("lt", "le"):
        return 1 if a < b else 0 if a > b else UNDECIDED
    if name in ("gt", "ge"):
        return 1 if a > b else 0 if a < b else UNDECIDED
    if not a.overlaps(b):
        return 1 if name == "ne" else 0
    return UNDECIDED


def compare_all(name: str, a: Array, b: Array) -> Codes:
    """`compare` entry by entry with broadcasting.

    Two comparisons of whole arrays settle what is clearly on one side, without a Python frame per entry.
    """
    above, below = np.greater(a, b), np.less(a, b)
    kind = name.removesuffix("_to")
    if kind in ("gt", "ge"):
        told = above.astype(np.int8)
    elif kind in ("lt", "le"):
        told = below.astype(np.int8)
    else:
        told = (above | below).astype(np.int8) if kind == "ne" else np.zeros(above.shape, dtype=np.int8)
    near = ~(above | below)
    if near.any():
        if a.shape != near.shape or b.shape != near.shape:
            a, b = np.broadcast_to(a, near.shape), np.broadcast_to(b, near.shape)
        told[near] = [compare(kind, p, q) for p, q in zip(a[near], b[near], strict=True)]
    return told


def truth(values: Array) -> Codes:
    """A truth value of whatever kind (bool arrays included) as int8."""
    return np.asarray(values).astype(np.int8, copy=False)


def undecided(values: Array) -> bool:
    """Whether some entry is undecided."""
    return bool((np.asarray(values) & 3 == UNDECIDED).any())


def truth_not(a: Array) -> Codes:
    t = a & 3
    return np.where(t == UNDECIDED, UNDECIDED, (1 - t) | (a & TOUCH)).astype(np.int8)


def truth_and(a: Array, b: Array) -> Codes:
    """Three-valued and; a clear False wins, a touched operand that matters marks the result."""
    ta, tb = a & 3, b & 3
    clear_false = ((ta == 0) & (a < TOUCH)) | ((tb == 0) & (b < TOUCH))
    value = np.where((ta == 0) | (tb == 0), 0, np.where((ta == 1) & (tb == 1), 1, UNDECIDED))
    # False next to a touched False and an undecided value: the touched one may turn, and the result with it
    touched = ((a | b) & TOUCH) * (value != UNDECIDED)
    return np.where(clear_false, 0, value | touched).astype(np.int8)


def truth_or(a: Array, b: Array) -> Codes:
    return truth_not(truth_and(truth_not(a), truth_not(b)))


def truth_xor(a: Array, b: Array) -> Codes:
    """Three-valued exclusive or; every touched operand matters."""
    ta, tb = a & 3, b & 3
    unknown = (ta == UNDECIDED) | (tb == UNDECIDED)
    return np.where(unknown, UNDECIDED, (ta ^ tb) | ((a | b) & TOUCH)).astype(np.int8)


def reduce_and(parts: list[Array], shape: tuple[int, ...]) -> Codes:
    """Three-valued and of all parts; True of nothing."""
    out = np.ones(shape, dtype=np.int8)
    for part in parts:
        out = truth_and(out, part)
    return out
