"""The mean-value form judges rules in balls without any table of derivatives.

For g(t) = <w, f(x + t v)> the central quotient (g(h) - g(-h)) / 2h equals <w, J(x + s v) v> for some |s| < h. So it
must lie in the enclosure of <R, v> over the whole segment, at a step so small (2**-120 of the point) that the
enclosure resolves 2**-60. Where the two separate, the rule is wrong on the segment, whatever any table says. It
decides where dual balls cannot: they stay undecided, or a primitive has no row in their table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.exact import (
    CONDITIONING_DRAWS,
    CONDITIONING_FACTOR,
    FINE,
    LITERAL_SLACK,
    SEGMENT_AGREEMENT_BITS,
    SEGMENT_PRECISIONS,
    SEGMENT_STEP_BITS,
    SHOWN_ULPS,
    STEADY_BITS,
)
from backprove.harness.numbers.balls.arrays import lift, lift_floats, zeros
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status
from backprove.harness.oracles.shown import nudged, ulp
from backprove.harness.oracles.vectors import dyadic, finite, full, inner


def mean_value(
    problem: DerivativeProblem, inputs: Sequence[Array], directions: Sequence[Array], seed: int = 0
) -> Outcome:
    """Judge one point (points axis of size 1); never looks at a derivative table.

    Only for mode "vjp"; a JVP is judged through its own tangent, with a random cotangent.
    """
    x = lift_floats(inputs)
    given = [lift(a) for a in directions]
    rng = np.random.Generator(np.random.Philox(key=[seed, 17]))
    outcome = Outcome(Status.UNDECIDED)
    for precision in SEGMENT_PRECISIONS:
        with ctx.workprec(precision):
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
    h = arb(2) ** -SEGMENT_STEP_BITS
    quotient, reach = _quotient(problem, x, tangents, cotangents, h)
    left, size = _over_segment(problem, x, given, tangents, cotangents, h)
    if not (quotient.is_finite() and left.is_finite()):
        return Outcome(Status.UNDECIDED, note="not finite near the point")
    scale = size + abs(quotient)
    if not left.overlaps(quotient):
        return Outcome(Status.REFUTED, got=left.str(20), expected=quotient.str(20))
    if scale.is_zero() or (left - quotient).rad() <= scale.abs_lower() * arb(2) ** -SEGMENT_AGREEMENT_BITS:
        return Outcome(Status.AGREES)
    if (left - quotient).rad() <= reach * arb(2) ** -300:
        return Outcome(Status.AGREES)
    return Outcome(Status.UNDECIDED, note="the enclosures are too wide")


def _moved(problem: DerivativeProblem, x: list[Array], tangents: list[Array], by: arb) -> list[Array]:
    out = list(x)
    for i, t in zip(problem.wrt, tangents, strict=True):
        out[i] = x[i] + t * by
    return out


def _quotient(
    problem: DerivativeProblem, x: list[Array], tangents: list[Array], cotangents: list[Array], h: arb
) -> tuple[arb, arb]:
    """The central quotient, and how large the two values are."""
    plus, _ = inner(cotangents, full(problem.forward.balls(_moved(problem, x, tangents, h)), 1))
    minus, _ = inner(cotangents, full(problem.forward.balls(_moved(problem, x, tangents, -h)), 1))
    return (plus[0] - minus[0]) / (2 * h), abs(plus[0]) + abs(minus[0])


def _over_segment(
    problem: DerivativeProblem,
    x: list[Array],
    given: list[Array],
    tangents: list[Array],
    cotangents: list[Array],
    h: arb,
    widen: float = 0.0,
) -> tuple[arb, arb]:
    """The rule against its partner over the whole segment, and the sum of the absolute terms."""
    rule = full(problem.rule.balls([*_moved(problem, x, tangents, arb(0, 1) * h), *given], widen), 1)
    left, size = inner(rule, tangents if problem.mode == "vjp" else cotangents)
    return left[0], size[0]


def by_mean_value(problem: DerivativeProblem, inputs: list[Array], directions: list[Array]) -> Outcome:
    """Judge one point (points axis of size 1) and localise a refusal: the second form of the exact layer.

    A refusal must hold at a second, far smaller step too, where a jump or a diverging slope shows another quotient,
    beyond the rounding of the literals, and by a gap that floats can show.

    Raises:
        Undecided: where the balls themselves cannot run the code.
        UnsupportedPrimitive: where they lack a primitive.
    """
    outcome = mean_value(problem, inputs, directions)
    if outcome.status is not Status.REFUTED:
        return outcome
    x = lift_floats(inputs)
    given = [lift(a) for a in directions]
    with ctx.workprec(SEGMENT_PRECISIONS[-1]):
        rounded = _rounded_literals(problem, x)
        worst: tuple[float, Outcome] | None = None
        rounding: float | None = None
        for argument, entry, tangents, cotangents in _entries(problem, x, given):
            found = _apart(problem, x, given, tangents, cotangents)
            if found is None or (worst is not None and found.share <= worst[0]):
                continue
            if rounded and found.share <= LITERAL_SLACK * problem.unit:
                continue
            if not found.shown:
                rounding = max(found.ulps, rounding or 0.0)
                continue
            wrong = Outcome(
                Status.REFUTED,
                argument=argument,
                entry=entry,
                got=found.got.str(20),
                expected=found.expected.str(20),
                got_value=float(found.got.mid()),
                expected_value=float(found.expected.mid()),
                oracle="the mean-value form in balls",
            )
            worst = found.share, wrong
    if worst is None and rounding is not None:
        return Outcome(Status.AGREES, note="agrees up to rounding", ulps=rounding)
    return worst[1] if worst is not None else Outcome(Status.UNDECIDED, note="no single entry is refuted")


@dataclass(frozen=True)
class _Apart:
    """Rule and quotient at an entry where they are surely apart, per unit of the entry.

    Attributes:
        share: the gap, of the sum of both.
        ulps: the gap in units in the last place.
        shown: whether floats can show it.
    """

    share: float
    ulps: float
    shown: bool
    got: arb
    expected: arb


def _entries(
    problem: DerivativeProblem, x: list[Array], given: list[Array]
) -> Iterator[tuple[int, tuple[int, ...], list[Array], list[Array]]]:
    """For every entry of the rule's result: argument, place, and the tangents and cotangents that pick it out."""
    vjp = problem.mode == "vjp"
    sides = [x[i] for i in problem.wrt] if vjp else full(problem.forward.balls(x), 1)
    for k, side in enumerate(sides):
        for entry in np.ndindex(side.shape[:-1]):
            unit = [zeros(s.shape) for s in sides]
            unit[k][(*entry, 0)] = _power_of_two(side[(*entry, 0)]) if vjp else arb(1)
            yield (k, entry, unit, given) if vjp else (k, entry, given, unit)


