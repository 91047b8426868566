"""What the page shows of one theorem or rule, ready for the template."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from backprove.harness.core.evidence_words import accuracy, rests_on
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import (
    Counterexample,
    LayerTally,
    Mutation,
    PropertyResult,
    RunResult,
    Source,
    Spot,
    SubjectResult,
)
from backprove.harness.core.verdicts import Verdict
from backprove.reports import svg
from backprove.reports.evidence import evidence_line
from backprove.reports.highlight import highlight, numbered
from backprove.reports.mathml import formula
from backprove.reports.text import (
    decimal,
    entry_name,
    expected_words,
    hexadecimal,
    plain_vector,
    plural,
    relative,
    ulps,
    vector,
)

LAYERS = {
    "autodiff": "JAX forward and reverse mode",
    "differences": "finite differences with an error estimate",
    "compiled": "the jitted XLA program",
    "own calls": "the code called as it is, plainly and jitted, beside what the layers evaluated",
    "exact": "ball arithmetic over the reals",
    "rounding": "running bound of the rounding error",
    "screen": "what must be equal, compared in plain floats; what it does not let pass meets the other layers",
    "wide": "both sides in a wider format",
}
"""What each layer is; layers that are not listed are shown by their name alone."""

_GRADES = ("stable", "lossy", "lost")


@dataclass(frozen=True)
class Link:
    """A name with the place in the page that tells of it (None where there is none) and its state."""

    name: str
    anchor: str | None
    state: str


@dataclass(frozen=True)
class CounterexampleView:
    """A counterexample in words: values in decimal and hexadecimal, inputs by role, test and drawings."""

    raw: Counterexample
    verdict: Verdict
    where: str
    got: tuple[str, str]
    expected: tuple[str, str]
    inputs: list[tuple[str, str, str, str]]
    replay: str
    test: Markup
    maps: list[tuple[str, Markup]]


@dataclass(frozen=True)
class SubjectView:
    """One theorem or rule: its row in the table and its section."""

    raw: SubjectResult
    anchor: str
    number: int
    prefix: str
    short: str
    state: str
    verdict: Verdict
    grade: str | None
    grade_words: str
    inline: Markup
    display: Markup
    layers: list[tuple[str, str, LayerTally]]
    points: int
    factor: float | None
    was_factor: str
    was_verdict: str
    spark: Markup
    chart: Markup
    dtypes: list[str]
    table: list[tuple[str, list[PropertyResult | None]]]
    counterexamples: list[CounterexampleView]
    reasons: list[str]
    said: str
    evidence: str
    evidence_by_property: list[str]
    shapes: list[tuple[str, int, int]]
    regions: list[tuple[str, int, int]]
    by_dtype: list[tuple[str, int, int]]
    happened: list[tuple[str, int]]
    notes: list[str]
    mutants: tuple[int, int] | None
    source: str
    page: str
    code: Markup
    spots: list[Mapping[str, Any]]
    rests_on: list[Link] = field(default_factory=list)
    used_by: list[Link] = field(default_factory=list)
    covers: list[Link] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return self.verdict.fails

    @property
    def statement(self) -> str:
        """What is stated, in a sentence: the catalogue's words, else those of whoever stated it."""
        return self.raw.statement or self.raw.property_words

    @property
    def is_open(self) -> bool:
        """Whether it neither fails nor holds."""
        return self.verdict is Verdict.INCONCLUSIVE


