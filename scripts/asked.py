"""Rows are asked for one by one and kept as they come, in a file with one line of JSON each.

    found = asked("functions", names, rule, "sin", STATE, points=50, limit=60.0)    # None until none is left, or --page

What stands in the file is not judged again, unless `--again` names it.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.opinfo.worker import Row, Worker


@dataclass(frozen=True)
class Found:
    """The rows that there are, in the order of the names; how they were asked for, and how many are left."""

    rows: list[Row]
    points: int
    limit: float
    left: int


def asked(
    what: str,
    names: Sequence[str],
    rule: Callable[[str], Any],
    first: str,
    state: Path,
    *,
    points: int,
    limit: float,
    show: Callable[[Row], str],
) -> Found | None:
    """Judge what the command line names, and give all rows for the page; None where some are left and it is not asked.

    Args:
        what: the names in a word, for messages.
        rule, first: see `Worker`.
        state: where rows are kept.
        points, limit: defaults of the options.
        show: a line of progress for a row.
    """
    parser = argparse.ArgumentParser(description=f"{what} under test")
    parser.add_argument("--only", default="*", help=f"{what} by name (a glob)")
    parser.add_argument("--again", default="", help=f"{what} that are judged although there are rows of them (a glob)")
    parser.add_argument("--points", type=int, default=points, help="points for each of them")
    parser.add_argument("--limit", type=float, default=limit, help="CPU-seconds for each of them")
    parser.add_argument("--state", type=Path, default=state, help="where rows are kept as they come")
    parser.add_argument(
        "--page", action="store_true", help="write the page from the rows that there are, judge nothing"
    )
    options = parser.parse_args()
    rows = kept(options.state)
    if not options.page:
        wanted = [n for n in names if fnmatch.fnmatchcase(n, options.only)]
        todo = [n for n in wanted if n not in rows or fnmatch.fnmatchcase(n, options.again)]
        options.state.parent.mkdir(parents=True, exist_ok=True)
        with Worker(rule, first=first) as worker, options.state.open("a") as lines:
            for k, name in enumerate(todo, 1):
                row = rows[name] = worker.judge(name, options.points, options.limit)
                print(json.dumps(row), file=lines, flush=True)
                print(f"{k}/{len(todo)} {show(row)}"[:160], flush=True)
    found = [rows[n] for n in names if n in rows]
    print(Counter(r["outcome"] for r in found), Counter(r.get("verdict") for r in found))
    left = len(names) - len(found)
    if left and not options.page:
        print(f"{left} {what} are left; the page is written when none is, or by --page")
        return None
    return Found(found, options.points, options.limit, left)


def kept(state: Path) -> dict[str, Row]:
    """The rows of earlier runs, the last of each name; a line that was cut off is left out."""
    rows: dict[str, Row] = {}
    for line in state.read_text().splitlines() if state.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["operator"]] = row
    return rows
