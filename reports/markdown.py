"""`summary.md`: the run for a CI step summary."""

from __future__ import annotations

import re
import shlex

from backprove.harness.core.results import RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import total_points, verdict_counts
from backprove.reports.text import count, decimal, entry_name, expected_words, hexadecimal, plural, seconds, short_count
from backprove.reports.trust import warnings

LIMIT = 900_000
"""Bytes; GitHub drops a step summary above 1 MiB as a whole."""


def to_markdown(run: RunResult, changes: list[str] | None = None) -> str:
    """The run as GitHub Markdown of at most `LIMIT` bytes; the least important lines go first when it is too long.

    Args:
        run: the finished run.
        changes: sentences on what changed since the previous run, if there was one.
    """
    head = [f"# {_text(headline(run))}", "", _text(sentence(run)), "", *_verdict_table(run), ""]
    if run.gate:
        head.append("**The gate passed.**" if run.gate.get("passed") else "**The gate did not pass.**")
        head += ["", *(f"- {_text(str(r))}" for r in run.gate.get("reasons", [])), ""]
    body: list[str] = []
    weak = warnings(run)
    if weak:
        body += [
            "## Before you rely on it",
            "",
            *(f"- **{_text(f.title)}: {_text(f.value)}.** {_text(f.detail)}" for f in weak),
            "",
        ]
    failing = sorted((s for s in run.subjects if s.verdict.fails), key=lambda s: s.verdict.rank)
    if failing:
        body += ["## What is wrong", ""]
        for s in failing:
            body += _failure(s)
    if changes:
        body += ["## Since the previous run", "", *(f"- {_text(c)}" for c in changes), ""]
    undecided = [s.name for s in run.subjects if s.verdict is Verdict.INCONCLUSIVE]
    if undecided:
        body += ["## Inconclusive", "", *(f"- {_text(n)}" for n in undecided), ""]
    findings = [(s.name, f) for s in run.subjects for f in s.findings]
    if findings:
        body += ["## Findings", "", *(f"- {_text(n)}: {_text(f)}" for n, f in findings), ""]
    return _within_limit(head, body)


def headline(run: RunResult) -> str:
    """The answer in one line."""
    n = len(run.subjects)
    noun = run.noun
    failing = [s for s in run.subjects if s.verdict.fails]
    open_ones = [s for s in run.subjects if s.verdict is Verdict.INCONCLUSIVE]
    if n == 0:
        return "Nothing ran"
    if n == 1:
        only = run.subjects[0]
        return f"{only.name} {'holds' if only.verdict is Verdict.HOLDS else f'is {only.verdict}'}"
    if failing:
        return f"{count(len(failing))} of {plural(n, noun)} {'is' if len(failing) == 1 else 'are'} refused"
    if open_ones:
        return f"{count(len(open_ones))} of {plural(n, noun)} {'is' if len(open_ones) == 1 else 'are'} inconclusive"
    if run.partial:
        return f"{plural(n, noun)} hold in a run that was cut short"
    return f"All {plural(n, noun)} hold"


def sentence(run: RunResult) -> str:
    """Coverage and effort in one or two sentences."""
    parts = []
    for name, c in (run.coverage or {}).items():
        parts.append(
            f"{count(c.get('covered', 0))} of {count(c.get('declared', 0))} {name} entries are covered "
            f"and {count(c.get('holds', 0))} hold."
        )
    parts.append(f"{short_count(total_points(run))} evaluations in {seconds(run.seconds)}, seed {run.seed}.")
    return " ".join(parts)


def _verdict_table(run: RunResult) -> list[str]:
    counts = verdict_counts(run)
    return [
        "| " + " | ".join(counts) + " |",
        "| " + " | ".join("---:" for _ in counts) + " |",
        "| " + " | ".join(map(count, counts.values())) + " |",
    ]


def _failure(subject: SubjectResult) -> list[str]:
    out = [f"### {_text(subject.name)} is {subject.verdict}", ""]
    if subject.diagnosis:
        out += [_text(subject.diagnosis), ""]
    first = next((p for p in subject.properties if p.verdict is subject.verdict and p.counterexample), None)
    if first is None or first.counterexample is None:
        reason = next((p.reason for p in subject.properties if p.verdict is subject.verdict), "")
        return [*out, _text(reason), ""] if reason else out
    c = first.counterexample
    if c.message:
        out += [_text(c.message), ""]
    lines = [f"{k} = {hexadecimal(v)}" for k, v in {**c.inputs, **c.tangents, **c.cotangents}.items()]
    lines.append(f"{entry_name(c.argument, c.entry) or 'the result'} in {c.dtype} ({c.property}, {c.region})")
    if c.oracle:  # else there are no two values: the code raised, or answered in another form
        lines += [f"  got      {decimal(c.got)}", f"  expected {expected_words(c.expected)}  from {c.oracle}"]
    lines.append(f"backprove replay {shlex.quote(c.id)}")
    return [*out, *_block(lines, "text"), *(_block(c.test.splitlines(), "python") if c.test else []), ""]


def _block(lines: list[str], language: str) -> list[str]:
    longest = max((len(m) for line in lines for m in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *(re.sub(r"[\r\n]+", " ", line) for line in lines), fence, ""]


def _text(text: str) -> str:
    """Plain text that Markdown and HTML leave alone, on one line."""
    flat = re.sub(r"\s+", " ", text).strip()
    marked = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", flat)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _within_limit(head: list[str], body: list[str]) -> str:
    # A block of code cut in the middle would swallow the note, so lines are cut where no block is open.
    kept, size, safe = list(head), sum(len(x.encode("utf-8", "replace")) + 1 for x in head), len(head)
    fence = ""
    for line in body:
        size += len(line.encode("utf-8", "replace")) + 1
        if size > LIMIT:
            return "\n".join([*kept[:safe], "", "The rest is left out here; the HTML report has it all.", ""])
        kept.append(line)
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = re.match("`+", line)[0]  # type: ignore[index]
        if not fence:
            safe = len(kept)
    return "\n".join(kept).rstrip() + "\n"
