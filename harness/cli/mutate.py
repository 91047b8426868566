"""`backprove mutate` prints how many broken variants of each rule the properties refuse."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from backprove.harness.core.verdicts import Exit

HELP = "how many broken variants of each rule the properties refuse"
MUTATE = "backprove.harness.mutation.run"
THEOREMS = "backprove.rules.all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="GLOB", help="only theorems that match, such as '*Softmax*'")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def run(args: argparse.Namespace) -> Exit:
    from backprove.harness.cli.options import probe_file
    from backprove.harness.cli.session import write_text
    from backprove.harness.core.records import to_json

    if args.json is not None:
        probe_file(args.json)
    result: dict[str, Any] = importlib.import_module(MUTATE).run(only=args.only, catalogue=THEOREMS)
    if args.json is not None:
        write_text(args.json, to_json(result, indent=2) + "\n")
    if not result["rules"]:
        print(f"no theorem matches --only {args.only!r}" if args.only else "no theorem is stated", file=sys.stderr)
        return Exit.NOTHING_RAN
    print(summary(result))
    return Exit.FAILED if any(r["survivors"] for r in result["rules"]) else Exit.OK


def summary(result: dict[str, Any]) -> str:
    """A table of the rules, one of the theorems' own shares, weak theorems, then every variant that survived."""
    from backprove.harness.cli.tables import count, table

    rules = result["rules"]
    rows = [
        [r["name"], str(r["mutants"]), str(r["equivalent"]), str(r["killed"]), str(len(r["survivors"]))] for r in rules
    ]
    lines = [table(("rule", "mutants", "equivalent", "killed", "survivors"), rows, right=(1, 2, 3, 4)), ""]
    if result.get("theorems"):
        shares = [[t["name"], str(t["killed"]), str(t["mutants"] - t["equivalent"])] for t in result["theorems"]]
        lines += [table(("theorem", "refuses", "of its rules' broken variants"), shares, right=(1, 2)), ""]
    lines += [f"weak: {w['name']}: {w['reason']}" for w in result.get("weak", [])]
    floats = sum(len(r.get("float_only", [])) for r in rules)
    if floats:
        lines.append(f"{count(floats, 'variant')} equal over the reals may overflow in floats, which no claim excludes")
    lines += [f"survivor of {r['name']}: {s}" for r in rules for s in r["survivors"]]
    killed, judged = sum(r["killed"] for r in rules), sum(r["mutants"] - r["equivalent"] for r in rules)
    lines.append(f"{killed:,} of {count(judged, 'broken variant')} refused")
    return "\n".join(lines)
