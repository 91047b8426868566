"""Verdicts say how a claim fared, worst first, and exit statuses how a run did: `Verdict.FALSIFIED` makes it 1."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntEnum


class Verdict(str, Enum):
    """What the checker says of a property, worst first (see docs/verdicts.md)."""

    ERROR = "error"
    FALSIFIED = "falsified"
    INACCURATE = "inaccurate"
    INCONCLUSIVE = "inconclusive"
    HOLDS = "holds"

    def __str__(self) -> str:
        return self.value

    @property
    def rank(self) -> int:
        """0 for the worst verdict, 4 for `holds`."""
        return list(Verdict).index(self)

    @property
    def fails(self) -> bool:
        """Whether this verdict fails a run (exit status 1)."""
        return self in (Verdict.ERROR, Verdict.FALSIFIED, Verdict.INACCURATE)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; nothing at all is `inconclusive`, never `holds`."""
    return min(verdicts, key=lambda v: v.rank, default=Verdict.INCONCLUSIVE)


class Exit(IntEnum):
    """Exit status of the command line."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 3
    INTERRUPTED = 4
    NOTHING_RAN = 5
    GATE = 6


def exit_status(verdicts: Iterable[Verdict], *, gate_passed: bool = True) -> Exit:
    """Exit status for a finished run from the verdicts of what ran."""
    seen = list(verdicts)
    if not seen:
        return Exit.NOTHING_RAN
    if any(v.fails for v in seen):
        return Exit.FAILED
    if not gate_passed or all(v is Verdict.INCONCLUSIVE for v in seen):
        return Exit.GATE
    return Exit.OK
