"""The stability grade measures the float error in multiples of what the conditioning of the problem forces."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, largest
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FloatFormat
from backprove.harness.core.thresholds.coverage import GRADED_ENTRIES, GRADED_POINT
from backprove.harness.core.thresholds.rounding import STABLE
from backprove.harness.judging.examination import Examination
from backprove.harness.oracles.conditioning import floats, forced_error
from backprove.harness.oracles.problem import DerivativeProblem, Status


def grade(
    problem: DerivativeProblem,
    x: list[Array],
    d: list[Array],
    result: list[Array],
    index: Array,
    form: FloatFormat,
    seen: Examination,
) -> None:
    """Grade some of the points of `index` at which the formula is right; enters `factor` and `lost` in `seen`."""
    entries = sum(int(np.prod(r.shape[:-1])) for r in result)
    if not 0 < entries <= GRADED_POINT:
        return
    good = [i for i in index.tolist() if (o := seen.outcomes[i]) is not None and o.status is Status.AGREES]
    good = good[: max(1, GRADED_ENTRIES // entries)]
    if not good:
        return
    try:
        known = _known(seen, good, result)
        graded = forced_error(problem, [a[..., good] for a in x], [a[..., good] for a in d], form, known)
    except UnsupportedPrimitive:
        return
    if graded is None:
        return
    worst, lost = np.zeros(len(good)), np.zeros(len(good), dtype=bool)
    for r, (value, forced) in zip(result, graded, strict=True):
        with np.errstate(all="ignore"):
            off = np.abs(r[..., good] - value)
            judged = np.isfinite(off) & (np.abs(value) >= form.tiny) & np.isfinite(forced)
            factor = np.where(judged, off / np.maximum(forced, form.u * np.abs(value)), 0.0)
        worst = np.maximum(worst, largest([factor], len(good)))
        lost |= any_entry([judged & (off >= np.abs(value)) & (factor > STABLE)], len(good))
    seen.factor[good], seen.lost[good] = worst, lost


def _known(seen: Examination, good: list[int], result: list[Array]) -> list[Array]:
    """The derivative at the points of `good` as the exact layer found it: where the rule agrees, the rule's value."""
    each = [o.rule if (o := seen.outcomes[i]) is not None else None for i in good]
    out = []
    for k, r in enumerate(result):
        values = np.full((*r.shape[:-1], len(good)), np.nan)
        have = [j for j, rule in enumerate(each) if rule is not None]
        if have:
            values[..., have] = floats(np.stack([rule[k] for rule in each if rule is not None], axis=-1))
        out.append(values)
    return out
