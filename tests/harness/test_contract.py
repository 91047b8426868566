"""One answer for one input, and inputs left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from backprove.harness.contract import changed, two_answers


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
