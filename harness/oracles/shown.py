"""A gap between rule and derivative is shown where it exceeds what floats of the best format could tell apart.

Both are real numbers here, so that any gap is a fact: a rule with a series, a table or a Newton loop inside, or one
that is held against such a forward map, is off by some share of a rounding. What counts is a gap beyond `SHOWN_ULPS`
units in the last place of the derivative's entry, and what rounding the inputs and directions would do to it: to its
value, or to the terms that cancel in it where they cancel in forward's derivative and in the rule alike.

Example: `g * (1 + 2**-52) * cos(x)` is equal to the derivative of `sin(x)` up to 1 ulp; `g * (1 + 2**-45) * cos(x)`
is wrong by 128 ulp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import (
    CONDITIONING_DRAWS,
    CONDITIONING_FACTOR,
    FINE,
    NEARBY,
    SHOWN_ULPS,
    SMALLEST,
)
from backprove.harness.core.thresholds.large import LOCALISED
from backprove.harness.numbers.balls.arrays import BallArray, lift, zeros
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.problem import DerivativeProblem
from backprove.harness.oracles.vectors import dyadic, full, vector

INFINITE = arb("inf")


def ulps(gap: arb, expected: arb, unit: float) -> arb:
    """A gap in units in the last place of what is expected, in the format of unit roundoff `unit`."""
    return gap / ulp(expected, unit)


def ulp(value: arb, unit: float) -> arb:
    """One unit in the last place, at most: twice the unit roundoff of the value, or the smallest float."""
    size = arb(abs(value).mid()) * (2 * unit)
    return size if size > arb(SMALLEST) else arb(SMALLEST)


@dataclass(frozen=True)
class Allowance:
    """What a gap at some points must exceed.

    Attributes:
        x, d: inputs and directions as balls (integers as they are), shape + points.
        rule, exact: the rule's value and the derivative there, one array per output of the rule.
    """

    problem: DerivativeProblem
    x: list[Array]
    d: list[Array]
    rule: Sequence[BallArray]
    exact: Sequence[BallArray]

    @cached_property
    def unit(self) -> float:
        """Unit roundoff in which gaps are measured."""
        return self.problem.gap_unit()

    @property
    def points(self) -> int:
        return max((e.shape[-1] for e in self.exact), default=1)

    def is_shown(self, argument: int, entry: tuple[int, ...]) -> bool:
        """Whether rule and derivative are visibly apart at an entry; its last index is the point."""
        got, expected = self.rule[argument][entry], self.exact[argument][entry]
        gap = abs(got - expected) / self.problem.granted
        allowed = SHOWN_ULPS * ulp(expected, self.unit)
        if not gap > allowed:
            return False
        if expected.contains(0):
            allowed += self._at_zero(argument, entry)
            if not gap > allowed:
                return False
        hull = self._hull[argument][entry]
        if gap > allowed + CONDITIONING_FACTOR * hull:
            return True
        return bool(gap > allowed + self._forced(argument, entry))

    def units(self, argument: int, entry: tuple[int, ...]) -> float:
        """The gap at an entry in units of what rounding the inputs forces: ulps and conditioning together."""
        expected = self.exact[argument][entry]
        allowed = SHOWN_ULPS * ulp(expected, self.unit) + self._forced(argument, entry)
        if expected.contains(0):
            allowed += self._at_zero(argument, entry)
        return float((SHOWN_ULPS * abs(self.rule[argument][entry] - expected) / allowed).mid())

    def _forced(self, argument: int, entry: tuple[int, ...]) -> arb:
        """What rounding the inputs and directions does to an entry, or to the terms that cancel in it."""
        hull = self._hull[argument][entry]
        drawn = CONDITIONING_FACTOR * self._drawn[argument][entry]
        own = self._terms[argument][entry] if self._terms is not None else arb(0)
        both = own if own < hull else hull
        return both if both > drawn else drawn

    # -- conditioning ----------------------------------------------------------------------------------------------

    @cached_property
    def _hull(self) -> list[BallArray]:
        """How far rounding the inputs can move the derivative, at most; too wide where its terms cancel."""
        found = hull_by_rounding(self.problem, self.x, self.d, self.unit)
        return found if found is not None else [_filled(e.shape, INFINITE) for e in self.exact]

    @cached_property
    def _drawn(self) -> list[BallArray]:
        """How far rounding the inputs moves the derivative in some draws."""
        rng = np.random.Generator(np.random.Philox(key=[59, 61]))
        worst = [zeros(e.shape) for e in self.exact]
        for _ in range(CONDITIONING_DRAWS):
            there = nudged(self.x, self.unit, rng), nudged(self.d, self.unit, rng)
            try:
                moved = full(vector(self.problem, *there), self.points)
            except (Undecided, UnsupportedPrimitive):
                continue  # a branch or an edge of the domain lies there
            for w, m, e in zip(worst, moved, self.exact, strict=True):
                w[...] = wider(w, (m - e) / FINE)
        return worst

    # -- entries that are zero -------------------------------------------------------------------------------------

    def _at_zero(self, argument: int, entry: tuple[int, ...]) -> arb:
        """What a rule may give for zero: rounding of the terms that cancel, at the scale of the result they belong to.

        The terms are the rule's own, so that a value that comes from nowhere is none, however large the others are.
        """
        point = entry[-1]
        scales = self._scales(point)
        own = self._terms[argument][entry] if self._terms is not None else INFINITE
        scale = scales[argument][entry[:-1]] * (2 * self.unit) if scales is not None else own
        smaller: arb = own if own < scale else scale
        return smaller * SHOWN_ULPS

    @cached_property
    def _terms(self) -> list[BallArray] | None:
        return changes_by_rounding(self.problem, self.x, self.d, self.unit)

    def _scales(self, point: int) -> list[BallArray] | None:
        """Scale of the result that each entry is part of, at one point; None where inputs have too many entries.

        An entry is a sum over partners (outputs of forward where the rule is a VJP). Each has the scale of the largest
        entry of the same array that depends on the same partner; it counts only where the entry depends on it too.
        """
        entries = sum(int(np.prod(self.x[i].shape[:-1])) for i in self.problem.wrt)
        if entries > LOCALISED and not self.problem.forward.is_entrywise:
            return None
        out = self._kept.get(point)
        if out is None:
            out = self._kept[point] = self._scales_at(point)
        return out

    @cached_property
    def _kept(self) -> dict[int, list[BallArray]]:
        return {}

    def _scales_at(self, point: int) -> list[BallArray]:
        problem = self.problem
        shapes = [e.shape[:-1] for e in self.exact]
        nothing = [zeros(s) for s in shapes]
        if problem.forward.is_entrywise:
            return nothing
        x, d = ([a[..., point : point + 1] if a.shape[-1] > 1 else a for a in arrays] for arrays in (self.x, self.d))
        rng = np.random.Generator(np.random.Philox(key=[67, 71]))
        nearby = [_moved_off(a, rng) if a.dtype == object else a for a in x]
        try:
            here, there = jacobian(problem, x), jacobian(problem, nearby)
        except (Undecided, UnsupportedPrimitive):
            return nothing
        if problem.mode == "jvp":
            here, there = here.T, there.T
        weights = np.array([abs(v) for a in d for v in a.ravel()], dtype=object)
        out, start = [], 0
        for shape in shapes:
            n = int(np.prod(shape))
            mine, depends = np.abs(here[:, start : start + n]), _MOVES(there[:, start : start + n]).astype(bool)
            total = [arb(0)] * n
            for row, needs, w in zip(mine, depends, weights, strict=True):
                if needs.any():
                    largest = max((v for v in row[needs]), key=lambda v: float(v.mid()))
                    total = [t + w * largest if yes else t for t, yes in zip(total, needs.tolist(), strict=True)]
            filled = np.empty(n, dtype=object)
            filled[:] = total
            out.append(filled.reshape(shape))
            start += n
        return out


def effects(enclosures: Sequence[Array]) -> list[BallArray]:
    """What whole roundings do, as enclosures tell under `FINE` shares of them: infinite where there is none."""
    return [np.asarray(_RADIUS(a) / FINE, dtype=object) for a in enclosures]


def blurred(arrays: Sequence[Array], unit: float) -> list[Array]:
    """Balls as wide as a `FINE` share of a rounding by `unit`; integers as they are."""
    return [np.asarray(a * (1 + arb(0, unit * FINE)), dtype=object) if a.dtype == object else a for a in arrays]


def nudged(arrays: Sequence[Array], unit: float, rng: np.random.Generator) -> list[Array]:
    """Balls moved up or down by a `FINE` share of `unit`, each entry for itself; integers as they are."""
    return [
        np.asarray(a + a * lift(rng.choice([-1.0, 1.0], a.shape) * unit * FINE), dtype=object)
        if a.dtype == object
        else a
        for a in arrays
    ]


def hull_by_rounding(
    problem: DerivativeProblem, x: Sequence[Array], d: Sequence[Array], unit: float
) -> list[BallArray] | None:
    """Half the width of the derivative under a rounding of all inputs and directions; None where balls cannot run."""
    points = max(a.shape[-1] for a in (*x, *d))
    try:
        return effects(full(vector(problem, blurred(x, unit), blurred(d, unit)), points))
    except (Undecided, UnsupportedPrimitive):
        return None


def changes_by_rounding(
    problem: DerivativeProblem, x: Sequence[Array], d: Sequence[Array], unit: float
) -> list[BallArray] | None:
    """Change of the rule's value by a rounding of all inputs and directions, of directions alone where inputs decide.

    Balls do not know that terms cancel: these are the sizes of the terms. None where balls cannot run.
    """
    points = max(a.shape[-1] for a in (*x, *d))
    for inputs in (blurred(x, unit), list(x)):
        try:
            return effects(full(problem.rule.balls([*inputs, *blurred(d, unit)]), points))
        except (Undecided, UnsupportedPrimitive):
            continue  # a branch is not decided
    return None


def jacobian(problem: DerivativeProblem, x: list[Array]) -> Array:
    """All entries of the Jacobian at one point (points axis of size 1): outputs of forward x differentiated inputs.

    Raises:
        Undecided, UnsupportedPrimitive: where dual balls cannot run.
    """
    sizes = [int(np.prod(x[i].shape[:-1])) for i in problem.wrt]
    n, start = sum(sizes), 0
    ins: list[Array | None] = [None] * len(x)
    for i, size in zip(problem.wrt, sizes, strict=True):
        unit = zeros((size, n))
        unit[np.arange(size), start + np.arange(size)] = arb(1)
        ins[i] = unit.reshape((*x[i].shape[:-1], n))
        start += size
    moved = full(problem.forward.duals(x, ins)[1], n)
    return np.concatenate([m.reshape(-1, n) for m in moved]) if moved else zeros((0, n))


def _moved_off(a: Array, rng: np.random.Generator) -> Array:
    """A point nearby, with no entry at zero."""
    share = lift(dyadic(rng, a.shape) * NEARBY)
    return np.where(a == 0, share, a * (1 + share))


def _filled(shape: tuple[int, ...], value: arb) -> BallArray:
    out: BallArray = np.empty(shape, dtype=object)
    out.fill(value)
    return out


def _radius(b: arb) -> arb:
    return b.rad() if b.is_finite() else INFINITE


def _wider(found: arb, change: arb) -> arb:
    size = abs(change)
    return size if size.is_finite() and size > found else found


_RADIUS = np.frompyfunc(_radius, 1, 1)
wider = np.frompyfunc(_wider, 2, 1)
"""Of two balls the first, or the size of the second where that is surely more."""
_MOVES = np.frompyfunc(lambda b: not b.contains(0) or not b.is_finite(), 1, 1)