class Page:
    """Everything of a run that several subjects need: anchors, states, the previous run."""

    def __init__(
        self,
        run: RunResult,
        anchors: Mapping[str, str],
        states: Mapping[str, str],
        prefix: str,
        previous: RunResult | None,
        axis: svg.Axis,
    ) -> None:
        self.axis = axis
        self.anchors = anchors
        self.states = states
        self.prefix = prefix
        self.previous = {s.name: s for s in previous.subjects} if previous else {}
        self.users: dict[str, list[str]] = {}
        for s in run.subjects:
            for r in dict.fromkeys(s.rests_on):
                self.users.setdefault(r, []).append(s.name)

    def short(self, name: str) -> str:
        """A name without the prefix that all theorems share."""
        return name.removeprefix(self.prefix) or "(no name)"

    def link(self, name: str) -> Link:
        return Link(self.short(name), self.anchors.get(name), self.states.get(name, "uncovered"))

    def subject(self, s: SubjectResult, number: int) -> SubjectView:
        """The view of one subject; `number` is its place in the run."""
        old = self.previous.get(s.name)
        total = svg.add([p.histogram for p in s.properties])
        ghost = svg.add([p.histogram for p in old.properties]) if old else None
        dtypes = list(dict.fromkeys(p.dtype for p in s.properties))
        series = {d: svg.add([p.histogram for p in s.properties if p.dtype == d]) for d in dtypes}
        least = {d: min(p.points for p in s.properties if p.dtype == d) for d in dtypes}
        # A grade says how accurate a right formula is; a wrong one has none.
        grade, words = _grade(s.properties) if s.verdict.rank >= Verdict.INACCURATE.rank else (None, "")
        short = self.short(s.name)
        return SubjectView(
            raw=s,
            anchor=self.anchors[s.name],
            number=number,
            prefix=self.prefix if short != s.name else "",
            short=short,
            state=self.states[s.name],
            verdict=s.verdict,
            grade=grade,
            grade_words=words,
            inline=formula(s.latex),
            display=formula(s.latex, display=True),
            layers=_layers(s.properties),
            points=s.points,
            factor=s.worst_factor,
            was_factor=ulps(old.worst_factor) if old and ulps(old.worst_factor) != ulps(s.worst_factor) else "",
            was_verdict=old.verdict.value if old and old.verdict is not s.verdict else "",
            spark=self.axis.sparkline(total, ghost),
            chart=self.axis.histogram(series, ghost),
            dtypes=dtypes,
            table=_by_property(s.properties, dtypes),
            counterexamples=_counterexamples(s),
            reasons=_distinct(p.reason for p in s.properties if p.verdict is not Verdict.HOLDS and p.reason),
            said=_said(s),
            evidence=evidence_line(s),
            evidence_by_property=_evidence(s.properties),
            shapes=_bars(_sum(s, "shapes")),
            regions=_bars(_sum(s, "regions")),
            by_dtype=_scaled(list(least.items())),
            happened=[(k.replace("_", " "), n) for k, n in _sum(s, "counts").items()],
            notes=_distinct(n for p in s.properties for n in p.notes),
            mutants=_mutants(s.mutation),
            source=_source(s.source),
            page=web_address(s.source.get("page", "")),
            code=numbered(s.code, _line(s.source), colour=s.is_user_code) if s.code else Markup(""),
            spots=_spots(s.source.get("spots", [])),
            rests_on=[self.link(n) for n in dict.fromkeys(s.rests_on)],
            used_by=[self.link(n) for n in self.users.get(s.name, [])],
            covers=[self.link(n) for n in s.covers],
        )


def _evidence(results: list[PropertyResult]) -> list[str]:
    """What the verdicts rest on, one line each; properties and formats with the same line stand together."""
    lines: dict[str, list[str]] = {}
    for p in results:
        words = rests_on(p)
        if words:
            lines.setdefault(words, []).append(f"{p.name} in {p.dtype}")
    return [f"{', '.join(names)}: {words}" for words, names in lines.items()]


def _said(s: SubjectResult) -> str:
    """What is wrong, in a sentence: what was seen where the code did not run as it should, else the likely mistake."""
    seen = [p.counterexample.message for p in s.properties if p.verdict is s.verdict and p.counterexample]
    reasons = [p.reason for p in s.properties if p.verdict is s.verdict and p.reason]
    mistake = [s.diagnosis] if s.diagnosis else []
    first = [*seen, *reasons, *mistake] if s.verdict is Verdict.ERROR else [*mistake, *seen, *reasons]
    return next((t for t in first if t), "See its details.")


def _distinct(items: Any) -> list[str]:
    return list(dict.fromkeys(items))


def _grade(results: list[PropertyResult]) -> tuple[str | None, str]:
    graded = [p for p in results if p.grade in _GRADES]
    if not graded:
        return None, ""
    worst = max(graded, key=lambda p: (_GRADES.index(p.grade or ""), p.grade_factor or 0.0))
    parts = [f"{worst.name} in {worst.dtype}"]
    if worst.grade_factor is not None:
        parts.append(f"{ulps(worst.grade_factor)} times what conditioning forces")
    if worst.grade_region:
        parts.append(worst.grade_region)
    return worst.grade, ", ".join(parts)


