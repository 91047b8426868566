"""Points of a user's own become batches here, which are judged before anything that is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.drawing.batch import Batch, Plan
from backprove.harness.judging.examination import ClaimAt, Unsupported
from backprove.harness.statements.own_points import OwnPoint
from backprove.strategies.array import ArraySpec
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.domain import float_domain
from backprove.strategies.kinds import is_plain
from backprove.strategies.points import DrawnPoint, PointSpace
from backprove.strategies.shapes import Specs
from backprove.strategies.values import as_points

DRAWN = 16
"""Directions drawn where none is given; the one with the most entries is taken, since zeros show little."""
STEPS = 200
"""Most points tried on the way from a point of a size that is never drawn to one of a size that is."""


def own_batches(
    points: Sequence[OwnPoint],
    binder: Binder,
    plan: Plan,
    claim_at: Callable[[Sequence[tuple[int, ...]]], ClaimAt | None],
    left_out: Callable[[str], None],
) -> Iterator[Batch]:
    """One batch per point, in their order; all layers look at it, and every verdict counts.

    Args:
        claim_at: see `Batches`.
        left_out: told why a point is not judged in this format.

    Raises:
        UsageError: where a direction has the wrong shape.
    """
    for point in points if plan.part == 0 else ():
        arrays = rounded(point, binder.specs, plan.dtype)
        if isinstance(arrays, str):
            left_out(f"{point.label} was not judged in {plan.dtype}: {arrays}")
            continue
        here = claim_at(point.shapes)
        if here is None:
            left_out(f"{point.label} was not judged: nothing can be evaluated at its sizes")
            continue
        specials = binder.specials(point.shapes, plan.dtype)
        one = as_points(binder.specs, point.sizes, plan.dtype, tuple(a[..., None] for a in arrays), specials)
        yes, no = np.ones(1, dtype=bool), np.zeros(1, dtype=bool)
        yield Batch(
            here, one, _directions(point, here, plan), yes, yes, no, False, ("own", point.label), no,
            example=point.label,
        )  # fmt: skip


def known_batch(
    known: DrawnPoint,
    binder: Binder,
    where: Callable[..., Any] | None,
    plan: Plan,
    claim_at: Callable[[Sequence[tuple[int, ...]]], ClaimAt | None],
    space: PointSpace,
) -> Batch | None:
    """A point of another dtype, rounded to this one, as a batch; None where nothing can be evaluated at its sizes, or
    where rounding leads out of the domain.

    Args:
        known: the point, with its directions.
        where: domain condition over several inputs.
        claim_at: see `Batches`.
        space: points of the claim at this dtype.
    """
    here = claim_at([a.shape for a in known.arrays])
    if here is None or tuple(d.shape for d in known.directions) != tuple(here.direction_shapes):
        return None
    point = space.repaired(known.sizes, known.arrays, known.directions)
    if where is not None and not bool(np.all(where(*point.arrays))):
        return None
    specials = binder.specials([a.shape for a in known.arrays], plan.dtype)
    one = as_points(binder.specs, point.sizes, plan.dtype, tuple(a[..., None] for a in point.arrays), specials)
    yes, no = np.ones(1, dtype=bool), np.zeros(1, dtype=bool)
    directions = tuple(d[..., None] for d in point.directions)
    return Batch(here, one, directions, yes, yes, no, False, ("known",), no)


def check_directions(points: Sequence[OwnPoint], binders: Sequence[Binder], dtype: str) -> None:
    """Refuse directions that have another shape than the claims give them, or that no claim takes.

    Raises:
        UsageError: for the first such direction.
    """
    for point in points:
        names: list[str] = []
        for binder in binders:
            try:
                here = binder.bind(list(point.shapes), dtype)
            except Unsupported:
                continue
            for name, shape in zip(here.direction_names, here.direction_shapes, strict=True):
                point.direction(name, shape)
            names += here.direction_names
        unused = point.unused(names)
        if names and unused:
            told = ", ".join(dict.fromkeys(names))
            raise UsageError(f"{point.who}: the rule has no {unused[0]}; its directions are {told}")


def rounded(point: OwnPoint, specs: Specs, dtype: str) -> list[Array] | str:
    """The inputs as numbers of the format, inside the bounds; in words why there are none."""
    out = []
    for (name, spec), a in zip(specs.items(), point.arrays, strict=True):
        if spec.dtype != "float":
            out.append(a)
            continue
        x = FORMATS[dtype].round(a)
        if not np.isfinite(x).all():
            return f"{name} overflows there"
        if is_plain(spec):
            x = _clipped(spec, dtype, x)
            if spec.nonzero and (x == 0).any():
                return f"{name} is zero there"
            if spec.distinct and np.unique(x).size < x.size:
                return f"two entries of {name} are equal there"
        else:
            (x,) = PointSpace({name: spec}, dtype, extreme=True).repaired(point.sizes, [x], ()).arrays
        out.append(x)
    return out


def _clipped(spec: ArraySpec, dtype: str, x: Array) -> Array:
    """Stated bounds are rounded inward, numbers to nearest: one beyond a bound goes back to it."""
    if spec.low is None and spec.high is None:
        return x
    domain = float_domain(spec, dtype, True)
    low = -np.inf if spec.low is None else domain.low
    high = np.inf if spec.high is None else domain.high
    return np.clip(x, low, high)


def _directions(point: OwnPoint, claim_at: ClaimAt, plan: Plan) -> tuple[Array, ...]:
    """The directions given, rounded to the format, and others for those that are not."""
    shapes = claim_at.direction_shapes
    if claim_at.unit:
        return tuple(np.ones((*s, 1)) for s in shapes)
    drawn = draw_directions(shapes, DRAWN, plan.seed, ("own", point.label), plan.dtype)
    filled = sum((np.count_nonzero(d.reshape(-1, DRAWN), axis=0) for d in drawn), np.zeros(DRAWN, dtype=np.int64))
    best = int(np.argmax(filled))
    out = []
    for name, shape, other in zip(claim_at.direction_names, shapes, drawn, strict=True):
        given = point.direction(name, shape)
        out.append(other[..., best : best + 1] if given is None else FORMATS[plan.dtype].round(given)[..., None])
    return tuple(out)


def nearer(point: DrawnPoint, still: Callable[[DrawnPoint], bool]) -> DrawnPoint:
    """A failing point of the sizes and values that can be drawn, from which shrinking starts; else the point itself.

    Args:
        still: whether a point fails as this one does.
    """
    for _ in range(STEPS):
        if point.is_drawn:
            break
        smaller = next((p for p in point.smaller() if still(p)), None)
        if smaller is None:
            return point
        point = smaller
    inside = point.space.repaired(point.sizes, point.arrays, point.directions)
    return inside if still(inside) else point
