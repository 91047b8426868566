"""Unseeded random numbers are named as the cause of two answers; seeded ones are data."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict


def report(forward: Any, factor: Any) -> bp.Report:
    rule = bp.Rule("rule", forward=forward, vjp=lambda x, g: g * factor(x), inputs={"x": bp.array("n")})
    return bp.check(rule, points=30, dtypes=("float64",))


@pytest.mark.parametrize(
    "noise",
    [
        lambda x: np.random.rand(*x.shape),
        lambda x: np.random.default_rng().random(x.shape),
        lambda x: np.random.randn(),
        lambda x: random.gauss(0, 1),
        lambda x: np.random.choice([1.0, 2.0], x.shape),
    ],
)
@pytest.mark.parametrize("where", ["forward", "vjp"])
def test_unseeded_draws_are_named(noise: Any, where: str) -> None:
    if where == "forward":
        found = report(lambda x: np.sin(x) + noise(x), np.cos)
    else:
        found = report(np.sin, lambda x: np.cos(x) + noise(x))
    assert found.verdict is Verdict.ERROR
    assert f"{where} gave two answers" in str(found) and "it draws random numbers" in str(found)


def test_memory_is_no_draw() -> None:
    calls: list[int] = []

    def counts(x: Any) -> Any:
        calls.append(1)
        return np.cos(x) * len(calls)

    said = str(report(np.sin, counts))
    assert "vjp gave two answers for one input" in said and "draws random" not in said


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: np.random.default_rng(0).random(x.shape),
        lambda x: np.random.RandomState(3).randn(*x.shape),
        lambda x: np.random.default_rng(0).random(3).sum(),
    ],
)
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_seeded_draws_are_data(draw: Any, factor: float) -> None:
    found = report(lambda x: x * draw(x), lambda x: factor * draw(x))
    assert found.ok is (factor == 1.0), str(found)
