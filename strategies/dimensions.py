"""Dimensions are the words of `bp.array`'s first argument: sizes, and names with the bounds that their sizes keep.

parse("m<=6 n>=m")          (("m", "n"), (Bound("m", "<=", 6), Bound("n", ">=", "m")))
rules = bounds_of(specs)
rules.admit({"m": 2, "n": 3}), rules.admit({"m": 7, "n": 9})            True, False
rules.adapted({"m": 9, "n": 1})                                         {"m": 6, "n": 6}
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

from backprove.harness.core.errors import UsageError

Sizes = dict[str, int | tuple[int, ...]]
Relation = Literal[">=", "<=", "%"]

_OPERATOR = re.compile(r"\s*(>=|<=|==|!=|%|>|<|=)\s*")
_HINTS = {
    ">": 'write "n>=3" for what is above 2',
    "<": 'write "n<=2" for what is below 3',
    "=": 'write the size itself, such as "4"',
    "==": 'write the size itself, such as "4"',
    "!=": 'only "n>=2", "n<=6" and "n%2" (a multiple of 2) can be said',
}


@dataclass(frozen=True)
class Bound:
    """What the sizes of a name keep to: `n>=2`, `n<=6`, `n<=m`, or `n%2`, a multiple of 2."""

    name: str
    relation: Relation
    of: int | str

    def __str__(self) -> str:
        return f"{self.name}{self.relation}{self.of}"

    def admits(self, size: int, other: int) -> bool:
        """Whether a size keeps to it, where what stands on the right is `other`."""
        if self.relation == "%":
            return size % other == 0
        return size >= other if self.relation == ">=" else size <= other


class Dims(Protocol):
    """What is asked of an `ArraySpec` here."""

    @property
    def dims(self) -> tuple[int | str, ...]:
        """Sizes and names."""

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Of the names."""


def parse(dims: str) -> tuple[tuple[int | str, ...], tuple[Bound, ...]]:
    """The sizes and names of `dims`, and the bounds of the names.

    Raises:
        UsageError: for what is neither a size, a name, nor a name with bounds that a size can keep to.
    """
    parsed: list[int | str] = []
    bounds: list[Bound] = []
    for token in _OPERATOR.sub(r"\1", dims).split():
        first, *rest = _OPERATOR.split(token)
        if first.lstrip("-").isdigit() and not rest:
            if int(first) < 0:
                raise UsageError(f"array({dims!r}): a size cannot be negative, got {first}")
            parsed.append(int(first))
        elif first.lstrip("*").isidentifier() and first.count("*") <= 1:
            parsed.append(first)
            bounds += [_bound(dims, first, relation, of) for relation, of in zip(rest[::2], rest[1::2], strict=True)]
        else:
            what = (
                "a size, which has no bounds"
                if first.isdigit()
                else 'neither a size nor a name such as "n" or "*batch"'
            )
            blanks = f"; write {' '.join(dims.replace(',', ' ').split())!r}, with blanks" if "," in dims else ""
            raise UsageError(f'array({dims!r}): "{token}" is {what}{blanks}')
    if sum(1 for d in parsed if isinstance(d, str) and d.startswith("*")) > 1:
        raise UsageError(f"array({dims!r}): at most one name may stand for any number of axes")
    return tuple(parsed), tuple(bounds)


def _bound(dims: str, name: str, relation: str, of: str) -> Bound:
    said = f'array({dims!r}): "{name}{relation}{of}"'
    if name.startswith("*"):
        raise UsageError(f"{said}: a name for any number of axes has no bounds; name the axes one by one")
    if relation not in (">=", "<=", "%"):
        raise UsageError(f"{said} cannot be said; {_HINTS[relation]}")
    if of.isdigit():
        number = int(of)
        if relation == "<=" and number == 0:
            raise UsageError(f"{said} leaves empty arrays alone, at which nothing can be judged")
        if relation == "%" and number == 0:
            raise UsageError(f"{said}: expected a positive number, of which the size is a multiple")
        return Bound(name, relation, number)  # type: ignore[arg-type]
    if relation != "%" and of.isidentifier() and of != name:
        return Bound(name, relation, of)  # type: ignore[arg-type]
    raise UsageError(
        f'{said}: expected a size{"" if relation == "%" else " or another name"} after {relation}, got "{of}"'
    )


