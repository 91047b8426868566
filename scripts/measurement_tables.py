"""The tables of `docs/measurements.md`, from the stored figures of `soak` and `peers`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PEERS = ("check_grads", "gradcheck", "backprove")
DTYPES = ("float64", "float32", "bfloat16")
LAYERS = ("trace", "draw", "floats", "rounding", "autodiff", "differences", "exact", "compiled", "grading")

TITLE = """# Measurements

Written by `python -m scripts.soak` and `python -m scripts.peers` from the figures in `docs/measurements/`. Every table
says how many points it rests on. The rules and the wrong ones over them stand in `tests/mutants/`.
"""


LOOKED_AT = {
    "cumprod jax inaccurate": (
        "no false alarm: JAX's own derivative of cumprod, called in bfloat16 and in float32, is NaN there too; the "
        "derivative is 2.7e38 and 0 (a partial product times a cotangent overflows, and meets a zero)"
    ),
}
"""What a look at a refused point of a right rule has shown, by rule, form and verdict."""


def _alarm(row: dict[str, Any]) -> str:
    """One line on the refused points of a right rule: how many, where the first is, and what is known of it."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in row["alarms"].items())
    known = [t for v in row["alarms"] if (t := LOOKED_AT.get(f"{row['rule']} {row['form']} {v}"))]
    what = row["first"].split(" at [")[0]
    return (
        f"{row['rule']} ({row['form']}), {row['dtype']}: {counts}; {what}. {'; '.join(known) or 'Not looked at yet'}."
    )


def write_tables(figures: Path, out: Path) -> None:
    """Write all tables whose figures are there.

    Args:
        figures: folder with `soak.json`, `mutants.json`, `zoo.json` and those of the peers, as far as they are there.
        out: the Markdown file.
    """
    parts = [TITLE]
    soak, mutants = _load(figures / "soak.json"), _load(figures / "mutants.json")
    peers = [p for name in PEERS if (p := _load(figures / f"{name}.json")) is not None]
    if soak is not None:
        parts += [_right(soak), _cost(soak)]
    if mutants is not None:
        parts.append(_kills(mutants))
    zoo = _load(figures / "zoo.json")
    if zoo is not None:
        parts.append(_zoo(zoo))
    if peers:
        parts.append(_peers(peers, soak, mutants))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), "utf-8")


