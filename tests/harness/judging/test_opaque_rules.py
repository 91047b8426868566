"""Code that neither JAX nor the NumPy tracer can follow is judged too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.results import SubjectResult
from backprove.harness.core.verdicts import Verdict


def judged(rule: bp.Rule, points: int = 200) -> SubjectResult:
    return subjects.run(rule, points=points, dtypes=["float64"])


# -- a Python `if` on a value ------------------------------------------------------------------------------------------


def pick(x: np.ndarray) -> Any:
    """x0 * x1 where x0 is positive, else x1 squared."""
    if x[0] > 0:
        return x[0] * x[1]
    return x[1] * x[1]


def pick_right(x: np.ndarray, g: Any) -> np.ndarray:
    if x[0] > 0:
        return np.array([g * x[1], g * x[0]])
    return np.array([0 * g, 2 * g * x[1]])


def pick_wrong(x: np.ndarray, g: Any) -> np.ndarray:
    if x[0] > 0:
        return np.array([g * x[1], g * x[0]])
    return np.array([0 * g, g * x[1]])


def leaky(x: np.ndarray) -> Any:
    """A leaky relu of one number, written with floats."""
    value = float(x[0])
    return np.array([value if value > 0 else value / 8])


def leaky_right(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * (1.0 if float(x[0]) > 0 else 0.125)


def leaky_wrong(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * (1.0 if float(x[0]) > 0 else 0.25)


# -- compiled code that takes no object arrays -------------------------------------------------------------------------


def logistic_right(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * scipy.special.expit(x) * scipy.special.expit(-x)


def logistic_wrong(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * scipy.special.expit(x) ** 2


def error_function_right(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * np.exp(-x * x) * (2 / np.sqrt(np.pi))


def error_function_wrong(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * np.exp(-x * x)


RULES = {
    "if": (pick, pick_right, pick_wrong, "2"),
    "float": (leaky, leaky_right, leaky_wrong, "1"),
    "expit": (scipy.special.expit, logistic_right, logistic_wrong, "n"),
    "erf": (scipy.special.erf, error_function_right, error_function_wrong, "n"),
}


@pytest.mark.parametrize("key", RULES)
def test_the_right_rule_holds(key: str) -> None:
    forward, right, _, dims = RULES[key]
    rule = bp.Rule(key, forward=forward, vjp=right, inputs={"x": bp.array(dims, low=-20, high=20)})
    subject = judged(rule)
    assert subject.verdict is Verdict.HOLDS, subject.properties[0]
    assert subject.properties[0].points >= 200


@pytest.mark.parametrize("key", RULES)
def test_the_wrong_rule_is_falsified(key: str) -> None:
    forward, _, wrong, dims = RULES[key]
    rule = bp.Rule(key, forward=forward, vjp=wrong, inputs={"x": bp.array(dims, low=-20, high=20)})
    subject = judged(rule)
    assert subject.verdict is Verdict.FALSIFIED, subject.properties[0]
    assert subject.properties[0].counterexample is not None


def test_a_reference_stands_in_for_an_opaque_forward() -> None:
    import jax

    for right in (True, False):
        rule = bp.Rule(
            "expit",
            forward=scipy.special.expit,
            vjp=logistic_right if right else logistic_wrong,
            inputs={"x": bp.array("n", low=-20, high=20)},
            reference=jax.nn.sigmoid,
        )
        assert judged(rule).verdict is (Verdict.HOLDS if right else Verdict.FALSIFIED)
