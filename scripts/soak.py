"""Soak the numeric core: right rules at very many points, wrong ones until they are refused, and what each layer costs.

Writes `soak.json` (right rules), `mutants.json` (wrong ones) and, with the figures of `scripts/peers.py`, the tables of
`measurements.md`.

Usage: python -m scripts.soak [--part wrong right] [--points N] [--mutant-points N] [--dtype D] [--only GLOB]
    [--seed N] [--out DIR] [--tables FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from backprove.harness import bound_derivative
from backprove.harness.binding import Binder
from backprove.harness.bound_derivative import BoundDerivative
from backprove.harness.campaign import rule_binders
from backprove.harness.dtypes import FORMATS
from backprove.harness.environment import describe
from backprove.harness.examination import Examination
from backprove.harness.function import quiet
from backprove.harness.judge import CHUNK, RANDOM_EXACT_POINTS, SPECIAL_POINTS
from backprove.harness.oracles.exact import Status
from backprove.harness.rule import Rule
from backprove.harness.verdict import Verdict
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.domain import point_domain
from backprove.strategies.points import Points
from backprove.strategies.shapes import has_empty, shape_buckets
from backprove.strategies.values import draw_points, special_points
from scripts.measurement_tables import write_tables
from tests.mutants.mutants import MUTANTS
from tests.mutants.problem import Mutant, Problem
from tests.mutants.rules import PROBLEMS, RIGHT

Array = NDArray[Any]

DTYPES = ("float64", "float32", "bfloat16")
BEYOND_POINTS = 512
"""Points of the dtype's whole range per rule; only `falsified` counts there."""
AT_KINK = (Status.KINK_AGREES, Status.KINK_REFUTED, Status.SINGULAR, Status.UNEXAMINED)

STEPS = (
    (BoundDerivative, "_forward", "floats"),
    (BoundDerivative, "_result", "floats"),
    (BoundDerivative, "_rounding", "rounding"),
    (bound_derivative, "against_autodiff", "autodiff"),
    (bound_derivative, "against_differences", "differences"),
    (BoundDerivative, "_arbitrate", "exact"),
    (BoundDerivative, "_compiled", "compiled"),
    (bound_derivative, "grade", "grading"),
)
"""Where a step of an examination is found, and the layer to which its time is charged."""


@dataclass
class Batch:
    """Points of one shape, on their way through the layers."""

    bound: BoundDerivative
    arrays: tuple[Array, ...]
    directions: tuple[Array, ...]
    exact: Array
    beyond: bool = False


@dataclass
class Soaked:
    """What one right rule went through at one dtype.

    Attributes:
        points: judged in full; `beyond` those of the dtype's whole range, where only `falsified` counts.
        exhaustive: every finite number of the dtype was an input.
        outside: points where forward is not finite.
        alarms: verdict -> number of points; `first` tells the first of them.
        suspicious: points away from kinks that a float layer sent on to the exact layer.
        undecided: points at which the exact layer could not tell.
        seconds: layer -> time; `checked` layer -> points it looked at.
    """

    rule: str
    form: str
    dtype: str
    points: int = 0
    beyond: int = 0
    exhaustive: bool = False
    outside: int = 0
    alarms: dict[str, int] = field(default_factory=dict)
    first: str = ""
    suspicious: int = 0
    undecided: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    wall: float = 0.0

    def charge(self, layer: str, seconds: float) -> None:
        self.seconds[layer] = self.seconds.get(layer, 0.0) + seconds

    def take(self, batch: Batch, seen: Examination) -> None:
        """Enter what was seen of a batch."""
        inside = int((~seen.outside).sum())
        self.outside += int(seen.outside.sum())
        if batch.beyond:
            self.beyond += inside
        else:
            self.points += inside
        for name in ("floats", "grading"):
            self.checked[name] = self.checked.get(name, 0) + seen.outside.size
        for name, tally in seen.layers.items():
            self.checked[name] = self.checked.get(name, 0) + tally.checked
        for i, (finding, outcome) in enumerate(zip(seen.findings, seen.outcomes, strict=True)):
            if outcome is not None:
                self.undecided += outcome.status is Status.UNDECIDED
                self.suspicious += not batch.exact[i] and outcome.status not in AT_KINK
            if finding is None or (batch.beyond and finding.verdict is not Verdict.FALSIFIED):
                continue
            self.alarms[finding.verdict.value] = self.alarms.get(finding.verdict.value, 0) + 1
            if not self.first:
                at = [a[..., i].tolist() for a in (*batch.arrays, *batch.directions)]
                self.first = f"{finding.verdict}: {finding.what}: {finding.got} against {finding.expected} at {at}"


