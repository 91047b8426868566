"""The rule remembers earlier calls: it accumulates, or answers for the point of the call before."""

from __future__ import annotations

import numpy as np

from backprove.harness.diagnoses.evidence import Case, Evidence, same
from backprove.harness.diagnoses.points import varies


def stateful(e: Evidence) -> str | None:
    """Call the code as it is at a point, again, at another point and back."""
    found: set[str] = set()
    for first, second in zip(e.cases, e.cases[1:], strict=False):
        if first.sizes == second.sizes:
            found.add(_between(first, second))
        if len(found) > 1:
            return None
    return (found.pop() or None) if found else None


def _between(a: Case, b: Case) -> str:
    d = a.directions()
    call = a.bound.functions.rule.at

    def ask(c: Case) -> list[float] | None:
        try:
            out = call(*(v.copy() for v in c.x), *(v.copy() for v in d))
        except Exception:  # the judge reports what raises
            return None
        return [float(v) for r in out for v in r.ravel()]

    got = [ask(a), ask(a), ask(b), ask(a)]
    if any(g is None for g in got):
        return ""
    one, two, other, back = (np.array(g) for g in got)
    if same(one, two) and same(two, back):
        return ""
    right_a = np.concatenate([r.ravel() for r in a.apply(a.true, d)])
    right_b = np.concatenate([r.ravel() for r in b.apply(b.true, d)])
    if one.shape != right_a.shape:
        return ""
    if same(two - one, right_a) and same(other - two, right_b) and same(back - other, right_a):
        return (
            "The rule keeps state between calls: each call adds to the result of the call before. "
            "Start from zeros in every call (a buffer is never reset)."
        )
    if same(two, right_a) and same(other, right_a) and same(back, right_b) and not same(right_a, right_b):
        return "The rule keeps state between calls: it answers for the input of the call before (a stale residual)."
    return "The rule keeps state between calls: the same input gives another result the second time."


def frozen(e: Evidence) -> str | None:
    """The result is the same at every point of a shape, and true at none of those seen: a value of an earlier call."""
    if not e.wrong or not e.linear or not varies(e):
        return None
    pairs = [(a, b) for a, b in zip(e.cases, e.cases[1:], strict=False) if a.sizes == b.sizes]
    if not pairs:
        return None
    for a, b in pairs:
        for k in e.wrong:
            if a.got is None or b.got is None or not same(a.got[k], b.got[k]) or not a.got[k].any():
                return None
            if same(a.true[k], b.true[k]):
                return None
    names = " and ".join(e.names[k] for k in e.wrong)
    return f"The result for {names} does not depend on the point, where the derivative does: it is a constant, or was stored in an earlier call."