def _layers(results: list[PropertyResult]) -> list[tuple[str, str, LayerTally]]:
    total: dict[str, LayerTally] = {}
    for p in results:
        for name, tally in p.layers.items():
            total.setdefault(name, LayerTally()).merge(tally)
    known = [n for n in LAYERS if n in total] + [n for n in total if n not in LAYERS]
    return [(n, LAYERS.get(n, ""), total[n]) for n in known]


def _by_property(results: list[PropertyResult], dtypes: list[str]) -> list[tuple[str, list[PropertyResult | None]]]:
    cells = {(p.name, p.dtype): p for p in results}
    return [(name, [cells.get((name, d)) for d in dtypes]) for name in dict.fromkeys(p.name for p in results)]


def _sum(subject: SubjectResult, attribute: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for p in subject.properties:
        total.update(getattr(p, attribute))
    return total


def _bars(total: Counter[str], limit: int = 10) -> list[tuple[str, int, int]]:
    """The largest counts with their width in percent, in order of size; what is beyond `limit` together."""
    ranked = sorted(total.items(), key=lambda kv: (-kv[1], kv[0]))
    shown = ranked[:limit]
    if len(ranked) > limit:
        shown.append((f"{len(ranked) - limit} more", sum(n for _, n in ranked[limit:])))
    return _scaled(shown)


def _scaled(items: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    top = max((n for _, n in items), default=0) or 1
    return [(k, n, max(1, round(100 * n / top))) for k, n in items]


def _mutants(mutation: Mutation | None) -> tuple[int, int] | None:
    """(killed, those that could be killed) of the last mutation run."""
    if not mutation:
        return None
    return mutation["killed"], mutation["mutants"] - mutation["equivalent"]


def _line(source: Source) -> int:
    return source.get("line") or 1


def web_address(page: str) -> str:
    """An address that a page may link to; "" for anything that is none, such as a script."""
    return page if page.startswith(("https://", "http://")) else ""


def _source(source: Source) -> str:
    file = source.get("file", "")
    return f"{relative(file)}:{_line(source)}" if file else ""


def _spots(spots: Sequence[Spot]) -> list[Mapping[str, Any]]:
    """Spot values as rows: where in words, got and expected with four decimals, whether they differ."""
    out: list[Mapping[str, Any]] = []
    for spot in map(to_plain, spots):
        along = {k: spot[k] for k in ("tangent", "cotangent") if k in spot}
        where = ", ".join(f"{k} = {plain_vector(v)}" for k, v in {**spot["inputs"], **along}.items())
        got, expected = vector(spot["got"]), vector(spot["expected"])
        out.append({"where": where, "got": got, "expected": expected, "differs": got != expected})
    return out


def _counterexamples(subject: SubjectResult) -> list[CounterexampleView]:
    """All counterexamples, the worst verdict first."""
    ranked = sorted((p for p in subject.properties if p.counterexample), key=lambda p: p.verdict.rank)
    return [_counterexample(p.counterexample, p.verdict) for p in ranked if p.counterexample]


def _counterexample(c: Counterexample, verdict: Verdict) -> CounterexampleView:
    roles = (("input", c.inputs), ("tangent", c.tangents), ("cotangent", c.cotangents))
    got, expected = to_plain(c.got), to_plain(c.expected)
    return CounterexampleView(
        raw=c,
        verdict=verdict,
        where=entry_name(c.argument, c.entry),
        got=(decimal(got), hexadecimal(got)),
        expected=(expected_words(expected), expected_words(expected, hexadecimal)),
        inputs=[
            (
                role,
                name,
                decimal(to_plain(v)),
                decimal(c.inputs_hex[name]) if name in c.inputs_hex else hexadecimal(to_plain(v)),
            )
            for role, values in roles
            for name, v in values.items()
        ],
        replay=shlex.quote(c.id),
        test=highlight(c.test.rstrip("\n")),
        maps=svg.heat_maps(to_plain(c.jacobians)),
    )


def cell_words(p: PropertyResult) -> str:
    """A cell of the table property by number format: points, and the grade of what holds."""
    words = accuracy(p)
    return f"{plural(p.points, 'point')}{', ' if words else ''}{words}"
