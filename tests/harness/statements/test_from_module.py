"""Objects with forward and backward become rules, with their parameters as inputs and their gradients as results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict

A = bp.array
LINEAR = {"x": A("k m"), "W": A("m n"), "b": A("n")}


class Linear:
    """Gradients as attributes `dW` and `db`."""

    def __init__(self) -> None:
        self.W, self.b = np.zeros((2, 3)), np.zeros(3)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, g: Any) -> Any:
        self.dW, self.db = self.x.T @ g, g.sum(axis=0)
        return g @ self.W.T


class Dicts:
    """Parameters and gradients in dicts; gradients are accumulated."""

    def __init__(self) -> None:
        self.params = {"W": np.zeros((2, 3)), "b": np.zeros(3)}
        self.grads = {"W": np.zeros((2, 3)), "b": np.zeros(3)}

    def forward(self, x: Any, scale: float = 1.0) -> Any:
        self.x, self.scale = x, scale
        return scale * (x @ self.params["W"] + self.params["b"])

    def backward(self, g: Any) -> Any:
        g = self.scale * g
        self.grads["W"] = self.x.T @ g
        self.grads["b"] = g.sum(axis=0)
        return g @ self.params["W"].T


class Parameter:
    def __init__(self, value: Any) -> None:
        self.data, self.grad = value, np.zeros_like(value)


class Objects:
    """Parameters that know their gradients."""

    def __init__(self) -> None:
        self.W, self.b = Parameter(np.zeros((2, 3))), Parameter(np.zeros(3))

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W.data + self.b.data

    def backward(self, g: Any) -> Any:
        self.W.grad = self.x.T @ g
        self.b.grad = g.sum(axis=0)
        return g @ self.W.data.T


class MeanBias(Linear):
    """A classic mistake."""

    def backward(self, g: Any) -> Any:
        found = super().backward(g)
        self.db = g.mean(axis=0)
        return found


class Silent(Linear):
    def backward(self, g: Any) -> Any:
        return g @ self.W.T


def check(obj: object, **options: Any) -> bp.Report:
    return bp.check(bp.from_module(obj, inputs=LINEAR, **options), points=150, dtypes=("float64",))


@pytest.mark.parametrize("kind", [Linear, Dicts, Objects])
def test_a_right_layer_holds_and_is_judged_exactly(kind: type) -> None:
    report = check(kind())
    assert report.verdict == Verdict.HOLDS, str(report)
    assert report.properties[0].layers["exact"].agreed > 50


def test_the_gradient_of_a_parameter_is_judged() -> None:
    report = check(MeanBias())
    assert report.verdict == Verdict.FALSIFIED
    assert report.counterexamples[0].argument == "b"


def test_fixed_arguments_of_forward() -> None:
    assert check(Dicts(), fixed={"scale": 3.0}).verdict == Verdict.HOLDS


def test_a_gradient_that_is_missing_is_an_error_that_says_where_it_was_looked_for() -> None:
    report = check(Silent())
    assert report.verdict == Verdict.ERROR
    assert "Silent has no gradient of W after backward; looked for grads['W']" in str(report)


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="without forward"):
        bp.from_module(3, inputs=LINEAR)
    with pytest.raises(UsageError, match="'v' is no argument of forward and no parameter of the object"):
        bp.from_module(Linear(), inputs={"x": A("k m"), "v": A("m")})
