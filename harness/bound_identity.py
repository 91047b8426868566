"""Identities and positivity at fixed sizes and one dtype.

An identity is judged over the reals in balls, and each side's float result against its own running error bound. There
is no forward map: where a side is not finite in floats, only the balls judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.harness.examination import Examination, Finding, Unsupported
from backprove.harness.function import JAX, Function, Signature, cast
from backprove.harness.oracles.exact import PRECISIONS, ExactFunction, Outcome, Status, full, take
from backprove.harness.program import Program
from backprove.harness.rounding import WIDE_UNIT, any_entry, exceeds, largest, run_floats, ulps
from backprove.harness.systems.balls import Undecided, lift
from backprove.harness.systems.running import Running
from backprove.harness.verdict import Verdict

Array = NDArray[Any]


@dataclass(frozen=True)
class Side:
    """One side of an identity at one signature."""

    function: Function
    signature: Signature
    dtype: str

    @property
    def program(self) -> Program | None:
        return self.function.program(self.signature)

    def floats(self, inputs: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        """Float results; NaN where the code raises."""
        program = self.program
        if program is not None and self.function.front_end(self.signature) == JAX:
            return [np.asarray(o, dtype=np.float64) for o in run_floats(program, inputs)]
        n = inputs[0].shape[-1] if inputs else 1
        out = [np.full((*s, n), np.nan) for s in shapes]
        for i in range(n):
            args = [cast(a[..., i if a.shape[-1] > 1 else 0], dt) for a, (_, dt) in zip(inputs, self.signature, strict=True)]
            try:
                got = self.function.at(*args)
            except Exception:  # outside the domain of this side: nothing is claimed in floats
                continue
            for o, g in zip(out, got, strict=False):
                if o.shape[:-1] == g.shape:
                    o[..., i] = FORMATS[self.dtype].round(g)
        return out

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        program = self.program
        if program is not None:
            return tuple(v.shape for v in program.outputs)
        probe = [np.ones(s, dtype=FORMATS[d].numpy if d in FORMATS else d) for s, d in self.signature]
        try:
            return tuple(a.shape for a in self.function.at(*probe))
        except Exception as why:
            raise Unsupported(f"{self.function.label} raises at {self.signature}: {why}") from why


class _Bound:
    """What identities and positivity share."""

    mode = ""
    direction_names: tuple[str, ...] = ()
    direction_shapes: tuple[tuple[int, ...], ...] = ()

    def __init__(self, sides: Sequence[Function], names: Sequence[str], signature: Signature, dtype: str) -> None:
        self.input_names, self.signature, self.dtype = tuple(names), signature, dtype
        self.format = FORMATS[dtype]
        self.sides = [Side(f, signature, dtype) for f in sides]

    @property
    def front_ends(self) -> dict[str, str]:
        return {s.function.label: s.function.front_end(self.signature) for s in self.sides}

    @property
    def specials(self) -> list[float]:
        found: set[float] = set()
        for s in self.sides:
            if s.program is not None:
                found.update(s.program.literals())
        return sorted(found)

    @cached_property
    def exact_sides(self) -> list[ExactFunction] | None:
        found = [s.function.exact(self.signature) for s in self.sides]
        return None if any(f is None for f in found) else [f for f in found if f is not None]

    def _over_reals(
        self, inputs: list[Array], index: Array, judge: Callable[[list[Array], list[list[Array]]], list[Outcome | None]]
    ) -> list[Outcome]:
        """Run every side in balls at rising precision until `judge` decides each point."""
        assert self.exact_sides is not None
        out: dict[int, Outcome] = {}
        rest = index
        for precision in PRECISIONS:
            ctx.prec = precision
            groups = [rest]
            undecided: list[int] = []
            while groups:
                group = groups.pop()
                if not group.size:
                    continue
                balls = [lift(a) if a.dtype.kind == "f" else a for a in take(inputs, group)]
                try:
                    values = [full(s.balls(balls), group.size) for s in self.exact_sides]
                except Undecided as why:
                    if group.size == 1:
                        out[int(group[0])] = Outcome(Status.UNDECIDED, note=str(why))
                        undecided.append(int(group[0]))
                    else:
                        groups += [np.array([i]) for i in group]
                    continue
                for i, o in zip(group.tolist(), judge(balls, values), strict=True):
                    if o is None:
                        undecided.append(i)
                    else:
                        out[i] = o
            rest = np.array(sorted(undecided), dtype=np.int64)
            if not rest.size:
                break
        return [out.get(int(i), Outcome(Status.UNDECIDED, note="the enclosures are too wide")) for i in index]


class BoundEquality(_Bound):
    """`left = right`, entry by entry."""

    def examine(self, inputs: Sequence[Array], directions: Sequence[Array], exact: Array, *, cap: int = 256) -> Examination:
        n = len(exact)
        seen = Examination.empty(n)
        x = [*inputs, *directions]
        left, right = self.sides
        shapes = left.shapes()
        if shapes != right.shapes():
            what = f"the two sides have different shapes: {list(shapes)} and {list(right.shapes())}"
            seen.findings = [Finding(Verdict.ERROR, what)] * n
            return seen
        results = [s.floats(x, shapes) for s in self.sides]
        suspicious, beyond = self._floats(x, results, seen)
        asked = exact.copy()
        asked[np.flatnonzero(suspicious & ~asked)[:cap]] = True
        index = np.flatnonzero(asked)
        if self.exact_sides is None:
            seen.note("exact layer: not available for a black box")
        elif index.size:
            self._arbitrate(x, index, suspicious, seen)
        for i in np.flatnonzero(beyond):
            o = seen.outcomes[i]
            if seen.findings[i] is None and o is not None and o.status.accepted:
                seen.findings[i] = self._too_far(x, int(i), results)
        return seen

    def _floats(self, x: list[Array], results: list[list[Array]], seen: Examination) -> tuple[Array, Array]:
        n = seen.outside.size
        programs = [s.program for s in self.sides]
        if any(p is None for p in programs):
            seen.note("rounding bound: not available for code that cannot be traced")
            return np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        beyond, measured = np.zeros(n, dtype=bool), []
        for program, result in zip(programs, results, strict=True):
            assert program is not None
            bounds = Running(self.dtype).run(program, x)
            for r, b in zip(result, bounds, strict=True):
                if not hasattr(b, "e"):
                    continue
                beyond |= any_entry([exceeds(r, b.v, b.e, self.dtype)], n)
                judged = np.isfinite(b.e) & np.isfinite(r)
                seen.balls_only |= any_entry([~judged], n)
                measured.append(np.where(judged, ulps(r, b.v, self.dtype), 0.0))
        seen.ulps = np.where(seen.balls_only, np.nan, largest(measured, n))
        wide = Running(self.dtype, unit=WIDE_UNIT[self.dtype])
        assert programs[0] is not None and programs[1] is not None
        apart = []
        for a, b in zip(wide.run(programs[0], x), wide.run(programs[1], x), strict=True):
            if not hasattr(a, "e"):
                apart.append(np.asarray(a != b))
                continue
            with np.errstate(all="ignore"):
                off = np.abs(a.v - b.v)
                known = np.isfinite(a.e) & np.isfinite(b.e) & np.isfinite(off)
                apart.append(known & ~(off <= a.e + b.e + 4 * self.format.tiny * 2.0**-40))
        suspicious = any_entry(apart, n)
        tally = seen.layer("rounding")
        judged_points = int((~seen.balls_only).sum())
        tally.checked += judged_points
        tally.suspicious += int(beyond.sum())
        tally.agreed += judged_points - int((beyond & ~seen.balls_only).sum())
        finite = seen.ulps[np.isfinite(seen.ulps)]
        tally.worst = float(finite.max()) if finite.size else None
        tally = seen.layer("wide")
        tally.checked += n
        tally.suspicious += int(suspicious.sum())
        tally.agreed += int((~suspicious).sum())
        return suspicious | beyond, beyond

    def _arbitrate(self, x: list[Array], index: Array, suspicious: Array, seen: Examination) -> None:
        outcomes = self._over_reals(x, index, lambda balls, values: self._judge(balls, values))
        tally = seen.layer("exact")
        for i, o in zip(index.tolist(), outcomes, strict=True):
            seen.outcomes[i] = o
            tally.checked += 1
            tally.agreed += o.status.accepted
            tally.refuted += o.status.refused
            tally.cleared += bool(o.status.accepted and suspicious[i])
            tally.undecided += o.status is Status.UNDECIDED
            if o.status.refused and o.entry is not None:
                seen.findings[i] = Finding(
                    Verdict.FALSIFIED,
                    "the two sides differ",
                    self.sides[0].function.label,
                    o.entry,
                    o.got_value,
                    o.expected_value,
                    f"{self.sides[1].function.label}, in ball arithmetic",
                )

    def _judge(self, balls: list[Array], values: list[list[Array]]) -> list[Outcome | None]:
        left, right = values
        points = balls[0].shape[-1] if balls else 1
        out: list[Outcome | None] = []
        for p in range(points):
            verdict: Outcome | None = Outcome(Status.AGREES)
            for a, (u, v) in enumerate(zip(left, right, strict=True)):
                if u.dtype != object:
                    continue
                for j in np.ndindex(u.shape[:-1]):
                    told = _agree(u[(*j, p)], v[(*j, p)])
                    if told is False:
                        out.append(self._refuse(balls, p, a, j, u[(*j, p)], v[(*j, p)]))
                        break
                    if told is None:
                        verdict = Outcome(Status.OUTSIDE) if not (u[(*j, p)].is_finite() and v[(*j, p)].is_finite()) else None
                else:
                    continue
                break
            else:
                out.append(verdict)
        return out

    def _refuse(self, balls: list[Array], p: int, a: int, j: tuple[int, ...], left: arb, right: arb) -> Outcome:
        """Refused only if the sides stay apart when rounded constants are widened."""
        assert self.exact_sides is not None
        here = take(balls, slice(p, p + 1))
        wide = [full(s.balls(here, self.format.u), 1)[a][(*j, 0)] for s in self.exact_sides]
        if wide[0].overlaps(wide[1]):
            return Outcome(Status.AGREES, note="agrees within the rounding of its literals")
        return Outcome(
            Status.REFUTED,
            argument=a,
            entry=j,
            got=left.str(20),
            expected=right.str(20),
            got_value=float(left.mid()),
            expected_value=float(right.mid()),
        )

    def _too_far(self, x: list[Array], i: int, results: list[list[Array]]) -> Finding | None:
        here = [a[..., i : i + 1] for a in x]
        for side, result in zip(self.sides, results, strict=True):
            assert side.program is not None
            for r, b in zip(result, Running(self.dtype).run(side.program, here), strict=True):
                over = exceeds(r[..., i : i + 1], b.v, b.e, self.dtype)
                for j in np.ndindex(r.shape[:-1]):
                    if over[(*j, 0)]:
                        what = "the float result is further from the exact one than its own operations can cause"
                        got, value = float(r[(*j, i)]), float(b.v[(*j, 0)])
                        return Finding(Verdict.INACCURATE, what, side.function.label, tuple(j), got, value, "running error bound")
        return None


class BoundPositivity(_Bound):
    """`value > 0` (or only `!= 0`) over the reals; floats are looked at, and what they lose is a note."""

    def __init__(self, value: Function, nonzero: bool, names: Sequence[str], signature: Signature, dtype: str) -> None:
        super().__init__([value], names, signature, dtype)
        self.nonzero = nonzero

    def examine(self, inputs: Sequence[Array], directions: Sequence[Array], exact: Array, *, cap: int = 256) -> Examination:
        n = len(exact)
        seen = Examination.empty(n)
        x = list(inputs)
        (result,) = self.sides[0].floats(x, self.sides[0].shapes())
        flat = result.reshape(-1, n)
        seen.balls_only = ~(np.isfinite(flat) & ((flat != 0) if self.nonzero else (flat > 0))).all(axis=0)
        if self.sides[0].program is not None:
            (bound,) = Running(self.dtype).run(self.sides[0].program, x)
            good = np.isfinite(bound.e) & np.isfinite(result)
            seen.ulps = np.where(good.reshape(-1, n).all(axis=0), largest([ulps(result, bound.v, self.dtype)], n), np.nan)
        asked = exact.copy()
        asked[np.flatnonzero(seen.balls_only & ~asked)[:cap]] = True
        index = np.flatnonzero(asked)
        if self.exact_sides is None or not index.size:
            return seen
        outcomes = self._over_reals(x, index, lambda balls, values: [self._judge(values[0][0], p) for p in range(values[0][0].shape[-1])])
        tally, floats = seen.layer("exact"), seen.layer("floats")
        floats.checked += n
        floats.agreed += int((~seen.balls_only).sum())
        floats.cleared += int(seen.balls_only.sum())
        for i, o in zip(index.tolist(), outcomes, strict=True):
            seen.outcomes[i] = o
            tally.checked += 1
            tally.agreed += o.status.accepted
            tally.refuted += o.status.refused
            tally.undecided += o.status is Status.UNDECIDED
            if o.status.refused and o.entry is not None:
                what = "the value is zero" if self.nonzero else "the value is not positive"
                seen.findings[i] = Finding(Verdict.FALSIFIED, what, self.sides[0].function.label, o.entry, o.got_value, None, "ball arithmetic")
        for i in np.flatnonzero(seen.balls_only)[:1]:
            where = ", ".join(f"{k} = {np.array2string(a[..., i], precision=6)}" for k, a in zip(self.input_names, x, strict=True))
            seen.note(f"finding: positive over the reals, but the {self.dtype} value is {float(flat[0, i])!r} at {where}")
        return seen

    def _judge(self, value: Array, p: int) -> Outcome | None:
        verdict: Outcome | None = Outcome(Status.AGREES)
        for j in np.ndindex(value.shape[:-1]):
            v = value[(*j, p)]
            if v > 0 or (self.nonzero and v < 0):
                continue
            if v <= 0 or (v.is_exact() and v == 0):
                return Outcome(Status.REFUTED, argument=0, entry=j, got=v.str(20), got_value=float(v.mid()))
            verdict = None
        return verdict


def _agree(a: arb, b: arb) -> bool | None:
    if not (a.is_finite() and b.is_finite()):
        return None
    if not a.overlaps(b):
        return False
    radius = (a - b).rad()
    if radius <= (abs(a) + abs(b)).abs_lower() * arb(2) ** -70:
        return True
    # both are zero, or cancel to zero: agreement to an absolute 2**-(precision/2)
    return True if a.contains(0) and b.contains(0) and radius < arb(2) ** -(ctx.prec // 2) else None
