"""Identities at fixed sizes and one dtype.

An identity is judged over the reals in balls, and each side's float result against its own running error bound. There
is no forward map: where a side is not finite in floats, only the balls judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.bound_positivity import BoundPositivity
from backprove.harness.bound_sides import BoundSides
from backprove.harness.examination import Examination, Finding
from backprove.harness.oracles.exact import Outcome, Status, full, take
from backprove.harness.rounding import WIDE_UNIT, any_entry, exceeds, largest, ulps
from backprove.harness.systems.running import Running
from backprove.harness.verdict import Verdict

__all__ = ["BoundEquality", "BoundPositivity"]

Array = NDArray[Any]


class BoundEquality(BoundSides):
    """`left = right`, entry by entry."""

    def examine(
        self, inputs: Sequence[Array], directions: Sequence[Array], exact: Array, *, cap: int = 256
    ) -> Examination:
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
        outcomes = self.over_reals(x, index, self._judge)
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
                        verdict = (
                            Outcome(Status.OUTSIDE) if not (u[(*j, p)].is_finite() and v[(*j, p)].is_finite()) else None
                        )
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
                        return Finding(
                            Verdict.INACCURATE, what, side.function.label, tuple(j), got, value, "running error bound"
                        )
        return None


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
