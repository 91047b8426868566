"""These diagnoses name rules that remember earlier calls: they accumulate, or answer for the point of the call
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, cast
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same
from backprove.harness.explaining.diagnoses.points import varies
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Unsupported
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.generic import draw

FRESH = 7
"""First size of the shapes used here: a rule that remembers by shape has seldom met them, even while traced."""
KEEPS = "The rule keeps state between calls: "


def stateful(binder: Binder) -> str | None:
    """Call the code as it is at a point, again, at another point and back; None where it answers alike."""
    cases = _fresh_cases(binder)
    if cases is None:
        return None
    a, b = cases
    rule = a.claim_at.rule
    # calls of JAX code are slow; what keeps something must not be traced before it is called
    if not rule.function.may_keep and rule.front_end.is_jax_code:
        return None
    d = a.directions()
    answers = [_ask(c, d) for c in (a, a, b, a)]
    if any(isinstance(v, str) for v in answers):
        leaked = any("Tracer" in v for v in answers if isinstance(v, str))
        return f"{KEEPS}a value stored in an earlier call is used again." if leaked else None
    one, two, other, back = (np.asarray(v) for v in answers)
    if one.shape != two.shape or not (np.isfinite(one).all() and np.isfinite(two).all()):
        return None
    if same(one, two) and same(two, back):
        return None
    for c in cases:
        true = c.true_at(c.x)
        if true is None:
            return f"{KEEPS}the same input gives another result the second time."
        c.true = true
    right_a, right_b = (np.concatenate([r.ravel() for r in c.apply(c.true, d)]) for c in cases)
    if same(two - one, right_a) and same(other - two, right_b) and same(back - other, right_a):
        return (
            f"{KEEPS}each call adds to the result of the call before. Start from zeros in every call (a "
            "buffer is never reset)."
        )
    if same(two, right_a) and same(other, right_a) and same(back, right_b) and not same(right_a, right_b):
        return f"{KEEPS}it answers for the input of the call before (a stale residual)."
    return f"{KEEPS}the same input gives another result the second time."


def _fresh_cases(binder: Binder) -> tuple[Case, Case] | None:
    """Two points of a shape larger than those of the other diagnoses; None where it is not supported."""
    specs = dict(binder.specs)
    names = list(dict.fromkeys(d for s in specs.values() for d in s.dims if isinstance(d, str)))
    sizes: dict[str, Any] = {n.lstrip("*"): (FRESH,) if n.startswith("*") else FRESH + i for i, n in enumerate(names)}
    sizes = bounds_of(specs).adapted(sizes)
    try:
        claim_at = binder.bind([s.shape(sizes) for s in specs.values()], "float64")
    except (Unsupported, KeyError):
        return None
    if not isinstance(claim_at, DerivativeAt) or claim_at.unit:
        return None
    first, second = ([cast(a, "float64") for a in draw(specs, sizes, seed)] for seed in (10, 11))
    return Case(claim_at, {}, first), Case(claim_at, {}, second)


def _ask(c: Case, d: Sequence[Array]) -> Array | str:
    """The flat result, or the name of what was raised."""
    try:
        out = c.claim_at.functions.rule.at(*(v.copy() for v in c.x), *(v.copy() for v in d))
        return np.concatenate([np.asarray(r, dtype=float).ravel() for r in out])
    except Exception as why:  # the judge reports what raises
        return type(why).__name__


def frozen(e: Evidence) -> str | None:
    """The result is the same at every point of a shape, where the derivative is not."""
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
    return (
        f"The result for {names} does not depend on the point, where the derivative does: it is a "
        "constant, or was stored in an earlier call."
    )
