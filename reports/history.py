"""`history.jsonl`: one line a run, for trends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backprove.harness.core.records import to_json
from backprove.harness.core.results import SCHEMA, RunResult
from backprove.reports.summary import inconclusive_share, total_points, verdict_counts

HISTORY = "history.jsonl"


def history_record(run: RunResult) -> dict[str, Any]:
    """What one line of the history says of a run."""
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
    }


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


def with_run(text: str, run: RunResult) -> str:
    """The text of the history with `run` as its last line.

    Lines that stand already are kept as they are. A run that is the last line already (the same report written
    again) is not added a second time.
    """
    line = to_json(history_record(run)) + "\n"
    if text and not text.endswith("\n"):
        text += "\n"
    if text.splitlines()[-1:] == [line.rstrip("\n")]:
        return text
    return text + line


def trend(history: Sequence[Mapping[str, Any]], command: str, limit: int = 60) -> list[dict[str, Any]]:
    """The last records of the same command as points of a trend: label, share that holds and share covered.

    Shares are of the declared documented entries for `verify`, of the rules for `check`; None where unknown.
    """
    points = []
    for record in [r for r in history if r.get("command") == command][-limit:]:
        try:
            documented = (record.get("coverage") or {}).get("documented")
            if documented and documented["declared"]:
                holds, covered = (documented[k] / documented["declared"] for k in ("holds", "covered"))
            else:
                holds, covered = record["verdicts"]["holds"] / record["subjects"], None
            points.append({"label": str(record.get("started", "")), "holds": float(holds), "covered": covered})
        except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
            continue
    return points
