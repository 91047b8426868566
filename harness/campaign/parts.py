"""A property with very many points is judged in parts, and this module merges their results, in any order to the same
bytes.

A property with more than `PART_POINTS` points is judged in parts, each with its own share of the points and its own
chunks; the first part also has the special and the drawn points. Which parts there are follows from the number of
points alone, and they merge by sums, maxima and first-in-order: any number of workers, in any order, gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict

PART_POINTS = 200_000
"""Points that one work item evaluates of a claim at one dtype, at most."""

SHOWN_NOTES = 12
"""Notes that a merged result keeps; parts repeat each other."""

_GRADES = {None: -1, "stable": 0, "lossy": 1, "lost": 2}


def parts_of(points: int) -> int:
    """Number of parts in which `points` of a property are judged."""
    return max(1, -(-points // PART_POINTS))


def refused(properties: Sequence[PropertyResult]) -> bool:
    """Whether a part ends the search at its dtype: the parts after it do not count, judged or not."""
    return any(p.verdict in (Verdict.ERROR, Verdict.FALSIFIED) for p in properties)


def complete(parts: Mapping[int, Sequence[PropertyResult]], number: int) -> bool:
    """Whether the parts at hand decide the result: all of `number`, or all up to one that is refused."""
    for k in range(number):
        if k not in parts:
            return False
        if refused(parts[k]):
            return True
    return True


def merge_parts(parts: Mapping[int, Sequence[PropertyResult]]) -> list[PropertyResult]:
    """The properties of one subject at one dtype from its parts, which `complete` says are enough."""
    counted: list[Sequence[PropertyResult]] = []
    for k in sorted(parts):
        counted.append(parts[k])
        if refused(parts[k]):
            break
    return [merge_property(column) for column in zip(*counted, strict=True)]


def merge_property(parts: Sequence[PropertyResult]) -> PropertyResult:
    """One result from those of the parts, in their order; a tie goes to the earlier part."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    out = PropertyResult(first.name, first.dtype)
    failing = [p for p in parts if p.verdict.fails]
    says = min(failing, key=lambda p: p.verdict.rank) if failing else first
    out.verdict, out.reason, out.counterexample = says.verdict, says.reason, says.counterexample
    graded = max(parts, key=lambda p: (_GRADES[p.grade], p.grade_factor or 0.0))
    out.grade, out.grade_region = graded.grade, graded.grade_region
    out.grade_factor = max((p.grade_factor for p in parts if p.grade_factor is not None), default=None)
    out.max_ulp = max((p.max_ulp for p in parts if p.max_ulp is not None), default=None)
    out.histogram = [sum(bin_) for bin_ in zip(*(p.histogram for p in parts), strict=True)]
    for p in parts:
        out.points += p.points
        out.seconds += p.seconds
        for name, tally in p.layers.items():
            out.layer(name).merge(tally)
        for total, more in ((out.counts, p.counts), (out.shapes, p.shapes), (out.regions, p.regions)):
            for key, n in more.items():
                total[key] = total.get(key, 0) + n
        for text, finding in zip(p.findings, p.finding_keys, strict=True):
            out.remark(text, finding)
        out.evidence.merge(p.evidence)
    if not failing and (out.evidence.sizes or out.evidence.left_out):  # else nothing was judged, as the first part says
        out.verdict, out.reason = out.evidence.verdict(out.points)
    notes = dict.fromkeys(n for p in parts for n in p.notes)
    out.notes = list(notes)[: max(SHOWN_NOTES, len(first.notes))]
    return out
