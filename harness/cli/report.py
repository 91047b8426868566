"""`backprove report DIR` writes stored results again as HTML, and `backprove report --diff A B` compares two
of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Exit

HELP = "write the HTML again from stored results, or tell what changed between two runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="folder of a run")
    parser.add_argument("--diff", nargs=2, type=Path, metavar=("A", "B"), help="folders of an older and a newer run")


def run(args: argparse.Namespace) -> Exit:
    from backprove.reports.summary import load_run

    if (args.directory is None) == (args.diff is None):
        raise UsageError("report: give a folder of results, or --diff with two of them")
    if args.diff is not None:
        from backprove.reports.diff import diff

        print("\n".join(diff(load_run(args.diff[0]), load_run(args.diff[1]))) or "nothing changed")
        return Exit.OK
    from backprove.harness.cli.options import probe_folder
    from backprove.reports.write import write_reports

    result = load_run(args.directory)
    probe_folder(args.directory)
    for file in write_reports(result, args.directory):
        print(file)
    return Exit.OK
