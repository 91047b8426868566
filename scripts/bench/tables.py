"""The tables: `docs/benchmark.md` and the section "Speed" of the README, from the stored figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.bench.facts import warning
from scripts.bench.speed import LAYERS, OURS

PARTS = ("checkers", "runs", "scaling", "suite")
START, END = "<!-- speed: written by make bench -->", "<!-- end of speed -->"

CHECKS = {
    OURS: (
        "the rule's JVP and VJP against JAX's, four-point differences along the tangent paired with the cotangent, and "
        "adjointness, in float64; a point that does not agree to 2^13 unit roundoffs of whole results is named, for "
        "the layers with error bounds"
    ),
    LAYERS: (
        "what a campaign does with an ordinary bulk point: float results against their running error bound, rule "
        "against JAX's derivative in the wide format with error bounds, differences on a share of the points; JVP and "
        "VJP; no exact layer"
    ),
    "check_grads": "forward and reverse mode of JAX against two-point differences along one direction; no closed rule",
    "check_grads, jitted": "the same with the map under `jax.jit`",
    "gradcheck, slow": "forward and reverse mode of torch against differences in every entry; no closed rule",
    "gradcheck, fast": "the same along one random direction",
    "gradcheck, fast, reverse only": (
        "fast gradcheck with no options but `fast_mode`: reverse mode against differences along one direction, and "
        "undefined gradients; half of the work of the others"
    ),
    "Hypothesis arrays()": (
        "drawing inputs, tangent and cotangent, then the compiled check: both closed rules against JAX's, four-point "
        "differences, adjointness"
    ),
    "compiled loop": "the compiled check alone, one call per point from Python, inputs ready",
}

LONG_TABLE_ONLY = (LAYERS, "gradcheck, fast, reverse only", "compiled loop")
"""Columns that the README leaves out."""

TITLE = """# Benchmark

Written by `make bench` from the figures in `docs/benchmark/`. Rates are checks per second in one process, medians of
interleaved rounds; building (tracing, compiling) is left out of rates and shown apart. Ratios come from one run.
"""


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def write_tables(figures: Path, out: Path, readme: Path | None) -> None:
    """Write all tables whose figures are there.

    Args:
        figures: folder with a file of JSON for each part, as far as it is there.
        out: the Markdown file.
        readme: file with the two markers, between which the short table goes; None: none.

    Raises:
        ValueError: where `readme` lacks the markers.
    """
    found = {p: _load(figures / f"{p}.json") for p in PARTS}
    makers = {"checkers": _checkers, "runs": _runs, "scaling": _scaling, "suite": _suite}
    parts = [TITLE, *(makers[p](f) for p, f in found.items() if f is not None)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), "utf-8")
    if readme is not None and found["checkers"] is not None:
        text = readme.read_text("utf-8")
        before, start, rest = text.partition(START)
        _, end, after = rest.partition(END)
        if not start or not end:
            raise ValueError(f"{readme.name} lacks the markers {START!r} and {END!r}, in this order")
        readme.write_text(f"{before}{START}\n{short(found['checkers'], found['runs'])}{END}{after}", "utf-8")


def short(checkers: dict[str, Any], runs: dict[str, Any] | None) -> str:
    """The README's table: checks per second, and how many times as many as the others."""
    others = [n for n in _names(checkers) if n not in (OURS, *LONG_TABLE_ONLY)]
    head = ("rule", "checks per second", *(f"times {n}" for n in others))
    rows = [(r["rule"], _rate(_of(r, OURS)), *(_ratio(r, n) for n in others)) for r in checkers["rows"]]
    rows.append(("geometric mean", "", *(f"{_mean(checkers, n):,.0f}" for n in others)))
    text = (
        "Full checks per second of the bulk path (`harness/judging/screens/screen.py`: both rules against autodiff and "
        "differences, and adjointness) in one process, float64, and how many times as many as others do. "
        "`verify` and `check` screen "
        f"the points beyond the first ones of each size with it:\n\n{table(head, rows)}"
    )
    if runs is not None:
        told = [f"{r['what']} {_seconds(r)}" for r in runs["rows"]]
        text += f"\nWhole runs, {runs['points']:,} points a claim and dtype: {'; '.join(told)}.\n"
    return text + f"\n{_where(checkers['machine'])}\n"


