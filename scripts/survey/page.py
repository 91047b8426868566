"""The table of docs/reach.md is written here, from one row per function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from scripts.opinfo.worker import EXACTLY, NO_SAMPLE, Row

BEGIN, END = SURVEY = "<!-- survey -->", "<!-- end of survey -->"
COSTS = "<!-- costs -->", "<!-- end of costs -->"
"""Marks around what is written."""
CELL = 150
"""Letters of a reason that a table shows."""


def asked(rows: Iterable[Row]) -> list[Row]:
    """The rows of functions that have a derivative to ask about."""
    return [r for r in rows if r["outcome"] != NO_SAMPLE]


def section(rows: Sequence[Row], points: int, left: int = 0) -> str:
    """The survey as Markdown: what was asked, the share of each module, what is not reached and why.

    Args:
        left: functions that nobody has asked about yet.
    """
    wanted = asked(rows)
    exact = [r for r in wanted if r["outcome"] == EXACTLY]
    left_out = Counter(_kind_of_reason(r["why"]) for r in rows if r["outcome"] == NO_SAMPLE)
    others = [r for r in wanted if r["outcome"] != EXACTLY]
    lines = [
        f"The exact layer judges **{len(exact)} of {len(wanted)}** public functions of JAX, in a median of",
        f"{_median([r['seconds'] for r in exact]):.1f} CPU-seconds at {points} points or more; `make survey` asks,",
        "and [measurements/survey.json](measurements/survey.json) has a row for each. Asked are all callables of the",
        "modules below that no other name stands for, that take at most three arguments (others where an example is",
        "written down) and return floats or complex numbers, with JAX's own derivative as the rule. Left out:",
        "; ".join(f"{n} ({why})" for why, n in left_out.most_common()) + ".",
        *([f"Not asked yet: {left} names."] if left else []),
        "",
        "| module | asked | judged exactly |",
        "| --- | --- | --- |",
        *_modules(wanted),
        "",
        "What the exact layer does not judge:",
        "",
        "| function | what is lacking |",
        "| --- | --- |",
        *(f"| `{r['operator']}` | {_cell(r)} |" for r in others),
        "",
        "JAX's derivative was refused at a point of these; what was found of each stands below:",
        "",
        *(f"- {v}: {', '.join(_refused(exact, v))}" for v in ("falsified", "inaccurate") if _refused(exact, v)),
    ]
    return "\n".join(lines)


def written(page: str, text: str, marks: tuple[str, str] = SURVEY) -> str:
    """The page with a new section between marks.

    Raises:
        ValueError: for a page without them.
    """
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the page has no marks {marks[0]} and {marks[1]}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _modules(rows: Sequence[Row]) -> list[str]:
    asked_of, exact = Counter(map(_module, rows)), Counter(_module(r) for r in rows if r["outcome"] == EXACTLY)
    return [f"| `{m}` | {n} | {exact[m]} |" for m, n in asked_of.items()]


def _refused(rows: Sequence[Row], verdict: str) -> list[str]:
    return [f"`{r['operator']}`" for r in rows if r.get("verdict") == verdict]


def _module(row: Row) -> str:
    name = str(row["operator"]).rpartition(".")[0]
    return "jax.scipy.stats" if name.startswith("jax.scipy.stats.") else name


def _kind_of_reason(why: str) -> str:
    if why.startswith("JAX has no derivative"):
        return "JAX has no derivative"
    return "more than three arguments" if why.endswith(" arguments") else why


def _cell(row: Row) -> str:
    why = row["why"] or row["outcome"]
    return str(why).replace("|", "\\|").replace("\n", " ")[:CELL]


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2] if ordered else 0.0
