"""Whom the patched allocators of NumPy concern: Python code of the thread, and nothing that is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.numpy_trace.array import Traced
from backprove.harness.frontends.numpy_trace.trace import trace_numpy


def draws() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random(3)


def check(forward: Any, vjp: Any) -> bp.Report:
    rule = bp.Rule("drawn", forward=forward, vjp=vjp, inputs={"x": bp.array("3", low=-3, high=3)})
    return bp.check(rule, points=50, dtypes=["float64"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: np.random.rand(3),
        lambda: np.random.RandomState(0).standard_normal(3),
        lambda: np.random.default_rng(0).random(3),
        lambda: np.random.default_rng(0).choice(np.arange(9.0), 3, replace=False),
        lambda: np.random.default_rng(0).multivariate_normal([0.0, 1.0, 2.0], [[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]]),
    ],
)
def test_random_numbers_are_data_while_code_is_traced(draw: Any) -> None:
    seen = []

    def code(x: Any) -> Any:
        out = np.zeros(3)
        seen.append((type(out), type(draw())))
        return x * out

    trace_numpy(code, ((3,), "float64"))
    assert seen == [(Traced, np.ndarray)]
    assert np.random.mtrand.np is np  # type: ignore[attr-defined]


def test_a_seeded_draw_is_part_of_the_map() -> None:
    assert check(lambda x: np.sin(x) * draws(), lambda x, g: g * np.cos(x) * draws()).ok
    assert check(lambda x: np.sin(x) * draws(), lambda x, g: g * np.cos(x)).verdict is Verdict.FALSIFIED


def test_an_unseeded_draw_is_named() -> None:
    report = check(lambda x: np.where(x > 0, np.sin(x), np.random.rand(*x.shape)), lambda x, g: g * np.cos(x))
    assert report.verdict is Verdict.ERROR
    assert "two answers for one input" in report.properties[0].reason
