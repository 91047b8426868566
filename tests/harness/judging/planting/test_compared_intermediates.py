"""Rules that are wrong beside a threshold of something they compute are refused, and right ones hold there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.planting.thresholds import at_thresholds

Code = Callable[..., Any]


def _times(factor: Code) -> Code:
    return lambda x, g: g * np.cos(x) * factor(x, g)


def _in_band(value: Any, low: float, high: float) -> Any:
    return np.where((value > low) & (value < high), 1.001, 1)


def _opaque_exponential(x: Any, g: Any) -> Any:
    inside = [1.01 if 50 < math.exp(min(float(a), 700)) < 50.001 else 1 for a in x]
    return np.array([float(b) * math.cos(float(a)) * w for a, b, w in zip(x, g, inside, strict=True)])


def _opaque_branch(x: Any, g: Any) -> Any:
    return g * np.cos(x) * (2 if float(x[0]) > 7777.7 and float(x[0]) < 7777.8 else 1)


def _opaque_sum(x: Any, g: Any) -> Any:
    return g * np.cos(x) * (1.01 if 100 < float(x.sum()) < 100.3 else 1)


def _opaque_norm(x: Any, g: Any) -> Any:
    return g * np.cos(x) * (1.01 if 60 < float(np.linalg.norm(x)) < 60.1 else 1)


WRONG: dict[str, Code] = {
    "an exponential": _times(lambda x, g: _in_band(np.exp(x), 50, 50.001)),
    "a multiple": _times(lambda x, g: np.where(abs(3.7 * x - 191.3) < 1e-3, 1.001, 1)),
    "a square": _times(lambda x, g: np.where((3.7 * x - 191.3) ** 2 < 1e-6, 1.001, 1)),
    "a product with itself": _times(lambda x, g: np.where((x - 191.3) * (x - 191.3) < 1e-12, 1.001, 1)),
    "a sum": _times(lambda x, g: _in_band(x.sum(), 100, 100.01)),
    "a result": _times(lambda x, g: _in_band((g * np.cos(x)).sum(), 37, 37.05)),
    "an exponential in opaque code": _opaque_exponential,
    "a branch in opaque code": _opaque_branch,
    "a sum in opaque code": _opaque_sum,
    "a norm in opaque code": _opaque_norm,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_wrong_beside_a_threshold_is_refused(name: str) -> None:
    rule = bp.Rule(name, forward=np.sin, vjp=WRONG[name], inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64"]).verdict is Verdict.FALSIFIED


def test_a_rule_that_is_wrong_at_a_whole_number_does_not_hold() -> None:
    """Balls do not decide whole numbers."""
    vjp = _times(lambda x, g: np.where(np.floor(1000 * x).astype(np.int64) == 51702, 1.001, 1))
    rule = bp.Rule("whole number", forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")})
    assert not bp.check(rule, points=300, dtypes=["float64"]).ok


def test_a_jax_rule_that_is_wrong_beside_a_threshold_is_refused() -> None:
    def vjp(x: Any, g: Any) -> Any:
        size = jnp.linalg.norm(x)
        return g * jnp.cos(x) * jnp.where((size > 100) & (size < 100.01), 1.001, 1)

    rule = bp.Rule("norm", forward=jnp.sin, vjp=vjp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64"]).verdict is Verdict.FALSIFIED


def _huber(x: Any) -> Any:
    u = 3 * x - 1
    return np.where(abs(u) <= 2.5, 0.5 * u**2, 2.5 * (abs(u) - 1.25))


def _opaque_huber(x: Any) -> Any:
    return np.array([float(_huber(np.asarray(float(a)))) for a in x])


def _opaque_slope(x: Any, g: Any) -> Any:
    return np.array([float(b) * 3 * min(max(3 * float(a) - 1, -2.5), 2.5) for a, b in zip(x, g, strict=True)])


RIGHT: dict[str, tuple[Code, Code]] = {
    "huber": (_huber, lambda x, g: g * 3 * np.clip(3 * x - 1, -2.5, 2.5)),
    "opaque huber": (_opaque_huber, _opaque_slope),
    "clip": (lambda x: np.clip(3.7 * x, -4, 191.3), lambda x, g: g * 3.7 * ((3.7 * x > -4) & (3.7 * x < 191.3))),
    "beyond 50": (lambda x: np.maximum(np.exp(x) - 50, 0), lambda x, g: g * (np.exp(x) > 50) * np.exp(x)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_holds_beside_its_thresholds(name: str) -> None:
    forward, vjp = RIGHT[name]
    rule = bp.Rule(name, forward=forward, vjp=vjp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64", "float32"]).ok


def test_points_lie_on_both_sides_of_a_crossing() -> None:
    code = Function(lambda x: np.where(np.exp(x).sum() > 50, x, 0), "forward")
    program = code.program((((2,), "float64"),))
    assert program is not None
    start, end = np.array([[0.0, -1.0], [1.0, 2.0]]), np.array([[3.0, 5.0], [4.0, 1.0]])
    (x,) = at_thresholds(program, [start], [end])
    gap = np.exp(x).sum(axis=0) / 50 - 1
    for distance in (1e-2, 1e-5, 1e-8):
        assert ((gap > 0) & (gap < distance)).any() and ((gap < 0) & (gap > -distance)).any()
    (none,) = at_thresholds(program, [start], [start])
    assert none.shape == (2, 0)
