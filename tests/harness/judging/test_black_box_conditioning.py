"""A black box is falsified only beyond the conditioning of the point and the steps of coarse values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg as sl
import scipy.special as ss

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.oracles.black_box import judge
from backprove.harness.oracles.problem import Status
from backprove.harness.oracles.resolution import resolution


def inverse(factor: float = 1.0) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """The VJP of the inverse, points on the last axis."""

    def rule(arguments: list[np.ndarray]) -> list[np.ndarray]:
        a, g = (np.moveaxis(v, -1, 0) for v in arguments)
        b = np.linalg.inv(a).swapaxes(-1, -2)
        return [np.moveaxis(-b @ g @ b * factor, 0, -1)]

    return rule


def forward(arguments: list[np.ndarray]) -> list[np.ndarray]:
    return [np.moveaxis(np.linalg.inv(np.moveaxis(arguments[0], -1, 0)), 0, -1)]


BAD = np.array([[0.0, 0.0, 1.0], [5.492142772983565e-144, 0.0, 0.0], [1.0, 1.0, 0.0]])
CORNER = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])[..., None]
GOOD = np.array([[2.0, 0.5, 1.0], [0.25, 1.5, 0.0], [1.0, 1.0, 3.0]])


@pytest.mark.parametrize(("a", "factor", "refused"), [(BAD, 1.0, False), (GOOD, 1.0, False), (GOOD, 1.001, True)])
def test_an_inverse_at_badly_scaled_points(a: np.ndarray, factor: float, refused: bool) -> None:
    x, d = [a[..., None]], [CORNER]
    rule = inverse(factor)
    (outcome,) = judge(forward, x, d, rule([*x, *d]), "vjp", (0,), rule=rule)
    assert (outcome.status is Status.REFUTED) is refused


def test_without_the_rule_the_badly_scaled_point_would_be_refused() -> None:
    x, d = [BAD[..., None]], [CORNER]
    (outcome,) = judge(forward, x, d, inverse()([*x, *d]), "vjp", (0,))
    assert outcome.status is Status.REFUTED


def narrow(dtype: str) -> Callable[[Any], Any]:
    return lambda x: np.asarray(ss.j0(x.astype(dtype)), dtype=np.float64)


@pytest.mark.parametrize(
    ("f", "x"),
    [(lambda x: ss.erf(x.astype("f4")).astype("f8"), -4.75), (lambda x: np.round(x, 6), 0.3)],
    ids=["saturated float32", "rounded"],
)
def test_steps_are_no_refusal(f: Callable[[Any], Any], x: float) -> None:
    slope = {-4.75: 2 / np.sqrt(np.pi) * np.exp(-(4.75**2)), 0.3: 1.0}[x]
    at, one = [np.full((1, 1), x)], [np.ones((1, 1))]
    (outcome,) = judge(lambda a: [f(a[0])], at, one, [np.full((1, 1), slope)], "vjp", (0,))
    assert outcome.status is not Status.REFUTED


def test_the_resolution_of_values() -> None:
    x = [np.linspace(0.5, 2, 16)[None]]
    assert resolution(lambda a: [np.sin(a[0])], x, (0,))[0].max() == 0
    assert resolution(lambda a: [np.sin(a[0].astype("f4")).astype("f8")], x, (0,))[0].min() > 0
    assert resolution(lambda a: [np.round(np.sin(a[0]), 6)], x, (0,))[0] == pytest.approx(5e-7)


RULES = {
    "inv": (sl.inv, lambda a, g: -sl.inv(a).T @ g @ sl.inv(a).T, "n n", 1.0),
    "j0 of float32": (narrow("f4"), lambda x, g: -g * ss.j1(x), "n", 6.0),
}


@pytest.mark.parametrize("name", RULES)
def test_right_black_boxes_are_not_refused_and_wrong_ones_are(name: str) -> None:
    f, vjp, dims, high = RULES[name]
    factor = 3.0 if "float32" in name else 1.001

    def verdict(rule: Callable[..., Any]) -> Verdict:
        stated = bp.Rule(
            name, forward=f, vjp=rule, inputs={"a" if dims == "n n" else "x": bp.array(dims, low=-high, high=high)}
        )
        return Verdict(bp.check(stated, points=100, dtypes=("float64",)).verdict)

    assert verdict(vjp) is not Verdict.FALSIFIED
    assert verdict(lambda x, g: factor * vjp(x, g)) is Verdict.FALSIFIED


def opaque(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same code, hidden from every tracer."""
    return lambda x: call(np.frombuffer(x.tobytes(), dtype=x.dtype).reshape(x.shape))