@dataclass(frozen=True)
class Bounds:
    """The bounds of all names of some inputs.

    Attributes:
        names: of one axis each, in order of first use.
        each: the bounds.
    """

    names: tuple[str, ...]
    each: tuple[Bound, ...] = ()
    _ranges: dict[str, tuple[int, float, int]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.names:
            own = [b for b in self.each if b.name == name and isinstance(b.of, int)]
            numbers = {r: [int(b.of) for b in own if b.relation == r] for r in (">=", "<=", "%")}
            step = math.lcm(*numbers["%"]) if numbers["%"] else 1
            least = max(numbers[">="], default=0)
            self._ranges[name] = -(-least // step) * step, min(numbers["<="], default=math.inf), step

    def least(self, name: str) -> int:
        """Smallest size of a name by the numbers among its bounds."""
        return self._ranges[name][0]

    def most(self, name: str) -> float:
        """Largest size, likewise."""
        return self._ranges[name][1]

    def step(self, name: str) -> int:
        """The sizes are multiples of this."""
        return self._ranges[name][2]

    def is_bounded(self, name: str) -> bool:
        """Whether anything but other names bounds the sizes of a name."""
        return self._ranges[name] != (0, math.inf, 1)

    def admit(self, sizes: Mapping[str, int | tuple[int, ...]]) -> bool:
        """Whether sizes keep to all bounds."""
        return self.broken(sizes) is None

    def broken(self, sizes: Mapping[str, int | tuple[int, ...]]) -> Bound | None:
        """The first bound that sizes do not keep to."""
        for b in self.each:
            size, other = sizes[b.name], sizes[b.of] if isinstance(b.of, str) else b.of
            if isinstance(size, int) and isinstance(other, int) and not b.admits(size, other):
                return b
        return None

    def nearest(self, name: str, wanted: int) -> int:
        """An admissible size for a wanted one; different small ones stay different where the bounds leave room."""
        least, most, step = self._ranges[name]
        if wanted < least:
            wanted = least + step * max(wanted - 1, 0)
        size = -(-wanted // step) * step
        return size if size <= most else int(most // step) * step

    def adapted(self, sizes: Sizes) -> Sizes:
        """Sizes near the wanted ones that keep to the bounds, if there are any."""
        found: Sizes = {
            n: self.nearest(n, s) if n in self._ranges and isinstance(s, int) else s for n, s in sizes.items()
        }
        for _ in self.each:
            b = self.broken(found)
            if b is None or isinstance(b.of, int):
                break
            size, other = found[b.name], found[b.of]
            assert isinstance(size, int) and isinstance(other, int)
            low, high = (b.name, b.of) if b.relation == ">=" else (b.of, b.name)
            raised = self.nearest(low, max(size, other))
            if raised >= max(size, other):
                found[low] = raised
            else:
                found[high] = self.nearest(high, min(size, other))
        return found


def bounds_of(specs: Mapping[str, Dims]) -> Bounds:
    """The bounds of the names of these inputs.

    Raises:
        UsageError: where a bound names what no input has, or no sizes of at least one entry keep to all.
    """
    return _bounds_of(tuple(s.dims for s in specs.values()), tuple(b for s in specs.values() for b in s.bounds))


@lru_cache(maxsize=256)
def _bounds_of(dims: tuple[tuple[int | str, ...], ...], each: tuple[Bound, ...]) -> Bounds:
    names = tuple(dict.fromkeys(d for ds in dims for d in ds if isinstance(d, str) and not d.startswith("*")))
    for b in each:
        if isinstance(b.of, str) and b.of not in names:
            raise UsageError(f'array: "{b}" names {b.of}, which is no dimension of any input ({", ".join(names)})')
    found = Bounds(names, tuple(dict.fromkeys(each)))
    if each:
        one: Sizes = dict.fromkeys(names, 1)
        smallest = found.adapted(one)
        if not found.admit(smallest) or 0 in smallest.values():
            raise UsageError(f"array: no sizes keep to all of {', '.join(map(str, found.each))}")
    return found
