"""Tallies turn what the layers saw of a batch into the numbers of a result: counts, regions, errors, grades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.results import HISTOGRAM_EDGES, PropertyResult
from backprove.harness.core.thresholds.rounding import STABLE
from backprove.harness.judging.examination import Examination
from backprove.harness.oracles.problem import Status
from backprove.strategies.points import Points
from backprove.strategies.regions import REGIONS
from backprove.strategies.shapes import size_label

SHOWN_ENTRIES = 4


def enter_places(points: Points, chosen: Array, result: PropertyResult) -> None:
    """Count the chosen ones (a truth value each) of the points by shape and by region."""
    label = size_label(points.sizes)
    counts = np.bincount(points.region[chosen], minlength=len(REGIONS)).tolist()
    result.shapes[label] = result.shapes.get(label, 0) + sum(counts)
    for region, n in zip(REGIONS, counts, strict=True):
        if n:
            result.regions[region] = result.regions.get(region, 0) + n


def enter(seen: Examination, points: Points, result: PropertyResult, beyond: Array, names: Sequence[str]) -> None:
    """Enter what was seen of a batch, the counts of points apart.

    Args:
        beyond: points beyond the default range, which have no errors and grades.
        names: of the inputs.
    """
    for name, tally in seen.layers.items():
        result.layer(name).merge(tally)
    for note in seen.notes:
        if note not in result.notes:
            result.notes.append(note)
    for key, text in seen.findings.items():
        result.remark(text, key)
    for o in seen.outcomes:
        if o is None:
            continue
        if o.status in (Status.KINK_AGREES, Status.KINK_REFUTED):
            result.count("kink")
        elif o.status in (Status.SINGULAR, Status.UNDECIDED, Status.UNEXAMINED):
            result.count("kinks_not_examined" if o.status is Status.UNEXAMINED else o.status.value)
            if o.note and len(result.notes) < 8 and o.note not in result.notes:
                result.notes.append(o.note)
    enter_places(points, ~beyond, result)
    measured = seen.ulps[np.isfinite(seen.ulps) & ~beyond]
    if measured.size:
        worst = float(measured.max())
        result.max_ulp = worst if result.max_ulp is None else max(result.max_ulp, worst)
        with np.errstate(divide="ignore"):
            bins = np.searchsorted(HISTOGRAM_EDGES, np.log10(measured), side="right")
        for b, n in enumerate(np.bincount(bins).tolist()):
            result.histogram[b] += n
    graded = np.flatnonzero(np.isfinite(seen.factor) & ~beyond)
    if graded.size:
        _grade(seen, points, graded, result, names)


def _grade(seen: Examination, points: Points, graded: Array, result: PropertyResult, names: Sequence[str]) -> None:
    k = int(graded[np.argmax(seen.factor[graded])])
    worst = float(seen.factor[k])
    lost = [int(i) for i in graded if seen.lost[i]]
    if result.grade_factor is None or worst > result.grade_factor or (lost and result.grade != "lost"):
        at = lost[0] if lost else k
        result.grade_factor = max(worst, result.grade_factor or 0.0)
        if lost or result.grade != "lost":
            result.grade = "lost" if lost else "stable" if worst <= STABLE else "lossy"
            where = ", ".join(_short(n, a[..., at]) for n, a in zip(names, points.arrays, strict=True))
            result.grade_region = f"{REGIONS[int(points.region[at])]}: {where}"


def _short(name: str, value: Array) -> str:
    """At most the first entries of a value; the whole point is of little use to a reader."""
    flat = np.ravel(value)
    text = ", ".join(f"{v:.6g}" for v in flat[:SHOWN_ENTRIES].tolist()) + (", ..." if flat.size > SHOWN_ENTRIES else "")
    return f"{name} = {text}" if np.ndim(value) == 0 else f"{name} = [{text}]"
