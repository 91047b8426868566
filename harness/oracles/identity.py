"""The identity oracle compares two functions over the reals, entry by entry, in balls.

`sin(x)**2 + cos(x)**2` and `1` agree at every point. `x` and `x * (1 + 2**-52)` are equal up to 1 ulp, which no float
shows and no refusal names; `x` and `x * (1 + 2**-45)` are 128 ulp apart and refused. A gap counts as it does between a
rule and a derivative (`shown.py`): beyond `SHOWN_ULPS` and what rounding the inputs forces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.exact import AGREEMENT_BITS, CLEAR_BITS, PRECISIONS
from backprove.harness.frontends.front_end import ExactFunction
from backprove.harness.oracles.problem import Outcome, Status, within_reach
from backprove.harness.oracles.shown import ulps
from backprove.harness.oracles.value_gap import ValueGap
from backprove.harness.oracles.vectors import full, take


@dataclass(frozen=True)
class Identity:
    """`left = right` in balls.

    Attributes:
        left, right: the two sides.
        unit: unit roundoff by which literals are widened before a refusal.
        gap_unit: unit roundoff in whose ulps a gap over the reals is measured. Asked for only where there is a gap.
        approximates: the left side need be right only up to so many units of what rounding the inputs forces, in the
            format of `unit`; None: up to what floats can show.
    """

    left: ExactFunction
    right: ExactFunction
    unit: float
    gap_unit: Callable[[], float]
    approximates: float | None = None

    def judge(self, balls: list[Array], values: list[list[Array]]) -> list[Outcome | None]:
        """What both sides say at each point; None where the precision must rise.

        Args:
            balls: the points; integers as they are.
            values: of the left and of the right side there.
        """
        left, right = values
        points = balls[0].shape[-1] if balls else 1
        out: list[Outcome | None] = []
        clear = np.ones(points, dtype=bool)
        for u, v in zip(left, right, strict=True):
            if u.dtype == object and u.size:
                clear &= np.asarray(_CLEAR(u, v), dtype=bool).reshape(-1, points).all(axis=0)
        for p, agrees in enumerate(clear.tolist()):
            out.append(Outcome(Status.AGREES) if agrees else self._judge_point(balls, p, left, right))
        return out

    def _judge_point(self, balls: list[Array], p: int, left: list[Array], right: list[Array]) -> Outcome | None:
        here = _Here(self, take(balls, slice(p, p + 1)))
        accepted = Outcome(Status.AGREES)
        lacking: list[Outcome | None] = []  # of entries that cannot be compared
        for a, (u, v) in enumerate(zip(left, right, strict=True)):
            if u.dtype != object:
                continue
            for j in np.ndindex(u.shape[:-1]):
                mine, theirs = u[(*j, p)], v[(*j, p)]
                told = _agree(mine, theirs)
                if told is False:
                    found = here.apart(a, j, mine, theirs)
                    if found.status.refused:
                        return found
                    accepted = _further(accepted, found)
                elif told is None and self.approximates is not None and not theirs.is_finite():
                    lacking.append(Outcome(Status.OUTSIDE) if ctx.prec == PRECISIONS[-1] else None)
                elif told is None:
                    reachable = all(within_reach(b[..., p : p + 1]) for b in balls)
                    verdict = _without_value(a, j, mine, theirs, reachable)
                    if verdict is not None and verdict.status is Status.UNDEFINED:
                        return verdict
                    lacking.append(verdict)
        return lacking[-1] if lacking else accepted


class _Here:
    """An identity at one point, with what is known there of its literals and its conditioning."""

    def __init__(self, identity: Identity, x: list[Array]) -> None:
        self.identity, self.x = identity, x

    def apart(self, argument: int, entry: tuple[int, ...], left: arb, right: arb) -> Outcome:
        """Refused only if the sides stay apart when rounded constants are widened, and by more than is granted."""
        stated, place = self.identity, (*entry, 0)
        wide, other = (side[argument][place] for side in self.wide)
        if wide.overlaps(other):
            return Outcome(Status.AGREES, note="agrees within the rounding of its literals")
        if stated.approximates is not None:
            units = self.gap.units(argument, entry, left, right)
            if units <= stated.approximates:
                return Outcome(Status.AGREES, note="agrees up to rounding", units=units)
        elif not self.gap.is_shown(argument, entry, left, right):
            larger = left if abs(left) > abs(right) else right
            off = ulps(abs(left - right), larger, self.gap.unit)
            return Outcome(Status.AGREES, note="agrees up to rounding", ulps=float(off.mid()))
        return _unequal(Status.REFUTED, argument, entry, left, right)

    @cached_property
    def wide(self) -> list[list[Array]]:
        """The values of both sides with widened literals."""
        return [full(s.balls(self.x, self.identity.unit), 1) for s in (self.identity.left, self.identity.right)]

    @cached_property
    def gap(self) -> ValueGap:
        stated = self.identity
        unit = stated.unit if stated.approximates is not None else stated.gap_unit()
        return ValueGap(stated.left.balls, stated.right.balls, self.x, unit)


def _unequal(status: Status, argument: int, entry: tuple[int, ...], left: arb, right: arb) -> Outcome:
    """The outcome of an entry whose sides differ, with both; NaN for a side without a value."""
    got, expected = (float(v.mid()) if v.is_finite() else np.nan for v in (left, right))
    return Outcome(
        status,
        argument=argument,
        entry=entry,
        got=left.str(20),
        expected=right.str(20),
        got_value=got,
        expected_value=expected,
    )


def _further(one: Outcome, other: Outcome) -> Outcome:
    """Of two agreements the one with the larger gap."""
    return other if (other.units or 0.0, other.ulps or 0.0) >= (one.units or 0.0, one.ulps or 0.0) else one


def _without_value(argument: int, entry: tuple[int, ...], left: arb, right: arb, reachable: bool) -> Outcome | None:
    """Where balls cannot compare: no side has a value, one side alone has none, or the precision must rise (None)."""
    lost = [v for v in (left, right) if not v.is_finite()]
    if len(lost) == 2:
        return Outcome(Status.OUTSIDE)
    if ctx.prec < PRECISIONS[-1]:
        return None
    if not lost:
        return Outcome(Status.UNDECIDED, note="the enclosures are too wide")
    if not lost[0].is_nan() or not reachable:
        return Outcome(Status.OUTSIDE)
    return _unequal(Status.UNDEFINED, argument, entry, left, right)


def _clearly(a: arb, b: arb) -> bool:
    """A cheap sign that `_agree` says True: both known to 2**-72 of themselves, and near each other."""
    return bool(
        a.rel_accuracy_bits() > CLEAR_BITS
        and b.rel_accuracy_bits() > CLEAR_BITS
        and a.overlaps(b)
        and a.is_finite()
        and b.is_finite()
    )


_CLEAR = np.frompyfunc(_clearly, 2, 1)
_CLOSE = arb(2) ** -AGREEMENT_BITS


def _agree(a: arb, b: arb) -> bool | None:
    if not (a.is_finite() and b.is_finite()):
        return None
    if not a.overlaps(b):
        return False
    radius = (a - b).rad()
    if radius <= (abs(a) + abs(b)).abs_lower() * _CLOSE:
        return True
    # both are zero, or cancel to zero: agreement to an absolute 2**-(precision/2)
    return True if a.contains(0) and b.contains(0) and radius < arb(2) ** -(ctx.prec // 2) else None