def _checkers(figures: dict[str, Any]) -> str:
    names = _names(figures)
    rates = [(r["rule"], *(_rate(_of(r, n)) for n in names)) for r in figures["rows"]]
    others = [n for n in names if n != OURS]
    ratios = [(r["rule"], *(_ratio(r, n) for n in others)) for r in figures["rows"]]
    for clock, label in (("wall", "geometric mean"), ("cpu", "the same by processor time")):
        ratios.append((label, *(f"{_mean(figures, n, clock):,.0f}" for n in others)))
    ratios.append(("smallest", *(_least(figures, n) for n in others)))
    content = "".join(f"- {n}: {CHECKS[n]}.\n" for n in names)
    notes = "".join(f"\n{n[0].upper()}{n[1:]}.\n" for n in figures["notes"])
    return (
        f"## Checks per second\n\n{_where(figures['machine'])}{_quick(figures)}\n\n{table(('rule', *names), rates)}\n"
        f"How many times as many as the others the bulk path checks:\n\n{table(('rule', *others), ratios)}\n"
        f"What one check contains:\n\n{content}{notes}\n{_limits(figures)}"
    )


def _limits(figures: dict[str, Any]) -> str:
    rows = []
    for r in figures["rows"]:
        p = r["profile"]
        share = f"{100 * p['elementary'] / p['all']:.0f} %"
        times = (f"{1e6 * p[k]:.2f}" for k in ("all", "derivatives", "forward", "rest"))
        rows.append((r["rule"], p["chunk"], p["calls"], *times, p["functions"], share))
    head = (
        "rule",
        "points of a chunk",
        "NumPy calls",
        "all, µs",
        "derivatives",
        "forward at three places",
        "comparing, moving",
        "elementary functions",
        "their share",
    )
    return (
        "## Where the time of the bulk path goes\n\nMicroseconds of processor time per point; evaluations of exp, log, "
        "tanh and their like per point, and the share that these take when timed alone. Where the share is high the "
        f"mathematical library limits the rule, elsewhere the passes over memory do.\n\n{table(head, rows)}"
    )


def _runs(figures: dict[str, Any]) -> str:
    rows = [
        (r["what"], f"`{r['command']}`", _seconds(r), f"{r['cpu']:.1f} s", f"{r['memory'] / 2**20:,.0f} MiB")
        for r in figures["rows"]
    ]
    by = {r["what"]: r for r in figures["rows"]}
    one, all_cores = by.get("catalogue, warm, one worker"), by.get("catalogue, warm")
    gain = ""
    if one is not None and all_cores is not None and None not in (one["status"], all_cores["status"]):
        gain = f"\nAll cores finish {one['seconds'] / all_cores['seconds']:.2f} times as fast as one worker.\n"
    head = ("run", "command", "time", "processor time", "largest process")
    return (
        "## Whole runs\n\nFresh processes, reports included; the cache of traced programs is empty before the cold run."
        f" {_where(figures['machine'])}\n\n{table(head, rows)}{gain}{_phases(figures)}"
    )


def _phases(figures: dict[str, Any]) -> str:
    """Where the seconds of a run in one process go."""
    found = figures.get("phases")
    if not found:
        return ""
    cold, warm = found["cold"], found["warm"]
    names = sorted({*cold, *warm}, key=lambda n: -cold.get(n, 0.0))
    rows = [(n, *(f"{c.get(n, 0.0):.1f} s" for c in (cold, warm))) for n in names]
    rows.append(("all", *(f"{sum(c.values()):.1f} s" for c in (cold, warm))))
    return (
        f"\nWhere the seconds go, in one process (sampled, {figures['points']:,} points a claim and dtype):\n\n"
        f"{table(('phase', 'cold', 'warm'), rows)}"
    )


