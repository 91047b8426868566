"""`PositivityAt` judges positivity at fixed sizes and one dtype, over the reals; what floats lose is a remark, no
failure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np

from backprove.harness.core.arrays import Array, largest
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_contract import ulps
from backprove.harness.judging.objections import in_rounds
from backprove.harness.judging.screens.claims import ClaimScreen, PositivityScreen
from backprove.harness.judging.sides import SidesAt
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.programs.program import Program, Signature


class PositivityAt(SidesAt):
    """`value > 0` (or only `!= 0`) over the reals; floats are looked at, and what they lose is a note."""

    def __init__(self, value: Function, nonzero: bool, names: Sequence[str], signature: Signature, dtype: str) -> None:
        super().__init__([value], names, signature, dtype)
        self.nonzero = nonzero

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
        x = list(inputs)
        self.shapes_of(self.sides[0])
        (result,) = self.sides[0].floats(x).values
        flat = result.reshape(-1, n)
        fine = np.isfinite(flat) & ((flat != 0) if self.nonzero else (flat > 0))
        seen.balls_only = np.asarray(~fine.all(axis=0))
        if self.sides[0].program is not None:
            (bound,) = self.sides[0].bounds(x)
            good = np.isfinite(bound.e) & np.isfinite(result)
            seen.ulps = np.where(
                good.reshape(-1, n).all(axis=0), largest([ulps(result, bound.v, self.dtype)], n), np.nan
            )
        seen.doubt("floats", seen.balls_only)
        for index in in_rounds(exact, seen.balls_only, cap, seen.outcomes):
            if self.exact_sides is not None:
                self._arbitrate(x, index, seen)
        floats = seen.layer("floats")
        floats.checked += n
        floats.agreed += int((~seen.balls_only).sum())
        floats.cleared += int(seen.balls_only.sum())
        for i in np.flatnonzero(seen.balls_only)[:1]:
            where = ", ".join(
                f"{k} = {np.array2string(a[..., i], precision=6)}" for k, a in zip(self.input_names, x, strict=True)
            )
            lost = f"positive over the reals, but the {self.dtype} value is {float(flat[0, i])!r}"
            seen.remark(f"{lost} at {where}", lost)
        return seen

    def _arbitrate(self, x: list[Array], index: Array, seen: Examination) -> None:
        """Ask the exact layer."""
        outcomes = self.over_reals(
            x, index, lambda balls, values: [self._judge(values[0][0], p) for p in range(values[0][0].shape[-1])]
        )
        tally = seen.layer("exact")
        for i, o in zip(index.tolist(), outcomes, strict=True):
            seen.outcomes[i] = o
            tally.checked += 1
            tally.agreed += o.status.accepted
            tally.refuted += o.status.refused
            tally.undecided += o.status is Status.UNDECIDED
            if o.status.refused and o.entry is not None:
                what = "the value is zero" if self.nonzero else "the value is not positive"
                seen.violations[i] = Violation(
                    Verdict.FALSIFIED, what, self.sides[0].function.label, o.entry, o.got_value, None, "ball arithmetic"
                )

    def with_programs(self, other: Mapping[int, Program]) -> PositivityAt:
        (value,) = self._sides_with(other)
        return PositivityAt(value, self.nonzero, self.input_names, self.signature, self.dtype)

    def screen(self, *, further_dtype: bool = False) -> ClaimScreen | None:
        with contextlib.suppress(UnsupportedPrimitive, ValueError):
            return PositivityScreen(self.sides[0].program, self.nonzero)
        return None

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