@dataclass
class Kill:
    """How one wrong rule fared at one dtype.

    Attributes:
        verdict: of the first refusal, "holds" where there was none within the points given.
        layer: which layer refused it.
        point: number of the refused point, counted from 1 in the order of judging.
    """

    mutant: str
    rule: str
    wrong: str
    dtype: str
    expected: str
    equivalent: bool
    verdict: str = "holds"
    layer: str = ""
    point: int | None = None
    seconds: float = 0.0


def batches(binder: Binder, dtype: str, points: int, seed: int) -> Iterator[Batch]:
    """The points of a campaign in its order: special ones of every shape, then bulk, then some beyond the range."""
    specs = dict(binder.specs)
    shapes = [s for s in shape_buckets(specs) if not has_empty(specs, s)]
    bounds = [binder.bind([spec.shape(s) for spec in specs.values()], dtype) for s in shapes]

    def batch(bound: Any, drawn: Points, item: object, exact: int, beyond: bool = False) -> Batch:
        assert isinstance(bound, BoundDerivative)
        directions = draw_directions(bound.direction_shapes, drawn.count, seed, item, dtype)
        return Batch(bound, drawn.arrays, directions, np.arange(drawn.count) < exact, beyond)

    for sizes, bound in zip(shapes, bounds, strict=True):
        drawn = special_points(specs, sizes, dtype, _specials(bound), limit=SPECIAL_POINTS)
        yield batch(bound, drawn, ("special", str(sizes)), drawn.count)
    left, chunk = points, 0
    while left > 0:
        for sizes, bound in zip(shapes, bounds, strict=True):
            count = min(CHUNK, max(left, 0), -(-points // len(shapes)))
            if not count:
                continue
            drawn = draw_points(specs, sizes, dtype, count, seed, ("bulk", str(sizes), chunk), _specials(bound))
            yield batch(
                bound, drawn, ("bulk", str(sizes), chunk), 0 if chunk else -(-RANDOM_EXACT_POINTS // len(shapes))
            )
            left -= count
        chunk += 1
    for sizes, bound in zip(shapes, bounds, strict=True):
        count = BEYOND_POINTS // len(shapes)
        drawn = draw_points(specs, sizes, dtype, count, seed, ("beyond", str(sizes)), _specials(bound), True)
        yield batch(bound, drawn, ("beyond", str(sizes)), 8, True)


def _specials(bound: Any) -> list[float]:
    found: list[float] = bound.specials
    return found


def every_bfloat16(problem: Problem, binder: Binder, seed: int) -> Iterator[Batch]:
    """All finite bfloat16 inputs of a scalar rule that its domain admits; those beyond the range are marked."""
    dtype = "bfloat16"
    (spec,) = problem.inputs.values()
    every = np.arange(2**16, dtype=np.uint16).view(FORMATS[dtype].numpy).astype(np.float64)
    every = every[np.isfinite(every)]
    near, far = point_domain(spec, dtype).contains(every), point_domain(spec, dtype, True).contains(every)
    bound = binder.bind([()], dtype)
    assert isinstance(bound, BoundDerivative)
    for beyond, values in ((False, every[near]), (True, every[far & ~near])):
        for k in range(0, values.size, CHUNK):
            part = values[k : k + CHUNK]
            directions = draw_directions([()], part.size, seed, ("every", beyond, k), dtype)
            yield Batch(bound, (part,), directions, np.arange(part.size) % 64 == 0, beyond)


@contextmanager
def timed(charge: Callable[[str, float], None]) -> Iterator[None]:
    """Let every step of an examination report its time."""

    def clocked(step: Callable[..., Any], layer: str) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> Any:
            started = perf_counter()
            try:
                return step(*arguments, **more)
            finally:
                charge(layer, perf_counter() - started)

        return run

    with ExitStack() as stack:
        for owner, name, layer in STEPS:
            stack.enter_context(patch.object(owner, name, clocked(getattr(owner, name), layer)))
        yield


def soak(problem: Problem, form: str, dtype: str, points: int, seed: int) -> Soaked:
    """A right rule at special points, bulk points and, for a scalar rule in bfloat16, every input there is."""
    out = Soaked(problem.name, form, dtype)
    started = perf_counter()
    binder = _binder(problem.rule(form))
    work: Iterator[Batch] = batches(binder, dtype, points, seed)
    if dtype == "bfloat16" and problem.scalar:
        out.exhaustive = True
        work = every_bfloat16(problem, binder, seed)
    prepared: set[int] = set()
    with quiet(), timed(out.charge):
        for batch in work:
            if id(batch.bound) not in prepared:
                prepared.add(id(batch.bound))
                began = perf_counter()
                _ = (batch.bound.forward_program, batch.bound.rule_program, batch.bound.autodiff, batch.bound.problem)
                out.charge("trace", perf_counter() - began)
            seen = batch.bound.examine(batch.arrays, batch.directions, batch.exact, cap=CHUNK)
            out.take(batch, seen)
    out.wall = perf_counter() - started
    return out


def hunt(mutant: Mutant, dtype: str, points: int, seed: int) -> Kill:
    """A wrong rule until its first refusal."""
    problem = PROBLEMS[mutant.problem]
    kill = Kill(mutant.name, mutant.problem, mutant.wrong, dtype, mutant.verdict, dtype in mutant.equivalent)
    started = perf_counter()
    before = 0
    with quiet():
        for batch in batches(_binder(problem.rule(mutant.vjp, mutant.name)), dtype, points, seed):
            seen = batch.bound.examine(batch.arrays, batch.directions, batch.exact)
            inside = np.flatnonzero(~seen.outside)
            for number, i in enumerate(inside.tolist(), 1):
                finding = seen.findings[i]
                if finding is None or (batch.beyond and finding.verdict is not Verdict.FALSIFIED):
                    continue
                kill.verdict, kill.point = finding.verdict.value, before + number
                kill.layer = _layer(finding.verdict, finding.oracle, bool(batch.exact[i]))
                kill.seconds = perf_counter() - started
                return kill
            before += inside.size
    kill.seconds = perf_counter() - started
    return kill


def _layer(verdict: Verdict, oracle: str, asked: bool) -> str:
    if verdict is Verdict.INACCURATE:
        return "rounding" if oracle.startswith("running") else "range"
    if oracle.startswith("smooth pieces"):
        return "kink"
    return "exact" if asked else "screen, then exact"


def _binder(rule: Rule) -> Binder:
    return next(b for b in rule_binders(rule) if b.name == "vjp")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000, help="points per right rule and dtype")
    parser.add_argument(
        "--mutant-points", type=int, default=20_000, help="points after which a wrong rule has survived"
    )
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="repeatable; all three if left out")
    parser.add_argument("--only", default="*", help="glob over the names of rules and mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/measurements"), help="folder of the figures")
    parser.add_argument("--tables", type=Path, default=Path("docs/measurements.md"), help="file of the tables")
    parser.add_argument("--part", nargs="+", choices=("wrong", "right"), default=("wrong", "right"))
    options = parser.parse_args(arguments)
    dtypes = options.dtype or list(DTYPES)
    wrong = _judge_wrong(options, dtypes) if "wrong" in options.part else 0
    alarms = _judge_right(options, dtypes) if "right" in options.part else 0
    return 1 if wrong or alarms else 0


