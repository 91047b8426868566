"""What a verdict rests on is entered here from batches of points: agreement by size, objections, sizes left out."""

from __future__ import annotations

from collections.abc import Mapping

from backprove.harness.core.arrays import Array
from backprove.harness.core.evidence import Extent
from backprove.harness.core.results import PropertyResult
from backprove.harness.judging.advice import advice_on_dims
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.examination import Examination, Unsupported
from backprove.harness.judging.objections import cleared
from backprove.harness.judging.single_points import SinglePoints
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.inside import sizes_at
from backprove.strategies.points import Points
from backprove.strategies.shapes import Sizes, Specs, feasible, has_empty, size_label


def extent_of(specs: Specs, sizes: Sizes) -> Extent:
    """Whether the arrays of these sizes have two entries or more along every free axis, one along some, or none."""
    if has_empty(specs, sizes):
        return "empty"
    bounds = bounds_of(specs)
    free = [s for name, s in sizes.items() if isinstance(s, tuple) or bounds.most(name) >= 2]
    flat = [s for v in free for s in (v if isinstance(v, tuple) else (v,))]
    return "full" if all(s >= 2 for s in flat) else "thin"


def enter_agreed(
    points: Points, inside: int, agreed: Mapping[str, int], binder: Binder, result: PropertyResult
) -> None:
    """Enter how many of the points, which have one size, lie inside the domain, and at how many each layer agreed."""
    result.evidence.at(size_label(points.sizes), agreed, extent_of(binder.specs, points.sizes), inside)


def enter_objections(seen: Examination, beyond: Array, result: PropertyResult) -> None:
    """Enter the objections of a batch, and how many of them nothing cleared; beyond the default range none counts.

    Once a point is refused the others need not be asked: their objections are right rather than open.
    """
    if not any(points.any() for points in seen.doubts.values()):
        return
    left = ~cleared(seen.outcomes, seen.violations) & ~seen.outside & ~beyond
    left &= not any(o is not None and o.status.refused for o in seen.outcomes)
    for layer, points in seen.doubts.items():
        result.evidence.object(layer, int((points & ~beyond).sum()), int((points & left).sum()))


def enter_approximation(seen: Examination, result: PropertyResult) -> None:
    """Enter how near an approximation came in a batch, where the claim is of one."""
    if seen.approximated is not None:
        units = [o.units for o in seen.outcomes if o is not None and o.status.accepted and o.units is not None]
        in_balls = "exact" in seen.layers and seen.layers["exact"].agreed > 0
        result.evidence.approximate(*seen.approximated, max(units, default=0.0 if in_balls else None))


def enter_left_out(points: SinglePoints, result: PropertyResult) -> None:
    """Enter the sizes at which nothing could be evaluated, and which dims would leave them out."""
    specs, binder = points.binder.specs, points.binder
    bad: list[Sizes] = []
    for shapes, why in points.left_out.items():
        sizes = sizes_at(specs, list(shapes))
        empty = has_empty(specs, sizes)
        result.evidence.leave_out(size_label(sizes), why.reason, str(why), empty=empty, ends=why.ends)
        bad += [] if empty else [sizes]
    if not bad:
        return

    def runs(sizes: Sizes) -> bool | None:
        if not feasible(specs, sizes):
            return None
        try:
            binder.bind([s.shape(sizes) for s in specs.values()], points.plan.dtype)
        except Unsupported:
            return False
        return True

    run = [sizes_at(specs, list(shapes)) for shapes, claim_at in points.claims_at.items() if claim_at is not None]
    good = [sizes for sizes in run if not has_empty(specs, sizes)]
    result.evidence.advice = advice_on_dims(specs, good, bad, runs)
