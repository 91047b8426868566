"""The checker as a whole: every right rule holds, every wrong one is refused, with the same settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backprove.harness.campaign import subjects
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining import diagnosis
from backprove.harness.judging import minimal
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.statements.rule import Rule
from backprove.strategies import shrinking
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.shapes import shape_buckets
from backprove.strategies.values import draw_points
from tests.mutants.mutants import MUTANTS
from tests.mutants.rules import PROBLEMS, RIGHT

DTYPES = ("float64", "float32", "bfloat16")
POINTS = 1000


def short(k: int) -> tuple[str, ...]:
    """The formats of the k-th rule here: the short ones in turn. `make soak` runs all of them."""
    return DTYPES[0], DTYPES[1 + k % 2]


WRONG = [(m.name, d) for k, m in enumerate(MUTANTS.values()) for d in short(k) if d not in m.equivalent]
EQUIVALENT = [(m.name, d) for m in MUTANTS.values() for d in DTYPES if d in m.equivalent]
CASTS = {"exp_float32", "cosh_float32", "sigmoid_float32", "bce_float32"}
"""Computed in float32: in bfloat16 that is a wider format, with other roundings."""


@pytest.fixture(autouse=True)
def as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts alone are asked for: failing points are not made smaller, mistakes not named (most of the time)."""
    monkeypatch.setattr(shrinking, "shrink", lambda strategy, still, choices, *, start, **more: (start, 0))
    monkeypatch.setattr(minimal, "readable", lambda point, still: point)
    monkeypatch.setattr(diagnosis, "diagnose", lambda binders, subject: None)


def _further_dtype(dtype: str, points: int, seed: int, accuracy: float | None, *part: int) -> Plan:
    return Plan(dtype, points, seed, accuracy, True, *part[1:])


def verdict(rule: Rule, dtype: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Verdict, str]:
    """The verdict on `rule` with the settings of this suite, and what to print when it is not the expected one."""
    if dtype != DTYPES[0]:
        # as in a run over all dtypes, of which this is one
        monkeypatch.setattr(subjects, "Plan", _further_dtype)
    subject = subjects.run(rule, points=POINTS, dtypes=[dtype])
    messages = [p.counterexample.message for p in subject.properties if p.counterexample is not None]
    return subject.verdict, " ".join([*(p.reason for p in subject.properties), *messages])


@pytest.mark.parametrize(("problem", "form", "dtype"), [(*r, d) for k, r in enumerate(RIGHT) for d in short(k)])
def test_a_right_rule_holds(problem: str, form: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, told = verdict(PROBLEMS[problem].rule(form), dtype, monkeypatch)
    assert found is Verdict.HOLDS, told


@pytest.mark.parametrize(("name", "dtype"), WRONG)
def test_a_wrong_rule_is_refused(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    found, told = verdict(PROBLEMS[mutant.problem].rule(mutant.vjp, name), dtype, monkeypatch)
    assert found is Verdict(mutant.verdict), told


@pytest.mark.parametrize(("name", "dtype"), EQUIVALENT)
def test_an_equivalent_rule_holds(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    found, told = verdict(PROBLEMS[mutant.problem].rule(mutant.vjp, name), dtype, monkeypatch)
    assert found is Verdict.HOLDS, told


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, d in EQUIVALENT if n not in CASTS or d == "float32"])
def test_an_equivalent_rule_computes_the_same_numbers(name: str, dtype: str) -> None:
    mutant = MUTANTS[name]
    problem = PROBLEMS[mutant.problem]
    left, right = (_values(problem.rule(vjp), dtype) for vjp in (mutant.vjp, mutant.base))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, d in WRONG if (n, "bfloat16") in EQUIVALENT])
def test_a_rule_that_is_not_equivalent_computes_other_numbers(name: str, dtype: str) -> None:
    mutant = MUTANTS[name]
    problem = PROBLEMS[mutant.problem]
    left, right = (_values(problem.rule(vjp), dtype) for vjp in (mutant.vjp, mutant.base))
    assert not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(left, right, strict=True))


def _values(rule: Rule, dtype: str) -> list[Any]:
    """The float results of the rule at wild points of its first shape."""
    binder = next(b for b in binders_of(rule) if b.name == "vjp")
    specs = dict(rule.inputs)
    sizes = shape_buckets(specs)[0]
    claim_at: Any = binder.bind([s.shape(sizes) for s in specs.values()], dtype)
    points = draw_points(specs, sizes, dtype, POINTS, 0, "equivalence", (6.0, 6.02))
    directions = draw_directions(claim_at.direction_shapes, POINTS, 0, "equivalence", dtype)
    return run_floats(claim_at.rule_program, [*points.arrays, *directions])


def test_the_suite_is_as_large_as_it_claims() -> None:
    assert len(PROBLEMS) >= 22 and len(MUTANTS) >= 75
    assert {m.problem for m in MUTANTS.values()} == set(PROBLEMS)
    assert all(form in PROBLEMS[m.problem].forms for m in MUTANTS.values() for form in [m.base])
    assert {"stable", "textbook", "jax"} == {form for p in PROBLEMS.values() if p.scalar for form in p.forms}
