"""Part "checkers": checks per second of every checker on every rule, interleaved in one process."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from scripts.bench import ours, peers
from scripts.bench.rules import BenchRule

OURS, LAYERS = "backprove, bulk", "backprove, layers"


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds over all checkers, and seconds that one checker gets in a round."""

    rounds: int
    seconds: float


def measure(rules: Sequence[BenchRule], effort: Effort) -> dict[str, Any]:
    """Rates of all checkers on the rules, as figures for the tables."""
    import jax

    found, notes = peers.available()
    rows = []
    with jax.enable_x64(True):
        for rule in rules:
            contestants = {
                OURS: ours.bulk(rule),
                LAYERS: ours.layers(rule),
                **{name: _counted(make(rule)) for name, make in found.items()},
            }
            rates = _interleaved(contestants, effort)
            rows.append({"rule": rule.name, "rates": rates, "profile": ours.profile(rule, effort.seconds)})
            best = rows[-1]["rates"][OURS]["wall"]
            print(f"bench: {rule.name}: {best:,.0f} checks/s", file=sys.stderr)
    return {"rows": rows, "notes": notes, "rounds": effort.rounds, "seconds": effort.seconds}


def _counted(run: Callable[[int], None]) -> Callable[[int], int]:
    def counted(count: int) -> int:
        run(count)
        return count

    return counted


def _interleaved(contestants: dict[str, Callable[[int], int]], effort: Effort) -> dict[str, dict[str, float]]:
    """Checks per second by the clock and per second of processor time, medians over the rounds."""
    counts = {}
    for name, run in contestants.items():
        run(1)  # compiles
        started = perf_counter()
        done = run(1)
        once = (perf_counter() - started) / done
        counts[name] = max(1, int(effort.seconds / once))
    walls: dict[str, list[float]] = {name: [] for name in contestants}
    cpus: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(effort.rounds):
        for name, run in contestants.items():
            wall, cpu = perf_counter(), process_time()
            done = run(counts[name])
            walls[name].append(done / (perf_counter() - wall))
            cpus[name].append(done / max(process_time() - cpu, 1e-9))
    return {
        name: {
            "wall": statistics.median(walls[name]),
            "cpu": statistics.median(cpus[name]),
            "slowest": min(walls[name]),
            "fastest": max(walls[name]),
        }
        for name in contestants
    }
