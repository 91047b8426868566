"""`index.html`: the whole report as one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from backprove.harness.core.results import CoverageCounts, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports import graph, graph_svg, svg, text
from backprove.reports.families import families
from backprove.reports.history import past_runs
from backprove.reports.markdown import headline, sentence
from backprove.reports.summary import verdict_counts
from backprove.reports.trust import facts
from backprove.reports.view import LAYERS, Page, SubjectView, cell_words

TEMPLATES = Path(__file__).parent / "templates"

GRAPH_LIMIT = 260
"""Theorems that one graph can show and still be read; beyond it each module has a graph of its own."""

LATE = 300
"""Beyond this many theorems the details of those that do not fail become elements only when they are opened."""

MEANINGS = {
    Verdict.ERROR: "raised, wrong shape, changed its inputs, or two answers for one input",
    Verdict.FALSIFIED: "the formula is wrong: over the reals, or by more than the error of differences",
    Verdict.INACCURATE: "wrong in floats where they could be right",
    Verdict.INCONCLUSIVE: "the evidence is not enough",
    Verdict.HOLDS: "no violation in the stated number of points",
}
GLYPHS = {"holds": "\u2713", "falsified": "\u2717", "inaccurate": "\u2248", "inconclusive": "?", "error": "!"}
PILLS = {
    "autodiff": "AD",
    "differences": "FD",
    "compiled": "XLA",
    "own calls": "calls",
    "exact": "balls",
    "rounding": "bound",
    "screen": "screen",
    "wide": "wide",
}
"""Layer -> its short name in the table; the names of `view.LAYERS` all have one."""


SHORT_STATES = {
    "holds-all": "hold",
    "holds": "hold, resting on what does not",
    "reached": "reached",
    "uncovered": "not covered",
} | {v.value: v.value for v in Verdict if v is not Verdict.HOLDS}


@dataclass(frozen=True)
class Module:
    """A module of the catalogue (or the file of a user's rules) with the theorems or rules judged in it."""

    name: str
    short: str
    anchor: str
    subjects: list[SubjectView]
    counts: dict[str, int]
    graph: Markup


def to_html(
    run: RunResult,
    *,
    previous: RunResult | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    changes: Sequence[str] = (),
) -> str:
    """The report as one HTML document.

    Args:
        run: the finished run.
        previous: the run before it; its values are shown pale behind.
        history: records of `history.jsonl`, oldest first, this run's last.
        changes: sentences on what changed since the previous run.
    """
    prefix = text.common_prefix(s.name for s in run.subjects if not s.is_user_code)
    names = [s.name for s in run.subjects]
    page = Page(
        run,
        text.anchors(names),
        graph.states(run),
        prefix,
        previous,
        svg.Axis.of([run, previous] if previous else [run]),
    )
    subjects = [page.subject(s, i) for i, s in enumerate(run.subjects)]
    modules = _modules(run, subjects, page)
    links = graph.edges(run)
    runs = past_runs(history, run.command)
    context = {
        "run": run,
        "headline": headline(run),
        "sentence": sentence(run),
        "verdicts": [(v, n, MEANINGS[Verdict(v)]) for v, n in reversed(verdict_counts(run).items())],
        "coverage": [(k, c, _segments(c)) for k, c in (run.coverage or {}).items() if c["declared"]],
        "facts": [(f, [page.link(n) for n in f.names]) for f in facts(run)],
        "subjects": subjects,
        "wrong": sorted((s for s in subjects if s.fails or s.is_open), key=lambda s: s.verdict.rank),
        "findings": _findings(run, page),
        "changes": list(changes),
        "previous": previous,
        "trend": svg.trend_chart(runs),
        "runs": runs[::-1],
        "modules": modules,
        "module_graph": _module_graph(modules, graph.module_edges(run)),
        "graph": _graph(run.subjects, links, page) if len(subjects) <= GRAPH_LIMIT else Markup(""),
        "families": families(run, subjects, page) if run.not_covered or any(s.raw.family for s in subjects) else [],
        "mutants": any(s.mutants for s in subjects),
        "page": page,
        "late": len(subjects) > LATE,
        "axes": page.axis.symbols(),
        "statements": any(s.raw.latex or s.statement for s in subjects),
        "noun": run.noun,
        "meanings": {v.value: m for v, m in MEANINGS.items()},
        "short_states": SHORT_STATES,
        "states": {k: v for k, v in graph.STATES.items() if any(s == k for s in page.states.values())},
    }
    return environment().get_template("page.html.j2").render(context)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Templates of the pages, with what all of them use; text is escaped, and no script but ours runs."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("base.css", "data.css"))
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env.globals.update(
        css=Markup(css),
        script=Markup(script),
        # Nothing is fetched, and no script but ours runs, whatever a rule may smuggle in.
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
        glyph=lambda verdict: GLYPHS[str(verdict)],
        pills=PILLS,
        layer_words=LAYERS,
        cell_words=cell_words,
        count=text.count,
        ulps=text.ulps,
        breakable=text.breakable,
        percent=text.percent,
        seconds=text.seconds,
        plural=text.plural,
        decimal=text.decimal,
    )
    return env


def _segments(numbers: CoverageCounts) -> list[tuple[str, int, str]]:
    """A coverage bar: (class, entries, words) for what holds, what is covered only, and the rest."""
    declared, covered, holds = numbers["declared"], numbers["covered"], numbers["holds"]
    parts = [
        ("holds-all", holds, "hold"),
        ("inconclusive", covered - holds, "covered, not holding"),
        ("uncovered", declared - covered, "not covered"),
    ]
    return [p for p in parts if p[1] > 0]


def _findings(run: RunResult, page: Page) -> list[tuple[str, list[Any]]]:
    """Findings with the theorems that they concern, the most frequent first."""
    found: dict[str, list[Any]] = {}
    for s in run.subjects:
        for finding in s.findings:
            found.setdefault(finding, []).append(page.link(s.name))
    return sorted(found.items(), key=lambda kv: -len(kv[1]))


def _modules(run: RunResult, subjects: Sequence[SubjectView], page: Page) -> list[Module]:
    """The modules with theorems or rules of the run, in its order."""
    by_module: dict[str, list[SubjectView]] = {}
    for s in subjects:
        by_module.setdefault(s.raw.module, []).append(s)
    names = list(by_module)
    prefix = text.common_prefix(names)
    anchors = text.anchors(names)
    links = graph.edges(run) if len(subjects) > GRAPH_LIMIT else []
    out = []
    for name in names:
        inside = by_module[name]
        counts = Counter(s.state for s in inside)
        own = {s.raw.name for s in inside}
        near = [(a, b) for a, b in links if a in own and b in own]
        out.append(
            Module(
                name=name,
                short=name.removeprefix(prefix) or "no module",
                anchor="m-" + anchors[name].removeprefix("t-"),
                subjects=inside,
                counts={s: counts[s] for s in graph.STATES if counts[s]},
                graph=_graph([s.raw for s in inside], near, page) if near else Markup(""),
            )
        )
    return out


def _graph(subjects: Sequence[SubjectResult], links: Sequence[tuple[str, str]], page: Page) -> Markup:
    nodes = [
        graph_svg.Node(
            s.name,
            page.short(s.name),
            page.anchors[s.name],
            page.states[s.name],
            f"{s.name}: {graph.STATES[page.states[s.name]]}",
        )
        for s in subjects
    ]
    return graph_svg.draw(nodes, links, "dependency graph of theorems, what is used on the left of what uses it")


def _module_graph(modules: Sequence[Module], links: Sequence[tuple[str, str]]) -> Markup:
    nodes = [
        graph_svg.Node(
            m.name,
            m.short,
            m.anchor,
            graph_svg.overall(m.counts),
            f"{m.name}: {graph_svg.tally_words(m.counts)}",
            m.counts,
        )
        for m in modules
    ]
    return graph_svg.draw(nodes, links, "dependency graph of modules, what is used on the left of what uses it")
