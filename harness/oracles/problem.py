"""A derivative problem is what the exact layer is asked, and an outcome is what it answers for one point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS, Mode
from backprove.harness.core.thresholds.exact import HUGE, MINUTE, SHOWN_ULPS
from backprove.harness.frontends.front_end import CodeStopped, ExactFunction
from backprove.harness.numbers.balls.truth import Undecided


class Status(str, Enum):
    """What the exact layer can say about one point."""

    AGREES = "agrees"
    REFUTED = "refuted"
    UNDEFINED = "undefined"
    """The rule has no value over the reals (0/0) where the derivative has one."""
    KINK_AGREES = "kink_agrees"
    KINK_REFUTED = "kink_refuted"
    SINGULAR = "singular"
    """One-sided slopes diverge: nothing is claimed."""
    OUTSIDE = "outside"
    """The forward map has no value over the reals."""
    UNDECIDED = "undecided"
    UNEXAMINED = "unexamined"
    """A kink that was left alone: there were enough of them, or too many pieces meet there."""
    APART = "apart"
    """Rule and derivative are apart as at a refuted point beside it; whether rounding explains it was not asked."""

    @property
    def refused(self) -> bool:
        return self in (Status.REFUTED, Status.KINK_REFUTED)

    @property
    def accepted(self) -> bool:
        return self in (Status.AGREES, Status.KINK_AGREES)


@dataclass
class Outcome:
    """Result at one point.

    Attributes:
        status: see `Status`.
        gap_bits: log2 of the relative gap between the enclosures when refuted.
        got, expected: enclosures at the localised entry, as text, when refuted.
        argument, entry: index of the wrong argument (among the outputs of the rule) and index in it.
        got_value, expected_value: the same as floats (expected: (low, high) at a kink).
        note: why, where nothing could be decided.
        stopped: nothing could be decided since the code could not be followed at this point (`CodeStopped`).
        oracle: what the rule was held against.
        ulps: the gap over the reals, in units in the last place, where there is one that floats cannot show.
        units: the gap in units of what rounding the inputs forces, where forward approximates a reference.
        at_kink: it was found by looking at the pieces that meet at a kink or a tie.
        rule: enclosures of the rule's value, one array per output, where it agrees.
    """

    status: Status
    gap_bits: float | None = None
    argument: int | None = None
    entry: tuple[int, ...] | None = None
    got: str = ""
    expected: str = ""
    got_value: float | None = None
    expected_value: float | tuple[float, float] | None = None
    note: str = ""
    stopped: bool = False
    oracle: str = "dual balls"
    ulps: float | None = None
    units: float | None = None
    at_kink: bool = False
    rule: tuple[Array, ...] | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def undecided(why: Undecided) -> Outcome:
        """At a point where balls gave up."""
        return Outcome(Status.UNDECIDED, note=str(why), stopped=isinstance(why, CodeStopped))


def _float64() -> float:
    return FORMATS["float64"].u


@dataclass(frozen=True)
class DerivativeProblem:
    """`rule` against the derivative of `forward`, in one mode.

    Attributes:
        mode: "vjp" (directions are cotangents, one per output of forward) or "jvp" (tangents, one per input in `wrt`).
        wrt: positions of the differentiated inputs.
        unit: unit roundoff by which literals are widened before a refusal.
        convention: like `rule`; its value is the only right one at kinks.
        approximates: the rule need be right only up to so many units of what rounding the inputs forces; None: up to
            what floats can show.
        gap_unit: unit roundoff in whose ulps a gap over the reals is measured: float64's, whatever the format under
            test, unless forward is another approximation in each format. Asked for only where there is a gap.
    """

    forward: ExactFunction
    rule: ExactFunction
    mode: Mode
    wrt: tuple[int, ...]
    unit: float
    convention: ExactFunction | None = None
    gap_unit: Callable[[], float] = field(default=_float64, kw_only=True)
    approximates: float | None = field(default=None, kw_only=True)

    @property
    def granted(self) -> float:
        """Gaps that are granted, as a multiple of those that floats cannot show."""
        return 1.0 if self.approximates is None else self.approximates / SHOWN_ULPS


def within_reach(a: Array) -> bool:
    """Whether all entries (floats, balls or integers) are of a size at which a missing value says something."""
    if a.dtype == object:
        return all(v.is_zero() or bool(abs(v) > MINUTE and abs(v) < HUGE) for v in a.ravel())
    return a.dtype.kind != "f" or bool(np.all((a == 0) | ((np.abs(a) > MINUTE) & (np.abs(a) < HUGE))))
