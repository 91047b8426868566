"""Part "scaling": how the cost of the bulk check grows with points, array size and worker processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter, process_time
from typing import Any

from backprove.harness.judging.screens.screen import Screen
from scripts.bench import ours
from scripts.bench.rules import RULES, BenchRule, log_softmax_rule

SIZES = (8, 32, 128, 512, 2048, 8192)
ROUNDS = 3
RULE = next(r for r in RULES if r.name.startswith("layer norm"))


def measure(most_points: int) -> dict[str, Any]:
    """Figures of all three tables.

    Args:
        most_points: of the largest run.
    """
    return {
        "rule": RULE.name,
        "points": by_points(most_points),
        "sizes": by_size(most_points),
        "workers": by_workers(most_points),
    }


def by_points(most: int) -> list[dict[str, float]]:
    """Building (tracing, merging, linking) and running, for growing numbers of points, in processor time."""
    rows = []
    count = 100
    while count <= most:
        build, run = _build_and_run(RULE, count)
        rows.append({"points": count, "build": build, "run": run})
        print(f"bench: {count:,} points: {build + run:.3f} s", file=sys.stderr)
        count *= 10
    return rows


def by_size(most_points: int) -> list[dict[str, float]]:
    """log-softmax of growing rows: seconds of processor time per point."""
    rows = []
    for n in SIZES:
        points = max(min(most_points, 2**20 // n), 64)
        rows.append({"entries": n, "points": points, "run": _build_and_run(log_softmax_rule(n), points)[1] / points})
        print(f"bench: log-softmax {n}: {1e6 * rows[-1]['run']:.2f} us", file=sys.stderr)
    return rows


def by_workers(most_points: int) -> list[dict[str, float]]:
    """Wall time of the same work in 1, 2, ... processes up to the number of cores; starting them is left out."""
    rounds, counts = max(1, most_points // ours.POINTS), _powers(os.cpu_count() or 1)
    rows = []
    for workers in counts:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            shares = [-(-rounds // max(counts))] * max(counts)
            list(pool.map(_share, [0] * workers))  # starts and imports
            started = perf_counter()
            done = sum(pool.map(_share, shares))
            rows.append({"workers": workers, "points": done, "seconds": perf_counter() - started})
        print(f"bench: {workers} workers: {rows[-1]['seconds']:.2f} s", file=sys.stderr)
    return rows


def _share(rounds: int) -> int:
    """A worker's part: build, then that many rounds."""
    run = ours.bulk(RULE)
    return run(rounds * ours.POINTS) if rounds else run(1)


def _powers(cores: int) -> list[int]:
    return [1 << k for k in range(cores.bit_length()) if 1 << k <= cores]


def _build_and_run(rule: BenchRule, points: int) -> tuple[float, float]:
    """Seconds of processor time, each the smallest of some rounds."""
    builds, runs = [], []
    held = min(points, 65536)
    arguments: Sequence[Any] = ours.points_last(rule, held)
    for _ in range(ROUNDS if points <= 10**5 else 1):
        started = process_time()
        screen = Screen(ours.programs(rule), "float64")
        builds.append(process_time() - started)
        screen.run(*([a[..., :1] for a in part] for part in arguments))
        started, done = process_time(), 0
        while done < points:
            done += screen.run(*arguments).points
        runs.append(process_time() - started)
    return min(builds), min(runs)
