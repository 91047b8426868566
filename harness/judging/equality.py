"""`EqualityAt` judges an identity of two functions at fixed sizes and one dtype.

An identity is judged over the reals in balls, and each side's float result against its own running error bound. There
is no forward map: where a side is not finite in floats, only the balls judge.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, at_points, largest
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.called_code import ENOUGH_STOPPED
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_contract import exceeds, ulps
from backprove.harness.judging.objections import in_rounds
from backprove.harness.judging.real_calls.layouts import Layouts
from backprove.harness.judging.real_calls.own_calls import OwnCalls, exact_values
from backprove.harness.judging.real_calls.spot_check import SpotCheck
from backprove.harness.judging.remarks import remark_gaps
from backprove.harness.judging.screens.claims import ClaimScreen, EqualityScreen
from backprove.harness.judging.sides import SidesAt
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.bounds.run import WIDE_UNIT, run_sharing
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.oracles.identity import Identity
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.same_values import judge_identity
from backprove.harness.programs.program import Program


class EqualityAt(SidesAt):
    """`left = right`, entry by entry.

    Attributes:
        spot: the compiled check of both sides, once per dtype; None where it is left out.
        lenient: only what holds over the reals is judged (the floats of a law are nobody's code).
        excused: whether nothing is claimed at a point (points axis of size 1).
        own, layouts: calls of a user's own sides as they are, and in other layouts of memory; None where the sides are
            composed of functions that other claims call.
        approximates: see `Equality`.
        stated: the sides as they are claimed, where other programs have their places.
    """

    spot: SpotCheck | None = None
    lenient: bool = False
    excused: Callable[[list[Array]], bool] | None = None
    own: OwnCalls | None = None
    layouts: Layouts | None = None
    approximates: float | None = None
    stated: Sequence[FunctionAt] = ()

    @property
    def slack(self) -> float:
        """Share of a value by which the left side may be off in any case."""
        return 2 * self.format.u * (self.approximates or 0.0)

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
        x = [*inputs, *directions]
        left, right = self.sides
        if self.approximates is not None:
            seen.approximated = self.approximates, "each other" if directions else f"the {right.label}"
        shapes, others = self.shapes_of(left), self.shapes_of(right)
        if shapes != others:
            what = f"the two sides have different shapes: {list(shapes)} and {list(others)}"
            seen.violations = [Violation(Verdict.ERROR, what)] * n
            return seen
        # what raises is outside the domain of its side: nothing is claimed in floats
        called = [s.floats(x) for s in self.sides]
        for point, t in (pair for c in called for pair in c.troubles.items()):
            if t.ends:
                seen.violations[point] = Violation(Verdict.ERROR, t.text, raised=True)
        results = [c.values for c in called]
        if self.own is not None:
            seen.called("plain", sum(c.made for c in called))
        nothing = np.zeros(n, dtype=bool)
        try:
            suspicious, beyond = self._floats(x, results, seen, compared)
        except UnsupportedPrimitive as why:
            seen.note(f"rounding bound skipped: {why}")
            suspicious, beyond = nothing, nothing
        for index in in_rounds(exact, suspicious, cap, seen.outcomes):
            left_over = self._arbitrate(x, index, suspicious, seen)
            if left_over.size:
                self._black_box(x, left_over, seen)
        if self.lenient:
            return seen
        for i in np.flatnonzero(beyond):
            o = seen.outcomes[i]
            if seen.violations[i] is None and o is not None and o.status.accepted:
                seen.violations[i] = self._too_far(x, int(i), results)
        self._compiled(x, seen)
        self._own_calls(x, seen)
        return seen

    def _own_calls(self, x: list[Array], seen: Examination) -> None:
        """The user's sides as they are, beside what was evaluated in their place.

        Claims of derivatives call forward, and a reference is an oracle.
        """
        if self.own is None or self.layouts is None:
            return
        left, right = self.sides
        for side in self.sides:
            if side.label not in ("forward", "reference"):
                outputs = tuple(f"output {k}" for k in range(len(self.shapes_of(side))))
                self.own.enter(side, x, outputs, partial(exact_values, side.exact, x), seen)
        if right.label == "forward" and not left.front_end.is_jax_code:
            both = [(s.function, self.signature, x) for s in (right, left)]
            self.layouts.violated(both, self.input_names, seen)

    @cached_property
    def _identity(self) -> Identity:
        assert self.exact_sides is not None
        left, right = self.exact_sides
        return Identity(left, right, self.format.u, lambda: self.gap_unit, self.approximates)

    @cached_property
    def gap_unit(self) -> float:
        """Unit roundoff in whose ulps a gap over the reals is measured; see `FunctionAt.gap_unit`."""
        return max(s.gap_unit for s in self.stated or self.sides)

    @property
    def compiled(self) -> Sequence[FunctionAt]:
        return self.sides if self.spot is not None else []

    def with_programs(self, other: Mapping[int, Program]) -> EqualityAt:
        there = EqualityAt(self._sides_with(other), self.input_names, self.signature, self.dtype)
        there.approximates, there.stated = self.approximates, self.stated or self.sides
        return there

    def screen(self, *, further_dtype: bool = False) -> ClaimScreen | None:
        programs = [s.program for s in self.sides]
        with contextlib.suppress(UnsupportedPrimitive, ValueError):
            return EqualityScreen(
                programs, dtype=self.dtype, over_reals=self.lenient, further_dtype=further_dtype, slack=self.slack
            )
        return None

    def _compiled(self, x: list[Array], seen: Examination) -> None:
        """Both sides compiled by XLA, once per dtype."""
        for side in self.sides:
            program = side.program
            if self.spot is not None and program is not None and side.front_end.is_jax_code:
                names = [side.label] * len(program.outputs)
                call, to = side.function.call, side.narrows_to
                self.spot.enter(call, self.signature, program, x, self.dtype, seen, names, side.label, to)

    def _black_box(self, x: list[Array], index: Array, seen: Examination) -> None:
        """Where no number system runs a side, both are compared in float64."""
        seen.note("black box: compared in float64")
        left, right = (s.in_float64() for s in self.sides)
        outcomes = judge_identity(left.values, right.values, [at_points(a, index) for a in x], self.slack)
        self._enter(outcomes, x, index, np.zeros(len(seen.violations), dtype=bool), seen, "wide", "in float64")

    def _floats(
        self, x: list[Array], results: list[list[Array]], seen: Examination, chosen: Array | None
    ) -> tuple[Array, Array]:
        n = seen.outside.size
        programs = [s.program for s in self.sides]
        if any(p is None for p in programs):
            seen.note("rounding bound: not available for code that cannot be traced")
            return np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        beyond, measured = np.zeros(n, dtype=bool), []
        for side, result in zip(self.sides, results, strict=True):
            for r, b in zip(result, side.bounds(x), strict=True):
                if not isinstance(b, Bounded):
                    continue
                beyond |= any_entry([exceeds(r, b.v, b.e, self.dtype)], n)
                judged = np.isfinite(b.e) & np.isfinite(r)
                seen.balls_only |= any_entry([~judged], n)
                measured.append(np.where(judged, ulps(r, b.v, self.dtype), 0.0))
        seen.ulps = np.where(seen.balls_only, np.nan, largest(measured, n))
        tally = seen.layer("rounding")
        judged_points = int((~seen.balls_only).sum())
        tally.checked += judged_points
        tally.suspicious += int(beyond.sum())
        tally.agreed += judged_points - int((beyond & ~seen.balls_only).sum())
        finite = seen.ulps[np.isfinite(seen.ulps)]
        tally.worst = float(finite.max()) if finite.size else None
        if not self.lenient:
            seen.doubt("rounding", beyond)
        suspicious = np.zeros(n, dtype=bool)
        index = np.arange(n) if chosen is None else np.flatnonzero(chosen)
        if index.size:
            apart, told = self._apart([a[..., index] for a in x], index.size, seen)
            suspicious[index] = apart
            seen.doubt("wide", suspicious)
            if chosen is not None:  # what the screen left and nothing cleared; where floats overflow it saw nothing
                suspicious[index] |= ~told
                seen.doubt("screen", suspicious & ~any_entry([~np.isfinite(r) for side in results for r in side], n))
        return suspicious | beyond, beyond

    def _apart(self, x: list[Array], n: int, seen: Examination) -> tuple[Array, Array]:
        """Points where the sides differ in the wide format, by its own error bounds, and those where these tell."""
        left, right = (s.program for s in self.sides)
        assert left is not None and right is not None
        wide = Running(self.dtype, unit=WIDE_UNIT[self.dtype])
        apart, compared = [], np.ones(n, dtype=bool)
        for a, b in zip(*run_sharing(wide, [left, right], x), strict=True):
            if not isinstance(a, Bounded):
                apart.append(np.asarray(a != b))
                continue
            with np.errstate(all="ignore"):
                off = np.abs(a.v - b.v)
                known = np.isfinite(a.e) & np.isfinite(b.e) & np.isfinite(off)
                compared &= ~any_entry([~known], n)
                allowed = a.e + b.e + self.slack * np.abs(b.v) + 4 * self.format.tiny * 2.0**-40
                apart.append(known & ~(off <= allowed))
        suspicious = any_entry(apart, n)
        tally = seen.layer("wide")
        tally.checked += int(compared.sum())
        tally.suspicious += int((suspicious & compared).sum())
        tally.agreed += int((compared & ~suspicious).sum())
        return suspicious, compared

    def _arbitrate(self, x: list[Array], index: Array, suspicious: Array, seen: Examination) -> Array:
        """Ask the exact layer; the points that it cannot run are returned."""
        if self.exact_sides is None:
            return index
        try:
            outcomes = self.over_reals(x, index, self._identity.judge)
        except UnsupportedPrimitive as why:
            seen.note(f"exact layer skipped: {why}")
            return index
        stopped = [o.stopped for o in outcomes]
        if len(stopped) >= ENOUGH_STOPPED and all(stopped):
            for side in self.sides:
                side.function.give_up_exact(self.signature)
            del self.exact_sides, self._identity  # a black box has none
        remark_gaps(seen, outcomes, "the two sides", lambda: self.gap_unit)
        ran = [o for o, s in zip(outcomes, stopped, strict=True) if not s]
        self._enter(ran, x, index[~np.array(stopped)], suspicious, seen, "exact", "in ball arithmetic")
        out: Array = index[np.array(stopped)]
        return out

    def _enter(
        self,
        outcomes: list[Outcome],
        x: list[Array],
        index: Array,
        suspicious: Array,
        seen: Examination,
        layer: str,
        where: str,
    ) -> None:
        tally = seen.layer(layer)
        for i, outcome in zip(index.tolist(), outcomes, strict=True):
            o = outcome
            if o.status.refused and self.excused is not None and self.excused([a[..., i : i + 1] for a in x]):
                o = Outcome(Status.UNEXAMINED, note="a kink, where nothing is claimed")
            seen.outcomes[i] = o
            tally.enter(o.status.accepted, o.status.refused, bool(suspicious[i]))
            if o.status is Status.UNDEFINED and o.entry is not None and not self.lenient:
                label = next(s.function.label for s in self.sides)
                what = "one side has no value here, where the other has one"
                seen.violations[i] = Violation(
                    Verdict.FALSIFIED, what, label, o.entry, o.got_value, o.expected_value, where
                )
            if o.status.refused and o.entry is not None:
                label, other = (s.function.label for s in self.sides)
                what = "the two sides differ"
                if self.approximates is not None:
                    what = f"{label} is not within {self.approximates:g} units of the {other}"
                seen.violations[i] = Violation(
                    Verdict.FALSIFIED, what, label, o.entry, o.got_value, o.expected_value, f"{other}, {where}"
                )

    def _too_far(self, x: list[Array], i: int, results: list[list[Array]]) -> Violation | None:
        here = [a[..., i : i + 1] for a in x]
        for side, result in zip(self.sides, results, strict=True):
            for r, b in zip(result, side.bounds(here), strict=True):
                over = exceeds(r[..., i : i + 1], b.v, b.e, self.dtype)
                for j in np.ndindex(r.shape[:-1]):
                    if over[(*j, 0)]:
                        what = "the float result is further from the exact one than its own operations can cause"
                        got, value = float(r[(*j, i)]), float(b.v[(*j, 0)])
                        return Violation(
                            Verdict.INACCURATE, what, side.function.label, tuple(j), got, value, "running error bound"
                        )
        return None
