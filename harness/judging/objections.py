"""Objections are points at which a layer without a verdict finds the rule suspicious; what clears them is told here.

A point that the exact layer accepts is cleared. So is one where nothing is claimed: outside the domain of forward,
where slopes diverge, a kink that was left alone, or one that is apart beside a refuted point. Where the exact layer
cannot tell, differences that know their error are asked, and clear what they agree with; of code that can only be
called they have the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.oracles.problem import Outcome, Status

FEW = 8
"""Suspicious points that come before all others."""
EXCUSED = (Status.SINGULAR, Status.OUTSIDE, Status.UNEXAMINED, Status.UNDEFINED, Status.APART)
"""Where nothing is claimed; of a rule without a value (`UNDEFINED`) a violation says what there is to say."""


def in_rounds(asked: Array, suspicious: Array, cap: int, outcomes: Sequence[Outcome | None]) -> Iterator[Array]:
    """Points for the exact layer: those of `asked` with up to `cap` suspicious ones, then further suspicious ones.

    A few suspicious ones come before all: a wrong rule is found at a fraction of the cost. Rounds go on as long as
    a round clears something, be it as a kink that is left alone, and refutes nothing: the next refusal is as good as
    the first, and where nothing can be told, more points tell nothing either.

    Args:
        outcomes: what has been said of each point; read after every round.
    """
    rest = np.flatnonzero(suspicious & ~asked)
    first = asked.copy()
    first[rest[:cap]] = True
    few = np.flatnonzero(first & suspicious)[:FEW]
    first[few] = False
    others = np.flatnonzero(first)
    further = rest[cap:] if cap else rest[:0]
    chunks = [few, others, *(further[k : k + cap] for k in range(0, further.size, cap or 1))]
    chunks = [c for c in chunks if c.size]
    for index in chunks:
        yield index
        found = [o.status for i in index.tolist() if (o := outcomes[i]) is not None]
        told = any(s.accepted or s in EXCUSED for s in found) or (index is few and others.size > 0)
        if any(s.refused for s in found) or not told:
            return


def undecided(outcomes: Sequence[Outcome | None], index: Array, suspicious: Array) -> Array:
    """The suspicious points of `index` of which the exact layer could not tell."""
    kept = [i for i in index.tolist() if suspicious[i] and (o := outcomes[i]) is not None and _open(o)]
    return np.array(kept, dtype=np.int64)


def _open(outcome: Outcome) -> bool:
    return outcome.status is Status.UNDECIDED and not outcome.stopped


def cleared(outcomes: Sequence[Outcome | None], violated: Sequence[object | None]) -> Array:
    """Which points have no objection left: judged right, refused already, or outside what is claimed."""
    return np.array(
        [
            v is not None or (o is not None and (o.status.accepted or o.status in EXCUSED or o.status.refused))
            for o, v in zip(outcomes, violated, strict=True)
        ],
        dtype=bool,
    )
