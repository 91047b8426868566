"""Ask of every public function of JAX whether the exact layer judges it, and write the table of docs/reach.md.

    python -m scripts.survey [--only GLOB] [--again GLOB] [--points N] [--limit S] [--state FILE] [--page]

Rows are kept in a file with one line of JSON per function; what stands there is not judged again, unless `--again`
names it. `--page` judges nothing and writes the table from the rows that there are.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections import Counter
from pathlib import Path

from scripts.opinfo.__main__ import kept
from scripts.opinfo.worker import Worker
from scripts.survey.functions import functions, rule
from scripts.survey.page import section, written

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".backprove" / "survey.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description="the public functions of JAX that the exact layer judges")
    parser.add_argument("--only", default="*", help="functions by name (a glob)")
    parser.add_argument(
        "--again", default="", help="functions that are judged although there are rows of them (a glob)"
    )
    parser.add_argument("--points", type=int, default=24, help="points for each function")
    parser.add_argument("--limit", type=float, default=30.0, help="CPU-seconds for one function")
    parser.add_argument("--state", type=Path, default=STATE, help="where rows are kept as they come")
    parser.add_argument("--page", action="store_true", help="write the table from the rows that there are")
    options = parser.parse_args()
    rows, names = kept(options.state), list(functions())
    if not options.page:
        wanted = [n for n in names if fnmatch.fnmatchcase(n, options.only)]
        left = [n for n in wanted if n not in rows or fnmatch.fnmatchcase(n, options.again)]
        options.state.parent.mkdir(parents=True, exist_ok=True)
        with Worker(rule, first="jax.numpy.sin") as worker, options.state.open("a") as state:
            for k, name in enumerate(left, 1):
                row = rows[name] = worker.judge(name, options.points, options.limit)
                print(json.dumps(row), file=state, flush=True)
                print(f"{k}/{len(left)} {name}: {row['outcome']} ({row['seconds']} s) {row['why']}"[:160], flush=True)
    found = [rows[n] for n in names if n in rows]
    print(Counter(r["outcome"] for r in found), Counter(r.get("verdict") for r in found))
    left = len(names) - len(found)
    if left and not options.page:
        print(f"{left} functions are left; the table is written when none is, or by --page")
        return
    (ROOT / "docs" / "measurements" / "survey.json").write_text(json.dumps(found, indent=1) + "\n")
    page = ROOT / "docs" / "reach.md"
    page.write_text(written(page.read_text(), section(found, options.points, left)))


if __name__ == "__main__":
    main()