def _load(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _where(figures: dict[str, Any]) -> str:
    e = figures["environment"]
    return (
        f"{e['system']} {e['machine']}, {e['cores']} cores (shared with other work), Python {e['python']}, "
        f"JAX {e.get('jax', '?')}, NumPy {e.get('numpy', '?')}, python-flint {e.get('python-flint', '?')}"
    )


def _right(soak: dict[str, Any]) -> str:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for r in soak["rows"]:
        groups.setdefault((r["form"], r["dtype"]), []).append(r)
    rows = []
    for (form, dtype), found in sorted(groups.items(), key=lambda g: (g[0][0], DTYPES.index(g[0][1]))):
        points, beyond = sum(r["points"] for r in found), sum(r["beyond"] for r in found)
        suspicious = sum(r["suspicious"] for r in found)
        alarms = sum(sum(r["alarms"].values()) for r in found)
        share = f"{100 * suspicious / max(points, 1):.4f} %"
        worst = max(found, key=lambda r: r["suspicious"] / max(r["points"], 1))
        most = f"{100 * worst['suspicious'] / max(worst['points'], 1):.3f} % ({worst['rule']})"
        far = f"{100 * sum(r.get('suspicious_beyond', 0) for r in found) / max(beyond, 1):.2f} %"
        undecided = sum(r["undecided"] for r in found)
        rows.append((form, dtype, len(found), f"{points:,}", share, most, f"{beyond:,}", far, undecided, alarms))
    head = (
        "form",
        "dtype",
        "rules",
        "points",
        "sent to the exact layer",
        "most of one rule",
        "beyond the range",
        "sent of those",
        "undecided",
        "refused",
    )
    cut = [f"{r['rule']} ({r['form']}), {r['dtype']}" for r in soak["rows"] if r.get("cut")]
    alarmed = [r for r in soak["rows"] if r["alarms"]]
    listed = "".join(f"- {_alarm(r)}\n" for r in alarmed)
    return (
        f"## Right rules\n\n{soak['points']:,} bulk points per rule and dtype were asked for, seed {soak['seed']}; "
        f"scalar rules in bfloat16 saw every normal number and both zeros of their domain instead. {_where(soak)}; "
        f"{soak['seconds']:.0f} s in all{_processes(soak)}{_cut(soak)}.\n\n{_table(head, rows)}\n"
        + (f"Cut within: {'; '.join(cut)}.\n\n" if cut else "")
        + (f"Refused points of right rules:\n\n{listed}" if listed else "No right rule was refused.\n")
    )


def _processes(figures: dict[str, Any]) -> str:
    if "cpu" not in figures:
        return ""
    return f" by {figures['jobs']} processes, {figures['cpu']:.0f} s of CPU time"


def _cut(figures: dict[str, Any]) -> str:
    """Says of a cut run how much of it is there."""
    if figures["complete"]:
        return ""
    of = f" of {figures['items']}" if "items" in figures else ""
    return f", cut short: {len(figures['rows'])}{of} done"


def _cost(soak: dict[str, Any]) -> str:
    rows = []
    for scalar, label in ((True, "scalar"), (False, "arrays")):
        for dtype in DTYPES:
            found = [r for r in soak["rows"] if r["dtype"] == dtype and _is_scalar(soak, r["rule"]) == scalar]
            if not found:
                continue
            cells: list[object] = [label, dtype]
            for layer in LAYERS:
                seconds = sum(r["seconds"].get(layer, 0.0) for r in found)
                if layer == "trace":
                    cells.append(f"{1e3 * seconds / len(found):.0f} ms")
                    continue
                checked = sum(r["checked"].get(layer, 0) for r in found)
                cells.append(f"{1e6 * seconds / checked:.2f}" if checked else "-")
            everything = sum(r.get("cpu", r["wall"]) for r in found)
            cells.append(f"{1e6 * everything / max(sum(r['points'] + r['beyond'] for r in found), 1):.2f}")
            cells.append(f"{everything / len(found):.2f} s")
            rows.append(cells)
    head = ("rules", "dtype", "trace per rule", *(f"{n}, µs" for n in LAYERS[1:]), "all, µs", "all per rule")
    return (
        "## Cost of the layers\n\nMicroseconds of CPU time per point that the layer looked at (grading: per point of "
        "the batch, although it grades a few only); all: everything, tracing and compiling included, per point judged. "
        "Rules of arrays have up to 47 inputs.\n\n" + _table(head, rows)
    )


def _is_scalar(soak: dict[str, Any], rule: str) -> bool:
    return any(r["exhaustive"] for r in soak["rows"] if r["rule"] == rule)


def _kills(mutants: dict[str, Any]) -> str:
    by: dict[str, dict[str, dict[str, Any]]] = {}
    for k in mutants["rows"]:
        by.setdefault(k["mutant"], {})[k["dtype"]] = k
    counts = []
    for dtype in DTYPES:
        asked = [k for k in mutants["rows"] if k["dtype"] == dtype and not k["equivalent"]]
        killed = [k for k in asked if k["verdict"] != "holds"]
        layers: dict[str, int] = {}
        for k in killed:
            layers[k["layer"]] = layers.get(k["layer"], 0) + 1
        first = sum(k["point"] == 1 for k in killed)
        shares = ", ".join(f"{n} by {name}" for name, n in sorted(layers.items(), key=lambda i: -i[1]))
        latest = max((k["point"] for k in killed), default=0)
        counts.append((dtype, len(asked), len(killed), first, latest, shares))
    head = ("dtype", "not equivalent", "refused", "at the first point", "latest at point", "layers")

    def cell(k: dict[str, Any] | None) -> str:
        if k is None:
            return ""
        if k["verdict"] == "holds":
            return "equivalent" if k["equivalent"] else "**survived**"
        return f"{k['layer']}, {k['point']}" + (" (refused, though equivalent)" if k["equivalent"] else "")

    rows = []
    for name, found in by.items():
        any_one = next(iter(found.values()))
        rows.append(
            (name, any_one["wrong"].replace("|", "\\|"), any_one["expected"], *(cell(found.get(d)) for d in DTYPES))
        )
    return (
        f"## Wrong rules\n\nJudged until the first refusal, by at most {mutants['points']:,} bulk points. "
        f'"Equivalent": no mistake in that dtype.\n\n{_table(head, counts)}\n'
        "Which layer refused each, at which point:\n\n" + _table(("rule", "what is wrong", "expected", *DTYPES), rows)
    )


def _zoo(zoo: dict[str, Any]) -> str:
    rows = []
    for key in dict.fromkeys(r["key"] for r in zoo["rows"]):
        found = [r for r in zoo["rows"] if r["key"] == key]
        cells: list[object] = [key, found[0]["report"].replace("|", "\\|")]
        for kind in ("wrong", "right"):
            of_kind = [r for r in found if r["kind"] == kind]
            good = sum(r["verdict"] == r["expected"] for r in of_kind)
            others = sorted({f"{r['verdict']} with seed {r['seed']}" for r in of_kind if r["verdict"] != r["expected"]})
            cells.append(f"{good} of {len(of_kind)}" + (f" ({', '.join(others)})" if others else ""))
        rows.append(cells)
    return (
        f"## Released bugs\n\nRules that were released wrong, and mended; {zoo['points']:,} points per rule, dtype and "
        f"seed, in float64 and float32{_cut(zoo)}. How often each got the verdict it should.\n\n"
        + _table(("bug", "operation and report", "wrong one refused", "right one holds"), rows)
    )


def _peers(peers: Sequence[dict[str, Any]], soak: dict[str, Any] | None, mutants: dict[str, Any] | None) -> str:
    rows: list[Sequence[object]] = []
    for figures in peers:
        for dtype in DTYPES:
            found = [r for r in figures["rows"] if r["dtype"] == dtype]
            if found:
                points, refused = sum(r["points"] for r in found), sum(r["refused"] for r in found)
                killed, survived = (sum(len(r[k]) for r in found) for k in ("killed", "survived"))
                share = f"{100 * refused / max(points, 1):.1f} %"
                tool = found[0]["tool"]
                rows.append((tool, dtype, f"{killed} of {killed + survived}", share, len(found), f"{points:,}"))
    if soak is not None and mutants is not None:
        for dtype in DTYPES:
            asked = [k for k in mutants["rows"] if k["dtype"] == dtype and not k["equivalent"]]
            right = [r for r in soak["rows"] if r["dtype"] == dtype]
            killed = sum(k["verdict"] != "holds" for k in asked)
            points = sum(r["points"] + r["beyond"] for r in right)
            alarms = sum(sum(r["alarms"].values()) for r in right)
            rows.append(
                (
                    "backprove, whole run",
                    dtype,
                    f"{killed} of {len(asked)}",
                    f"{100 * alarms / max(points, 1):.4f} %",
                    len(right),
                    f"{points:,}",
                )
            )
    head = (
        "tool",
        "dtype",
        "wrong rules refused",
        "right rules refused, share of points",
        "right rules",
        "their points",
    )
    given = ", ".join(f"{p['points']} to {p['rows'][0]['tool']}" for p in peers if p["rows"])
    return (
        f"## Beside the usual checkers\n\nTheir defaults, at the same wild points, per rule and dtype: {given} (stable "
        "forms); a refusal of a wrong rule counts only at a point where the tool accepts the right one. The rows of "
        "the whole run count each form of a right rule at all of its points and rest on the tables above.\n\n"
        + _table(head, rows)
    )
