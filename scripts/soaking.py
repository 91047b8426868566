"""What one work item of the soak does: a right rule at many points, a wrong one until refused, a bug of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic, perf_counter, process_time
from typing import Any
from unittest.mock import patch

import numpy as np

from backprove.harness.campaign import subjects
from backprove.harness.core.arrays import Array, quiet
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.coverage import RANDOM_EXACT_POINTS, SPECIAL_POINTS
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining import diagnosis
from backprove.harness.judging import derivative_layers
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Examination
from backprove.harness.oracles.problem import Status
from backprove.harness.statements.rule import Rule
from backprove.strategies import shrinking
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.domain import point_domain
from backprove.strategies.points import Points
from backprove.strategies.shapes import has_empty, shape_buckets
from backprove.strategies.special import special_points
from backprove.strategies.values import draw_points
from tests.mutants.problem import Mutant, Problem
from tests.mutants.rules import PROBLEMS
from tests.zoo.rules import CASES

DTYPES = ("float64", "float32", "bfloat16")
CHUNK = 8192
"""Points drawn and judged at once: more than in a campaign, since a chunk's fixed cost counts here."""
BEYOND_POINTS = 512
"""Points of the dtype's whole range per rule; only `falsified` counts there."""
AT_KINK = (Status.KINK_AGREES, Status.KINK_REFUTED, Status.SINGULAR, Status.UNEXAMINED)

STEPS = (
    (DerivativeAt, "_forward", "floats"),
    (DerivativeAt, "_result", "floats"),
    (DerivativeAt, "_rounding", "rounding"),
    (derivative_layers, "against_autodiff", "autodiff"),
    (derivative_layers, "against_differences", "differences"),
    (DerivativeAt, "_arbitrate", "exact"),
    (DerivativeAt, "_compiled", "compiled"),
    (derivative_layers, "grade", "grading"),
)
"""Where a step of an examination is found, and the layer to which its time is charged."""


