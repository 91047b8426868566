"""Remarks tell what a reader should know of gaps over the reals that are no mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.examination import Examination
from backprove.harness.oracles.problem import Outcome


def remark_gaps(seen: Examination, outcomes: Sequence[Outcome], what: str, gap_unit: Callable[[], float]) -> None:
    """Enter that two things differ by what floats cannot show, if they do at one of the points.

    Args:
        what: they are, in words.
        gap_unit: unit roundoff of the format in whose ulps gaps are measured.
    """
    gaps = [o.ulps for o in outcomes if o.ulps is not None]
    if gaps:
        (name,) = (name for name, form in FORMATS.items() if form.u == gap_unit())
        text = f"{what} are equal up to rounding, not over the reals: {max(gaps):.2g} ulp of {name} apart"
        seen.remark(f"{text} at one point", "equal up to rounding")
