"""`history.jsonl`: one line a run, for trends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backprove.harness.core.records import to_json
from backprove.harness.core.results import SCHEMA, RunResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import inconclusive_share, total_points, verdict_counts
from backprove.reports.text import plural

HISTORY = "history.jsonl"

CHANGES = 40
"""Verdict changes that a line of the history names; all are counted."""


def history_record(run: RunResult, previous: RunResult | None = None) -> dict[str, Any]:
    """What one line of the history says of a run, with the verdicts that are other than in the run before it."""
    changes = verdict_changes(previous, run) if previous else []
    return {
        "schema": SCHEMA,
        "started": run.started,
        "command": run.command,
        "version": run.version,
        "seed": run.seed,
        "ok": run.ok,
        "exit": int(run.exit),
        "partial": run.partial,
        "subjects": len(run.subjects),
        "verdicts": verdict_counts(run),
        "coverage": run.coverage,
        "points": total_points(run),
        "inconclusive_share": inconclusive_share(run),
        "seconds": run.seconds,
        "changes": changes[:CHANGES],
        "changed": len(changes),
    }


def verdict_changes(old: RunResult, new: RunResult) -> list[list[str]]:
    """(name, verdict before, verdict now) of what both runs judged with another outcome, the worst now first."""
    before = {s.name: s.verdict for s in old.subjects}
    both = [(s.name, before[s.name], s.verdict) for s in new.subjects if before.get(s.name, s.verdict) is not s.verdict]
    return [[name, was.value, now.value] for name, was, now in sorted(both, key=lambda c: c[2].rank)]


def read_history(directory: Path) -> list[dict[str, Any]]:
    """The records of a report directory, oldest first; lines that cannot be read are passed over."""
    try:
        text = (directory / HISTORY).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [r for line in text.splitlines() if (r := _record(line)) is not None]


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("schema") == SCHEMA else None


def with_run(text: str, run: RunResult, previous: RunResult | None = None) -> str:
    """The text of the history with `run`, which came after `previous`, as its last line.

    Lines that stand already are kept as they are. A run that is the last line already (the same report written
    again) is not added a second time.
    """
    line = to_json(history_record(run, previous)) + "\n"
    if text and not text.endswith("\n"):
        text += "\n"
    if text.splitlines()[-1:] == [line.rstrip("\n")]:
        return text
    return text + line


@dataclass(frozen=True)
class PastRun:
    """One run of the past, as the trend shows it.

    Attributes:
        started: when, as recorded.
        holding: of `out_of`, how many hold; entries of the documented catalogue for `verify`, else rules.
        covered: of `out_of`, how many are covered (None where the run has no coverage).
        refused: theorems or rules that fail.
        points: evaluations of claims.
        seconds: that the run took.
        changes: in words, which verdicts are other than in the run before it.
    """

    started: str
    holding: int
    out_of: int
    covered: int | None
    refused: int
    points: int
    seconds: float
    changes: list[str]

    @property
    def holds(self) -> float:
        """Share that holds."""
        return self.holding / self.out_of


def past_runs(history: Sequence[Mapping[str, Any]], command: str, limit: int = 60) -> list[PastRun]:
    """The last records of the same command, oldest first; what cannot be read is passed over."""
    found = [_past_run(r) for r in history if r.get("command") == command]
    return [r for r in found if r is not None][-limit:]


def _past_run(record: Mapping[str, Any]) -> PastRun | None:
    try:
        documented = (record.get("coverage") or {}).get("documented")
        verdicts = record["verdicts"]
        counted = documented if documented and documented["declared"] else None
        return PastRun(
            started=str(record.get("started", "")),
            holding=int(counted["holds"] if counted else verdicts["holds"]),
            out_of=_positive(counted["declared"] if counted else record["subjects"]),
            covered=int(counted["covered"]) if counted else None,
            refused=sum(int(verdicts.get(v.value, 0)) for v in Verdict if v.fails),
            points=int(record["points"]),
            seconds=float(record["seconds"]),
            changes=_changes(record),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _positive(value: Any) -> int:
    if int(value) <= 0:
        raise ValueError("nothing ran")
    return int(value)


def _changes(record: Mapping[str, Any]) -> list[str]:
    named = [f"{name}: {was} before, {now} now" for name, was, now in record.get("changes", [])]
    more = int(record.get("changed", 0)) - len(named)
    return [*named, f"and {plural(more, 'more change')}"] if more > 0 else named
