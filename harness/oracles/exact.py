"""The exact layer decides whether the rule equals the derivative over the reals, at a point.

The rule runs in balls and the forward map in dual balls; one random dyadic direction turns the comparison of vectors
into one of numbers, `<R(x, w), v>` against `<w, J v>`. The precision rises until the two enclosures separate (the rule
is refuted) or agree to 2**-70 of the sum of the absolute terms. An error survives a direction with probability at most
2**-12. Literals that are not short dyadics may be rounded constants: a refusal counts only if it survives widening them
by the dtype's unit roundoff, and if the gap is one that floats can show (`shown.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import AGREEMENT_BITS, NEGLIGIBLE_BITS, PRECISIONS
from backprove.harness.core.thresholds.large import EXACT_AT_ONCE, LOCALISED
from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.numbers.balls.arrays import BallArray, lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status, within_reach
from backprove.harness.oracles.shown import Allowance, ulps
from backprove.harness.oracles.single_entry import at_entry, widest_gap
from backprove.harness.oracles.vectors import finite, full, inner, random_direction, take, vector
from backprove.harness.programs.program import Program

REFUSED_COLUMNS = 4096
"""Points times entries that are localised at once, at most."""
TAKEN_BACK = 5
"""After so many points of a VJP at which literals took a refusal back, entry by entry, they are asked along one
direction first: that is one evaluation, and what it does not explain is localised as before."""
WITHIN_LITERALS = "agrees within the rounding of its literals"


Oracle = Callable[[DerivativeProblem, list[Array], list[Array]], Outcome]
"""Judges one point (points axis of size 1)."""
KinkOracle = Callable[[DerivativeProblem, list[Array], list[Array]], Iterator[Outcome]]
"""Judges the points one after the other, each when it is asked for."""


@dataclass(frozen=True)
class _Open:
    """A point that a precision leaves open, with the outcome if no other one decides; None at a kink."""

    point: int
    outcome: Outcome | None


@dataclass
class ExactLayer:
    """Judge of derivative problems in balls.

    Args:
        seed: of the random test directions.
        kinks: called for the points where the forward map has a kink, a tie or no finite derivative.
        second: called for a point that dual balls leave undecided, or cannot run.
    """

    seed: int = 0
    kinks: KinkOracle | None = None
    second: Oracle | None = None
    precisions: tuple[int, ...] = PRECISIONS
    kink_budget: int = 10**9

    def derivative(
        self, problem: DerivativeProblem, inputs: Sequence[Array], directions: Sequence[Array]
    ) -> list[Outcome]:
        """One outcome per point.

        Args:
            inputs: floats (as float64) or integers, shape + points.
            directions: cotangents or tangents, as the problem's mode says.
        """
        points = inputs[0].shape[-1] if inputs else directions[0].shape[-1]
        out: list[Outcome | None] = [None] * points
        entries = sum(a.size for a in (*inputs, *directions)) // max(points, 1)
        at_once = max(1, EXACT_AT_ONCE // max(entries, 1))
        try:
            for start in range(0, points, at_once):
                index = np.arange(start, min(start + at_once, points))
                self._derivative(problem, list(inputs), list(directions), index, out, 0)
        except UnsupportedPrimitive as why:
            if self.second is None:
                raise
            lacking = Outcome(Status.UNDECIDED, note=str(why))
            out = [self._ask_second(problem, inputs, directions, i, lacking) for i in range(points)]
        return [o if o is not None else Outcome(Status.UNDECIDED) for o in out]

    def _derivative(
        self,
        problem: DerivativeProblem,
        inputs: list[Array],
        directions: list[Array],
        index: Array,
        out: list[Outcome | None],
        level: int,
    ) -> None:
        x, d = take(inputs, index), take(directions, index)
        try:
            with ctx.workprec(self.precisions[level]):
                todo = self._compare(problem, x, d, index, out)
        except Undecided as trouble:
            if len(index) > 1:
                for half in np.array_split(index, 2):
                    self._derivative(problem, inputs, directions, half, out, level)
                return
            todo = [_Open(int(index[0]), Outcome.undecided(trouble))]
        last = level + 1 == len(self.precisions)
        rest, kinks = [], []
        for o in todo:
            if o.outcome is None:
                kinks.append(o.point)
            elif last:
                out[o.point] = self._ask_second(problem, inputs, directions, o.point, o.outcome)
            else:
                rest.append(o.point)
        if kinks:
            self._examine_kinks(problem, inputs, directions, kinks, out)
        if rest:
            self._derivative(problem, inputs, directions, np.array(rest), out, level + 1)

    def _ask_second(
        self, problem: DerivativeProblem, inputs: Sequence[Array], directions: Sequence[Array], i: int, first: Outcome
    ) -> Outcome:
        """What the second form says of point `i`; what duals said (undecided, and why) where it cannot tell."""
        if self.second is not None:
            with contextlib.suppress(Undecided):
                outcome = self.second(problem, take(inputs, slice(i, i + 1)), take(directions, slice(i, i + 1)))
                if outcome.status is not Status.UNDECIDED:
                    return outcome
        return first

    def _examine_kinks(
        self,
        problem: DerivativeProblem,
        inputs: list[Array],
        directions: list[Array],
        kinks: list[int],
        out: list[Outcome | None],
    ) -> None:
        for i in kinks:
            out[i] = Outcome(Status.UNEXAMINED)
        some = kinks[: max(self.kink_budget, 0)]
        refused = any(o is not None and o.status.refused for o in out)  # at a smooth point, which says more
        if self.kinks is None or not some or refused:
            return
        index = np.array(some)
        for i, outcome in zip(some, self.kinks(problem, take(inputs, index), take(directions, index)), strict=True):
            self.kink_budget -= 1
            out[i] = outcome
            outcome.at_kink = True
            if outcome.status.refused:
                self.kink_budget = 0  # one refusal is enough, and a refusal is the dearest answer
                return

    def _compare(
        self, problem: DerivativeProblem, x: list[Array], d: list[Array], index: Array, out: list[Outcome | None]
    ) -> list[_Open]:
        """Decide what this precision can; return the rest."""
        n = len(index)
        balls = lift_floats(x)
        given = [lift(a) for a in d]
        if problem.mode == "vjp":
            tangents = full(random_direction(self.seed, tuple(balls[i].shape[:-1] for i in problem.wrt)), n)
        else:
            tangents = given
        ins: list[Array | None] = [None] * len(x)
        for i, t in zip(problem.wrt, tangents, strict=True):
            ins[i] = t
        values, moved, touched = problem.forward.duals(balls, ins)
        values, moved = full(values, n), full(moved, n)
        if problem.mode == "jvp":
            cotangents = full(random_direction(self.seed, tuple(v.shape[:-1] for v in values)), n)
        else:
            cotangents = given
        inside, smooth = finite(values, n), finite(moved, n) & ~touched
        rule = full(self._rule(problem, balls, given), n)
        defined = finite(rule, n)
        against = tangents if problem.mode == "vjp" else cotangents
        left, size_left = inner(rule, against)
        right, size_right = inner(cotangents, moved)
        size = size_left + size_right
        todo: list[_Open] = []
        separated: list[int] = []
        told = zip(index.tolist(), inside.tolist(), smooth.tolist(), defined.tolist(), strict=True)
        for k, (i, is_inside, is_smooth, is_defined) in enumerate(told):
            if not is_inside:
                out[i] = Outcome(Status.OUTSIDE)
            elif not is_smooth:
                todo.append(_Open(i, None))
            elif not is_defined and ctx.prec < self.precisions[-1]:
                todo.append(_Open(i, Outcome(Status.UNDECIDED, note="the rule has no value at this precision")))
            elif not is_defined:
                # an exponential of something huge leaves the range of the balls: that is no division by zero
                huge = not all(within_reach(a[..., k : k + 1]) for a in x)
                out[i] = (
                    Outcome(Status.UNDECIDED, note="beyond the range of the balls")
                    if huge
                    else Outcome(Status.UNDEFINED)
                )
            else:
                verdict = _judge(left[k], right[k], size[k])
                if verdict is None:
                    todo.append(_Open(i, Outcome(Status.UNDECIDED, note="the enclosures are too wide")))
                elif verdict:
                    out[i] = Outcome(Status.AGREES, rule=tuple(r[..., k] for r in rule))
                else:
                    separated.append(k)
        if not separated:
            return todo
        for k in separated:
            out[int(index[k])] = Outcome(Status.APART)
        entries = sum(int(np.prod(balls[i].shape[:-1])) for i in problem.wrt)
        taken_back = 0
        for piece in _growing(separated, max(1, REFUSED_COLUMNS // max(entries, 1))):
            some = piece
            if problem.mode == "vjp" and taken_back >= TAKEN_BACK:
                within = self._within_literals(problem, take(balls, some), take(given, some), take(tangents, some))
                for k in some[within]:
                    out[int(index[k])] = Outcome(Status.AGREES, note=WITHIN_LITERALS)
                some = some[~within]
            if not some.size:
                continue
            gaps = abs(left[some] - right[some]) / size[some]
            refusals = self._refuse(problem, take(balls, some), take(given, some), gaps)
            for k, outcome in zip(some, refusals, strict=True):
                out[int(index[k])] = outcome
            if any(o.status.refused for o in refusals):
                break  # one refusal is enough, and to localise one costs as many evaluations as there are entries
            taken_back += len(refusals)
        return todo

    def _within_literals(
        self, problem: DerivativeProblem, x: list[Array], d: list[Array], tangents: list[Array]
    ) -> Array:
        """Per point: whether the rounding of literals explains the distance along the tangents of a VJP claim."""
        ins: list[Array | None] = [None] * len(x)
        for i, t in zip(problem.wrt, tangents, strict=True):
            ins[i] = t
        points = tangents[0].shape[-1]
        moved = full(problem.forward.duals(x, ins, problem.unit)[1], points)
        left, _ = inner(full(self._rule(problem, x, d, problem.unit), points), tangents)
        right, _ = inner(d, moved)
        return np.array([p.overlaps(q) for p, q in zip(left, right, strict=True)])

    def _rule(
        self, problem: DerivativeProblem, balls: list[Array], given: list[Array], widen: float = 0.0
    ) -> list[Array]:
        return problem.rule.balls([*balls, *given], widen)

    def _refuse(self, problem: DerivativeProblem, x: list[Array], d: list[Array], gaps: Array) -> list[Outcome]:
        """Refusals, unless widened literals take them back; each localised to its worst entry."""
        points = len(gaps)
        entries = sum(int(np.prod(x[i].shape[:-1])) for i in problem.wrt)
        if problem.mode == "vjp" and entries > LOCALISED and not problem.forward.is_entrywise:
            return [
                self._refuse_one(problem, take(x, slice(p, p + 1)), take(d, slice(p, p + 1)), gaps[p : p + 1])
                for p in range(points)
            ]
        exact, wide = vector(problem, x, d), vector(problem, x, d, problem.unit)
        rule, wide_rule = (full(self._rule(problem, x, d, widen), points) for widen in (0.0, problem.unit))
        allowance = Allowance(problem, x, d, rule, exact)
        return [_localise(allowance, wide_rule, wide, p, gaps[p]) for p in range(points)]

    def _refuse_one(self, problem: DerivativeProblem, x: list[Array], d: list[Array], gap: Array) -> Outcome:
        """The refusal at one point of a derivative with very many entries, by the entry that seems furthest off."""
        which, place = widest_gap(problem, x, d, full(self._rule(problem, x, d), 1))
        one = at_entry(problem, (which, place), len(x))
        (found,) = self._refuse(one, [*x, x[problem.wrt[which]][place]], d, gap)
        if found.status.refused:
            return replace(found, argument=which, entry=place)
        return Outcome(Status.UNDECIDED, note="apart, at no single entry visibly, as far as the largest gap tells")


def _growing(points: Sequence[int], most: int) -> Iterator[Array]:
    """The points in pieces of 1, 4, 16, ... and at most `most`."""
    start, length = 0, 1
    while start < len(points):
        yield np.array(points[start : start + length])
        start, length = start + length, min(4 * length, most)


def _localise(allowance: Allowance, wide_rule: list[BallArray], wide: list[BallArray], point: int, gap: arb) -> Outcome:
    """The worst entry of one point where rule and derivative are visibly apart; agreement where none is.

    Args:
        wide_rule, wide: the rule and the derivative with widened literals: entries that overlap are no refusal.
        gap: relative distance of the enclosures along the test direction.
    """
    rule, exact = allowance.rule, allowance.exact
    apart: list[tuple[float, int, tuple[int, ...]]] = []
    for a, (wr, wt) in enumerate(zip(wide_rule, wide, strict=True)):
        for place in np.ndindex(wt.shape[:-1]):
            entry = (*place, point)
            p, q = wr.item(entry), wt.item(entry)
            if p.is_finite() and q.is_finite() and not p.overlaps(q):
                g, e = rule[a][entry], exact[a][entry]
                apart.append((float((abs(g - e) / (abs(g) + abs(e))).mid()), a, entry))
    if not apart:
        return Outcome(Status.AGREES, note=WITHIN_LITERALS)
    shown = [found for found in apart if allowance.is_shown(found[1], found[2])]
    if not shown:
        _, a, entry = max(apart, key=lambda found: found[0])
        off = ulps(abs(rule[a][entry] - exact[a][entry]), exact[a][entry], allowance.unit)
        units = None
        if allowance.problem.approximates is not None:
            units = max(allowance.units(argument, place) for _, argument, place in apart)
        return Outcome(Status.AGREES, note="agrees up to rounding", ulps=float(off.mid()), units=units)
    _, a, entry = max(shown, key=lambda found: found[0])
    g, e = rule[a][entry], exact[a][entry]
    return Outcome(
        Status.REFUTED,
        gap_bits=float((gap.log() / arb.const_log2()).mid()) if gap > 0 else None,
        argument=a,
        entry=entry[:-1],
        got=g.str(20),
        expected=e.str(20),
        got_value=float(g.mid()),
        expected_value=float(e.mid()),
    )


def has_no_value(forward: Program | None, x: Sequence[Array], point: int, dtype: str) -> bool:
    """Whether the forward map has no value at a point, or none that floats can tell: a matrix may be singular there."""
    if forward is None:
        return False
    here = [a if a.shape[-1] == 1 else a[..., point : point + 1] for a in x]
    with ctx.workprec(PRECISIONS[1]), contextlib.suppress(Undecided, UnsupportedPrimitive):
        if not all(np.isfinite(b.e).all() for b in Running(dtype).run(forward, here)):
            return True
        return not finite(ProgramOnBalls(forward).balls(lift_floats(here)), 1)[0]
    return False


_CLOSE, _NEGLIGIBLE = arb(2) ** -AGREEMENT_BITS, arb(2) ** -NEGLIGIBLE_BITS


def _judge(left: arb, right: arb, size: arb) -> bool | None:
    """True: agree; False: separated; None: not decided at this precision."""
    if not left.overlaps(right):
        return False
    radius = (left - right).rad()
    if size.is_zero() or radius <= size.abs_lower() * _CLOSE:
        return True
    if size < _NEGLIGIBLE:
        return True
    return None
