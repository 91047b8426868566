"""`backprove completion SHELL` prints a script that completes commands, options and files in that shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from backprove.harness.core.verdicts import Exit

HELP = "print a script that completes commands, options and files in a shell"
SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(args: argparse.Namespace) -> Exit:
    import shtab

    for action in _actions(args.root):
        named = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or ""
        if named.startswith("FILE"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif named.startswith("DIR") or named == "A B":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(args.root, args.shell))
    return Exit.OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
