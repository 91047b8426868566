"""Claims of theorems are judged here at one small shape with another program in the place of the traced one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, quiet
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import ProgramFunction
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.judging.examination import ClaimAt, Examination
from backprove.harness.programs.program import Program, Signature
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.points import Points
from backprove.strategies.shapes import Sizes
from backprove.strategies.special import special_points
from backprove.strategies.values import draw_points

DTYPE = "float64"
ORDINARY_POINTS = 24
SPECIAL_POINTS = 32
BATCHES = (3,)
"""Most broken variants fall at the first points: so many first, then all."""
KINKS = 3


class ExactDerivative(DerivativeAt):
    """Every point meets the exact layer, so the layers that only point at suspicious ones, and the grades, stay out."""

    def examine(
        self,
        inputs: Sequence[Array],
        directions: Sequence[Array],
        exact: Array,
        *,
        cap: int = 256,
        compared: Array | None = None,
    ) -> Examination:
        n = len(exact)
        seen = Examination.empty(n)
        x, d = list(inputs), list(directions)
        seen.outside = any_entry([~np.isfinite(f) for f in self._forward(x, seen)], n)
        result = self._result(x, d, seen)
        index = np.flatnonzero(~seen.outside)
        if result is not None and index.size:
            broken = any_entry([~np.isfinite(r) for r in result], n) & ~seen.outside
            beyond = self._rounding(x, d, result, exact, seen)
            self._arbitrate(x, d, result, index, broken, beyond, broken | beyond, seen)
        return seen

    def with_programs(self, other: Mapping[int, Program]) -> DerivativeAt:
        made = super().with_programs(other)
        made.kink_budget = KINKS
        return made


@dataclass
class Property:
    """One claim of a theorem at a fixed shape, with its points.

    Attributes:
        theorem: full name.
        name: of the claim, as in reports.
        kind: "derivative", "equality", "pairing" or "positivity".
        claim_at: the claim at the shape.
        programs: the rule, the two sides, or the value.
        inputs, directions: points that satisfy the hypotheses, ordinary ones first.
    """

    theorem: str
    name: str
    kind: str
    claim_at: ClaimAt
    programs: tuple[Program, ...]
    inputs: tuple[Array, ...] = field(repr=False)
    directions: tuple[Array, ...] = field(repr=False)

    @property
    def points(self) -> int:
        return int((self.inputs or self.directions)[0].shape[-1])

    @property
    def arguments(self) -> tuple[Array, ...]:
        """What the programs are evaluated at."""
        return (*self.inputs, *self.directions)

    def refuses(self, other: Mapping[int, Program]) -> Verdict | None:
        """The verdict with `other` programs in the places given, None where nothing is wrong."""
        claim_at = self.claim_at.with_programs(other)
        start = 0
        with quiet():
            for stop in (*BATCHES, self.points):
                batch = slice(start, min(stop, self.points))
                count = batch.stop - batch.start
                if count > 0:
                    seen = claim_at.examine(
                        [a[..., batch] for a in self.inputs],
                        [a[..., batch] for a in self.directions],
                        np.ones(count, dtype=bool),
                    )
                    verdicts = [f.verdict for f in seen.violations if f is not None]
                    if verdicts:
                        return min(verdicts, key=lambda v: v.rank)
                start = max(start, batch.stop)
        return None


def defined(program: Program, arguments: Sequence[Array]) -> Array:
    """Per point: whether the program has a value over the reals that balls enclose."""
    every = np.ones(arguments[0].shape[-1], dtype=bool)
    with quiet():
        seen = _identity(program, program).examine(arguments, [], every)
    return np.array([o is not None and o.status.accepted for o in seen.outcomes])


def equivalent(original: Program, other: Program, arguments: Sequence[Array], known: Array) -> bool:
    """Whether two programs are equal over the reals at all points, and `other` within its own rounding in floats.

    Args:
        known: the points where `original` has a value; there `other` must have it too.
    """
    every = np.ones(arguments[0].shape[-1], dtype=bool)
    with quiet():
        seen = _identity(original, other).examine(arguments, [], every)
    agrees = np.array([o is not None and o.status.accepted for o in seen.outcomes])
    return bool(known.any() and agrees[known].all() and all(f is None for f in seen.violations))


def overflows(original: Program, other: Program, arguments: Sequence[Array]) -> bool:
    """Whether `other` is NaN or infinite in floats at a point where `original` is finite."""
    claim_at = _identity(original, other)
    with quiet():
        before, after = (s.floats(arguments).values for s in claim_at.sides)
    return any(bool(np.any(np.isfinite(b) & ~np.isfinite(a))) for b, a in zip(before, after, strict=True))


def _identity(original: Program, other: Program) -> EqualityAt:
    signature: Signature = tuple((v.shape, v.dtype) for v in original.inputs)
    names = [f"input {k + 1}" for k in range(len(signature))]
    sides = [ProgramFunction(original, "original"), ProgramFunction(other, "variant")]
    return EqualityAt(sides, names, signature, DTYPE)


def properties(theorem: Theorem) -> list[Property]:
    """The claims of a theorem whose functions JAX can trace, at one small shape."""
    found = []
    for binder in binders_of(theorem):
        p = _property(theorem, binder)
        if p is not None:
            found.append(p)
    return found


def small_sizes(theorem: Theorem) -> Sizes:
    """Three entries where the statement has one dimension, else 2 x 2: a square shows transposes that are missing."""
    # In the order of the statement: the draws depend on it.
    names = dict.fromkeys(n for s in theorem.inputs.values() for n in s.names)
    dims = [d for s in theorem.inputs.values() for d in s.dims if isinstance(d, str)]
    sizes: Sizes = {n: 3 if len(names) == 1 else 2 for n in names}
    return bounds_of(theorem.inputs).adapted({**sizes, **{d.lstrip("*"): (3,) for d in dims if d.startswith("*")}})


def _property(theorem: Theorem, binder: Binder) -> Property | None:
    sizes, specs = small_sizes(theorem), dict(theorem.inputs)
    shapes = [s.shape(sizes) for s in specs.values()]
    claim_at, kind = binder.bind(shapes, DTYPE), binder.kind
    if isinstance(claim_at, DerivativeAt):
        claim_at = ExactDerivative(claim_at.claim, claim_at.functions, specs, shapes, DTYPE)
    programs = tuple(p for p in claim_at.programs if p is not None)
    if not programs or len(programs) != len(claim_at.programs):
        return None
    if kind == "equality" and all(map(is_inner_product, programs)):
        kind = "pairing"
    points = _points(theorem, specs, sizes, claim_at.specials)
    item = ("mutate", theorem.name, binder.name)
    directions = draw_directions(claim_at.direction_shapes, points.count, 0, item, DTYPE)
    if claim_at.unit:
        directions = tuple(np.ones_like(d) for d in directions)
    return Property(theorem.name, binder.name, kind, claim_at, programs, points.arrays, directions)


def is_inner_product(program: Program) -> bool:
    """Whether the only output is a sum of inner products."""
    made = {v.slot: e for e in program.equations for v in e.outputs}
    todo = [v.slot for v in program.outputs]
    while todo:
        e = made.get(todo.pop())
        if e is not None and e.primitive == "add":
            todo += [v.slot for v in e.inputs]
        elif e is None or e.primitive != "reduce_sum" or getattr(made.get(e.inputs[0].slot), "primitive", "") != "mul":
            return False
    return len(program.outputs) == 1


def _points(theorem: Theorem, specs: dict[str, Any], sizes: Sizes, specials: Sequence[float]) -> Points:
    ordinary = draw_points(specs, sizes, DTYPE, ORDINARY_POINTS, 0, ("mutate", theorem.name), specials)
    points = Points.join([ordinary, special_points(specs, sizes, DTYPE, specials, limit=SPECIAL_POINTS)])
    if theorem.where is None:
        return points
    return points.take([i for i in range(points.count) if bool(np.all(theorem.where(*points.point(i))))])
