"""Soak the numeric core: right rules at very many points, wrong ones until they are refused, and what each layer costs.

Three parts: `right` (the right rules of the mutant suite; false alarms), `wrong` (its wrong rules; which layer refuses
each, at which point) and `zoo` (released bugs and their mended rules, with several seeds). Every part writes its rows
as they come, and `--resume` takes an interrupted run up again. Writes `soak.json`, `mutants.json`, `zoo.json` and,
with the figures of `scripts/peers.py`, the tables of `measurements.md`.

Usage: python -m scripts.soak [--part wrong right zoo] [--points N] [--mutant-points N] [--seeds N] [--dtype D]
    [--only GLOB] [--seed N] [--jobs N] [--budget SECONDS] [--resume] [--out DIR] [--tables FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from backprove.harness.core.environment import describe
from scripts.measurement_tables import write_tables
from scripts.soaking import DTYPES, Caught, catch, hunt, soak
from tests.mutants.mutants import MUTANTS
from tests.mutants.rules import PROBLEMS, RIGHT
from tests.zoo.rules import CASES

FILES = {"right": "soak", "wrong": "mutants", "zoo": "zoo"}
"""Part -> name of its figures."""
PARTS = ("zoo", "wrong", "right")
"""In this order: the longest last."""
RENEW = 24
"""Work items after which a worker process is replaced, so that compiled code does not pile up."""


@dataclass(frozen=True)
class Item:
    """One unit of work: its part, and what it is called in the rows."""

    part: str
    names: tuple[str, ...]

    def row(self, points: int, seed: int, deadline: float) -> dict[str, Any]:
        """Do the work."""
        if self.part == "right":
            name, form, dtype = self.names
            return asdict(soak(PROBLEMS[name], form, dtype, points, seed, deadline))
        if self.part == "wrong":
            mutant, dtype = self.names
            return asdict(hunt(MUTANTS[mutant], dtype, points, seed))
        key, kind, number = self.names
        return asdict(catch(key, kind, points, int(number)))

    def failed(self, row: dict[str, Any]) -> bool:
        """Whether the row is a false alarm, a survivor, or a bug of the zoo with another verdict."""
        if self.part == "right":
            return bool(row["alarms"])
        if self.part == "wrong":
            return row["verdict"] == "holds" and not row["equivalent"]
        return not Caught(**row).as_expected

    def told(self, row: dict[str, Any]) -> str:
        """One line for whoever watches."""
        if self.part == "right":
            cost = 1e6 * row["cpu"] / max(row["points"] + row["beyond"], 1)
            cut = ", cut" if row["cut"] else ""
            what = f"{row['points']:,} points, {cost:.1f} us each, alarms {row['alarms'] or 'none'}{cut}"
        else:
            what = " ".join(str(row[k]) for k in ("verdict", "layer", "point") if row.get(k) not in (None, ""))
        return f"{' '.join(self.names)}: {what}"


def items(part: str, dtypes: Sequence[str], only: str, seeds: Sequence[int]) -> list[Item]:
    """The work of one part, in the order of its rows."""
    if part == "right":
        names: list[tuple[str, ...]] = [(name, form, d) for name, form in RIGHT for d in dtypes]
    elif part == "wrong":
        names = [(name, d) for name in MUTANTS for d in dtypes]
    else:
        names = [(key, kind, str(seed)) for seed in seeds for key in CASES for kind in ("wrong", "right")]
    return [Item(part, n) for n in names if fnmatch.fnmatch(n[0], only)]


class Rows:
    """The rows of one part, kept in a file line by line while the run lasts.

    Args:
        identity: what the figures depend on; rows of another run are not taken up.
    """

    def __init__(self, path: Path, identity: dict[str, Any], resume: bool) -> None:
        self.path = path
        self.found: dict[tuple[str, ...], dict[str, Any]] = {}
        if resume and path.exists():
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            if lines and lines[0] == identity:
                self.found = {tuple(names): row for names, row in lines[1:] if not row.get("cut")}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(identity, "w")
        for names, row in self.found.items():
            self._write((names, row), "a")

    def add(self, item: Item, row: dict[str, Any]) -> None:
        self.found[item.names] = row
        self._write((item.names, row), "a")

    def _write(self, line: Any, mode: str) -> None:
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


Work = tuple[Item, int, int, float]


def _work(work: Work) -> tuple[Item, dict[str, Any] | None]:
    """One work item in a worker; None where its time is up."""
    item, points, seed, deadline = work
    return item, None if monotonic() > deadline else item.row(points, seed, deadline)


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _done(work: Sequence[Work], jobs: int) -> Iterator[tuple[Item, dict[str, Any] | None]]:
    if jobs == 1:
        yield from map(_work, work)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_leave_interrupts, maxtasksperchild=RENEW) as pool:
        yield from pool.imap_unordered(_work, work)


def run_part(part: str, options: argparse.Namespace, deadline: float) -> int:
    """One part; returns the number of its failures. What a cut run has measured is kept, and says that it was cut."""
    points = {"right": options.points, "wrong": options.mutant_points, "zoo": options.zoo_points}[part]
    seeds = range(options.seed, options.seed + options.seeds)
    every = items(part, options.dtype or DTYPES, options.only, seeds)
    identity = {"part": part, "points": points, "seed": options.seed, "environment": describe()}
    rows = Rows(options.out / f"{FILES[part]}.jsonl", identity, options.resume)
    left = [(i, points, options.seed, deadline) for i in every if i.names not in rows.found]
    started, over = perf_counter(), False
    try:
        for item, row in _done(left, min(options.jobs, max(len(left), 1))):
            if row is not None:
                rows.add(item, row)
                _tell(f"{len(rows.found)}/{len(every)} {item.told(row)}")
        over = True
    finally:
        done = [(i, rows.found[i.names]) for i in every if i.names in rows.found]
        complete = over and len(done) == len(every) and not any(row.get("cut") for _, row in done)
        figures = {
            **{k: v for k, v in identity.items() if k != "part"},
            "jobs": options.jobs,
            "complete": complete,
            "items": len(every),
            "seconds": perf_counter() - started,
            "cpu": float(np.sum([row.get("cpu", 0.0) for _, row in done])),
            "rows": [row for _, row in done],
        }
        path = options.out / f"{FILES[part]}.json"
        path.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", "utf-8")
        if complete:
            rows.path.unlink()
        write_tables(options.out, options.tables)
    return sum(item.failed(row) for item, row in done)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000, help="points per right rule and dtype")
    parser.add_argument(
        "--mutant-points", type=int, default=20_000, help="points after which a wrong rule has survived"
    )
    parser.add_argument("--zoo-points", type=int, default=2000, help="points per rule of the zoo, dtype and seed")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of the zoo, from --seed on")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="repeatable; all three if left out")
    parser.add_argument("--only", default="*", help="glob over the names of rules, mutants and bugs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    parser.add_argument("--budget", type=float, default=np.inf, help="seconds; what is left then is marked as cut")
    parser.add_argument("--resume", action="store_true", help="take up a run that was interrupted or cut")
    parser.add_argument("--out", type=Path, default=Path("docs/measurements"), help="folder of the figures")
    parser.add_argument("--tables", type=Path, default=Path("docs/measurements.md"), help="file of the tables")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args(arguments)
    deadline = monotonic() + options.budget
    failures = {part: run_part(part, options, deadline) for part in PARTS if part in options.part}
    _tell(", ".join(f"{part}: {n} failures" for part, n in failures.items()))
    return 1 if any(failures.values()) else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # A run in the background ignores interrupts; both signals end it with its figures written.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
