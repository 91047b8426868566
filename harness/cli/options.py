"""Options that `verify` and `check` share are declared and resolved here: profile, points, dtypes, seed, executor."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backprove.harness.api import DTYPES
from backprove.harness.campaign.executors import ExecutorSpec, parse_executor
from backprove.harness.core.errors import UsageError
from backprove.harness.core.files import probe, remove_left_behind

if TYPE_CHECKING:
    from backprove.harness.campaign.messages import EngineOptions

PROFILES = {"dev": 10_000, "ci": 10_000, "nightly": 1_000_000}
"""Points of each claim and dtype, by profile."""


LONGEST = 300
"""Characters of a path that a message shows."""

MOST_POINTS = 1e12
"""Points that a run may ask for: more than a month of a large machine."""


@dataclass(frozen=True)
class RunOptions:
    """The options of one run.

    Attributes:
        points, dtypes, seed, accuracy: for the engine, as in `check`.
        only: glob over names; None for all.
        profile: dev, ci or nightly.
        executor: where the work is done.
        resume: take over what the same run finished before it was interrupted.
        timeout: seconds per rule or theorem (in a large run per part of one); None: `workers.TIME_LIMIT`.
        out: folder of the reports, or None.
        json: file for the machine-readable result, or None.
        examples: points of the user's own by the name of their rule, see `cli/example_files.py`.
    """

    points: int
    dtypes: tuple[str, ...]
    seed: int
    accuracy: float | None
    only: str | None
    profile: str
    executor: ExecutorSpec
    resume: bool
    timeout: float | None
    out: Path | None
    json: Path | None
    examples: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def engine(self) -> EngineOptions:
        """Keyword arguments for the engine."""
        found: EngineOptions = {
            "points": self.points,
            "dtypes": list(self.dtypes),
            "seed": self.seed,
            "accuracy": self.accuracy,
        }
        if self.examples:
            found["examples"] = dict(self.examples)
        return found

    @property
    def shown(self) -> dict[str, Any]:
        """What the report shows of the options."""
        found: dict[str, Any] = {**self.engine, "profile": self.profile, "only": self.only}
        if self.examples:
            found["examples"] = [str(e["label"]) for given in self.examples.values() for e in given]
        return found

    def selects(self, *names: str) -> bool:
        """Whether `--only` lets one of `names` through."""
        return self.only is None or any(fnmatchcase(name, self.only) for name in names)


def add_run_arguments(parser: argparse.ArgumentParser, *, out: str | None) -> None:
    """Add the shared options; `out` is the default folder of the reports."""
    add = parser.add_argument
    add("--only", metavar="GLOB", help="only names that match, such as '*Softmax*'")
    add("--points", type=whole_number, metavar="N", help="evaluations of each claim and dtype (1e5 is understood)")
    add("--dtype", action="append", choices=DTYPES, dest="dtypes", help="format to check in; may be repeated")
    add("--seed", type=int, default=0, metavar="N", help="the same seed gives the same points (default 0)")
    add(
        "--profile",
        choices=PROFILES,
        help="points by occasion: dev and ci 1e4, nightly 1e6 (default: ci under CI=true)",
    )
    add("--accuracy", type=positive, metavar="N", help="refuse errors beyond N times what conditioning forces")
    add(
        "--executor",
        default="process",
        metavar="SPEC",
        help="serial, process (one per core, the default), process:N, dask:ADDRESS, or mpi",
    )
    add("--resume", action="store_true", help="go on with the same run where it was interrupted")
    add("--timeout", type=positive, metavar="S", help="stop a rule after S seconds (default 600)")
    add("--out", type=Path, default=out, metavar="DIR", help=f"write the report there (default: {out or 'none'})")
    add("--json", type=Path, metavar="FILE", help="write the result as JSON")


def resolve(args: argparse.Namespace, dtypes: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> RunOptions:
    """The options of a run, and proof that its outputs can be written.

    Args:
        dtypes: the formats when `--dtype` names none.

    Raises:
        UsageError: on values that make no sense, and on outputs that cannot be written.
    """
    profile = args.profile or ("ci" if environ.get("CI", "").lower() in ("true", "1") else "dev")
    if args.seed < 0:
        raise UsageError(f"--seed must not be negative, got {args.seed}")
    options = RunOptions(
        points=args.points or PROFILES[profile],
        dtypes=tuple(dict.fromkeys(args.dtypes or dtypes)),
        seed=args.seed,
        accuracy=args.accuracy,
        only=args.only,
        profile=profile,
        executor=parse_executor(args.executor),
        resume=args.resume,
        timeout=args.timeout,
        out=Path(args.out) if args.out else None,
        json=args.json,
    )
    if options.out is not None:
        probe_folder(options.out)
    if options.json is not None:
        probe_file(options.json)
    return options


def whole_number(text: str) -> int:
    """A positive integer, also written as 1e7 or 10_000."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise argparse.ArgumentTypeError(f"expected a positive whole number such as 10000 or 1e7, got {text!r}")
    if value > MOST_POINTS:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_POINTS:.0e}, got {text!r}")
    return int(value)


def positive(text: str) -> float:
    """A positive finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return value


def probe_folder(folder: Path) -> None:
    """Make `folder` and prove that a file can be written into it.

    Raises:
        UsageError: when it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(folder)
        probe(folder / "probe")
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise UsageError(f"--out {str(folder)[:LONGEST]} cannot be written ({why}); name another folder") from None


def probe_file(file: Path) -> None:
    """Prove that `file` can be written; it is not touched.

    Raises:
        UsageError: when it cannot.
    """
    try:
        if file.is_dir():
            raise UsageError(f"--json {file} is a folder; name a file")
        if not file.exists() or file.is_file():  # else a pipe or a device
            probe(file)
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise UsageError(f"--json {str(file)[:LONGEST]} cannot be written ({why}); name another file") from None
