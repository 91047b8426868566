"""Structures are kinds whose entries depend on one another; what a description may say of them is checked here.

`array("n n", kind="spd", low=0.1)` is a matrix whose eigenvalues are at least 0.1; with `distinct=True` it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backprove.harness.core.errors import UsageError


@dataclass(frozen=True)
class Structure:
    """What a kind asks of its description.

    Attributes:
        axes: the last axes that it stands on.
        square: they have one size.
        allowed: options that say something of it.
        why: what the others would contradict, in words.
    """

    axes: int
    square: bool
    allowed: frozenset[str]
    why: str


_BOUNDS = frozenset({"low", "high", "extreme"})

STRUCTURES: Mapping[str, Structure] = {
    "symmetric": Structure(2, True, _BOUNDS | {"nonzero"}, "entries on both sides of the diagonal are equal"),
    "spd": Structure(2, True, _BOUNDS, "low and high bound its eigenvalues, and entries may be zero or equal"),
    "lower": Structure(2, False, _BOUNDS | {"nonzero"}, "entries above the diagonal are zero"),
    "upper": Structure(2, False, _BOUNDS | {"nonzero"}, "entries below the diagonal are zero"),
    "orthogonal": Structure(2, True, frozenset(), "its columns have length one, and its entries lie from -1 to 1"),
    "unit": Structure(1, False, frozenset(), "its rows have length one, and their entries lie from -1 to 1"),
    "sorted": Structure(1, False, _BOUNDS | {"nonzero", "distinct"}, "its rows increase"),
    "stochastic": Structure(1, False, frozenset({"low", "nonzero"}), "its rows sum to one, of entries from 0 to 1"),
}
"""By kind."""

FREE = frozenset({None, "symmetric", "lower", "upper", "sorted"})
"""Kinds whose entries are numbers between the bounds, drawn one by one and then arranged."""


def check_structure(
    kind: str, name: str, dims: Sequence[int | str], given: Mapping[str, object], low: float | None, high: object
) -> None:
    """Refuse a description that contradicts its kind.

    Args:
        name: of the dtype: "float" or another.
        dims: parsed dimensions.
        given: the options by name, None or False where they are left out.
        low, high: bounds.

    Raises:
        UsageError: with the options that the kind has.
    """
    found = STRUCTURES.get(kind)
    if found is None:
        return
    if name != "float":
        raise UsageError(f"array: kind={kind!r} is of floats; leave out dtype={name!r}")
    last = tuple(dims[-found.axes :])
    starred = any(isinstance(d, str) and d.startswith("*") for d in last)
    if len(last) < found.axes or starred:
        where = "the last two axes" if found.axes == 2 else "the last axis"
        named = "n n" if found.square else "m n" if found.axes == 2 else "n"
        raise UsageError(f'array: kind={kind!r} stands on {where}; write dims such as "{named}" or "*batch {named}"')
    if found.square and last[0] != last[1]:
        raise UsageError(
            f'array: kind={kind!r} is of square matrices; write one name twice, as in "n n", instead of '
            f'"{last[0]} {last[1]}"'
        )
    for option, value in given.items():
        if value is not None and value is not False and option not in found.allowed:
            others = ", ".join(sorted(found.allowed)) or "none"
            raise UsageError(
                f"array: kind={kind!r} with {option}={value!r}: {found.why}; options that it takes: {others}"
            )
    if kind == "spd" and any(isinstance(b, (int, float)) and b <= 0 for b in (low, high)):
        wrong = f"low={low!r}" if low is not None and low <= 0 else f"high={high!r}"
        raise UsageError(f'array: kind="spd" with {wrong}: the bounds are those of its eigenvalues, which are positive')
