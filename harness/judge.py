"""One property at one dtype: draw points, examine them, shrink what fails, and say the verdict.

Three sources of points, in this order: systematic special points of a few fixed sizes, points with drawn shapes from
Hypothesis, and bulk points from the mixture. All special and drawn points and a fixed number of bulk points meet the
exact layer; of the others, those that a float layer finds suspicious.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.binding import Binder
from backprove.harness.bound_derivative import BoundDerivative
from backprove.harness.examination import Bound, Examination, Finding, Unsupported
from backprove.harness.function import quiet
from backprove.harness.oracles.exact import Outcome, Status
from backprove.harness.result import HISTOGRAM_EDGES, PropertyResult
from backprove.harness.shrink import sample, shrink
from backprove.harness.verdict import Verdict
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.points import REGIONS, DrawnPoint, Points, PointSpace, point_strategy
from backprove.strategies.shapes import Sizes, has_empty, shape_buckets
from backprove.strategies.values import draw_points, special_points

Array = NDArray[Any]
Progress = Callable[[str, int, int], None]

CHUNK = 2048
"""Points in one evaluation; part of a work item's identity, since other sizes round differently."""
SPECIAL_POINTS = 180
"""Systematic points, shared out over the sizes."""
RANDOM_EXACT_POINTS = 64
DRAWN_EXAMPLES = 40
MORE_DRAWN_EXAMPLES = 10
"""Examples at further dtypes: the formula is the same, the numbers are not."""
EXTREME_POINTS = 128
SHOWN_ENTRIES = 4
EMPTY_POINTS = 8
DECIDING_LAYERS = ("exact", "autodiff", "differences", "wide", "black box", "law")
"""Layers whose agreement makes a verdict `holds`; the rounding bound alone says nothing of the formula."""
EXACT_CAP = 256
"""So many suspicious points of one batch meet the exact layer at most."""
MAX_DRAWS = 16
"""At most so many times the wanted points are drawn where hypotheses, or forward's domain, leave many of them out."""
UNDECIDED_SHARE = 0.5
"""With more than this share of the exact layer's points undecided, and no other layer that decides, nothing is said."""


@dataclass(frozen=True)
class Plan:
    """What to do: dtype, number of points, seed, the accuracy asked for (None: graded only), Hypothesis examples."""

    dtype: str
    points: int
    seed: int = 0
    accuracy: float | None = None
    examples: int = DRAWN_EXAMPLES


@dataclass
class Failure:
    """A violated point, as found."""

    finding: Finding
    point: DrawnPoint
    outcome: Outcome | None


