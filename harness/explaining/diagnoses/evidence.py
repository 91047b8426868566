"""Evidence gathers what a diagnosis looks at: the rule's Jacobian and the true one at a few small points of small
shapes.

Several shapes with different sizes tell n, 1/n and a batch size apart; all inputs are generic: no ties, zeros, kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array, cast
from backprove.harness.frontends.front_end import ExactFunction
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Unsupported
from backprove.harness.numbers.balls.arrays import lift, lift_floats, zeros
from backprove.harness.numbers.floats.floats import run_floats
from backprove.strategies.array import ArraySpec
from backprove.strategies.generic import draw, small_sizes

SAME = 1e-6
"""Relative distance below which two Jacobians are taken for equal: above float32 noise, far below any mistake."""
LARGEST = 40
"""Most entries of an input or of the outputs of one case."""
POINTS = 2
SCALAR_POINTS = 4


def same(a: Array, b: Array) -> bool:
    """Equal up to `SAME` of their largest entry; False where anything is not finite."""
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    return bool(np.abs(a - b).max() <= SAME * max(np.abs(a).max(), np.abs(b).max()))


@dataclass
class Case:
    """One point: Jacobians have one row per output entry and one column per entry of the argument.

    Attributes:
        claim_at: the claim at this shape.
        sizes: size of every named dimension.
        x: primals, float64 or integers.
        true: per differentiated argument the true Jacobian.
        got: the same of the rule; None where its results have the wrong shape.
    """

    claim_at: DerivativeAt
    sizes: dict[str, int]
    x: list[Array]
    true: list[Array] = field(default_factory=list)
    got: list[Array] | None = None

    @property
    def mode(self) -> str:
        return self.claim_at.mode

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the differentiated arguments."""
        return [self.claim_at.signature[i][0] for i in self.claim_at.wrt]

    @cached_property
    def outputs(self) -> list[Array]:
        return self.forward(self.x)

    def forward(self, x: Sequence[Array]) -> list[Array]:
        """The outputs at another point, in float64."""
        return forward_floats(self.claim_at, x)

    def argument(self, k: int) -> Array:
        """The k-th differentiated argument."""
        return self.x[self.claim_at.wrt[k]]

    def rule(self, directions: Sequence[Array], x: Sequence[Array] | None = None) -> list[Array] | None:
        """The rule's results for one direction per output (vjp) or argument (jvp); None where it raises."""
        out = self.rule_batch([[*directions]], x)
        return None if out is None else out[0]

    def rule_batch(
        self, directions: Sequence[Sequence[Array]], x: Sequence[Array] | None = None
    ) -> list[list[Array]] | None:
        at = list(self.x if x is None else x)
        program = self.claim_at.rule_program
        try:
            if program is not None and self.claim_at.rule.is_its_program:
                n = len(directions)
                given = [np.stack([d[k] for d in directions], axis=-1) for k in range(len(directions[0]))]
                many = [np.repeat(a[..., None], n, axis=-1) for a in at]
                out = run_floats(program, [*many, *given])
                full = [np.broadcast_to(o, (*o.shape[:-1], n)) for o in out]
                return [[np.asarray(o[..., k], dtype=float) for o in full] for k in range(n)]
            rule = self.claim_at.rule
            return [[np.asarray(o, dtype=float) for o in rule.at_one([*at, *d])] for d in directions]
        except Exception:  # a rule that raises here is reported by the judge; there is nothing to compare
            return None

    def units(self) -> Iterator[list[Array]]:
        """All directions with a single entry 1."""
        shapes = self.claim_at.direction_shapes
        for k, shape in enumerate(shapes):
            for j in np.ndindex(shape):
                unit = [np.zeros(s) for s in shapes]
                unit[k][j] = 1.0
                yield unit

    def directions(self, seed: int = 1) -> list[Array]:
        """A generic direction: no entry zero, no two alike."""
        rng = np.random.default_rng(seed)
        return [0.5 + rng.random(s) for s in self.claim_at.direction_shapes]

    def apply(self, jacobians: Sequence[Array], directions: Sequence[Array]) -> list[Array]:
        """`J^T g` per argument (vjp), or the one flat output tangent `sum_k J_k t_k` (jvp)."""
        flat = [d.ravel() for d in directions]
        if self.mode == "vjp":
            g = np.concatenate(flat) if flat else np.zeros(0)
            return [(g @ j).reshape(s) for j, s in zip(jacobians, self.shapes, strict=True)]
        total = np.sum([j @ t for j, t in zip(jacobians, flat, strict=True)], axis=0)
        cuts = np.cumsum([int(np.prod(s)) for s in self.claim_at.output_shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(total, cuts), self.claim_at.output_shapes, strict=True)]

    def true_at(self, x: Sequence[Array]) -> list[Array] | None:
        """True Jacobians at another point of the same shape; None where they are not finite."""
        return jacobian(self.claim_at, x)

    def right(self, k: int) -> bool:
        """Whether the rule is right in argument k."""
        return self.got is not None and same(self.got[k], self.true[k])


