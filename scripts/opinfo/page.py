"""The page `docs/opinfo.md` is written here, from the rows of all operators and what was found out about refusals."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from scripts.opinfo.adjudicated import ADJUDICATED
from scripts.opinfo.worker import CALLED, ENDED, EXACTLY, LATE, NO_SAMPLE, NOT_STATED, Row

REFUSED = ("falsified", "error", "inaccurate")
CELL = 220
"""Letters of a remark that a table shows."""


def page(rows: Sequence[Row], points: int, limit: float, left: int = 0) -> str:
    """The page, as Markdown; `left` operators were not judged yet."""
    outcomes = Counter(r["outcome"] for r in rows)
    exact = [r for r in rows if r["outcome"] == EXACTLY]
    refused = [r for r in rows if r.get("verdict") in REFUSED]
    verdicts = Counter(r["verdict"] for r in exact)
    others = [r for r in rows if r["outcome"] not in (EXACTLY, NO_SAMPLE) and r not in refused]
    lines = [
        "# torch's own operators",
        "",
        "The first sample of two entries or more of every operator with a derivative in torch's own list (`op_db`)",
        "(a corner of it for functions of one variable) is made a rule by `bp.from_call`: tensors that require grad",
        "are the inputs, all else is fixed, and torch's own derivative is what is judged, in float64, at",
        f"{points} points or more each and within {limit:.0f} CPU-seconds.",
        "`make opinfo` writes this page; the rows stand in [measurements/opinfo.json](measurements/opinfo.json).",
        "",
        "| outcome | operators |",
        "| --- | --- |",
        *(f"| judged exactly, {verdict} | {n} |" for verdict, n in verdicts.most_common()),
        f"| called as a black box | {outcomes[CALLED]} |",
        f"| took too long | {outcomes[LATE]} |",
        f"| could not be stated | {outcomes[NOT_STATED] + outcomes[ENDED]} |",
        f"| no sample with a tensor that requires grad | {outcomes[NO_SAMPLE]} |",
        *([f"| not judged yet | {left} |"] if left else []),
        f"| **all** | **{len(rows) + left}** |",
        "",
        f"Judged exactly: **{len(exact)} of {len(rows)}**{' that were judged' * bool(left)}, in a median of",
        f"{_median(exact):.1f} CPU-seconds.",
        "",
        "## Refused",
        "",
        "What looking at them by hand has shown; **open** where nobody has looked yet.",
        "",
        *_table(("operator", "verdict", "what is said", "found out"), [_refusal(r) for r in refused]),
        "",
        "## Judged exactly, inconclusive",
        "",
        *_table(("operator", "why"), [(_name(r), _cell(r["why"])) for r in exact if r["verdict"] == "inconclusive"]),
        "",
        "## Not judged exactly",
        "",
        *_table(("operator", "outcome", "why"), [(_name(r), r["outcome"], _cell(r["why"])) for r in others]),
    ]
    return "\n".join([*lines, ""])


def _name(row: Row) -> str:
    return f"`{row['operator']}`"


def _cell(text: str) -> str:
    """A remark without what stands in its middle, where it is long: the point before what is said of it."""
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= CELL else f"{text[: CELL // 3]} ... {text[-2 * CELL // 3 :]}"


def _refusal(row: Row) -> tuple[str, ...]:
    return _name(row), row["verdict"], _cell(row["why"]), ADJUDICATED.get(row["operator"], "**open**")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _median(rows: Sequence[Row]) -> float:
    return float(statistics.median([r["seconds"] for r in rows] or [0.0]))