def _power_of_two(at: arb) -> arb:
    """A step like the entry itself, so that the segment does not reach the next kink."""
    size = abs(float(at.mid()))
    return arb(2.0 ** np.floor(np.log2(size))) if 0 < size < np.inf else arb(2) ** -60


def _apart(
    problem: DerivativeProblem, x: list[Array], given: list[Array], tangents: list[Array], cotangents: list[Array]
) -> _Apart | None:
    """Rule and quotient at one entry; None where they are not surely apart."""
    h = arb(2) ** -SEGMENT_STEP_BITS
    near, far = (_quotient(problem, x, tangents, cotangents, step)[0] for step in (h, h * h))
    got, _ = _over_segment(problem, x, given, tangents, cotangents, h)
    loosely, _ = _over_segment(problem, x, given, tangents, cotangents, h, problem.unit)
    if not (near.is_finite() and far.is_finite() and loosely.is_finite()) or loosely.overlaps(near):
        return None
    if not abs(near - far) <= (abs(near) + abs(far)) * arb(2) ** -STEADY_BITS:
        return None
    gap, one = abs(got - near), ulp(near, problem.gap_unit())
    share, allowed = gap / problem.granted, SHOWN_ULPS * one
    shown = share > allowed and share > allowed + _conditioning(problem, x, tangents, cotangents, near, h)
    unit = arb(1)
    if problem.mode == "vjp":
        (unit,) = (v for t in tangents for v in t.ravel() if not v.is_zero())
    relative = float((gap / (abs(got) + abs(near))).mid())
    return _Apart(relative, float((gap / one).mid()), bool(shown), got / unit, near / unit)


def _conditioning(
    problem: DerivativeProblem, x: list[Array], tangents: list[Array], cotangents: list[Array], near: arb, h: arb
) -> arb:
    """How far rounding the inputs and cotangents moves the quotient, as far as some draws tell."""
    rng = np.random.Generator(np.random.Philox(key=[73, 79]))
    unit, worst = problem.gap_unit(), arb(0)
    for _ in range(CONDITIONING_DRAWS):
        there = nudged(x, unit, rng)
        with contextlib.suppress(Undecided):
            moved = _quotient(problem, there, tangents, nudged(cotangents, unit, rng), h)[0]
            if moved.is_finite() and abs(moved - near) > worst:
                worst = abs(moved - near)
    return CONDITIONING_FACTOR * worst / FINE


def _rounded_literals(problem: DerivativeProblem, x: list[Array]) -> bool:
    """Whether forward feels a rounding of its literals: its quotients cannot be widened by them."""
    for exact, loose in zip(problem.forward.balls(x), problem.forward.balls(x, problem.unit), strict=True):
        if any(
            q.rad() > 2 * p.rad() + abs(p) * arb(2) ** -200 for p, q in zip(exact.ravel(), loose.ravel(), strict=True)
        ):
            return True
    return False
