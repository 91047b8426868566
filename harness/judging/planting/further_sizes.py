"""`further_sizes` names sizes beside the fixed ones: even, powers of two, tall, wide, of high rank, and the code's own.

A rule that is wrong where `x.shape[0] == 8` alone is met at no other size: integers that the code compares something
with are tried as sizes, with their neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backprove.harness.judging.planting.code_constants import CodeConstants
from backprove.strategies.shapes import MAX_ENTRIES, Sizes, Specs, dim_names, entries, feasible, has_empty

OF_THE_CODE = 9
"""Sizes that the code names are tried at most, since each is a program to trace for every function."""
LARGEST = 2 * MAX_ENTRIES - 1
"""Largest size that is tried because the code names it: it has few points."""
MOST_ENTRIES = 4 * (MAX_ENTRIES + 1)
"""Entries of an input at such a size."""
SIZES_OF_DATA = 4096
"""An integer beyond this is no size that a rule meets as a rule; it is not named as untried."""
ORDINARY = ((8, 2, 4, 2), (2, 8, 2, 4), (4, 4, 4, 4), (16, 2, 2, 2))
"""Sizes of the names in order: tall, wide, equal, long; all even and powers of two."""
BATCHES = ((2, 1, 2), (2,), (4, 2), ())


@dataclass(frozen=True)
class FurtherSizes:
    """Sizes to be tried at few points.

    Attributes:
        sizes: the sizes, none of them among those tried before.
        untried: integers that the code compares something with, and that were too large or too many to be tried.
    """

    sizes: tuple[Sizes, ...] = ()
    untried: tuple[int, ...] = ()


def further_sizes(specs: Specs, tried: Sequence[Sizes], constants: CodeConstants) -> FurtherSizes:
    """The further sizes of inputs whose code has these constants; none where no size is free.

    Args:
        tried: sizes that are tried anyway.
    """
    names = dim_names(specs)
    if not names:
        return FurtherSizes()
    chosen: list[Sizes] = []
    left = [n for n in constants.sizes if LARGEST <= n <= SIZES_OF_DATA]
    wanted = [n for n in constants.sizes if 1 < n < LARGEST]
    for n in [*wanted, *(k + 1 for k in constants.others if 4 <= k < LARGEST)]:
        own = [s for s in _of(n, names, specs) if s not in tried]
        if not own and n in wanted and not _met(n, tried):
            left.append(n)
        for sizes in own:
            if len(chosen) >= OF_THE_CODE:
                if n in wanted and not _met(n, [*tried, *chosen]):
                    left.append(n)
            elif sizes not in chosen:
                chosen.append(sizes)
    if len(names) == 2 and len(wanted) == 2 and not any(n.startswith("*") for n in names):  # x.shape == (4, 6)
        for pair in (wanted, wanted[::-1]):
            both = _bound(names, pair, ())
            if feasible(specs, both, MOST_ENTRIES) and both not in (*tried, *chosen):
                chosen.append(both)
    for turn, pattern in enumerate(ORDINARY[: 2 if len(names) == 1 else 4]):
        sizes = _bound(names, pattern, BATCHES[turn])
        if feasible(specs, sizes) and not has_empty(specs, sizes) and sizes not in (*tried, *chosen):
            chosen.append(sizes)
    return FurtherSizes(tuple(chosen), tuple(sorted(set(left))))


def _of(n: int, names: Sequence[str], specs: Specs) -> Iterator[Sizes]:
    """Sizes at which a dimension, or the number of entries, is n, and for the first name its neighbours too."""
    plain = [name for name in names if not name.startswith("*")]
    if not plain:
        candidates = [_bound(names, (), batch) for batch in ((n,), (n + 1,), (max(n - 1, 1),))]
    else:
        candidates = []
        for value in (n, n + 1, n - 1):
            for name in plain if value == n else plain[:1]:
                candidates.append({**_bound(names, (2,) * len(names), ()), name: value})
        if len(plain) > 1:
            candidates.append({**_bound(names, (n,) * len(names), ())})
            candidates.append({**_bound(names, (1,) * len(names), ()), plain[0]: max(n // 2, 1), plain[1]: 2})
    for sizes in candidates:
        most = max((entries(s, sizes) for s in specs.values()), default=0)
        if most <= MOST_ENTRIES and not has_empty(specs, sizes) and feasible(specs, sizes, MOST_ENTRIES):
            yield sizes


def _met(n: int, tried: Sequence[Sizes]) -> bool:
    """Whether some dimension, or all together, has size n already."""
    for sizes in tried:
        flat = [s for v in sizes.values() for s in (v if isinstance(v, tuple) else (v,))]
        if n in flat or n == math.prod(flat):
            return True
    return False


def _bound(names: Sequence[str], values: Sequence[int], batch: tuple[int, ...]) -> Sizes:
    plain = iter(values)
    return {n.lstrip("*"): batch if n.startswith("*") else next(plain, 2) for n in names}
