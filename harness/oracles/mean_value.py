"""The mean-value form: a check of the exact layer that needs no table of derivatives.

For g(t) = <w, f(x + t v)> the central quotient (g(h) - g(-h)) / 2h equals <w, J(x + s v) v> for some |s| < h. So it
must lie in the enclosure of <R, v> over the whole segment, at a step so small (2**-120 of the point) that the
enclosure resolves 2**-60. Where the two separate, the rule is wrong on the segment, whatever any table says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.oracles.exact import DerivativeProblem, Outcome, Status, dyadic, finite, full, inner
from backprove.harness.systems.balls import lift

Array = NDArray[Any]

STEP_BITS = 120
PRECISIONS = (512, 2048)
AGREEMENT_BITS = 60


def mean_value(
    problem: DerivativeProblem, inputs: Sequence[Array], directions: Sequence[Array], seed: int = 0
) -> Outcome:
    """Judge one point (points axis of size 1); never looks at a derivative table.

    Only for mode "vjp"; a JVP is judged through its own tangent, with a random cotangent.
    """
    x = [lift(a) if a.dtype.kind == "f" else a for a in inputs]
    given = [lift(a) for a in directions]
    rng = np.random.Generator(np.random.Philox(key=[seed, 17]))
    outcome = Outcome(Status.UNDECIDED)
    for precision in PRECISIONS:
        ctx.prec = precision
        values = full(problem.forward.balls(x), 1)
        if not finite(values, 1)[0]:
            return Outcome(Status.OUTSIDE)
        if problem.mode == "vjp":
            cotangents = given
            tangents = [lift(dyadic(rng, x[i].shape) * _magnitude(inputs[i])) for i in problem.wrt]
        else:
            cotangents = [lift(dyadic(rng, v.shape)) for v in values]
            tangents = given
        outcome = _decide(problem, x, given, tangents, cotangents)
        if outcome.status is not Status.UNDECIDED:
            return outcome
    return outcome


def _magnitude(a: Array) -> Array:
    return np.where(a == 0, 2.0**-60, np.minimum(np.abs(a), 1e300))


def _decide(
    problem: DerivativeProblem, x: list[Array], given: list[Array], tangents: list[Array], cotangents: list[Array]
) -> Outcome:
    h = arb(2) ** -STEP_BITS

    def moved(by: arb) -> list[Array]:
        out = list(x)
        for i, t in zip(problem.wrt, tangents, strict=True):
            out[i] = x[i] + t * by
        return out

    plus, _ = inner(cotangents, full(problem.forward.balls(moved(h)), 1))
    minus, _ = inner(cotangents, full(problem.forward.balls(moved(-h)), 1))
    quotient = (plus[0] - minus[0]) / (2 * h)
    rule = full(problem.rule.balls([*moved(arb(0, 1) * h), *given]), 1)
    left, size = inner(rule, tangents if problem.mode == "vjp" else cotangents)
    if not (quotient.is_finite() and left[0].is_finite()):
        return Outcome(Status.UNDECIDED, note="not finite near the point")
    scale = size[0] + abs(quotient)
    if not left[0].overlaps(quotient):
        return Outcome(Status.REFUTED, got=left[0].str(20), expected=quotient.str(20))
    if scale.is_zero() or (left[0] - quotient).rad() <= scale.abs_lower() * arb(2) ** -AGREEMENT_BITS:
        return Outcome(Status.AGREES)
    if (left[0] - quotient).rad() <= (abs(plus[0]) + abs(minus[0])) * arb(2) ** -300:
        return Outcome(Status.AGREES)
    return Outcome(Status.UNDECIDED, note="the enclosures are too wide")
