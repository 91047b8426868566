"""This diagnosis names a forward whose own floats are far from its value: the rule is not what is wrong first.

`log(cosh(x))` in float32 is 1e-5 at x = 1e-5, where 5e-11 is right; the derivative of such floats is another one too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import cast
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.results import Counterexample, PropertyResult
from backprove.harness.core.thresholds.exact import TRUE_VALUE_PRECISION
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.numbers.balls.arrays import lift_floats
from backprove.harness.oracles.vectors import finite

LOST = 0.25
"""Relative error of a value that has no digit left."""


def forward_at_fault(binder: Binder, refused: Sequence[PropertyResult]) -> str | None:
    """Forward's floats are wrong at a counterexample, beside its value over the reals.

    Args:
        binder: a derivative claim, or that forward equals its reference.
        refused: its refused results.

    Raises:
        Exception: what forward raises there.
    """
    for result in refused:
        if result.counterexample is not None:
            said = _at(binder, result.counterexample)
            if said is not None:
                return said
    return None


def _at(binder: Binder, example: Counterexample) -> str | None:
    specs = binder.specs
    arrays = [np.asarray(example.inputs[n], dtype=float if s.dtype == "float" else s.dtype) for n, s in specs.items()]
    claim_at = binder.bind([a.shape for a in arrays], example.dtype)
    forward = claim_at.forward if isinstance(claim_at, DerivativeAt) else None
    if isinstance(claim_at, EqualityAt):
        forward = claim_at.sides[0]
    exact = None if forward is None else forward.exact
    if forward is None or exact is None:
        return None
    floats = [np.asarray(v, dtype=float) for v in forward.at_one([cast(a, example.dtype) for a in arrays])]
    with ctx.workprec(TRUE_VALUE_PRECISION):
        balls = exact.balls(lift_floats([a[..., None] for a in arrays]))
    tiny = FORMATS[example.dtype].tiny
    for got, ball in zip(floats, balls, strict=True):
        if not finite([ball], 1)[0]:
            continue
        for j in np.ndindex(got.shape):
            right = float(ball[(*j, 0)].mid())
            if abs(got[j] - right) > LOST * max(abs(right), tiny) and np.isfinite(got[j]):
                entry = f"[{', '.join(map(str, j))}]" if j else ""
                return (
                    f"Forward itself is at fault there: in {example.dtype} it gives {got[j]:.6g} for out{entry} where "
                    f"{right:.6g} is right. Write it without this loss of digits, and then look at the rule."
                )
    return None
