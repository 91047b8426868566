"""This module tells GitHub Actions about a run: annotations at the rule's file and line, and a step summary.

Only where GITHUB_ACTIONS is `true`. The runner takes every line that begins with `::` for a command, so whatever names
and messages hold stays inside the annotations (escaped), and the text of the run is printed with commands stopped.
"""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from backprove.harness.core.verdicts import Verdict

if TYPE_CHECKING:
    from backprove.harness.core.results import RunResult, SubjectResult

SHOWN = 10
"""Annotations of one level that GitHub shows per step; further ones are dropped without a word."""
SUMMARY_LIMIT = 1_000_000
"""Bytes; a step summary above 1 MiB is dropped as a whole."""

_LINE_BREAKS = dict.fromkeys(map(ord, "\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")


def active(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return environ.get("GITHUB_ACTIONS") == "true"


@contextlib.contextmanager
def commands_stopped(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Print free text: between the two lines the runner obeys no command, only the random token that ends it."""
    if not active(environ):
        yield
        return
    token = uuid.uuid4().hex
    print(f"::stop-commands::{token}")
    try:
        yield
    finally:
        print(f"::{token}::", flush=True)


def announce(run: RunResult, environ: Mapping[str, str] = os.environ) -> None:
    """Print the annotations of a finished run and append its summary to the file GITHUB_STEP_SUMMARY names.

    A summary that cannot be written is a warning on stderr: it must not change what the run says of the rules.
    """
    if not active(environ):
        return
    for line in annotation_lines(run, environ):
        print(line)
    sys.stdout.flush()
    file = environ.get("GITHUB_STEP_SUMMARY")
    if file:
        _append_summary(run, Path(file))


def annotation_lines(run: RunResult, environ: Mapping[str, str] = os.environ) -> list[str]:
    """One line per refused (error), inconclusive (warning) and remarkable rule (notice), worst first."""
    subjects = sorted(run.subjects, key=lambda s: s.verdict.rank)
    by_level: dict[str, list[tuple[SubjectResult, str]]] = {"error": [], "warning": [], "notice": []}
    for s in subjects:
        if s.verdict.fails:
            by_level["error"].append((s, _refusal(s)))
        elif s.verdict is Verdict.INCONCLUSIVE:
            reason = next((p.reason for p in s.properties if p.reason), "")
            by_level["warning"].append((s, f"{s.name} is inconclusive: {reason or 'no layer could tell'}"))
        elif s.findings:
            by_level["notice"].append((s, "\n".join([f"{s.name} holds. Worth knowing:", *s.findings])))
    lines = []
    for level, found in by_level.items():
        shown, hidden = found[:SHOWN], len(found) - SHOWN
        if hidden > 0:
            subject, text = shown.pop()
            more = f"({hidden} more of this kind: GitHub shows {SHOWN}; the log and the step summary have all)"
            shown.append((subject, f"{text}\n{more}"))
        lines += [_annotation(level, subject, text, environ) for subject, text in shown]
    return lines


def _refusal(subject: SubjectResult) -> str:
    """Verdict, likely mistake, and the first counterexample or reason, with the command that replays it."""
    parts = [f"{subject.name} is {subject.verdict}."]
    if subject.diagnosis:
        parts.append(f"Likely mistake: {subject.diagnosis}")
    worst = [p for p in subject.properties if p.verdict is subject.verdict]
    first = next((p for p in worst if p.counterexample is not None), worst[0] if worst else None)
    if first is not None:
        point = first.counterexample
        what = point.message if point is not None and point.message else first.reason
        parts.append(f"{first.name}, {first.dtype}: {what}" if what else f"{first.name}, {first.dtype}")
        if point is not None and point.id:
            parts.append(f"Again: backprove replay {point.id}")
    return "\n".join(parts)


def _annotation(level: str, subject: SubjectResult, text: str, environ: Mapping[str, str]) -> str:
    properties = {"title": f"backprove: {subject.name}"}
    file, line = subject.source.get("file"), subject.source.get("line")
    if file:
        place = {"file": _in_workspace(str(file), environ)}
        properties = {**place, **({"line": str(line)} if line else {}), **properties}
    return f"::{level} {','.join(f'{k}={_property(v)}' for k, v in properties.items())}::{_data(text)}"


def _in_workspace(file: str, environ: Mapping[str, str]) -> str:
    """The path as the repository has it; a file outside the checkout keeps its full path."""
    workspace = environ.get("GITHUB_WORKSPACE")
    path = Path(file).resolve()
    if workspace and path.is_relative_to(Path(workspace).resolve()):
        return path.relative_to(Path(workspace).resolve()).as_posix()
    return file


def _data(text: str) -> str:
    """Text as the value of a command."""
    return text.translate(_LINE_BREAKS).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Text as a property of a command, where colons and commas separate."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _append_summary(run: RunResult, file: Path) -> None:
    from backprove.reports.markdown import to_markdown

    text = to_markdown(run) + "\n"
    try:
        there = file.stat().st_size if file.exists() else 0
        if there + len(text.encode("utf-8", "replace")) > SUMMARY_LIMIT:
            text = "\nThe results of a further run of backprove do not fit into this summary; the log has them.\n"
        with file.open("a", encoding="utf-8", errors="replace") as f:
            f.write(text)
    except OSError as e:
        print(f"backprove: the step summary {file} cannot be written ({e.strerror})", file=sys.stderr)
