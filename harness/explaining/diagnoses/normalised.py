"""This diagnosis names a sum that a rule takes for 1: it is right where an input is normalised, and wrong elsewhere.

Cross-entropy with `softmax(z) - t` where `t` need not sum to one: the derivative has `t.sum()` before the softmax.
"""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, assemble, same


def sum_taken_for_one(e: Evidence) -> str | None:
    """The rule is right where one input sums to 1 along its last axis."""
    if not e.wrong or len(e.shaped) < len(e.cases):
        return None
    for i, name in enumerate(e.cases[0].claim_at.input_names):
        spec = e.specs[name]
        if spec.kind is None and spec.dtype == "float" and _told(e, i):
            return (
                f"{e.where}the rule is right where {name} sums to 1 along its last axis, and wrong elsewhere: it leaves"
                ' out that sum. Multiply by it where the derivative has it, or state the domain (kind="simplex").'
            )
    return None


def _told(e: Evidence, i: int) -> bool:
    several = 0
    for c in e.cases:
        a = c.x[i]
        if not a.ndim or a.dtype.kind != "f":
            return False
        if a.shape[-1] < 2 or all(c.right(k) for k in e.wrong):
            continue
        if not _right_at(c, i, e.wrong):
            return False
        several += 1
    return several >= 2


def _right_at(c: Case, i: int, wrong: list[int]) -> bool:
    """Whether the rule is right at the point where input i is normalised."""
    total = np.asarray(c.x[i].sum(axis=-1, keepdims=True))
    if not np.all(np.abs(total) > 1e-3):
        return False
    x: list[Array] = [a / total if k == i else a for k, a in enumerate(c.x)]
    true, results = c.true_at(x), c.rule_batch(list(c.units()), x)
    got = None if results is None else assemble(c, results)
    return true is not None and got is not None and all(same(got[k], true[k]) for k in wrong)
