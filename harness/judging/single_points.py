"""`SinglePoints` binds a claim to the sizes of a point, when they are first met, and judges that point by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.arrays import quiet
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.examination import ClaimAt, Examination, Unsupported, Violation
from backprove.harness.oracles.problem import Outcome
from backprove.strategies.points import DrawnPoint, PointSpace
from backprove.strategies.shapes import Sizes


@dataclass
class Failure:
    """A violated point, as found."""

    violation: Violation
    point: DrawnPoint
    outcome: Outcome | None
    example: str = ""
    """The user's own point from which it was found, if it was."""


@dataclass
class SinglePoints:
    """One claim at one dtype, at whatever sizes are asked for.

    Attributes:
        where: domain condition over several inputs.
        claims_at: the claim by shapes; None where forward does not support them.
        left_out: why there is no claim at shapes where `claims_at` has none.
        notes: what a reader should know of the judging, e.g. sizes that forward does not support.
        contract_settled: points are judged without a look at the contract of the code, nor at what is compiled of it.
    """

    binder: Binder
    where: Callable[..., Any] | None
    plan: Plan
    claims_at: dict[tuple[tuple[int, ...], ...], ClaimAt | None] = field(default_factory=dict, kw_only=True)
    left_out: dict[tuple[tuple[int, ...], ...], Unsupported] = field(default_factory=dict, kw_only=True)
    notes: list[str] = field(default_factory=list, kw_only=True)
    contract_settled: bool = field(default=False, kw_only=True)

    def claim_at(self, shapes: Sequence[tuple[int, ...]]) -> ClaimAt | None:
        """The claim at these shapes; None where forward does not support them."""
        key = tuple(shapes)
        if key not in self.claims_at:
            try:
                self.claims_at[key] = self.binder.bind(key, self.plan.dtype)
            except Unsupported as why:
                self.notes.append(f"unsupported sizes: {why}")
                self.claims_at[key], self.left_out[key] = None, why
        return self.claims_at[key]

    def space(self) -> PointSpace:
        """Single points of this claim, for Hypothesis."""
        specs = dict(self.binder.specs)

        def shape_of(k: int) -> Callable[[Sizes], tuple[int, ...]]:
            def shape(sizes: Sizes) -> tuple[int, ...]:
                claim_at = self.claim_at([s.shape(sizes) for s in specs.values()])
                return (
                    claim_at.direction_shapes[k] if claim_at is not None and k < len(claim_at.direction_shapes) else ()
                )

            return shape

        some = next((b for b in self.claims_at.values() if b is not None), None)
        names = some.direction_names if some is not None else ()
        directions = tuple((name, shape_of(k)) for k, name in enumerate(names))
        specials = tuple(sorted({c for b in self.claims_at.values() if b is not None for c in b.specials}))
        return PointSpace(specs, self.plan.dtype, directions, specials, any(s.extreme for s in specs.values()))

    def probe(self, point: DrawnPoint, *, kinks: bool = True) -> tuple[Violation | None, Outcome | None]:
        """Judge one point again, by itself.

        Args:
            kinks: whether a kink is examined, which takes as long as dozens of smooth points; else nothing fails there.
        """
        claim_at = self.claim_at([a.shape for a in point.arrays])
        if claim_at is None or tuple(d.shape for d in point.directions) != tuple(claim_at.direction_shapes):
            return None, None
        if self.where is not None and not bool(np.all(self.where(*point.arrays))):
            return None, None
        inputs, directions = [a[..., None] for a in point.arrays], [d[..., None] for d in point.directions]
        if claim_at.unit:
            directions = [np.ones_like(d) for d in directions]
        claim_at.kink_budget, claim_at.contract_settled = int(kinks), self.contract_settled
        with quiet():
            seen = claim_at.examine(inputs, directions, np.array([True]), cap=0 if self.plan.accuracy is None else 1)
        claim_at.contract_settled = False
        if self.plan.accuracy is not None:
            self.hold_to_accuracy(seen, claim_at)
        return seen.violations[0], seen.outcomes[0]

    def hold_to_accuracy(self, seen: Examination, claim_at: ClaimAt) -> None:
        assert self.plan.accuracy is not None
        for i in np.flatnonzero(seen.factor > self.plan.accuracy):
            if seen.violations[i] is None:
                what = (
                    f"the float result is {seen.factor[i]:.3g} times further from the exact one than conditioning "
                    f"forces (accuracy={self.plan.accuracy:g} was asked for)"
                )
                seen.violations[i] = Violation(Verdict.INACCURATE, what)
