"""The spot check holds the user's code, compiled by XLA, against the exact values at a few points of every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, at_points
from backprove.harness.core.cache import Cache
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.compiled import POINTS, CompiledFunction
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_contract import exceeds
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.programs.program import Program, Signature

WRONG = "the compiled (XLA) result is further from the exact one than the code's own operations can cause"


@dataclass
class SpotCheck:
    """One compiled program per claim and dtype against the running error bound.

    After a disagreement every point is checked, so that it can be made smaller.
    """

    cache: Cache | None = None
    key: str = ""
    """Where a passed check is kept from run to run, and its name there."""
    done: set[str] = field(default_factory=set)
    failed: bool = False
    left_out: bool = False
    """Another part of the same points runs the program."""
    joint: Callable[[Callable[..., Any], Signature, Sequence[Array], str], list[Array] | None] | None = None
    """Compiles this function with the others of a theorem; None where it does not have it."""

    def enter(
        self,
        call: Callable[..., Any],
        signature: Signature,
        program: Program,
        arrays: Sequence[Array],
        dtype: str,
        seen: Examination,
        names: Sequence[str],
        label: str = "",
        narrows_to: float = 0.0,
    ) -> None:
        """Compare at up to `POINTS` points, unless it was done for this dtype, and enter what disagrees in `seen`.

        Args:
            call, signature, program: the function and its trace.
            names: of the function's outputs, for messages.
            label: tells several functions of one claim apart.
            narrows_to: see `Running`.
        """
        if self.left_out:
            return
        points = max((a.shape[-1] for a in arrays), default=0)
        empty = any(0 in shape for shape, _ in signature)
        if (f"{label} {dtype}" in self.done and not self.failed) or empty or points == 0:
            return
        self.done.add(f"{label} {dtype}")
        key = (self.key, label, dtype, signature)
        passed = self.cache.get(key) if self.cache is not None else None
        if passed is not None:
            tally = seen.layer("compiled")
            tally.checked += passed
            tally.agreed += passed
            return
        index = np.flatnonzero(~seen.outside)[:POINTS]
        here = [at_points(a, index) for a in arrays]
        if not index.size:
            return
        try:
            joint = self.joint(call, signature, here, dtype) if self.joint is not None else None
            results = CompiledFunction.of(call, signature)(here) if joint is None else joint
            bounds = Running(dtype, narrows_to=narrows_to).run(program, here)
        except UnsupportedPrimitive:
            return
        except Exception as why:
            seen.note(f"compiled spot check skipped: {type(why).__name__}: {str(why)[:200]}")
            return
        tally = seen.layer("compiled")
        tally.checked += index.size
        wrong = set()
        for name, r, b in zip(names, results, bounds, strict=True):
            if r.dtype.kind in "iub":
                continue
            for j in zip(*np.nonzero(exceeds(r, b.v, b.e, dtype)), strict=True):
                i, entry = int(index[j[-1]]), tuple(int(q) for q in j[:-1])
                wrong.add(i)
                if seen.violations[i] is None:
                    got, expected = float(r[j]), float(b.v[j])
                    seen.violations[i] = Violation(
                        Verdict.INACCURATE, WRONG, name, entry, got, expected, "running error bound"
                    )
        tally.refuted += len(wrong)
        tally.agreed += index.size - len(wrong)
        self.failed |= bool(wrong)
        if self.cache is not None and not wrong:
            self.cache.put(key, index.size)
