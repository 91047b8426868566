"""What changed between two runs, in words."""

from __future__ import annotations

from collections.abc import Mapping

from backprove.harness.core.results import RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import total_points
from backprove.reports.text import count, ulps

NOTABLE_FACTOR = 2.0
"""A worst error, in multiples of what conditioning forces, is worth a line when it grew or shrank by at least this
factor and exceeds one in either run."""


def diff(old: RunResult, new: RunResult) -> list[str]:
    """The changes from `old` to `new`, one sentence each, worst first; empty when nothing that matters changed.

    In order: verdicts that got worse (with the properties that did), what is gone, verdicts that got better, what is
    new, coverage, grades and worst errors, points, and differences of the set-up that explain some of these.
    """
    before = {s.name: s for s in old.subjects}
    after = {s.name: s for s in new.subjects}
    both = [(before[name], after[name]) for name in after if name in before]
    worse = [(a, b) for a, b in both if b.verdict.rank < a.verdict.rank]
    better = [(a, b) for a, b in both if b.verdict.rank > a.verdict.rank]
    out = [_verdict_change(a, b) for a, b in sorted(worse, key=lambda ab: ab[1].verdict.rank)]
    out += [f"{s.name} {_was(s.verdict)} and is no longer covered" for s in old.subjects if s.name not in after]
    out += [_verdict_change(a, b) for a, b in better]
    out += [f"{s.name} is new and {_is(s.verdict)}" for s in new.subjects if s.name not in before]
    out += _coverage(old, new)
    for a, b in both:
        out += _accuracy(a, b)
    for a, b in both:
        if b.points < a.points:
            out.append(f"{b.name} was judged at fewer points: {count(b.points)} instead of {count(a.points)}")
    return out + _setup(old, new)


def _was(verdict: Verdict) -> str:
    return "held" if verdict is Verdict.HOLDS else f"was {verdict}"


def _is(verdict: Verdict) -> str:
    return "holds" if verdict is Verdict.HOLDS else f"is {verdict}"


def _verdict_change(old: SubjectResult, new: SubjectResult) -> str:
    before = {(p.name, p.dtype): p.verdict for p in old.properties}
    names = [
        f"{p.name} in {p.dtype}"
        for p in new.properties
        if p.verdict is new.verdict and before.get((p.name, p.dtype)) is not p.verdict
    ]
    where = f" ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})" if names and not _holds(new) else ""
    now = "holds now" if _holds(new) else f"is now {new.verdict}"
    return f"{new.name} {_was(old.verdict)} and {now}{where}"


def _holds(subject: SubjectResult) -> bool:
    return subject.verdict is Verdict.HOLDS


def _coverage(old: RunResult, new: RunResult) -> list[str]:
    out = []
    for catalogue, counts in (new.coverage or {}).items():
        now: Mapping[str, object] = counts
        was: Mapping[str, object] = (old.coverage or {}).get(catalogue) or {}
        for key, words in (("declared", "declared"), ("covered", "covered"), ("holds", "that hold")):
            if key in was and was[key] != now[key]:
                out.append(f"{catalogue} entries {words}: {was[key]} before, {now[key]} now")
    return out


def _accuracy(old: SubjectResult, new: SubjectResult) -> list[str]:
    out = []
    before = {(p.name, p.dtype): p for p in old.properties}
    for p in new.properties:
        q = before.get((p.name, p.dtype))
        if q is None:
            continue
        here = f"{new.name}, {p.name} in {p.dtype}"
        if p.grade and q.grade and p.grade != q.grade:
            where = f" ({p.grade_region})" if p.grade_region else ""
            out.append(f"{here}: graded {p.grade}{where}, before {q.grade}")
        a, b = q.grade_factor, p.grade_factor
        if a is None or b is None or max(a, b) <= 1:
            continue
        if b >= NOTABLE_FACTOR * a or a >= NOTABLE_FACTOR * b:
            verb = "grew" if b > a else "shrank"
            out.append(f"{here}: worst error {verb} from {ulps(a)} to {ulps(b)} times what conditioning forces")
    return out


def _setup(old: RunResult, new: RunResult) -> list[str]:
    out = []
    if new.partial and not old.partial:
        out.append("the new run was cut short")
    if old.partial and not new.partial:
        out.append("the old run was cut short, the new one is complete")
    if old.seed != new.seed:
        out.append(f"the seed differs: {old.seed} before, {new.seed} now")
    if old.version != new.version:
        out.append(f"the version differs: {old.version} before, {new.version} now")
    for name in sorted({*old.environment, *new.environment}):
        a, b = old.environment.get(name), new.environment.get(name)
        if a != b:
            out.append(f"{name}: {a or 'not recorded'} before, {b or 'not recorded'} now")
    before, now = total_points(old), total_points(new)
    if before != now:
        out.append(f"evaluations: {count(before)} before, {count(now)} now")
    return out
