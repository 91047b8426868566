"""After a refusal the diagnosis names the mistake where one explanation fits at all points looked at, and else says
nothing.

The rule's Jacobian is compared with the true one at a few small points of several small shapes. Each explanation is a
recipe that turns the true Jacobian into a wrong one; it is reported only if it gives the rule's own at every point, and
at further points that it was not made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from backprove.harness.core.arrays import quiet
from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.explaining.diagnoses import (
    axes,
    directions,
    kinks,
    normalised,
    points,
    regions,
    repeats,
    rounded_quotient,
    scaling,
    single_entries,
    structure,
)
from backprove.harness.explaining.diagnoses.evidence import Evidence, gather
from backprove.harness.explaining.diagnoses.forward import forward_at_fault
from backprove.harness.explaining.diagnoses.state import frozen, stateful
from backprove.harness.judging.binder import Binder

Explanation = Callable[[Evidence], str | None]

FURTHER = 100
"""Seed of the points at which an explanation is tried again: it was not made from them."""

EXPLANATIONS: tuple[Explanation, ...] = (
    axes.result_shape,
    scaling.zero,
    regions.narrower,
    scaling.factor,
    structure.permutation,
    structure.diagonal_only,
    structure.transposed,
    structure.swapped,
    axes.summed_too_far,
    directions.ignored,
    directions.constant_part,
    directions.partly,
    directions.for_primal,
    structure.rank_one,
    axes.transposed_axes,
    repeats.overwritten,
    single_entries.another_entry,
    single_entries.factor_of_outputs,
    single_entries.factor_in_entries,
    single_entries.few_coefficients,
    normalised.sum_taken_for_one,
    axes.axis_forgotten,
    regions.region,
    rounded_quotient.rounded_quotient,
    points.elsewhere,
    frozen,
    scaling.variable_factor,
    kinks.at_kink,
    regions.overflow,
    regions.cancellation,
)
"""From the most special to the most general; the first that fits is reported."""


def separately(e: Evidence) -> str | None:
    """Mistakes in several arguments that no explanation has in common, each with one of its own."""
    if len(e.wrong) < 2:
        return None
    parts = []
    for k in e.wrong:
        one = replace(e)
        one.__dict__["wrong"] = [k]
        said = next((text for explanation in EXPLANATIONS if (text := explanation(one)) is not None), None)
        if said is None:
            return None
        parts.append(said)
    return " ".join(parts) if len(set(parts)) == len(parts) else None


def diagnose(binders: Sequence[Binder], subject: SubjectResult) -> str | None:
    """The mistake in one or two sentences, or None where no single explanation fits.

    Args:
        binders: the claims of the rule.
        subject: its result, with refused properties.
    """
    refused = {p.name for p in subject.properties if p.verdict.fails}
    for binder in binders:
        if binder.name in refused and (binder.kind == "derivative" or binder.name == "reference"):
            results = [p for p in subject.properties if p.name == binder.name and p.verdict.fails]
            try:
                said = explain(binder, results) if binder.kind == "derivative" else forward_at_fault(binder, results)
            except Exception:  # a diagnosis is a courtesy: it must never hide the refusal itself
                said = None
            if said is not None:
                return said
    return None


def explain(binder: Binder, refused: Sequence[PropertyResult]) -> str | None:
    """The mistake of one refused derivative claim.

    Args:
        binder: the claim.
        refused: its refused results, one per dtype.

    Raises:
        Exception: what the rule or forward raises where the evidence calls them.
    """
    worst = min((p.verdict for p in refused), key=lambda v: v.rank)
    with quiet():
        kept = stateful(binder)
        if kept is not None:
            return kept
        evidence = gather(binder, worst.value)
        further: Evidence | None = None
        for explanation in (*EXPLANATIONS, separately) if evidence is not None else ():
            assert evidence is not None
            said = explanation(evidence)
            if said is None:
                continue
            further = further or gather(binder, worst.value, first=FURTHER)
            if further is None or _without_numbers(explanation(further)) == _without_numbers(said):
                return said if said.startswith(evidence.names) else said[0].upper() + said[1:]
        return forward_at_fault(binder, refused)


def _without_numbers(text: str | None) -> str | None:
    """A text without its decimals: where a threshold lies is measured at the points at hand."""
    return text if text is None else re.sub(r"-?\d+\.\d+(e-?\d+)?|(?<=[<>=] )-?\d+", "#", text)
