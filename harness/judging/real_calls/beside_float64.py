"""Code that can only be called is held, in a short format, against what it gives in float64.

`1 - tanh(x)**2` in float32 at x = 4 is off by 1e-4 of itself, which the noise of the same code in float64 explains;
a rule that returns `g * np.float16(0.3)` is `inaccurate`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, at_points, largest
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import LOW_MARGIN, MODERATE
from backprove.harness.core.thresholds.rounding import STABLE
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.oracles.black_box import rounding_noise
from backprove.harness.oracles.resolution import SHORT, narrowed

DRAWS = 6
"""Draws of a rounding of all arguments."""


def enter_against_float64(
    rule: FunctionAt,
    wrt: Sequence[int],
    names: Sequence[str],
    point: tuple[Sequence[Array], Sequence[Array]],
    index: Array,
    result: Sequence[Array],
    accurate: Array,
    dtype: str,
    seen: Examination,
) -> None:
    """Grade results in a short format, and enter those beyond what noise and conditioning explain as inaccurate.

    Noise is measured in float64 and scaled to the format; conditioning is sampled from inputs one rounding apart.

    Args:
        rule: in float64.
        wrt: positions of the differentiated inputs.
        names: of what the rule returns.
        point: inputs and directions, at all points.
        index: the points to look at.
        result: the rule's results in the short format, at all points.
        accurate: at which of the points to look at forward is accurate in that format.
        dtype: the short format.
    """
    form, arrays, m = FORMATS[dtype], [at_points(a, index) for part in point for a in part], index.size
    wide, noise = rule.values(arrays), rounding_noise(rule.values, arrays)
    rng = np.random.Generator(np.random.Philox(key=[47, 53]))
    forced = [form.u * np.abs(w) for w in wide]
    with np.errstate(all="ignore"):
        for _ in range(DRAWS):
            near = [a * (1 + form.u * rng.choice([-1.0, 1.0], a.shape)) if a.dtype.kind == "f" else a for a in arrays]
            moved = [np.abs(p - w) for p, w in zip(rule.values(near), wide, strict=True)]
            forced = [np.fmax(f, c) for f, c in zip(forced, moved, strict=True)]
        moderate = largest([np.abs(a) for a in arrays if a.dtype.kind == "f"], m) <= MODERATE
        for k, (r, w, f, e) in enumerate(zip(result, wide, forced, noise, strict=True)):
            off = np.abs(r[..., index] - w)
            judged = np.isfinite(off) & (np.abs(w) >= form.tiny)
            factor = np.where(judged, off / f, 0.0)
            seen.factor[index] = np.fmax(seen.factor[index], largest([factor], m))
            seen.lost[index] |= any_entry([judged & (off >= np.abs(w)) & (factor > STABLE)], m)
            allowed = LOW_MARGIN * (e * (form.u * 2.0**53) + f) + 4 * form.tiny
            over = np.isfinite(off) & (off > allowed) & accurate & moderate
            some = np.flatnonzero(any_entry([over], m))
            if some.size:
                over[..., some] &= ~_narrows_too(rule, wrt, [at_points(a, some) for a in arrays], dtype)[k]
            for j in zip(*np.nonzero(over), strict=True):
                i, entry = int(index[j[-1]]), tuple(int(q) for q in j[:-1])
                if seen.violations[i] is None:
                    what = f"the {dtype} result is further from float64's than noise and conditioning explain"
                    got, wanted = float(r[(*entry, i)]), float(w[j])
                    oracle = "the same code in float64"
                    seen.violations[i] = Violation(Verdict.INACCURATE, what, names[k], entry, got, wanted, oracle)


def _narrows_too(rule: FunctionAt, wrt: Sequence[int], arrays: Sequence[Array], dtype: str) -> list[Array]:
    """Entries of results that the rule rounds to the format under test in float64 too: that is no truth then."""
    formats = [name for name in SHORT if FORMATS[name].u >= FORMATS[dtype].u]
    return [units > 0 for units in narrowed(rule.values, arrays, wrt, formats)]