def _judge_wrong(options: argparse.Namespace, dtypes: Sequence[str]) -> int:
    """The wrong rules; returns the number of survivors."""
    kills: list[Kill] = []
    with _stored(options, "mutants", options.mutant_points, kills):
        for mutant in MUTANTS.values():
            for dtype in dtypes if fnmatch.fnmatch(mutant.name, options.only) else ():
                kills.append(hunt(mutant, dtype, options.mutant_points, options.seed))
                _tell(f"{mutant.name} {dtype}: {kills[-1].verdict} {kills[-1].layer} {kills[-1].point or ''}")
    return sum(k.verdict == "holds" and not k.equivalent for k in kills)


def _judge_right(options: argparse.Namespace, dtypes: Sequence[str]) -> int:
    """The right rules; returns the number of those that were refused."""
    right: list[Soaked] = []
    with _stored(options, "soak", options.points, right):
        for name, form in RIGHT:
            for dtype in dtypes if fnmatch.fnmatch(name, options.only) else ():
                right.append(soak(PROBLEMS[name], form, dtype, options.points, options.seed))
                _tell(f"{name} {form} {dtype}: {right[-1].points} points, alarms {right[-1].alarms or 'none'}")
    return sum(bool(r.alarms) for r in right)


@contextmanager
def _stored(options: argparse.Namespace, name: str, points: int, rows: Sequence[Any]) -> Iterator[None]:
    """Write figures and tables at the end; what a cut run has measured is kept, and says that it was cut."""
    started, complete = perf_counter(), False
    try:
        yield
        complete = True
    finally:
        figures = {
            "points": points,
            "seed": options.seed,
            "complete": complete,
            "seconds": perf_counter() - started,
            "environment": describe(),
            "rows": [asdict(r) for r in rows],
        }
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{name}.json").write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", "utf-8")
        write_tables(options.out, options.tables)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # A run in the background ignores interrupts; both signals end it with its figures written.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
