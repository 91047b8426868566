"""`badge.svg`: the run in two words and two colours."""

from __future__ import annotations

from html import escape

from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict, worst

COLOURS = {
    Verdict.HOLDS: "#1a7f4b",
    Verdict.INCONCLUSIVE: "#7a6200",
    Verdict.INACCURATE: "#a84f00",
    Verdict.FALSIFIED: "#b3261e",
    Verdict.ERROR: "#7b3294",
}
"""Background of the right half by the worst verdict; white text on each has a contrast of at least 4.5."""


def badge_words(run: RunResult) -> tuple[str, str, Verdict]:
    """Label, message and the verdict that gives the colour."""
    verdict = worst(s.verdict for s in run.subjects)
    if run.coverage and "documented" in run.coverage:
        numbers = run.coverage["documented"]
        message = f"{numbers.get('holds', 0)}/{numbers.get('declared', 0)} hold"
        if verdict is Verdict.HOLDS and (run.partial or numbers.get("holds", 0) < numbers.get("declared", 0)):
            verdict = Verdict.INCONCLUSIVE
    else:
        holding = sum(s.verdict is Verdict.HOLDS for s in run.subjects)
        message = f"{holding}/{len(run.subjects)} hold"
    failing = sum(s.verdict.fails for s in run.subjects)
    if failing:
        message = f"{failing} refused, {message}"
    return f"{run.noun}s", message, verdict


def to_badge(run: RunResult) -> str:
    """The badge as an SVG document."""
    label, message, verdict = badge_words(run)
    left, right = _width(label), _width(message)
    title = escape(f"{label}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#3d444d"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{COLOURS[verdict]}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(message)}</text></g></svg>\n'
    )


def _width(text: str) -> int:
    # Verdana at 11 px: digits and lower-case letters are about 7 px wide, narrow ones about 4.
    return 12 + round(sum(4 if c in "il/,. " else 7 for c in text))