@dataclass
class Batch:
    """Points of one shape, on their way through the layers."""

    claim_at: DerivativeAt
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
        suspicious: points away from kinks that a float layer sent on to the exact layer; `suspicious_beyond` those of
            the dtype's whole range, where overflow on the way is common.
        undecided: points at which the exact layer could not tell.
        seconds: layer -> CPU time, drawing and tracing included; `checked` layer -> points it looked at.
        cpu, wall: of everything, in seconds.
        cut: the time was up before all points were judged.
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
    suspicious_beyond: int = 0
    undecided: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    wall: float = 0.0
    cut: bool = False

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
        for i, (violation, outcome) in enumerate(zip(seen.violations, seen.outcomes, strict=True)):
            if outcome is not None:
                self.undecided += outcome.status is Status.UNDECIDED
                sent = not batch.exact[i] and outcome.status not in AT_KINK
                self.suspicious += sent and not batch.beyond
                self.suspicious_beyond += sent and batch.beyond
            if violation is None or (batch.beyond and violation.verdict is not Verdict.FALSIFIED):
                continue
            self.alarms[violation.verdict.value] = self.alarms.get(violation.verdict.value, 0) + 1
            if not self.first:
                at = [a[..., i].tolist() for a in (*batch.arrays, *batch.directions)]
                v = violation
                self.first = f"{v.verdict}: {v.what}: {v.got} against {v.expected} at {at}"


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

    def batch(claim_at: Any, drawn: Points, item: object, exact: int, beyond: bool = False) -> Batch:
        assert isinstance(claim_at, DerivativeAt)
        directions = draw_directions(claim_at.direction_shapes, drawn.count, seed, item, dtype)
        return Batch(claim_at, drawn.arrays, directions, np.arange(drawn.count) < exact, beyond)

    for sizes, claim_at in zip(shapes, bounds, strict=True):
        drawn = special_points(specs, sizes, dtype, _specials(claim_at), limit=SPECIAL_POINTS)
        yield batch(claim_at, drawn, ("special", str(sizes)), drawn.count)
    left, chunk = points, 0
    while left > 0:
        for sizes, claim_at in zip(shapes, bounds, strict=True):
            count = min(CHUNK, max(left, 0), -(-points // len(shapes)))
            if not count:
                continue
            drawn = draw_points(specs, sizes, dtype, count, seed, ("bulk", str(sizes), chunk), _specials(claim_at))
            yield batch(
                claim_at, drawn, ("bulk", str(sizes), chunk), 0 if chunk else -(-RANDOM_EXACT_POINTS // len(shapes))
            )
            left -= count
        chunk += 1
    for sizes, claim_at in zip(shapes, bounds, strict=True):
        count = BEYOND_POINTS // len(shapes)
        drawn = draw_points(specs, sizes, dtype, count, seed, ("beyond", str(sizes)), _specials(claim_at), True)
        yield batch(claim_at, drawn, ("beyond", str(sizes)), 8, True)


def _specials(claim_at: Any) -> list[float]:
    found: list[float] = claim_at.specials
    return found


def every_bfloat16(problem: Problem, binder: Binder, seed: int) -> Iterator[Batch]:
    """All finite bfloat16 inputs of a scalar rule that its domain admits; those beyond the range are marked."""
    dtype = "bfloat16"
    (spec,) = problem.inputs.values()
    every = np.arange(2**16, dtype=np.uint16).view(FORMATS[dtype].numpy).astype(np.float64)
    every = every[np.isfinite(every)]
    near, far = point_domain(spec, dtype).contains(every), point_domain(spec, dtype, True).contains(every)
    claim_at = binder.bind([()], dtype)
    assert isinstance(claim_at, DerivativeAt)
    for beyond, values in ((False, every[near]), (True, every[far & ~near])):
        for k in range(0, values.size, CHUNK):
            part = values[k : k + CHUNK]
            directions = draw_directions([()], part.size, seed, ("every", beyond, k), dtype)
            yield Batch(claim_at, (part,), directions, np.arange(part.size) % 64 == 0, beyond)


@contextmanager
def timed(charge: Callable[[str, float], None]) -> Iterator[None]:
    """Let every step of an examination report its time."""

    def clocked(step: Callable[..., Any], layer: str) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> Any:
            started = process_time()
            try:
                return step(*arguments, **more)
            finally:
                charge(layer, process_time() - started)

        return run

    with ExitStack() as stack:
        for owner, name, layer in STEPS:
            stack.enter_context(patch.object(owner, name, clocked(getattr(owner, name), layer)))
        yield


def soak(problem: Problem, form: str, dtype: str, points: int, seed: int, deadline: float = np.inf) -> Soaked:
    """A right rule at special points, bulk points and, for a scalar rule in bfloat16, every input there is.

    Args:
        deadline: on the monotonic clock; what is judged by then counts.
    """
    out = Soaked(problem.name, form, dtype)
    began, started = perf_counter(), process_time()
    binder = _binder(problem.rule(form))
    work: Iterator[Batch] = batches(binder, dtype, points, seed)
    if dtype == "bfloat16" and problem.scalar:
        out.exhaustive = True
        work = every_bfloat16(problem, binder, seed)
    prepared: set[int] = set()
    with quiet(), timed(out.charge):
        while not out.cut:
            drawing = process_time()
            batch = next(work, None)
            # the first batch binds and traces the rule at every shape
            out.charge("draw" if prepared else "trace", process_time() - drawing)
            if batch is None:
                break
            if id(batch.claim_at) not in prepared:
                prepared.add(id(batch.claim_at))
                tracing = process_time()
                _ = (
                    batch.claim_at.forward_program,
                    batch.claim_at.rule_program,
                    batch.claim_at.autodiff,
                    batch.claim_at.problem,
                )
                out.charge("trace", process_time() - tracing)
            seen = batch.claim_at.examine(batch.arrays, batch.directions, batch.exact, cap=CHUNK)
            out.take(batch, seen)
            out.cut = monotonic() > deadline
    out.exhaustive &= not out.cut
    out.checked["draw"] = out.points + out.beyond + out.outside
    out.cpu, out.wall = process_time() - started, perf_counter() - began
    return out


def hunt(mutant: Mutant, dtype: str, points: int, seed: int) -> Kill:
    """A wrong rule until its first refusal."""
    problem = PROBLEMS[mutant.problem]
    kill = Kill(mutant.name, mutant.problem, mutant.wrong, dtype, mutant.verdict, dtype in mutant.equivalent)
    started = perf_counter()
    before = 0
    with quiet():
        for batch in batches(_binder(problem.rule(mutant.vjp, mutant.name)), dtype, points, seed):
            seen = batch.claim_at.examine(batch.arrays, batch.directions, batch.exact)
            inside = np.flatnonzero(~seen.outside)
            for number, i in enumerate(inside.tolist(), 1):
                violation = seen.violations[i]
                if violation is None or (batch.beyond and violation.verdict is not Verdict.FALSIFIED):
                    continue
                kill.verdict, kill.point = violation.verdict.value, before + number
                kill.layer = _layer(violation.verdict, violation.oracle, bool(batch.exact[i]))
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
    return next(b for b in binders_of(rule) if b.name == "vjp")


@dataclass
class Caught:
    """How one bug of the collection, or its mended rule, fared with one seed.

    Attributes:
        kind: "wrong" or "right".
        expected: the verdict it should get.
    """

    key: str
    report: str
    kind: str
    seed: int
    expected: str
    verdict: str
    points: int = 0
    cpu: float = 0.0

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.expected


def catch(key: str, kind: str, points: int, seed: int) -> Caught:
    """A released bug, or its right rule, judged as `bp.check` does; failing points are not made smaller."""
    case = CASES[key]
    rule, expected = (case.wrong, case.verdict) if kind == "wrong" else (case.right, Verdict.HOLDS.value)
    started = process_time()
    with (
        patch.object(shrinking, "shrink", lambda strategy, still, choices, *, start, **more: (start, 0)),
        patch.object(diagnosis, "diagnose", lambda binders, subject: None),
    ):
        subject = subjects.run(rule, points=points, dtypes=["float64", "float32"], seed=seed, accuracy=case.accuracy)
    judged = min((p.points for p in subject.properties), default=0)
    return Caught(key, case.report, kind, seed, expected, subject.verdict.value, judged, process_time() - started)
