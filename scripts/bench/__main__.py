"""Measure backprove and other checkers, whole runs and scaling; write figures and tables.

Usage: python -m scripts.bench [--quick] [--part checkers runs scaling suite] [--only GLOB] [--tables-only]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.bench import runs

# Before NumPy and JAX start their pools: every checker computes in one thread.
os.environ.update(dict.fromkeys(runs.THREADS, "1"))

from scripts.bench import scaling, speed, suite
from scripts.bench.facts import facts, warning
from scripts.bench.rules import RULES
from scripts.bench.speed import Effort
from scripts.bench.tables import PARTS, write_tables

FULL, QUICK = Effort(5, 0.3), Effort(3, 0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), help="all if left out")
    parser.add_argument("--only", default="*", help="glob over the rules, such as 'log-softmax*'")
    parser.add_argument("--quick", action="store_true", help="about a minute: short rounds, few points, one theorem")
    parser.add_argument("--points", type=float, default=1e4, help="of a catalogue run, per claim and dtype")
    parser.add_argument("--many", type=float, default=1e6, help="points of the long run, 0 to leave it out")
    parser.add_argument("--limit", type=float, default=90, help="seconds after which a whole run is ended")
    parser.add_argument("--tables-only", action="store_true", help="write the tables of the stored figures again")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark"), help="folder of the figures")
    parser.add_argument("--tables", type=Path, default=Path("docs/benchmark.md"), help="file of the tables")
    parser.add_argument("--readme", type=Path, default=None, help="file with the markers of the short table")
    options = parser.parse_args(arguments)
    rules = [r for r in RULES if fnmatch.fnmatch(r.name, options.only)]
    if not rules:
        parser.error(f"--only {options.only!r} matches none of: {', '.join(r.name for r in RULES)}")
    if options.readme is not None and not options.readme.is_file():
        parser.error(f"--readme {options.readme}: there is no such file")
    if not options.tables_only:
        machine = facts()
        busy = warning(machine)
        if busy:
            print(f"bench: {busy}", file=sys.stderr)
        options.out.mkdir(parents=True, exist_ok=True)
        # a new process counts the memory of the one that starts it as its own: those runs come first
        for part in sorted(options.part, key=lambda part: part != "runs"):
            if part == "checkers":
                found = speed.measure(rules, QUICK if options.quick else FULL)
            elif part == "runs":
                only = "logSoftmaxVjp" if options.quick else None
                points, many = (1000, 0) if options.quick else (int(options.points), int(options.many))
                found = runs.measure(points, only, options.limit, many)
            elif part == "suite":
                found = suite.measure(lambda name: fnmatch.fnmatch(name, options.only), options.limit)
            else:
                found = scaling.measure(10**4 if options.quick else 10**6)
            found |= {"machine": machine, "quick": options.quick}
            (options.out / f"{part}.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
    write_tables(options.out, options.tables, options.readme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