HALF = {
    "float16 in and out": lambda x: ss.j0(x.astype("f2")).astype("f8"),
    "float16 in": lambda x: opaque(ss.j0)(x.astype("f2").astype("f8")),
    "large": opaque(np.sin),
}


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("right", [True, False])
def test_code_that_narrows_or_bends_fast_is_judged_at_other_steps(name: str, right: bool) -> None:
    slope: Callable[[Any], Any] = np.cos if name == "large" else lambda x: -ss.j1(x)
    high = None if name == "large" else 20.0

    def vjp(x: np.ndarray, g: np.ndarray) -> np.ndarray:
        wrong = 2.0 if name != "large" else np.where(np.abs(x) > np.float64("5e3"), 2.0, 1.0)
        return g * opaque(slope)(x) * (1.0 if right else wrong)

    rule = bp.Rule(
        name, forward=HALF[name], vjp=vjp, inputs={"x": bp.array("n", low=None if high is None else -high, high=high)}
    )
    report = bp.check(rule, points=300, dtypes=("float64",))
    assert str(report.verdict) == ("holds" if right else "falsified"), str(report)


def called(function: Callable[[float], float], dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """Code that rounds its argument and its value to a format, and that nothing can trace."""
    inside = np.dtype(dtype)

    def forward(x: np.ndarray) -> np.ndarray:
        found = [function(float(v)) for v in x.astype(inside).ravel()]
        return np.array(found).astype(inside).astype(x.dtype).reshape(x.shape)

    return forward


def test_a_hundredth_is_seen_in_float32() -> None:
    for factor, verdict in ((1.0, "holds"), (1.01, "falsified")):
        rule = bp.Rule(
            "exp",
            forward=called(math.exp, "f4"),
            vjp=lambda x, g, k=factor: g * np.exp(x) * k,
            inputs={"x": bp.array("n", low=-30, high=10)},
        )
        report = bp.check(rule, points=40, dtypes=("float64",))
        assert str(report.verdict) == verdict, str(report)


def test_a_tenth_is_refused_in_float16() -> None:
    """One difference tells little there, many do."""
    for factor, verdict in ((1.0, "holds"), (1.1, "falsified")):
        rule = bp.Rule(
            "sin",
            forward=called(math.sin, "f2"),
            vjp=lambda x, g, k=factor: g * np.cos(x) * k,
            inputs={"x": bp.array("n", low=-10, high=10)},
        )
        report = bp.check(rule, points=40, dtypes=("float64",))
        assert str(report.verdict) == verdict, str(report)
        assert factor != 1 or "half precision" in str(report)  # what makes a judgement there possible at all


def test_a_rule_that_narrows_in_float64_too_is_no_truth_for_float32() -> None:
    """At x = 4 all values nearby are the same number of float32, and 1 - t * t has lost half its digits."""
    tanh = called(math.tanh, "f4")
    for factor, verdict in ((1.0, "holds"), (1.01, "falsified")):
        rule = bp.Rule(
            "tanh",
            forward=tanh,
            vjp=lambda x, g, k=factor: g * (1 - tanh(x) ** 2) * k,
            inputs={"x": bp.array("n", low=-6, high=6)},
        )
        report = bp.check(rule, points=40, dtypes=("float32",))
        assert str(report.verdict) == verdict, str(report)


def test_a_singular_matrix_is_no_error_of_the_rule_that_solves_with_its_transpose() -> None:
    """Forward divides by a pivot that is a rounding error, and the transpose has none at all."""

    def forward(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sl.solve(a, b)

    def vjp(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = sl.solve(a.T, g)
        return -np.outer(w, sl.solve(a, b)), w

    at = {"a": [[7.0, 7.0], [55.0, 55.0]], "b": [0.0, 0.0], "g": [0.0, 1.0]}
    inputs = {"a": bp.array("n n", low=1, high=99), "b": bp.array("n")}
    for sign, verdict in ((1, "holds"), (-1, "falsified")):
        rule = bp.Rule(
            "solve",
            forward=forward,
            vjp=lambda a, b, g, s=sign: tuple(s * v for v in vjp(a, b, g)),
            inputs=inputs,
            examples=[at],
        )
        report = bp.check(rule, points=100, dtypes=("float64",))
        assert str(report.verdict) == verdict, str(report)
