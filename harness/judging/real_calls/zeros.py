"""Zeros have two signs in floats and none over the reals: a rule may use the sign only where both answers are right.

`np.where(np.signbit(x), 1.0, 0.0)` at the removable kink of sin(x)/x is wrong at -0 alone. The two results are held,
as they are, against the derivative in dual balls (at a kink: against its pieces), or against differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FloatFormat
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.examination import Violation
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status

WHAT = "another result at -0 than at +0, where the derivative has one value"


@dataclass(frozen=True)
class Given:
    """Results that were computed, in the place of a rule in balls."""

    results: Sequence[Array]
    is_entrywise: bool = False

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        """The results as balls without a radius, whatever the inputs."""
        return [lift(r[..., None]) for r in self.results]

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        """Nothing asks for the derivative of a result."""
        raise NotImplementedError


def by_balls(
    problem: DerivativeProblem,
    x: list[Array],
    d: list[Array],
    pair: tuple[list[Array], list[Array]],
    names: Sequence[str],
    form: FloatFormat,
) -> tuple[bool, Violation | None]:
    """Whether balls could tell, and what is wrong with one of the two results; nothing where both are wrong.

    Args:
        x, d: the point, points axis of size 1.
        pair: results with all zeros of one sign, and of the other, without a points axis.
        names: of the results.
        form: the format in which they were computed.

    Raises:
        UnsupportedPrimitive: where balls lack a primitive of forward.
    """
    told, wrong = True, []
    for results in pair:
        if not all(np.isfinite(r).all() for r in results):
            continue  # a matter of the layers that look at such results
        held = replace(problem, rule=Given(results))
        (outcome,) = ExactLayer(kinks=at_kink).derivative(held, x, d)
        told &= outcome.status is not Status.UNDECIDED
        if outcome.status.refused and _beyond_rounding(outcome, results, form):
            wrong.append(_violation(outcome, names, "dual balls"))
    return told or bool(wrong), wrong[0] if len(wrong) == 1 else None


def by_differences(outcomes: Sequence[Outcome], names: Sequence[str]) -> Violation | None:
    """What differences refuse of the two results, where they do not refuse both.

    Args:
        outcomes: with all zeros of one sign, and of the other.
    """
    refused = [o for o in outcomes if o.status is Status.REFUTED]
    return _violation(refused[0], names, "finite differences") if len(refused) == 1 else None


def _beyond_rounding(o: Outcome, results: Sequence[Array], form: FloatFormat) -> bool:
    """Whether the entry that was refused is off by more than roundings."""
    if o.argument is None or o.got_value is None or o.expected_value is None:
        return False
    low, high = o.expected_value if isinstance(o.expected_value, tuple) else (o.expected_value,) * 2
    off = max(low - o.got_value, o.got_value - high)
    size = max(np.abs(results[o.argument]).max(initial=0.0), abs(low), abs(high))
    return bool(off > 64 * form.u * size + 8 * form.tiny)


def _violation(o: Outcome, names: Sequence[str], oracle: str) -> Violation | None:
    if o.argument is None or o.entry is None:
        return None
    return Violation(Verdict.INACCURATE, WHAT, names[o.argument], o.entry, o.got_value, o.expected_value, oracle)
