"""A failing point becomes minimal here, and a wrong rule that raises at other sizes is found out."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.thresholds.large import SHRUNK_ONE_BY_ONE
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.drawing.own_points import nearer
from backprove.harness.judging.examination import Violation
from backprove.harness.judging.readable import (
    along_ones,
    around_entry,
    readable,
    with_direction,
    with_entries,
    with_two,
    with_zeros,
)
from backprove.harness.judging.single_points import Failure, SinglePoints
from backprove.harness.oracles.problem import Status
from backprove.strategies.points import DrawnPoint
from backprove.strategies.shapes import has_empty, shape_buckets
from backprove.strategies.values import draw_points

SECONDS = 8
"""Time for Hypothesis to shrink one point."""
CALLS = 1200
"""Points that it judges at most."""


def minimal(points: SinglePoints, failure: Failure) -> Failure:
    """The smallest point, as Hypothesis shrinks, at which the claim fails with the same verdict, in readable numbers.

    Arrays with entries, and directions that are not zero, are kept where the claim fails with them. Of a wrong formula
    the contract of the code is looked at again at the point that is found; where it is broken there, at all of them.
    """
    wanted = failure.violation.verdict
    if wanted is Verdict.FALSIFIED:
        points.contract_settled = True
        try:
            found = _minimal(points, failure)
        finally:
            points.contract_settled = False
        violation, _ = points.probe(found.point)
        if violation is not None and violation.verdict is wanted:
            return found
    return _minimal(points, failure)


def _minimal(points: SinglePoints, failure: Failure) -> Failure:
    from backprove.strategies.drawing import point_strategy
    from backprove.strategies.shrinking import shrink  # Hypothesis takes a third of a second to import

    wanted = failure.violation.verdict
    space = failure.point.space
    strategy = point_strategy(space.specs, space.dtype, space.directions, space.specials, space.extreme)

    # what fails at a smooth point becomes smaller among these: that is cheaper, and says more
    at_kink = failure.outcome is None or failure.outcome.at_kink

    def fails(point: DrawnPoint) -> bool:
        violation, _ = points.probe(point, kinks=at_kink)
        return violation is not None and violation.verdict is wanted

    try:
        start = failure.point
        if not with_direction(start) and fails(along_ones(start)):
            start = along_ones(start)
        kept = [f for f in (with_direction, with_entries) if f(start)]

        def still(point: DrawnPoint) -> bool:
            return all(f(point) for f in kept) and fails(point)

        start = nearer(start, still) if failure.example or not start.is_drawn else start
        if sum(a.size for a in (*start.arrays, *start.directions)) > SHRUNK_ONE_BY_ONE:
            point = around_entry(start, failure.violation.entry, still)
        else:
            point, _ = shrink(strategy, still, start.choices(), max_calls=CALLS, seconds=SECONDS, start=start)
            point = readable(point, still)
        if not _entrywise(points, point):  # at a single entry such a map is hardly ever itself
            point = with_two(point, still)
        if not at_kink:  # at a tie too, where forward has a derivative there: of a softmax at zeros
            point = with_zeros(point, lambda p: all(f(p) for f in kept) and _refuted(points, p))
        violation, outcome = points.probe(point)
    except Exception as why:  # a shrinker's trouble must not lose the failure itself
        points.notes.append(f"not minimal: shrinking stopped ({type(why).__name__})")
        return failure
    if violation is None or violation.verdict is not wanted:
        return failure
    return Failure(violation, point, outcome, failure.example)


def _refuted(points: SinglePoints, point: DrawnPoint) -> bool:
    """Whether the exact layer refuses the one derivative that there is."""
    violation, outcome = points.probe(point)
    return violation is not None and outcome is not None and outcome.status is Status.REFUTED


def _entrywise(points: SinglePoints, point: DrawnPoint) -> bool:
    """Whether the claim is of a map whose entries do not depend on each other, as far as its balls know."""
    claim_at = points.claim_at([a.shape for a in point.arrays])
    problem = claim_at.derived.problem if isinstance(claim_at, DerivativeAt) else None
    return problem is not None and problem.forward.is_entrywise


def raising(points: SinglePoints, wrong: Violation) -> Failure | None:
    """Of a wrong rule that raises at other sizes it is said first that it does not run as it should.

    Returns:
        The failure that takes the place of `wrong`, if there is one.
    """
    specs = dict(points.binder.specs)
    for sizes in shape_buckets(specs):
        if has_empty(specs, sizes):
            continue
        claim_at = points.claim_at([s.shape(sizes) for s in specs.values()])
        if not isinstance(claim_at, DerivativeAt) or claim_at.rule.is_its_program:
            continue
        drawn = draw_points(specs, sizes, points.plan.dtype, 1, points.plan.seed, ("raising", str(sizes)))
        directions = [np.ones((*s, 1)) for s in claim_at.direction_shapes]
        point = points.space().at(drawn, 0, [d[..., 0] for d in directions])
        if points.where is not None and not bool(np.all(points.where(*point.arrays))):
            continue
        raised = claim_at.raised_at(drawn.arrays, directions)
        if raised is not None:
            points.notes.append(f"at sizes where it runs: {wrong.what}")
            return Failure(raised, point, None)
    return None
