"""`check` and `assert_rule` validate their arguments and pass them on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import backprove.harness
from backprove.harness.api import assert_rule, check
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.statements.rule import Rule
from backprove.strategies.array import array

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_engine", DATA / "fake_engine.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "backprove.harness.campaign.subjects", module)
    monkeypatch.setattr(backprove.harness, "campaign", module, raising=False)
    return module


def rule(factor: float) -> Rule:
    return Rule("twice", forward=lambda x: 2 * x, vjp=lambda x, g: factor * g, inputs={"x": array("n")})


def test_a_right_rule_passes_and_a_wrong_one_is_refused_with_the_text_of_the_report() -> None:
    assert check(rule(2)).ok
    assert_rule(rule(2), points=10, dtypes=["float32"], seed=3, accuracy=16)
    report = check(rule(3), points=10)
    assert report.verdict is Verdict.FALSIFIED and [p.dtype for p in report.properties] == ["float64", "float32"]
    with pytest.raises(AssertionError) as refusal:
        assert_rule(rule(3), points=10)
    assert str(refusal.value) == str(report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "points must be a positive integer"),
        ({"points": 1e4}, "points must be a positive integer"),
        ({"points": True}, "points must be a positive integer"),
        ({"dtypes": "float64"}, "dtypes must be a sequence"),
        ({"dtypes": ()}, "dtypes: expected one or more of"),
        ({"dtypes": ("float64", "double")}, "got 'double'"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": 1.5}, "seed must be an integer"),
        ({"accuracy": 0}, "accuracy must be a positive number"),
        ({"accuracy": "16"}, "accuracy must be a positive number"),
        ({"accuracy": float("nan")}, "accuracy must be a positive number"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(rule(2), **options)


def test_only_rules_are_checked() -> None:
    with pytest.raises(UsageError, match=r"expected a bp.Rule or a bp.theorem, got a lambda"):
        check(lambda x: x)  # type: ignore[arg-type]
