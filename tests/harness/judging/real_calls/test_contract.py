"""One answer for one input, and inputs left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.real_calls.contract import broken, changed, remarks, two_answers, violation
from backprove.harness.statements.rule import UnderContract


def counting(*answers: Any) -> Callable[..., Any]:
    """A function that gives these answers in turn."""
    rest = iter(answers)
    return lambda *_: next(rest)


@pytest.mark.parametrize(
    "first, second",
    [
        (np.array([1.0]), np.array([np.nextafter(1.0, 2.0)])),
        (np.array([0.0]), np.array([-0.0])),
        (np.array([np.nan]), np.array([0.0])),
        (np.array([1.0]), np.array([1.0], dtype=np.float32)),
        (np.array([1.0]), np.array([1.0, 1.0])),
        ((np.ones(2), np.ones(2)), np.ones(2)),
        (np.array([1.0], dtype=ml_dtypes.bfloat16), np.array([2.0], dtype=ml_dtypes.bfloat16)),
        (np.array([1]), np.array([2])),
    ],
)
def test_another_answer_is_seen(first: Any, second: Any) -> None:
    assert two_answers(counting(first, second), [])


@pytest.mark.parametrize(
    "answer",
    [
        np.array([1.0, -0.0, np.nan, np.inf]),
        (np.ones(2), None, [np.zeros(3)]),
        np.ones((0, 2)),
        3.0,
        np.array([1.0, np.nan], dtype=ml_dtypes.bfloat16),
        np.array([True]),
    ],
)
def test_the_same_answer_is_accepted(answer: Any) -> None:
    assert not two_answers(counting(answer, answer), [])


def test_noise_and_memory_are_seen() -> None:
    rng = np.random.default_rng(0)
    x, seen = np.ones(3), []

    def remembers(a: Any) -> Any:
        seen.append(a)
        return a * len(seen)

    assert two_answers(lambda a: a + rng.standard_normal(3), [x])
    assert two_answers(remembers, [x])
    assert not two_answers(lambda a: a * 2, [x])


def test_writing_into_the_arguments_is_not_a_second_answer() -> None:
    x = np.ones(3)

    def doubles(a: Any) -> Any:
        a *= 2
        return a.copy()

    assert not two_answers(doubles, [x])
    assert np.array_equal(x, np.ones(3))


def test_a_changed_argument_is_named() -> None:
    def overwrites(a: Any, b: Any) -> Any:
        b *= 2
        return a * b

    def to_nan(a: Any, b: Any) -> Any:
        a[:1] = np.nan
        return a

    x, y = np.ones(3), np.full(3, 0.5)
    assert changed(overwrites, [x, y]) == 1
    assert changed(to_nan, [x, y]) == 0
    assert changed(overwrites, [x, np.zeros(3)]) is None  # 0 stays 0
    assert changed(lambda a, b: a * b, [np.array([np.nan]), y[:1]]) is None
    assert np.array_equal(x, np.ones(3)) and np.array_equal(y, np.full(3, 0.5))


def test_what_the_code_raises_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        two_answers(lambda: 1 // 0, [])


def test_the_contract_of_a_framework_is_asked() -> None:
    def plain(x: Any) -> Any:
        return x

    assert broken(plain, [np.ones(2)]) is None
    rule = UnderContract(plain, lambda x: "it sums to " + str(x.sum()))
    assert broken(rule, [np.ones(2)]) == "it sums to 2.0"
    found = violation(Function(rule, "vjp"), [np.ones(2)], ["x"])
    assert found is not None and found.verdict is Verdict.ERROR and found.what == "it sums to 2.0"


def test_what_a_user_calls_contract_is_none_of_ours() -> None:
    def contract(x: Any) -> Any:
        raise AssertionError("nobody asked for this call")

    contract.contract = contract  # type: ignore[attr-defined]
    assert broken(contract, [np.ones(2)]) is None


def test_violations_are_errors_in_words() -> None:
    def overwrites(x: Any, g: Any) -> Any:
        g *= 2
        return g

    found = violation(Function(overwrites, "vjp"), [np.ones(2), np.ones(2)], ["x", "cotangent"])
    assert found is not None and found.what == "vjp changed its argument cotangent"
    found = violation(Function(counting(*np.eye(4)), "vjp"), [], [])
    assert found is not None and found.what == "vjp gave two answers for one input"
    assert violation(Function(lambda x, g: x * g, "vjp"), [np.ones(2), np.ones(2)], ["x", "cotangent"]) is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda x, g: g, "vjp returns memory of its argument cotangent for x"),
        (lambda x, g: g[::-1], "vjp returns memory of its argument cotangent for x"),
        (lambda x, g: x, "vjp returns memory of its argument x for x"),
        (lambda x, g: (x * g).astype(np.float32), "vjp returns float32 for x where float64 was given"),
        (lambda x, g: (x * g).astype(ml_dtypes.bfloat16), "vjp returns bfloat16 for x"),
        (lambda x, g: x * g, ""),
        (lambda x, g: (x * g).astype(np.longdouble), ""),
        (lambda x, g: np.ones(2, dtype=int), ""),
    ],
)
def test_what_is_worth_knowing_is_no_error(rule: Any, said: str) -> None:
    found = remarks(Function(rule, "vjp"), [np.ones(2), np.ones(2)], ["x", "cotangent"], {"x": np.float64})
    assert len(found) == bool(said) and all(f.startswith(said) for f in found)


@pytest.mark.parametrize("start", [[1.0, 1.0], [0.0, 3.0], [0.5, 1e10]])
@pytest.mark.parametrize(
    "rule",
    [
        lambda x, g: g / x,
        lambda x, g: g - g[::-1],
        lambda x, g: np.sign(x) * np.sign(g),
        lambda x, g: g / (x + x) * x,
        lambda x, g: 0 * g + 0.5,
        lambda x, g: (x > 0) * g,
        lambda x, g: g / np.where(x == 0, 1, x) * x,
        lambda x, g: x * 0,
    ],
)
def test_wide_code_is_not_called_narrow(rule: Any, start: list[float]) -> None:
    given = [np.array(start), np.array(start[::-1])]
    assert not remarks(Function(rule, "vjp"), given, ["x", "cotangent"], {"x": np.float64})


@pytest.mark.parametrize("start", [[1.0, 1.0], [0.0, 3.0], [0.5, 1e10]])
@pytest.mark.parametrize(
    "rule",
    [
        lambda x, g: (g * np.cos(x)).astype(np.float32).astype(float),
        lambda x, g: g.astype(np.float32).astype(float),
        lambda x, g: (g * (x.astype(np.float32) + 1)).astype(np.float32).astype(float),
    ],
)
def test_code_that_is_narrow_inside_is_named(rule: Any, start: list[float]) -> None:
    given = [np.array(start), np.array(start[::-1])]
    (said,) = remarks(Function(rule, "vjp"), given, ["x", "cotangent"], {"x": np.float64})
    assert said.startswith("vjp gives float32 numbers for x")


def test_a_remark_leaves_the_verdict_alone() -> None:
    rule = bp.Rule("shift", forward=lambda x: x + 1, vjp=lambda x, g: g, inputs={"x": bp.array("n")})
    report = bp.check(rule, points=20, dtypes=("float64",))
    assert report.ok and "vjp returns memory of its argument cotangent for x" in str(report)


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize(
    ("wrong", "verdicts"),
    [
        (lambda x, g: g * np.cos(x) + 1e-4, {Verdict.FALSIFIED}),
        (lambda x, g: np.where(g == 0, np.nan, g * np.cos(x)), {Verdict.FALSIFIED, Verdict.INACCURATE}),
    ],
)
def test_a_zero_cotangent_gives_zero(wrong: Any, verdicts: set[Verdict], opaque: bool) -> None:
    """Entry by entry, with code that can be traced and with code that can only be called."""

    def forward(x: Any) -> Any:
        return np.array([float(v) for v in np.sin(x)]) if opaque else np.sin(x)

    rule = bp.Rule("sin", forward=forward, vjp=wrong, inputs={"x": bp.array("n", low=-2, high=2)})
    assert bp.check(rule, points=20, dtypes=("float64",)).verdict in verdicts
