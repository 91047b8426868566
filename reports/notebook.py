"""A notebook shows a report as a compact piece of HTML: verdict, likely mistake, properties, and counterexamples.

It has no style sheet and no script of its own: colours are those of the notebook around it, mixed with grey, and one of
middle lightness for each verdict, so that it can be read on light and dark ground.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from backprove.harness.core.evidence_words import accuracy, meaning, rests_on
from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict

COLOURS = {
    Verdict.HOLDS: "#2a9d62",
    Verdict.INCONCLUSIVE: "#b58a1b",
    Verdict.INACCURATE: "#d9772b",
    Verdict.FALSIFIED: "#e0524a",
    Verdict.ERROR: "#a35fc6",
}
"""Of middle lightness: each has a contrast of 3 or more against white and against #111."""

LONGEST = 4000
"""Characters of one text that are shown; the printed report has all."""

_BOX = "border:1px solid rgba(128,128,128,.4);border-radius:8px;padding:8px 12px;max-width:60em;line-height:1.45"
_TABLE = "border-collapse:collapse;margin:6px 0;color:inherit;font:inherit"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;color:inherit;background:none"
_CELL = "text-align:left;vertical-align:top;padding:2px 14px 2px 0;background:none;border:0;color:inherit"


def to_notebook_html(subject: SubjectResult, explanations: Sequence[tuple[str, str]]) -> str:
    """The report of one rule.

    Args:
        explanations: of each property that does not hold a title and a text.
    """
    parts = [
        Markup("<div><b>{}</b> {} <span style='opacity:.75'>{}</span></div>").format(
            subject.name, _badge(subject.verdict), meaning(subject.properties)
        )
    ]
    if subject.property_words:
        parts.append(Markup("<div style='opacity:.85'>{}</div>").format(subject.property_words))
    if subject.diagnosis:
        parts.append(
            Markup("<div style='margin-top:4px'><b>Likely mistake:</b> {}</div>").format(_cut(subject.diagnosis))
        )
    parts.append(_table(subject.properties))
    for title, text in explanations:
        block = Markup("<details open><summary>{}</summary><pre style='{}'>{}</pre></details>")
        parts.append(block.format(title, Markup(_TEXT), _cut(text)))
    parts += [Markup("<div><i>Worth knowing:</i> {}</div>").format(_cut(f)) for f in subject.findings]
    return str(Markup("<div style='{}'>{}</div>").format(Markup(_BOX), Markup("").join(parts)))


def _badge(verdict: Verdict) -> Markup:
    return Markup("<b style='color:{}'>{}</b>").format(COLOURS[verdict], verdict.value)


def _table(properties: Sequence[PropertyResult]) -> Markup:
    head = Markup("").join(
        Markup("<th style='{}'>{}</th>").format(Markup(_CELL), h)
        for h in ("property", "dtype", "verdict", "points", "accuracy", "rests on")
    )
    rows = [
        Markup("<tr style='background:none'>{}</tr>").format(
            Markup("").join(
                Markup("<td style='{}'>{}</td>").format(Markup(_CELL), cell)
                for cell in (p.name, p.dtype, _badge(p.verdict), f"{p.points:,}", accuracy(p), rests_on(p))
            )
        )
        for p in properties
    ]
    body = Markup("").join(rows)
    table = Markup("<table style='{}'><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
    return table.format(Markup(_TABLE), head, body)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
