"""`backprove list` prints the catalogue, module by module, and what covers each declaration."""

from __future__ import annotations

import argparse
import importlib
import sys
from fnmatch import fnmatchcase

from backprove.harness.cli.theorem_files import PREFIX
from backprove.harness.core.verdicts import Exit

HELP = "list the theorems, their modules and what covers each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="GLOB", help="only names or modules that match, such as '*Softmax*'")


def run(args: argparse.Namespace) -> Exit:
    from backprove.harness.cli.tables import table
    from backprove.harness.cli.verify import THEOREMS
    from backprove.harness.core.names import did_you_mean
    from backprove.rules.catalogue import NAMES, Catalogue, coverage, coverage_counts

    theorems = importlib.import_module(THEOREMS).load()
    found = coverage([Catalogue.load(n) for n in NAMES], theorems)
    listed = {n for c in found.catalogues for n in c.entries}

    def selects(name: str, other: str) -> bool:
        return args.only is None or any(fnmatchcase(n, args.only) for n in (name, name.removeprefix(PREFIX), other))

    shown = 0
    for catalogue in found.catalogues:
        rows = []
        for entry in catalogue.entries.values():
            if selects(entry.name, entry.module):
                by = _covered_by(entry.name, found.reached_by.get(entry.name, ()), entry.why_not)
                rows.append((entry.name.removeprefix(PREFIX), entry.module, by))
        if rows:
            print(f"{catalogue.name}:\n{table(('declaration', 'module', 'covered by'), rows)}\n")
        shown += len(rows)
    beside = [
        (n.removeprefix(PREFIX), t.statement)
        for n, t in theorems.items()
        if n not in listed and selects(n, t.statement)
    ]
    if beside:
        print(f"in no list:\n{table(('theorem', 'statement'), beside)}\n")
    shown += len(beside)
    if not shown:
        print(f"no declaration matches --only {args.only!r}{did_you_mean(args.only, listed)}", file=sys.stderr)
        return Exit.NOTHING_RAN
    for name, c in coverage_counts(found, {}).items():
        print(f"{name}: {c['covered']} of {c['declared']} declarations covered ({c['executable']} executable)")
    return Exit.OK


def _covered_by(name: str, reached_by: tuple[str, ...], why_not: str) -> str:
    if name in reached_by:
        return "its own property"
    if reached_by:
        more = f" and {len(reached_by) - 1} more" if len(reached_by) > 1 else ""
        return f"{reached_by[0].removeprefix(PREFIX)}{more}"
    return f"- ({why_not})" if why_not else "-"
