"""What would make a pass meaningless: the facts to read before the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.reports.summary import inconclusive_share
from backprove.reports.text import count, listing, percent, plural

DISCARD_LIMIT = 0.1
"""A share of discarded or undecided inputs above this is a warning."""


@dataclass(frozen=True)
class Fact:
    """One thing that a pass depends on.

    Attributes:
        title: what was looked at.
        value: the answer in a few characters.
        detail: one sentence on it.
        level: "good", "note" (worth knowing) or "warn" (weakens the run).
        names: the theorems or rules concerned.
    """

    title: str
    value: str
    detail: str
    level: str
    names: list[str] = field(default_factory=list)


def facts(run: RunResult) -> list[Fact]:
    """The facts of a run, in a fixed order; warnings are marked, not moved."""
    return [_complete(run), _tried(run), _discarded(run), _dtypes(run), _inconclusive(run), _balls(run), _strength(run)]


def warnings(run: RunResult) -> list[Fact]:
    """The facts that weaken the run."""
    return [f for f in facts(run) if f.level == "warn"]


def _results(run: RunResult) -> list[tuple[SubjectResult, PropertyResult]]:
    return [(s, p) for s in run.subjects for p in s.properties]


def _complete(run: RunResult) -> Fact:
    if run.partial:
        return Fact(
            "Run",
            "cut short",
            "The run ended before all its work was done; what is shown is what was finished.",
            "warn",
        )
    only = run.options.get("only")
    if only:
        shown = ", ".join(only) if isinstance(only, list) else str(only)
        return Fact("Run", "selection", f"Only what matches {shown} was run.", "note")
    return Fact("Run", "complete", "Everything that was asked for was run to its end.", "good")


def _tried(run: RunResult) -> Fact:
    names = list(dict.fromkeys(s.name for s, p in _results(run) if p.points == 0))
    names += [s.name for s in run.subjects if not s.properties]
    if names:
        return Fact(
            "Without any point", count(len(names)), "A property that was evaluated nowhere says nothing.", "warn", names
        )
    # what is refused is refused at its first bad point; how many there were before says nothing
    least = min((p.points for _, p in _results(run) if not p.verdict.fails), default=None)
    if least is None:
        return Fact("Fewest points", "none", "Nothing was left to hold.", "note")
    detail = "The smallest number of points behind any single verdict that refuses nothing."
    return Fact("Fewest points", count(least), detail, "good")


def _discarded(run: RunResult) -> Fact:
    lost = [(s, p.counts.get("discarded", 0), p.points) for s, p in _results(run)]
    total = sum(d for _, d, _ in lost)
    share = total / max(1, total + sum(n for _, _, n in lost))
    names = list(dict.fromkeys(s.name for s, d, n in lost if d > DISCARD_LIMIT * (d + n)))
    detail = "Drawn inputs that met no hypothesis and were thrown away."
    if names:
        detail = f"{plural(len(names), run.noun)} threw away more than {percent(DISCARD_LIMIT)} of the inputs drawn."
    return Fact("Discarded inputs", percent(share), detail, "warn" if names else "good", names)


def _dtypes(run: RunResult) -> Fact:
    seen = list(dict.fromkeys(p.dtype for _, p in _results(run)))
    given = run.options.get("dtypes")
    asked = list(dict.fromkeys([*(given if isinstance(given, list) else ()), *seen]))
    lacking: dict[str, list[str]] = {}
    for s in run.subjects:
        for d in asked:
            if d not in {p.dtype for p in s.properties if p.points}:
                lacking.setdefault(d, []).append(s.name)
    if lacking:
        words = listing([f"{d} in {plural(len(names), run.noun)}" for d, names in lacking.items()])
        names = list(dict.fromkeys(n for group in lacking.values() for n in group))
        return Fact("Untested number formats", count(len(lacking)), f"Not tried: {words}.", "warn", names)
    return Fact(
        "Number formats", count(len(asked)), f"Everything was tried in {listing(asked) or 'no format'}.", "good"
    )


def _inconclusive(run: RunResult) -> Fact:
    names = list(dict.fromkeys(s.name for s, p in _results(run) if p.verdict.value == "inconclusive"))
    share = inconclusive_share(run)
    detail = "Verdicts (per property and format) that no layer could decide."
    return Fact("Inconclusive", percent(share), detail, "warn" if names else "good", names)


def _balls(run: RunResult) -> Fact:
    totals: Counter[str] = Counter()
    for _, p in _results(run):
        totals.update({k: v for k, v in p.counts.items() if k in ("undecided", "unsupported", "outside_domain")})
    points = sum(p.points for _, p in _results(run))
    names = list(
        dict.fromkeys(
            s.name for s, p in _results(run) if p.points and p.counts.get("undecided", 0) > DISCARD_LIMIT * p.points
        )
    )
    words = [
        f"{count(totals[k])} {v}"
        for k, v in (("outside_domain", "outside the domain"), ("unsupported", "unsupported"))
        if totals[k]
    ]
    detail = "Points at which no layer could tell" + (f"; besides, {listing(words)}." if words else ".")
    share = percent(totals["undecided"] / points) if points else "none"
    return Fact("Undecided points", share, detail, "warn" if names else "good", names)


def _strength(run: RunResult) -> Fact:
    measured = [(s, s.mutation) for s in run.subjects if s.mutation]
    weak = [s.name for s, m in measured if m.get("survivors")]
    if not measured:
        return Fact(
            f"Weak {run.noun}s",
            "not measured",
            "Run backprove mutate to count the broken variants that slip through.",
            "note",
        )
    killed = sum(int(m.get("killed", 0)) for _, m in measured)
    alive = sum(int(m.get("mutants", 0)) - int(m.get("equivalent", 0)) for _, m in measured)
    detail = f"{count(killed)} of {plural(alive, 'broken variant')} refused, each theorem on its own."
    if len(measured) < len(run.subjects):
        detail += f" Not measured: {plural(len(run.subjects) - len(measured), run.noun)}."
    return Fact(f"Weak {run.noun}s", count(len(weak)), detail, "warn" if weak else "good", weak)
