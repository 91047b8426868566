"""The command `backprove` reads its options, calls a command, and turns every error into a message and an exit
status.

Nothing here imports NumPy or JAX, so that `backprove --help` answers at once; a command imports what it needs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from backprove.harness.cli import check, completion, coverage, listing, mutate, replay, report, verify
from backprove.harness.core.errors import UsageError
from backprove.harness.core.names import nearest
from backprove.harness.core.verdicts import Exit

COMMANDS = {
    "verify": verify,
    "check": check,
    "coverage": coverage,
    "replay": replay,
    "list": listing,
    "mutate": mutate,
    "report": report,
    "completion": completion,
}

EPILOG = """exit status: 0 all holds; 1 something is falsified, inaccurate or in error; 2 wrong use or an unreadable
file; 3 an internal error; 4 interrupted; 5 nothing ran; 6 inconclusive only, or past the gate"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `UsageError`s."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n  (see {self.prog} --help)")


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and that of each command by name."""
    parser = _Parser(
        prog="backprove",
        description="Executable properties for derivative rules.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    by_name: dict[str, argparse.ArgumentParser] = {}
    for name, module in COMMANDS.items():
        sub = subparsers.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(sub)
        by_name[name] = sub
    return parser, by_name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    _open_what_is_closed()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except UsageError as e:
        _complain(f"backprove: {e}")
        return int(Exit.USAGE)
    except KeyboardInterrupt:
        _complain("backprove: interrupted")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # the reader went away, as in `backprove list | head`
        return int(Exit.OK)
    except Exception as e:
        _internal_error(e)
        return int(Exit.INTERNAL)
    finally:
        _leave_nothing_unwritten()


def _open_what_is_closed() -> None:
    """Send to nowhere what the shell has closed (`>&-`): the numbers 0 to 2 must not go to files that are opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no error
            stream.reconfigure(errors="backslashreplace")


def _complain(text: str) -> None:
    from backprove.harness.core.texts import readable

    with contextlib.suppress(OSError):  # stderr may be a file on a full disk; the exit status still tells
        print(readable(text), file=sys.stderr)


def _leave_nothing_unwritten() -> None:
    """Drop what cannot be written: the interpreter's own flush at exit would fail again, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _dispatch(arguments: list[str]) -> int:
    parser, by_name = build_parser()
    _refuse_unknown(arguments, parser, by_name)
    try:
        args = parser.parse_args(arguments)
    except SystemExit as e:  # --help
        return int(e.code or 0)
    if args.version:
        from backprove.harness.core.version import __version__

        print(f"backprove {__version__}")
        return int(Exit.OK)
    if args.command is None:
        parser.print_help(sys.stderr)
        raise UsageError(f"no command given; expected one of {', '.join(COMMANDS)}")
    args.root = parser
    return int(COMMANDS[args.command].run(args))


def _refuse_unknown(
    arguments: list[str], parser: argparse.ArgumentParser, by_name: dict[str, argparse.ArgumentParser]
) -> None:
    """Name an unknown command or option, with the closest known one; argparse alone says less."""
    if not arguments:
        return
    command = arguments[0]
    if not command.startswith("-") and command not in by_name:
        raise UsageError(f"there is no command {command!r}{_closest(command, list(by_name))}")
    current = by_name.get(command, parser)
    known = [o for action in current._actions for o in action.option_strings]
    for word in arguments[1 if command in by_name else 0 :]:
        if word == "--":
            return
        option = word.partition("=")[0]
        if word.startswith("--") and option not in known:
            raise UsageError(
                f"{current.prog} has no option {option}{_closest(option, known)}\n  (see {current.prog} --help)"
            )


def _closest(word: str, known: list[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(k for k in known if len(k) > 2)}"


def _internal_error(error: Exception) -> None:
    """One line on the screen; the traceback goes to a file."""
    import tempfile

    from backprove.harness.campaign.store import Store
    from backprove.harness.campaign.workers import InternalError

    details = error.details if isinstance(error, InternalError) else "".join(traceback.format_exception(error))
    summary = str(error) if isinstance(error, InternalError) else f"{type(error).__name__}: {error}"
    place = Store().crash(details)
    where, unwritten = f"traceback in {place}", False
    if place is None:
        try:
            with tempfile.NamedTemporaryFile("w", prefix="backprove-crash-", suffix=".txt", delete=False) as f:
                f.write(details)
            where = f"traceback in {f.name}"
        except OSError:  # a full disk
            where, unwritten = "its traceback follows, since no file can be written", True
    first = summary.splitlines()[0] if summary else "unknown"
    _complain(f"backprove: internal error, please report it: {first} ({where})")
    if unwritten:
        _complain(details)


if __name__ == "__main__":
    sys.exit(main())
