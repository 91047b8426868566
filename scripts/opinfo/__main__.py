"""Judge torch's operators one by one, keep every row as it comes, and write the page from all rows that there are.

    python -m scripts.opinfo [--only GLOB] [--again GLOB] [--points N] [--limit S] [--state FILE] [--page]

Rows are kept in a file with one line of JSON per operator; what stands there is not judged again, unless `--again`
names it. `--page` judges nothing and writes the page, which says how many operators are left.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections import Counter
from pathlib import Path

from scripts.opinfo.page import page
from scripts.opinfo.samples import name_of, operators, rule
from scripts.opinfo.worker import Row, Worker

DOCS = Path(__file__).parents[2] / "docs"
STATE = Path(__file__).parents[2] / ".backprove" / "opinfo.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description="torch's own operators under test")
    parser.add_argument("--only", default="*", help="operators by name (a glob)")
    parser.add_argument(
        "--again", default="", help="operators that are judged although there are rows of them (a glob)"
    )
    parser.add_argument("--points", type=int, default=50, help="points for each operator")
    parser.add_argument("--limit", type=float, default=60.0, help="CPU-seconds for one operator")
    parser.add_argument("--state", type=Path, default=STATE, help="where rows are kept as they come")
    parser.add_argument(
        "--page", action="store_true", help="write the page from the rows that there are, judge nothing"
    )
    options = parser.parse_args()
    rows = kept(options.state)
    names = [name_of(op) for op in operators()]
    if not options.page:
        wanted = [n for n in names if fnmatch.fnmatchcase(n, options.only)]
        left = [n for n in wanted if n not in rows or fnmatch.fnmatchcase(n, options.again)]
        options.state.parent.mkdir(parents=True, exist_ok=True)
        with Worker(rule, first="sin") as worker, options.state.open("a") as state:
            for k, name in enumerate(left, 1):
                row = rows[name] = worker.judge(name, options.points, options.limit)
                print(json.dumps(row), file=state, flush=True)
                print(f"{k}/{len(left)} {_line(row)}", flush=True)
    found = [rows[n] for n in sorted(names) if n in rows]
    print(Counter(r["outcome"] for r in found), Counter(r.get("verdict") for r in found))
    left = len(names) - len(found)
    if left and not options.page:
        print(f"{left} operators are left; the page is written when none is, or by --page")
        return
    (DOCS / "measurements" / "opinfo.json").write_text(json.dumps(found, indent=1) + "\n")
    (DOCS / "opinfo.md").write_text(page(found, options.points, options.limit, left))


def kept(state: Path) -> dict[str, Row]:
    """The rows of earlier runs, the last of each operator; a line that was cut off is left out."""
    rows: dict[str, Row] = {}
    for line in state.read_text().splitlines() if state.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["operator"]] = row
    return rows


def _line(row: Row) -> str:
    return f"{row['operator']}: {row['outcome']} {row.get('verdict', '')} ({row['seconds']} s) {row['why']}"[:160]


if __name__ == "__main__":
    main()
