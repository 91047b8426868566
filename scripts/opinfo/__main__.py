"""Judge torch's operators one by one, keep every row as it comes, and write the page from all rows that there are.

    python -m scripts.opinfo [--only GLOB] [--again GLOB] [--points N] [--limit S] [--state FILE] [--page]

Rows are kept in a file with one line of JSON per operator; what stands there is not judged again, unless `--again`
names it. `--page` judges nothing and writes the page, which says how many operators are left.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.asked import asked
from scripts.opinfo.page import page
from scripts.opinfo.samples import name_of, operators, rule
from scripts.opinfo.worker import Row

DOCS = Path(__file__).parents[2] / "docs"
STATE = Path(__file__).parents[2] / ".backprove" / "opinfo.jsonl"


def main() -> None:
    names = sorted(name_of(op) for op in operators())
    found = asked("torch's own operators", names, rule, "sin", STATE, points=50, limit=60.0, show=_line)
    if found is not None:
        (DOCS / "measurements" / "opinfo.json").write_text(json.dumps(found.rows, indent=1) + "\n")
        (DOCS / "opinfo.md").write_text(page(found.rows, found.points, found.limit, found.left))


def _line(row: Row) -> str:
    return f"{row['operator']}: {row['outcome']} {row.get('verdict', '')} ({row['seconds']} s) {row['why']}"


if __name__ == "__main__":
    main()