def forward_floats(claim_at: DerivativeAt, x: Sequence[Array]) -> list[Array]:
    """The float outputs of forward at one point."""
    return [np.asarray(o, dtype=float) for o in claim_at.forward.at_one(x) if o.dtype.kind not in "iub"]


def _copies(arrays: Sequence[Array]) -> list[Array]:
    return [a.copy() for a in arrays]


@dataclass
class Evidence:
    """All cases of one refused claim.

    Attributes:
        cases: at generic points; shapes in which the rule's results have the wrong shape have `got` None.
        linear: the rule is linear in its direction.
        verdict: the worst of the refusal.
    """

    cases: list[Case]
    names: tuple[str, ...]
    specs: dict[str, ArraySpec]
    linear: bool
    verdict: str

    @property
    def mode(self) -> str:
        return self.cases[0].mode

    @property
    def word(self) -> str:
        """What the rule's direction is called."""
        return "cotangent" if self.mode == "vjp" else "tangent"

    @cached_property
    def wrong(self) -> list[int]:
        """Arguments in which the rule is wrong at one of the points at least."""
        return [k for k in range(len(self.names)) if any(c.got is not None and not c.right(k) for c in self.cases)]

    @property
    def shaped(self) -> list[Case]:
        """Cases whose results have the right shape."""
        return [c for c in self.cases if c.got is not None]

    def every(self, fits: Callable[[Case, int], bool]) -> bool:
        """Whether `fits` holds at all cases for all wrong arguments."""
        cases = self.shaped
        return bool(self.wrong) and len(cases) == len(self.cases) and all(fits(c, k) for c in cases for k in self.wrong)

    @property
    def where(self) -> str:
        """ "" where the rule has one argument or all are wrong, else which are wrong, as the start of a sentence."""
        if len(self.names) == 1 or len(self.wrong) == len(self.names):
            return ""
        return f"In the {self.word} of {' and '.join(self.names[k] for k in self.wrong)}: "


def jacobian(claim_at: DerivativeAt, x: Sequence[Array]) -> list[Array] | None:
    """True Jacobians of the differentiated arguments; None where they are not finite or a kink is touched."""
    forward = claim_at.forward.exact
    found = None
    if forward is not None:
        try:
            found = _exact(forward, claim_at, x)
        except Kink:
            return None
        except Exception:  # balls cannot follow the code here: differences may
            found = None
    if found is None:
        found, finer = _differences(claim_at, x, STEP), _differences(claim_at, x, STEP / 2)
        if found is None or finer is None or not all(same(p, q) for p, q in zip(found, finer, strict=True)):
            return None
        found = finer
    return found if all(np.isfinite(j).all() for j in found) else None


class Kink(Exception):
    """Forward touches a kink: there is no single Jacobian."""


STEP = 2.0**-7
"""Of the differences where balls cannot follow the code."""


