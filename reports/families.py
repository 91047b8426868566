"""The catalogue folded by family of functions: how far each family is covered, and what is left of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backprove.harness.core.results import NotCovered, RunResult
from backprove.reports import graph
from backprove.reports.view import Link, Page, SubjectView, web_address


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue without a property of its own.

    Attributes:
        why_not: why none can cover it; "" where one could.
        covered_by: theorems through which it is reached.
    """

    short: str
    state: str
    why_not: str
    covered_by: list[Link]


@dataclass(frozen=True)
class Family:
    """Theorems and entries about one family of functions.

    Attributes:
        counts: state -> how many, in the order of `graph.STATES`.
        entries: those without a property of their own, by their module.
        pages: module -> where its declarations are documented, for modules of which that is known.
    """

    name: str
    counts: dict[str, int]
    subjects: list[SubjectView]
    entries: dict[str, list[Entry]]
    pages: dict[str, str]

    @property
    def size(self) -> int:
        return sum(self.counts.values())


def families(run: RunResult, subjects: Sequence[SubjectView], page: Page) -> list[Family]:
    """The families of the run's catalogue, the largest first; nothing where no entry names one."""
    theorems: dict[str, list[SubjectView]] = {}
    for s in subjects:
        theorems.setdefault(s.raw.family, []).append(s)
    entries: dict[str, dict[str, list[Entry]]] = {}
    pages: dict[str, str] = {}
    for e in run.not_covered:
        module = str(e.get("module") or "")
        entries.setdefault(str(e.get("family") or ""), {}).setdefault(module, []).append(_entry(e, page))
        if address := web_address(str(e.get("page") or "")):
            pages[module] = address.partition("#")[0]
    out = []
    for name in dict.fromkeys([*theorems, *entries]):
        own, left = theorems.get(name, []), entries.get(name, {})
        found = Counter([s.state for s in own] + [e.state for es in left.values() for e in es])
        counts = {s: found[s] for s in graph.STATES if found[s]}
        known = {m: pages[m] for m in left if m in pages}
        out.append(Family(name.replace("_", " ") or "other", counts, own, left, known))
    return sorted(out, key=lambda f: (-f.size, f.name))


def _entry(e: NotCovered, page: Page) -> Entry:
    return Entry(
        short=page.short(str(e["name"])),
        state=page.states[str(e["name"])],
        why_not=str(e.get("why_not") or ""),
        covered_by=[page.link(str(n)) for n in e.get("covered_by") or []],
    )
