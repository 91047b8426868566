"""Rules that were released wrong are refused, and the right ones hold, with the same options and seeds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.results import SubjectResult
from backprove.harness.core.verdicts import Verdict
from tests.zoo.rules import CASES, Case, renamed, swish, swish_backward

POINTS = 2000
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def judged(case: Case, rule: bp.Rule, dtype: str) -> SubjectResult:
    return subjects.run(rule, points=POINTS, dtypes=[dtype], seed=0, accuracy=case.accuracy)


def run_pasted(text: str, rule: bp.Rule) -> None:
    """Run the test that a counterexample carries, with `rule` in place of its import.

    Raises:
        AssertionError: or whatever the rule raises, when the test fails.
    """
    namespace: dict[str, Any] = {"rule": rule}
    text = re.sub(r"^(from \w+ import .*|rule = .*)$", "", text, flags=re.MULTILINE)
    with np.errstate(all="ignore"):
        text = text.replace("assert_rule(rule,", f"assert_rule(rule, points={POINTS},")
        exec(text, namespace)
        (test,) = (v for n, v in namespace.items() if n.startswith("test_"))
        test()


@every_dtype
@every_case
def test_the_wrong_rule_is_refused(case: Case, dtype: str) -> None:
    subject = judged(case, case.wrong, dtype)
    assert subject.verdict is Verdict(case.verdict), subject.properties[0].reason
    result = subject.properties[0]
    assert result.counterexample is not None
    assert result.counterexample.message
    assert sum(np.size(v) for v in result.counterexample.inputs.values()) <= 12
    with pytest.raises(Exception):  # noqa: B017
        run_pasted(result.counterexample.test, case.wrong)
    run_pasted(result.counterexample.test, case.right)


@every_dtype
@every_case
def test_the_right_rule_holds(case: Case, dtype: str) -> None:
    subject = judged(case, case.right, dtype)
    result = subject.properties[0]
    assert subject.verdict is Verdict.HOLDS, result.counterexample and result.counterexample.message
    assert result.points >= POINTS


def test_a_sigmoid_without_digits_holds_unless_accuracy_is_asked_for() -> None:
    case = CASES["P01"]
    result = subjects.run(case.wrong, points=POINTS, dtypes=["float64"]).properties[0]
    assert result.verdict is Verdict.HOLDS
    assert result.grade == "lost"
    assert any("lost" in text for text in result.findings)
    result = subjects.run(case.right, points=POINTS, dtypes=["float64"]).properties[0]
    assert (result.verdict, result.grade) == (Verdict.HOLDS, "stable")


def test_a_cotangent_summed_too_far_is_refused_even_in_the_right_shape() -> None:
    """B22 with its sum broadcast back, as a framework would do it."""

    def backward(x: np.ndarray, beta: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx, dbeta = swish_backward(x, beta, g)
        return dx, np.broadcast_to(dbeta.sum(), beta.shape)

    rule = renamed(CASES["B22"].wrong, forward=swish, vjp=backward)
    result = subjects.run(rule, points=POINTS, dtypes=["float64"]).properties[0]
    assert result.verdict is Verdict.FALSIFIED
    assert result.counterexample is not None
    assert len(result.counterexample.inputs["beta"]) == 2


@pytest.mark.parametrize("key", ["B25", "B22"])
def test_a_wrong_shape_is_named(key: str) -> None:
    subject = judged(CASES[key], CASES[key].wrong, "float64")
    assert "shapes" in subject.properties[0].reason


def test_the_log_softmax_shows_two_coordinates() -> None:
    result = subjects.run(CASES["LS"].wrong, points=POINTS, dtypes=["float64"]).properties[0]
    example = result.counterexample
    assert example is not None
    assert example.inputs == {"x": [[0.0, 0.0]]}
    (spot,) = subjects.run(CASES["LS"].wrong, points=64, dtypes=["float64"]).source["spots"]
    assert spot["inputs"] == {"x": [[1.0, 2.0, 3.0]]}
    assert np.round(spot["got"], 4).tolist() == [0.91, 0.7553, 0.3348]
    assert np.round(spot["expected"], 4).tolist() == [0.7299, 0.2658, -0.9957]


def gather(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    return table[index]


def test_rows_that_are_looked_up_twice_get_both_cotangents() -> None:
    """An embedding: assignment keeps the last cotangent of a row, where all must be added."""

    def assigned(table: np.ndarray, index: np.ndarray, g: np.ndarray) -> np.ndarray:
        out = np.zeros_like(table)
        out[index] = g
        return out

    def added(table: np.ndarray, index: np.ndarray, g: np.ndarray) -> np.ndarray:
        out = np.zeros_like(table)
        np.add.at(out, index, g)
        return out

    inputs = {"table": bp.array("v d"), "index": bp.array("q", kind="index", high="v")}
    for backward, verdict in ((assigned, Verdict.FALSIFIED), (added, Verdict.HOLDS)):
        rule = bp.Rule("embedding", forward=gather, vjp=backward, inputs=inputs)
        assert subjects.run(rule, points=500, dtypes=["float64"]).verdict is verdict


def masked_softmax(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    e = np.where(mask, np.exp(x - x.max(axis=-1, keepdims=True)), 0.0)
    return e / (e.sum(axis=-1, keepdims=True) + 1)


def test_masked_entries_take_no_part() -> None:
    def right(x: np.ndarray, mask: np.ndarray, g: np.ndarray) -> np.ndarray:
        top = x.max(axis=-1, keepdims=True)
        y = masked_softmax(x, mask)
        inner = g - (g * y).sum(axis=-1, keepdims=True)
        # the shift by the largest entry is felt through the added one
        rest = (y * inner).sum(axis=-1, keepdims=True)
        ties = x == top
        return y * inner - ties / ties.sum(axis=-1, keepdims=True) * rest

    def forgets_the_shift(x: np.ndarray, mask: np.ndarray, g: np.ndarray) -> np.ndarray:
        y = masked_softmax(x, mask)
        return y * (g - (g * y).sum(axis=-1, keepdims=True))

    inputs = {"x": bp.array("*batch n"), "mask": bp.array("*batch n", kind="mask")}
    for backward, verdict in ((forgets_the_shift, Verdict.FALSIFIED), (right, Verdict.HOLDS)):
        rule = bp.Rule("masked softmax", forward=masked_softmax, vjp=backward, inputs=inputs)
        assert subjects.run(rule, points=500, dtypes=["float64"]).verdict is verdict
