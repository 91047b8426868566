"""What a bug of the collection consists of, and its register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import backprove as bp
from backprove.harness.core.arrays import Array
from backprove.strategies.array import ArraySpec

Sample = Callable[[np.random.Generator], tuple[Array, ...]]


@dataclass(frozen=True)
class Case:
    """One bug: the rule as it was released and as it should be.

    Attributes:
        key: number in the collection of bug reports.
        report: operation and public report.
        wrong, right: the two rules, with the same inputs.
        verdict: what the checker must say of the wrong one.
        region: inputs, in words, where the mistake shows.
        ordinary: draws the inputs on which a rule is usually tried: standard normal, of an ordinary shape.
        shows: draws inputs from that region.
        accuracy: as in `bp.check`.
    """

    key: str
    report: str
    wrong: bp.Rule
    right: bp.Rule
    region: str
    ordinary: Sample
    shows: Sample
    verdict: str = "falsified"
    accuracy: float | None = None


CASES: dict[str, Case] = {}


def case(
    key: str,
    report: str,
    region: str,
    *,
    forward: Callable[..., Any],
    wrong: Callable[..., Any],
    right: Callable[..., Any],
    inputs: Mapping[str, ArraySpec],
    ordinary: Sample,
    shows: Sample | None = None,
    **options: Any,
) -> None:
    wrong_rule, right_rule = (
        bp.Rule(f"{key} {kind}", forward=forward, vjp=vjp, inputs=inputs)
        for kind, vjp in (("wrong", wrong), ("right", right))
    )
    CASES[key] = Case(key, report, wrong_rule, right_rule, region, ordinary, shows or ordinary, **options)


def normal(*shapes: tuple[int, ...]) -> Sample:
    """Standard normal inputs of these shapes."""
    return lambda rng: tuple(np.asarray(rng.standard_normal(s)) for s in shapes)


def values(*lists: Any) -> Sample:
    """These inputs, always."""
    return lambda rng: tuple(np.array(v, dtype=float) for v in lists)


def renamed(rule: bp.Rule, **changes: Any) -> bp.Rule:
    """The rule with some fields changed."""
    return replace(rule, **changes)
