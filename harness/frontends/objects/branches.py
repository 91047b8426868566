"""Comparisons of overlapping balls list their possible outcomes, and the code is run again for each of them.

On object arrays `x > 0` calls a Python comparison, and arb answers False to `<` and to `>` where two balls overlap.
Here such a comparison is recorded instead: code runs again and again under `explore` until every outcome was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TypeVar

from flint import arb

from backprove.harness.numbers.balls.truth import Undecided

T = TypeVar("T")

LESS, EQUAL, GREATER = -1, 0, 1
ORDERS = frozenset({LESS, EQUAL, GREATER})
RELATIONS: dict[str, frozenset[int]] = {
    "lt": frozenset({LESS}),
    "le": frozenset({LESS, EQUAL}),
    "gt": frozenset({GREATER}),
    "ge": frozenset({EQUAL, GREATER}),
    "eq": frozenset({EQUAL}),
    "ne": frozenset({LESS, GREATER}),
}
"""For each comparison the orders of its two sides (sign of left - right) in which it is true."""


class Branches:
    """The decisions of one run: a prefix to follow, then what was taken.

    Attributes:
        taken: outcome of every undecided comparison so far.
        touched: whether the run met a boundary: an exact equality, an overlap, or a tie of a maximum.
    """

    def __init__(self, prefix: tuple[bool, ...] = ()) -> None:
        self.prefix = prefix
        self.taken: list[bool] = []
        self.touched = False
        self._orders: dict[tuple[Hashable, Hashable], frozenset[int]] = {}
        self._kept: list[tuple[object, object]] = []
        self._token: Token[Branches | None]

    def __enter__(self) -> Branches:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _CURRENT.reset(self._token)

    def touch(self) -> None:
        """Record that the point lies on, or may lie on, the boundary of two branches."""
        self.touched = True

    def decide(self, default: bool = False) -> bool:
        """The outcome of an undecided comparison: the next one of the prefix, else `default`."""
        self.touched = True
        i = len(self.taken)
        outcome = self.prefix[i] if i < len(self.prefix) else default
        self.taken.append(outcome)
        return outcome

    def settle(
        self, relation: str, pair: tuple[object, object], possible: frozenset[int], default: bool = False
    ) -> bool:
        """`relation` between two numbers that may be in any of the `possible` orders.

        The same pair asked again (`x > 0`, later `x <= 0`) answers consistently within one run.
        """
        wanted = RELATIONS[relation]
        key = (_key(pair[0]), _key(pair[1]))
        possible = possible & self._orders.get(key, ORDERS)
        if possible <= wanted:
            return True
        if not possible & wanted:
            return False
        outcome = self.decide(default)
        self._orders[key] = possible & wanted if outcome else possible - wanted
        self._kept.append(pair)  # keeps the identities in the keys alive
        return outcome


_CURRENT: ContextVar[Branches | None] = ContextVar("branches", default=None)


def current() -> Branches:
    """The recorder of the run in progress.

    Raises:
        Undecided: outside `explore` and outside a `with Branches()`.
    """
    branches = _CURRENT.get()
    if branches is None:
        raise Undecided("a comparison was made outside a run: use explore() or `with Branches():`")
    return branches


def _key(value: object) -> Hashable:
    """Exact balls (and numbers given as tuples) are known by their value, others by their identity."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, arb) and value.is_exact() and value.is_finite():
        return value.man_exp()
    return id(value)


def possible_orders(a: arb, b: arb) -> frozenset[int]:
    """The signs that `a - b` can have; balls without information (NaN) can have all."""
    if a < b:
        return frozenset({LESS})
    if a > b:
        return frozenset({GREATER})
    if a == b and a.is_exact() and b.is_exact():
        return frozenset({EQUAL})
    if a <= b:
        return frozenset({LESS, EQUAL})
    if a >= b:
        return frozenset({EQUAL, GREATER})
    return ORDERS


def compare(relation: str, a: arb, b: arb) -> bool:
    """A comparison of two balls ("lt", "le", "gt", "ge", "eq", "ne"); a possible equality is recorded as touched."""
    possible = possible_orders(a, b)
    if EQUAL in possible:
        current().touch()
    if possible <= RELATIONS[relation]:
        return True
    if not possible & RELATIONS[relation]:
        return False
    return current().settle(relation, (a, b), possible)


def explore(run: Callable[[], T], limit: int = 64) -> list[T]:
    """The results of `run` under every combination of outcomes of its undecided comparisons.

    The first result is the one with all defaults. `run` may ask `current().touched` at its end.

    Raises:
        Undecided: if there are more than `limit` combinations.
    """
    results: list[T] = []
    pending: list[tuple[bool, ...]] = [()]
    while pending:
        if len(results) + len(pending) > limit:
            raise Undecided(f"more than {limit} combinations of outcomes of undecided comparisons")
        with Branches(pending.pop()) as branches:
            results.append(run())
        for i in range(len(branches.prefix), len(branches.taken)):
            pending.append((*branches.taken[:i], not branches.taken[i]))
    return results