def _exact(forward: ExactFunction, claim_at: DerivativeAt, x: Sequence[Array]) -> list[Array]:
    sizes = [int(np.prod(claim_at.signature[i][0])) for i in claim_at.wrt]
    n = sum(sizes)
    if not n:
        return [np.zeros((sum(int(np.prod(s)) for s in claim_at.output_shapes), 0)) for _ in sizes]
    points = [np.repeat(a[..., None], n, axis=-1) for a in lift_floats(x)]
    tangents: list[Array | None] = [None] * len(x)
    for i, size, start in zip(claim_at.wrt, sizes, np.cumsum([0, *sizes[:-1]]), strict=True):
        unit = zeros((size, n))
        for k in range(size):
            unit[k, start + k] = lift(np.ones(1))[0]
        tangents[i] = unit.reshape((*x[i].shape, n))
    with ctx.workprec(128):
        _, moved, touched = forward.duals(points, tangents)
    if touched.any():
        raise Kink
    to_float = np.frompyfunc(lambda v: float(v.mid()) if v.is_finite() else np.nan, 1, 1)
    rows = [to_float(np.broadcast_to(m, (*m.shape[:-1], n)).reshape(-1, n)).astype(float) for m in moved]
    return np.split(np.concatenate(rows, axis=0), np.cumsum(sizes)[:-1], axis=1)


def _differences(claim_at: DerivativeAt, x: Sequence[Array], h: float) -> list[Array] | None:
    """Central differences of order six in float64: relative error about 1e-9 for smooth maps."""
    weights = ((1, 45.0), (2, -9.0), (3, 1.0))
    out = []
    try:
        for i in claim_at.wrt:
            columns = []
            for j in np.ndindex(x[i].shape):
                slope: Any = 0.0
                for step, w in weights:
                    for sign in (1, -1):
                        moved = _copies(x)
                        moved[i][j] += sign * step * h
                        values = forward_floats(claim_at, moved)
                        slope = slope + sign * w * np.concatenate([v.ravel() for v in values])
                columns.append(slope / (60 * h))
            out.append(np.stack(columns, axis=-1))
    except Exception:  # forward does not take these points
        return None
    return out


def gather(binder: Binder, verdict: str, first: int = 0) -> Evidence | None:
    """Look at the rule at a few small points; None where nothing can be compared.

    Args:
        first: seed of the points.
    """
    specs = dict(binder.specs)
    cases: list[Case] = []
    linear = True
    bounds = []
    for sizes in small_sizes(specs):
        try:
            claim_at = binder.bind([s.shape(sizes) for s in specs.values()], "float64")
        except (Unsupported, KeyError):
            continue
        if not isinstance(claim_at, DerivativeAt) or claim_at.unit:
            return None
        rows = sum(int(np.prod(s)) for s in claim_at.output_shapes)
        columns = sum(int(np.prod(claim_at.signature[i][0])) for i in claim_at.wrt)
        if 0 < rows <= LARGEST and 0 < columns <= LARGEST:
            bounds.append((sizes, claim_at))
    count = SCALAR_POINTS if len(bounds) == 1 else POINTS
    for sizes, claim_at in bounds:
        for seed in range(first, first + count):
            case = Case(claim_at, _numbers(sizes), [cast(a, "float64") for a in draw(specs, sizes, seed)])
            true = jacobian(claim_at, case.x)
            if true is None:
                continue
            case.true = true
            results = case.rule_batch(list(case.units()))
            if results is None:
                continue
            case.got = assemble(case, results)
            if case.got is not None:
                linear = linear and _linear(case)
            cases.append(case)
    if not cases:
        return None
    some = cases[0].claim_at
    return Evidence(cases, tuple(some.input_names[i] for i in some.wrt), specs, linear, verdict)


def _numbers(sizes: dict[str, Any]) -> dict[str, int]:
    return {k: int(np.prod(v)) for k, v in sizes.items()}


def assemble(case: Case, results: Sequence[Sequence[Array]]) -> list[Array] | None:
    """Jacobians from the rule's results for all unit directions; None where a shape is wrong."""
    claim_at = case.claim_at
    if any(tuple(r.shape for r in one) != tuple(claim_at.result_shapes) for one in results):
        return None
    flat = np.array([np.concatenate([r.ravel() for r in one]) for one in results])
    if case.mode == "vjp":
        return np.split(flat, np.cumsum([int(np.prod(s)) for s in case.shapes])[:-1], axis=1)
    return np.split(flat.T, np.cumsum([int(np.prod(s)) for s in case.shapes])[:-1], axis=1)


def _linear(case: Case) -> bool:
    assert case.got is not None
    d = case.directions()
    result = case.rule(d)
    if result is None:
        return False
    expected = case.apply(case.got, d)
    return all(same(r, e) or not np.isfinite(e).all() for r, e in zip(result, expected, strict=True))
