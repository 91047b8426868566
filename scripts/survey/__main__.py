"""Ask of every public function of JAX whether the exact layer judges it, and write the table of docs/reach.md.

    python -m scripts.survey [--only GLOB] [--again GLOB] [--points N] [--limit S] [--state FILE] [--page]

Rows are kept in a file with one line of JSON per function; what stands there is not judged again, unless `--again`
names it. `--page` judges nothing and writes the table from the rows that there are.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.asked import asked
from scripts.opinfo.worker import Row
from scripts.survey.functions import functions, rule
from scripts.survey.page import section, written

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".backprove" / "survey.jsonl"


def main() -> None:
    first = "jax.numpy.sin"
    found = asked("JAX's functions", list(functions()), rule, first, STATE, points=24, limit=30.0, show=_line)
    if found is not None:
        (ROOT / "docs" / "measurements" / "survey.json").write_text(json.dumps(found.rows, indent=1) + "\n")
        page = ROOT / "docs" / "reach.md"
        page.write_text(written(page.read_text(), section(found.rows, found.points, found.left)))


def _line(row: Row) -> str:
    return f"{row['operator']}: {row['outcome']} ({row['seconds']} s) {row['why']}"


if __name__ == "__main__":
    main()