def _scaling(figures: dict[str, Any]) -> str:
    points = [
        (f"{r['points']:,}", f"{1e3 * r['build']:.0f} ms", f"{r['run']:.4f} s", f"{1e6 * r['run'] / r['points']:.2f}")
        for r in figures["points"]
    ]
    sizes = [
        (f"{r['entries']:,}", f"{1e6 * r['run']:.2f}", f"{1e9 * r['run'] / r['entries']:.0f}") for r in figures["sizes"]
    ]
    alone = figures["workers"][0]["points"] / figures["workers"][0]["seconds"]
    workers = [
        (r["workers"], f"{r['points'] / r['seconds']:,.0f}", f"{r['points'] / r['seconds'] / alone:.2f}")
        for r in figures["workers"]
    ]
    return (
        f"## Scaling\n\nThe bulk path, processor time. {_where(figures['machine'])}\n\n"
        f"{figures['rule']}, by points:\n\n{table(('points', 'build', 'run', 'µs per point'), points)}\n"
        f"log-softmax, by size of the row:\n\n{table(('entries', 'µs per point', 'ns per entry'), sizes)}\n"
        f"{figures['rule']}, by processes (wall time, start left out):\n\n"
        f"{table(('processes', 'checks per second', 'times one'), workers)}"
    )


def _suite(figures: dict[str, Any]) -> str:
    rows, shares = [], []
    for framework in dict.fromkeys(r["framework"] for r in figures["rows"]):
        here = [r for r in figures["rows"] if r["framework"] == framework]
        rows += [(r["rule"], framework, *_beside(r["cpu"], r["other"]), r["verdict"]) for r in here]
        means = [sum(r[k] for r in here) / len(here) for k in ("cpu", "other")]
        shares.append(("mean", framework, *_beside(*means), ""))
    first = [(r["what"], f"{r['seconds']:.1f} s", f"{r['cpu']:.1f} s") for r in figures["first"]]
    head = ("rule", "code", "backprove", "other", "times", "verdict")
    return (
        "## Many rules in one process\n\nProcessor time of one further rule: `bp.check` at its defaults (10,000 "
        "points, two formats), and, of the same map and cold, `check_grads` in both modes at one point for JAX and "
        "NumPy (of the map in JAX), `gradcheck` at its defaults at one point for torch. "
        f"{_where(figures['machine'])}\n\n{table(head, [*rows, *shares])}\n"
        f"The first verdict, from the command to its end:\n\n{table(('command', 'time', 'processor time'), first)}"
    )


def _beside(mine: float, other: float) -> tuple[str, str, str]:
    return f"{mine:.2f} s", f"{other:.2f} s", _number(mine / other) if other else ""


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _load(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


def _names(figures: dict[str, Any]) -> list[str]:
    return [n for n in CHECKS if all(n in r["rates"] for r in figures["rows"])]


def _of(row: dict[str, Any], name: str, clock: str = "wall") -> float:
    rate: float = row["rates"][name][clock]
    return rate


def _ratio(row: dict[str, Any], name: str) -> str:
    return _number(_of(row, OURS) / _of(row, name))


def _mean(figures: dict[str, Any], name: str, clock: str = "wall") -> float:
    return geometric_mean([_of(r, OURS, clock) / _of(r, name, clock) for r in figures["rows"]])


def _least(figures: dict[str, Any], name: str) -> str:
    return _number(min((_of(r, OURS) / _of(r, name) for r in figures["rows"]), default=math.nan))


def _number(x: float) -> str:
    return f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def _rate(x: float) -> str:
    return f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def _seconds(row: dict[str, Any]) -> str:
    if row["status"] is None:
        return f"more than {row['seconds']:.0f} s"
    failed = f" (exit status {row['status']})" if row["status"] else ""
    return f"{row['seconds']:.2f} s{failed}"


def _quick(figures: dict[str, Any]) -> str:
    return " A quick measurement: short rounds." if figures.get("quick") else ""


def _where(machine: dict[str, Any]) -> str:
    told = (
        f"{machine['processor']}, {machine['usable cores']} cores, NumPy with {machine['vectors']}; "
        f"Python {machine['python']}, JAX {machine.get('jax', '?')}, NumPy {machine.get('numpy', '?')}"
        + (f", torch {machine['torch']}" if "torch" in machine else "")
        + f"; load average {machine['load'][0]:.2f} at the start."
    )
    busy = warning(machine)
    return told + (f" **Not idle:** {busy}." if busy else "")
