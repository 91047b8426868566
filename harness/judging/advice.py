"""Advice on dims: where forward raises at sizes of the stated domain, the bounds are found that leave only the others.

`forward` that raises at n = 1 and runs at n = 3, 5 and 21 is tried at n = 2, too; then the advice is `"n>=2"`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from backprove.strategies.dimensions import Bound, bounds_of
from backprove.strategies.shapes import Sizes, Specs

MULTIPLES = (2, 3, 4, 5, 6, 8)
"""Divisors of a size that are tried."""
SEARCHED = 13
"""Sizes below this are tried where forward raises at all that were drawn."""
CURED = 2
"""Sizes at which forward raises that are tried again with one name changed."""
TRIED = 8
"""Further sizes at which forward is called to find one bound."""


@dataclass
class _Tried:
    """Sizes at which forward runs, and at which it raises.

    Attributes:
        runs: whether it runs at other sizes; None where such arrays cannot be.
    """

    good: list[Sizes]
    bad: list[Sizes]
    runs: Callable[[Sizes], bool | None]

    def tells(self, bound: Bound) -> bool:
        """Whether a bound keeps all sizes at which forward runs and leaves out all others."""
        return all(_keeps(bound, s) for s in self.good) and not any(_keeps(bound, s) for s in self.bad)

    def at(self, name: str, size: int) -> bool | None:
        """Whether forward runs where one name has another size."""
        return self.runs({**self.good[0], name: size})

    def cures(self, name: str) -> bool:
        """Whether forward runs at sizes at which it raises, once one name has a size of those at which it runs."""
        size = self.good[0][name]
        return all(self.runs({**s, name: size}) is not False for s in self.bad[:CURED])

    def all_at(self, name: str, sizes: Sequence[int]) -> bool:
        """Whether forward raises at none of these sizes."""
        return all(self.at(name, n) is not False for n in sizes)


def advice_on_dims(
    specs: Specs, good: Sequence[Sizes], bad: Sequence[Sizes], runs: Callable[[Sizes], bool | None]
) -> str:
    """Dims at which forward does not raise, in words; "" where none were found.

    Args:
        good, bad: sizes at which it runs, and at which it raises; none is of empty arrays.
        runs: whether it runs at other sizes; None where there can be no such arrays.
    """
    names = bounds_of(specs).names
    good = list(good) or list(_searched(names, bad, runs))
    if not good or not bad:
        return ""
    tried = _Tried(good, list(bad), runs)
    bound = next(_bounds(tried, names), None)
    if bound is not None:
        return f"dims at which it runs: {_with(specs, bound)}"
    for one, other in _pairs(names):
        if all(s[one] == s[other] for s in good) and all(s[one] != s[other] for s in bad):
            return (
                f"it runs where {one} = {other}: write one name for both, or give axes that may differ names of their "
                'own, as "m n" and "n k"'
            )
    return ""


def _searched(names: Sequence[str], bad: Sequence[Sizes], runs: Callable[[Sizes], bool | None]) -> Iterator[Sizes]:
    """One size at which forward runs, where it raises at all that were drawn."""
    for size in range(2, SEARCHED):
        for group in (names, *([name] for name in names)):
            sizes = {**bad[0], **dict.fromkeys(group, size)}
            if runs(sizes):
                yield sizes
                return


def _bounds(tried: _Tried, names: Sequence[str]) -> Iterator[Bound]:
    """Bounds that explain where forward raises, the likeliest first."""
    for name in filter(tried.cures, names):
        sizes, others = _sizes(tried.good, name), _sizes(tried.bad, name)
        low, high = min(sizes), max(sizes)
        if max(others) < low:
            least = next((n for n in range(max(others) + 1, min(low, max(others) + TRIED)) if tried.at(name, n)), low)
            yield Bound(name, ">=", least)
        if min(others) > high:
            yield Bound(name, "<=", _last(tried, name, high, min(others)))
        for q in MULTIPLES:
            bound = Bound(name, "%", q)
            if tried.tells(bound) and tried.at(name, q + 1) is not True and tried.all_at(name, (q, 2 * q, 3 * q)):
                yield bound
    for one, other in _pairs(names):
        for bound in (Bound(one, ">=", other), Bound(one, "<=", other)):
            if tried.tells(bound) and any(s[one] != s[other] for s in tried.good):
                yield bound


def _sizes(every: Sequence[Sizes], name: str) -> list[int]:
    return [size for s in every if isinstance(size := s[name], int)]


def _last(tried: _Tried, name: str, high: int, over: int) -> int:
    """The largest size at which forward runs, of those tried from `high` on."""
    for n in range(high + 1, min(over, high + TRIED)):
        if not tried.at(name, n):
            break
        high = n
    return high


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            yield one, other


def _keeps(bound: Bound, sizes: Sizes) -> bool:
    size, other = sizes[bound.name], sizes[bound.of] if isinstance(bound.of, str) else bound.of
    return isinstance(size, int) and isinstance(other, int) and bound.admits(size, other)


def _with(specs: Specs, bound: Bound) -> str:
    """The dims of the first input that has the name, with the bound."""
    name, spec = next((n, s) for n, s in specs.items() if bound.name in s.dims)
    bounds = (*spec.bounds, bound)
    words, told = [], set()
    for d in spec.dims:
        own = [str(b).removeprefix(b.name) for b in bounds if b.name == d and d not in told]
        words.append(f"{d}{''.join(own)}")
        told.add(d)
    return f'{name}: bp.array("{" ".join(words)}")'
