"""Remarks tell what a reader should know of gaps over the reals that are no mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.examination import Examination
from backprove.harness.oracles.problem import DerivativeProblem, Outcome


def remark_gaps(seen: Examination, outcomes: Sequence[Outcome], problem: DerivativeProblem) -> None:
    """Enter that rule and derivative differ by what floats cannot show, if they do at one of the points."""
    if problem.approximates is not None:
        return  # the evidence says how near the rule came
    gaps = [o.ulps for o in outcomes if o.ulps is not None]
    if gaps:
        unit = problem.gap_unit()
        (name,) = (name for name, form in FORMATS.items() if form.u == unit)
        text = f"rule and derivative are equal up to rounding, not over the reals: {max(gaps):.2g} ulp of {name} apart"
        seen.remark(f"{text} at one point", "equal up to rounding")
