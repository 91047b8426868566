"""`coverage.html`: the hand-written rules of a package beside their source, and which rules of the run cover each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from backprove.harness.core.handwritten import Handwritten, Survey
from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict, worst
from backprove.reports import text
from backprove.reports.highlight import numbered
from backprove.reports.html import environment

PAGE = "coverage.html"

OPEN = 40
"""Hand-written rules up to which the source of all is shown at once; of more, that of uncovered and failing ones."""


@dataclass(frozen=True)
class Covering:
    """A rule that covers: its name, its place on the page of the run, its verdict and how it covers."""

    name: str
    anchor: str
    verdict: Verdict | None
    how: str


@dataclass(frozen=True)
class Entry:
    """A hand-written rule as the page shows it.

    Attributes:
        state: its verdict, "covered" where none has been said, or "uncovered".
        sources: of each span the line, its role in words and its text.
    """

    name: str
    anchor: str
    kind: str
    line: int
    state: str
    covering: list[Covering]
    sources: list[tuple[int, str, Markup]]
    open: bool


def to_coverage_html(run: RunResult, survey: Survey) -> str:
    """The page as one HTML document.

    Args:
        survey: that of the run.
    """
    names = [s.name for s in run.subjects]
    anchors = text.anchors(names)
    verdicts = {n: worst(s.verdict for s in run.subjects if s.name == n) for n in names}
    files: dict[str, list[Entry]] = {}
    for number, rule in enumerate(survey.rules):
        entry = _entry(rule, f"r-{number + 1}", survey, verdicts, anchors)
        files.setdefault(survey.shown(rule.file), []).append(entry)
    entries = [e for inside in files.values() for e in inside]
    context = {
        "run": run,
        "survey": survey,
        "files": files,
        "counts": Counter(e.state for e in entries),
        "covered": len(survey.covered),
        "share": text.percent(len(survey.covered) / max(len(survey.rules), 1)),
        "uncovered": [e for e in entries if e.state == "uncovered"],
        "unread": [(survey.shown(u.file), u.why) for u in survey.unread],
    }
    return environment().get_template("coverage.html.j2").render(context)


def _entry(
    rule: Handwritten, anchor: str, survey: Survey, verdicts: dict[str, Verdict], anchors: dict[str, str]
) -> Entry:
    covering = [Covering(c.rule, anchors.get(c.rule, ""), verdicts.get(c.rule), c.how) for c in rule.covered_by]
    of_map = "the class" if rule.kind == "torch.autograd.Function" else "the map"
    said = [c.verdict for c in covering if c.verdict is not None]
    state = worst(said).value if said else "covered" if covering else "uncovered"
    return Entry(
        rule.name.removeprefix(f"{survey.package}."),
        anchor,
        rule.kind,
        rule.line,
        state,
        covering,
        [(s.first, of_map if s.role == "map" else "its derivative", numbered(s.text, s.first)) for s in rule.spans],
        len(survey.rules) <= OPEN or state not in ("holds", "covered"),
    )