@dataclass
class Judge:
    """Judges one claim at one dtype; `run` gives the result, `failure` holds the minimal failing point if any."""

    binder: Binder
    where: Callable[..., Any] | None
    plan: Plan
    progress: Progress | None = None
    failure: Failure | None = None
    bounds: dict[tuple[tuple[int, ...], ...], Bound | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def run(self) -> PropertyResult:
        result = PropertyResult(self.binder.name, self.plan.dtype)
        with quiet():
            for batch in self._batches(result):
                self._take(batch, result)
                if self.progress:
                    self.progress(self.binder.name, min(result.points, self.plan.points), self.plan.points)
                if self.failure and self.failure.finding.verdict in (Verdict.ERROR, Verdict.FALSIFIED):
                    break
            if self.failure:
                self.failure = self._minimal(self.failure)
        self._conclude(result)
        return result

    # -- points ----------------------------------------------------------------------------------------------------

    def bound(self, shapes: Sequence[tuple[int, ...]]) -> Bound | None:
        """The claim at these shapes; None where forward does not support them."""
        key = tuple(shapes)
        if key not in self.bounds:
            try:
                self.bounds[key] = self.binder.bind(key, self.plan.dtype)
            except Unsupported as why:
                self.notes.append(f"unsupported sizes: {why}")
                self.bounds[key] = None
        return self.bounds[key]

    def space(self) -> PointSpace:
        """Single points of this claim, for Hypothesis."""
        specs = dict(self.binder.specs)

        def shape_of(k: int) -> Callable[[Sizes], tuple[int, ...]]:
            def shape(sizes: Sizes) -> tuple[int, ...]:
                bound = self.bound([s.shape(sizes) for s in specs.values()])
                return bound.direction_shapes[k] if bound is not None and k < len(bound.direction_shapes) else ()

            return shape

        some = next((b for b in self.bounds.values() if b is not None), None)
        names = some.direction_names if some is not None else ()
        directions = tuple((name, shape_of(k)) for k, name in enumerate(names))
        specials = tuple(sorted({c for b in self.bounds.values() if b is not None for c in b.specials}))
        return PointSpace(specs, self.plan.dtype, directions, specials, any(s.extreme for s in specs.values()))

    def _batches(self, result: PropertyResult) -> Iterator[_Batch]:
        specs, plan = dict(self.binder.specs), self.plan
        name = self.binder.name
        buckets = []
        for sizes in shape_buckets(specs):
            bound = self.bound([s.shape(sizes) for s in specs.values()])
            if bound is None:
                result.count("unsupported", 1)
            else:
                buckets.append((sizes, bound))
        extreme = any(s.extreme for s in specs.values())
        for turn, (sizes, bound) in enumerate(buckets):
            specials = tuple(bound.specials)
            if has_empty(specs, sizes):
                points = special_points(specs, sizes, plan.dtype, specials, limit=EMPTY_POINTS)
            else:
                # each special point at one of the sizes
                points = special_points(specs, sizes, plan.dtype, specials, limit=SPECIAL_POINTS)
                points = points.take(np.arange(turn % len(buckets), points.count, max(len(buckets) - 1, 1)))
            yield self._with_directions(points, bound, ("special", name, str(sizes)), exact=points.count)
        yield from self._drawn(result)
        full = [(s, b) for s, b in buckets if not has_empty(specs, s)] or buckets
        share = -(-plan.points // max(len(full), 1))
        for k in range(-(-MAX_DRAWS * share // min(CHUNK, share))):
            for sizes, bound in full:
                if k and result.points >= plan.points:
                    return
                # the first chunk of a small run is cut to its share; the size is part of the item's identity
                count = min(CHUNK, share)
                item = ("bulk", name, str(sizes), k)
                points = draw_points(specs, sizes, plan.dtype, count, plan.seed, item, bound.specials, extreme)
                yield self._with_directions(
                    points, bound, item, exact=-(-RANDOM_EXACT_POINTS // len(full)) if k == 0 else 0
                )
                if k == 0 and not extreme:
                    far_item = ("extreme", name, str(sizes))
                    n = EXTREME_POINTS // len(full)
                    far = draw_points(specs, sizes, plan.dtype, n, plan.seed, far_item, bound.specials, True)
                    yield self._with_directions(far, bound, far_item, exact=min(8, far.count), beyond=True)

    def _with_directions(self, points: Points, bound: Bound, item: object, exact: int, beyond: bool = False) -> _Batch:
        directions = draw_directions(bound.direction_shapes, points.count, self.plan.seed, item, self.plan.dtype)
        if getattr(bound, "unit", False):
            directions = tuple(np.ones_like(d) for d in directions)
        keep = self._admitted(points)
        mask = np.zeros(points.count, dtype=bool)
        mask[np.flatnonzero(keep)[:exact]] = True
        return _Batch(bound, points, directions, keep, mask, beyond)

    def _admitted(self, points: Points) -> Array:
        keep = np.ones(points.count, dtype=bool)
        if self.where is not None:
            for i in range(points.count):
                keep[i] = bool(np.all(self.where(*points.point(i))))
        return keep

    def _drawn(self, result: PropertyResult) -> Iterator[_Batch]:
        """Examples of Hypothesis, grouped by shapes."""
        space = self.space()
        if not space.specs:
            return
        strategy = point_strategy(space.specs, space.dtype, space.directions, space.specials, space.extreme)
        groups: dict[tuple[tuple[int, ...], ...], list[DrawnPoint]] = {}
        for p in sample(strategy, self.plan.examples, seed=self.plan.seed):
            groups.setdefault(tuple(a.shape for a in p.arrays), []).append(p)
        for shapes, members in groups.items():
            bound = self.bound(shapes)
            if bound is None:
                result.count("unsupported", len(members))
                continue
            points = Points.join([p.points() for p in members])
            columns = zip(*(p.directions for p in members), strict=True)
            directions = tuple(np.stack(column, axis=-1) for column in columns)
            if getattr(bound, "unit", False):
                directions = tuple(np.ones_like(d) for d in directions)
            every = np.ones(points.count, dtype=bool)
            yield _Batch(bound, points, directions, self._admitted(points), every, drawn=True)

    # -- results ---------------------------------------------------------------------------------------------------

    def _take(self, batch: _Batch, result: PropertyResult) -> None:
        """Examine a batch and enter what was seen."""
        keep = np.flatnonzero(batch.keep)
        result.count("discarded", batch.points.count - keep.size)
        if not keep.size:
            return
        points = batch.points.take(keep)
        directions = [d[..., keep] for d in batch.directions]
        cap = 0 if batch.drawn else EXACT_CAP
        try:
            seen = batch.bound.examine(points.arrays, directions, batch.exact[keep], cap=cap)
        except Unsupported as why:
            result.count("unsupported", points.count)
            self.notes.append(f"unsupported sizes: {dict(points.sizes)}: {why}")
            return
        if self.plan.accuracy is not None and not batch.beyond:
            self._hold_to_accuracy(seen, batch.bound)
        if has_empty(dict(self.binder.specs), points.sizes) and any(f is not None for f in seen.findings):
            # code that cannot handle size 0 is unsupported there, nothing worse
            result.count("unsupported", points.count)
            what = next(f.what for f in seen.findings if f is not None)
            self.notes.append(f"unsupported sizes: {dict(points.sizes)}: {what}")
            return
        counted = ~seen.outside & ~np.array(
            [f is not None and batch.beyond and f.verdict is Verdict.INACCURATE for f in seen.findings]
        )
        result.count("outside_domain", int(seen.outside.sum()))
        if batch.beyond:
            result.count("beyond_range", int((~seen.outside).sum()))
        else:
            result.points += int(counted.sum())
            result.count("balls_only", int(seen.balls_only.sum()))
        self._tally(seen, points, result, batch.beyond)
        order = sorted(
            (f.verdict.rank, i)
            for i, f in enumerate(seen.findings)
            if f is not None and (not batch.beyond or f.verdict is Verdict.FALSIFIED)
        )
        if order:
            _, i = order[0]
            finding = seen.findings[i]
            assert finding is not None
            if self.failure is None or finding.verdict.rank < self.failure.finding.verdict.rank:
                drawn = self.space().at(points, i, [d[..., i] for d in directions])
                self.failure = Failure(finding, drawn, seen.outcomes[i])

    def _hold_to_accuracy(self, seen: Examination, bound: Bound) -> None:
        assert self.plan.accuracy is not None
        for i in np.flatnonzero(seen.factor > self.plan.accuracy):
            if seen.findings[i] is None:
                what = (
                    f"the float result is {seen.factor[i]:.3g} times further from the exact one than conditioning "
                    f"forces (accuracy={self.plan.accuracy:g} was asked for)"
                )
                seen.findings[i] = Finding(Verdict.INACCURATE, what)

    def _tally(self, seen: Examination, points: Points, result: PropertyResult, beyond: bool) -> None:
        for name, tally in seen.layers.items():
            result.layer(name).merge(tally)
        for note in seen.notes:
            if note.startswith("finding: "):
                text = note.removeprefix("finding: ")
                if not any(f.split(" at ")[0] == text.split(" at ")[0] for f in result.findings):
                    result.findings.append(text)
            elif note not in result.notes:
                result.notes.append(note)
        for o in seen.outcomes:
            if o is None:
                continue
            if o.status in (Status.KINK_AGREES, Status.KINK_REFUTED):
                result.count("kink")
            elif o.status in (Status.SINGULAR, Status.UNDECIDED, Status.UNEXAMINED):
                result.count("kinks_not_examined" if o.status is Status.UNEXAMINED else o.status.value)
                if o.note and len(result.notes) < 8 and o.note not in result.notes:
                    result.notes.append(o.note)
        if beyond:
            return
        label = ", ".join(f"{k}={v}" for k, v in points.sizes.items()) or "scalar"
        result.shapes[label] = result.shapes.get(label, 0) + points.count
        for code, n in zip(*np.unique(points.region, return_counts=True), strict=True):
            region = REGIONS[int(code)]
            result.regions[region] = result.regions.get(region, 0) + int(n)
        measured = seen.ulps[np.isfinite(seen.ulps)]
        if measured.size:
            worst = float(measured.max())
            result.max_ulp = worst if result.max_ulp is None else max(result.max_ulp, worst)
            with np.errstate(divide="ignore"):
                bins = np.searchsorted(HISTOGRAM_EDGES, np.log10(measured), side="right")
            for b, n in zip(*np.unique(bins, return_counts=True), strict=True):
                result.histogram[int(b)] += int(n)
        graded = np.flatnonzero(np.isfinite(seen.factor))
        if graded.size:
            self._grade(seen, points, graded, result)

    def _grade(self, seen: Examination, points: Points, graded: Array, result: PropertyResult) -> None:
        k = int(graded[np.argmax(seen.factor[graded])])
        worst = float(seen.factor[k])
        lost = [int(i) for i in graded if seen.lost[i]]
        if result.grade_factor is None or worst > result.grade_factor or (lost and result.grade != "lost"):
            at = lost[0] if lost else k
            result.grade_factor = max(worst, result.grade_factor or 0.0)
            if lost or result.grade != "lost":
                result.grade = "lost" if lost else "stable" if worst <= 16 else "lossy"
                where = ", ".join(_short(n, a[..., at]) for n, a in zip(self.binder.specs, points.arrays, strict=True))
                result.grade_region = f"{REGIONS[int(points.region[at])]}: {where}"

    def _conclude(self, result: PropertyResult) -> None:
        result.notes += [n for n in dict.fromkeys(self.notes) if n not in result.notes][:4]
        if self.failure is not None:
            result.verdict = self.failure.finding.verdict
            result.reason = self.failure.finding.what
            return
        decided = sum(result.layer(n).agreed for n in DECIDING_LAYERS if n in result.layers)
        if result.points and decided:
            result.verdict = Verdict.HOLDS
        else:
            result.verdict = Verdict.INCONCLUSIVE
            why = f": {self.notes[0]}" if self.notes else ""
            result.reason = (
                "no layer could judge a single point" if result.points else f"no point could be evaluated{why}"
            )

    # -- shrinking -------------------------------------------------------------------------------------------------

    def probe(self, point: DrawnPoint) -> tuple[Finding | None, Outcome | None]:
        """Judge one point again, by itself."""
        bound = self.bound([a.shape for a in point.arrays])
        if bound is None or tuple(d.shape for d in point.directions) != tuple(bound.direction_shapes):
            return None, None
        if self.where is not None and not bool(np.all(self.where(*point.arrays))):
            return None, None
        inputs, directions = [a[..., None] for a in point.arrays], [d[..., None] for d in point.directions]
        if getattr(bound, "unit", False):
            directions = [np.ones_like(d) for d in directions]
        if isinstance(bound, BoundDerivative):
            bound.kink_budget = 1
        with quiet():
            seen = bound.examine(inputs, directions, np.array([True]), cap=0 if self.plan.accuracy is None else 1)
        if self.plan.accuracy is not None:
            self._hold_to_accuracy(seen, bound)
        return seen.findings[0], seen.outcomes[0]

    def _minimal(self, failure: Failure) -> Failure:
        wanted = failure.finding.verdict
        space = failure.point.space
        strategy = point_strategy(space.specs, space.dtype, space.directions, space.specials, space.extreme)

        def still(point: DrawnPoint) -> bool:
            finding, _ = self.probe(point)
            return finding is not None and finding.verdict is wanted

        try:
            point, _ = shrink(
                strategy, still, failure.point.choices(), max_calls=1200, seconds=8.0, start=failure.point
            )
            finding, outcome = self.probe(point)
        except Exception as why:  # a shrinker's trouble must not lose the failure itself
            self.notes.append(f"not minimal: shrinking stopped ({type(why).__name__})")
            return failure
        return Failure(finding, point, outcome) if finding is not None and finding.verdict is wanted else failure


def _short(name: str, value: Array) -> str:
    """At most the first entries of a value; the whole point is of little use to a reader."""
    flat = np.ravel(value)
    text = ", ".join(f"{v:.6g}" for v in flat[:SHOWN_ENTRIES].tolist()) + (", ..." if flat.size > SHOWN_ENTRIES else "")
    return f"{name} = {text}" if np.ndim(value) == 0 else f"{name} = [{text}]"


@dataclass
class _Batch:
    bound: Bound
    points: Points
    directions: tuple[Array, ...]
    keep: Array
    """Points that satisfy the hypotheses."""
    exact: Array
    """Points that meet the exact layer in any case."""
    beyond: bool = False
    """Points beyond the default range: only `falsified` counts there."""
    drawn: bool = False
    """Points of many shapes, all of which meet the exact layer: the screens that only point to it are left out."""
