"""The evidence of a theorem or rule in one line, over all its properties and number formats.

evidence_line(subject)    "judged in balls at 195 to 412 points of 5 to 9 sizes; 1 size left out: forward raises at n=1"
"""

from __future__ import annotations

from collections.abc import Iterable

from backprove.harness.core.evidence import listed
from backprove.harness.core.evidence_words import judges, sizes_judged, sizes_left_out
from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.text import count, listing, plural


def evidence_line(subject: SubjectResult) -> str:
    """Who judged, at how many points of how many sizes (fewest to most of a property and format), what was left out."""
    parts = [_refuted(subject.properties), _judged(subject.properties), *_left_out(subject.properties)]
    kept = f"as on {subject.judged_on}, and nothing that it rests on has changed since" if subject.judged_on else ""
    said = "; ".join(p for p in (*parts, kept) if p)
    return said or ("no point was judged" if subject.properties else "")


def _refuted(results: Iterable[PropertyResult]) -> str:
    total: dict[str, int] = {}
    for p in results:
        if p.verdict is Verdict.FALSIFIED:
            for way, points in judges(p).items():
                total[way] = total.get(way, 0) + points
    return "refuted " + " and ".join(f"{way} at {plural(n, 'point')}" for way, n in total.items()) if total else ""


def _judged(results: Iterable[PropertyResult]) -> str:
    found: dict[str, list[tuple[int, int]]] = {}
    silent = []
    for p in results:
        if p.verdict is Verdict.FALSIFIED:
            continue
        ways = judges(p)
        for way, points in ways.items():
            found.setdefault(way, []).append((points, sizes_judged(p)))
        if not ways:
            silent.append(f"{p.name} in {p.dtype}")
    said = [
        f"{way} at {_span([n for n, _ in seen], 'point')} of {_span([n for _, n in seen], 'size')}"
        for way, seen in found.items()
    ]
    nobody = f"nobody judged {listing(silent, 2)}" if silent and said else ""
    return "; ".join(p for p in ("judged " + " and ".join(said) if said else "", nobody) if p)


def _left_out(results: Iterable[PropertyResult]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for p in results:
        for why, sizes in sizes_left_out(p).items():
            groups.setdefault(why, []).extend(s for s in sizes if s not in groups.get(why, []))
    return [f"{plural(len(sizes), 'size')} left out: {why} at {listed(sizes)}" for why, sizes in groups.items()]


def _span(counts: list[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    return plural(high, noun) if low == high else f"{count(low)} to {plural(high, noun)}"
