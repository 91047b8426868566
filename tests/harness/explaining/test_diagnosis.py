"""The named mistake: one wrong rule per kind, and wrong rules that no single explanation fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import backprove as bp
from backprove.harness.core.results import Counterexample, PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.diagnoses.evidence import Evidence
from backprove.harness.explaining.diagnoses.forward import forward_at_fault
from backprove.harness.explaining.diagnosis import diagnose
from backprove.harness.judging.binders import binders_of
from tests.diagnosis_cases import (
    CASES,
    FLOAT_CASES,
    deviation,
    deviation_vjp,
    layer_norm,
    layer_norm_vjp,
    logsoftmax,
    refused,
    said,
    softmax,
    softmax_right,
    spread,
    vjp,
)

Rule = bp.Rule


@pytest.mark.parametrize("name", CASES)
def test_names_the_mistake(name: str) -> None:
    rule, expected = CASES[name]
    found = said(rule)
    assert found is not None and expected.lower() in found.lower()


@pytest.mark.parametrize("name", FLOAT_CASES)
def test_names_a_mistake_of_floats(name: str) -> None:
    rule, expected = FLOAT_CASES[name]
    found = said(rule, Verdict.INACCURATE)
    assert found is not None and expected.lower() in found.lower()


def accumulating() -> Rule:
    buffers: dict[Any, Any] = {}

    def wrong(x: Any, g: Any) -> Any:
        buffers[x.shape] = buffers.get(x.shape, 0.0) + np.cos(x) * g
        return buffers[x.shape].copy()

    return vjp(np.sin, wrong, x="n")


def stale() -> Rule:
    last: dict[Any, Any] = {}

    def wrong(x: Any, g: Any) -> Any:
        before = last.get(x.shape, x)
        last[x.shape] = x
        return g * np.cos(before)

    return vjp(np.sin, wrong, x="n")


def undecided() -> Rule:
    calls: list[int] = []

    def wrong(x: Any, g: Any) -> Any:
        calls.append(1)
        return g * np.cos(x) * (1 + len(calls) % 2)

    return vjp(np.sin, wrong, x="n")


def frozen() -> Rule:
    return vjp(np.sin, lambda x, g: g * np.cos(np.arange(x.shape[0])), x="n")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (accumulating, "each call adds to the result of the call before"),
        (stale, "answers for the input of the call before"),
        (undecided, "the same input gives another result"),
        (frozen, "does not depend on the point"),
    ],
)
def test_names_state(make: Callable[[], Rule], expected: str) -> None:
    found = said(make(), Verdict.ERROR)
    assert found is not None and expected in found


def test_names_the_mistake_of_a_jvp() -> None:
    rule = Rule("wrong", forward=np.cos, jvp=lambda x, t: t * np.sin(x), inputs={"x": bp.array("n")})
    assert said(rule) == "The sign is wrong: the result is minus the derivative. Negate it."
    rule = Rule("wrong", forward=np.sin, jvp=lambda x, t: np.cos(x), inputs={"x": bp.array("n")})
    assert said(rule) == "The tangent is ignored: the result is the same for every tangent. Multiply by the tangent."


def test_names_the_mistake_of_a_black_box() -> None:
    def forward(x: Any) -> Any:
        return np.array([math.sin(float(v)) for v in x])

    def wrong(x: Any, g: Any) -> Any:
        return np.array([-math.cos(float(v)) for v in x]) * g

    found = said(vjp(forward, wrong, x="n"))
    assert found == "The sign is wrong: the result is minus the derivative. Negate it."


def test_names_a_constant_row() -> None:
    found = said(vjp(deviation, deviation_vjp, x="m n"), Verdict.INACCURATE)
    assert found is not None and "where all entries of a row of x are equal" in found


def test_names_a_forward_without_digits() -> None:
    """`log(cosh(x))` in float32."""
    rule = Rule(
        "log cosh",
        forward=lambda x: np.log(np.cosh(x)),
        vjp=lambda x, g: g * np.tanh(x),
        inputs={"x": bp.array("n")},
    )
    (binder,) = (b for b in binders_of(rule) if b.name == "vjp")
    given: dict[str, Any] = {
        "inputs": {"x": [1e-4]},
        "inputs_hex": {},
        "tangents": {},
        "cotangents": {"cotangent": [1.0]},
    }
    shown: dict[str, Any] = {"argument": "x", "entry": [0], "got": 0.0, "expected": 1e-4, "oracle": "", "region": ""}
    example = Counterexample(id="", property="vjp", dtype="float32", **given, **shown)
    result = PropertyResult("vjp", "float32", Verdict.INACCURATE, counterexample=example)
    found = forward_at_fault(binder, [result])
    assert found is not None and "in float32 it gives" in found and "5e-09 is right" in found
    good = replace(example, inputs={"x": [1.0]})
    assert forward_at_fault(binder, [PropertyResult("vjp", "float32", Verdict.INACCURATE, counterexample=good)]) is None


def test_an_explanation_holds_at_points_it_was_not_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that fits the first points by chance is not said."""
    seen: list[Evidence] = []

    def by_chance(e: Evidence) -> str | None:
        seen.append(e)
        return "chance" if len(seen) == 1 else None

    monkeypatch.setattr("backprove.harness.explaining.diagnosis.EXPLANATIONS", (by_chance,))
    assert said(CASES["sign"][0]) is None
    assert len(seen) == 2 and not np.array_equal(seen[0].cases[0].x[0], seen[1].cases[0].x[0])


SEVERAL: dict[str, tuple[Rule, str]] = {
    "two mistakes in two arguments": (
        vjp(lambda x, y: x * np.sin(y), lambda x, y, g: (-g * np.sin(y), 2 * g * x * np.cos(y)), x="n", y="n"),
        "the result is minus the derivative. Negate it. In the cotangent of y: the result is twice the derivative",
    ),
    "two entries": (
        vjp(lambda x: x * x, lambda x, g: 2 * g * x * np.array([1, 1.7, 1, 0.3]), x="4"),
        "2 derivatives are wrong, and every other one is right: that of out[1] by x[1] is 17/10 times",
    ),
    "targets that do not sum to one": (
        vjp(
            lambda z, t: -(t * logsoftmax(z)).sum(),
            lambda z, t, g: (g * (softmax(z) - t), -g * logsoftmax(z)),
            z="m n",
            t=bp.array("m n", low=0.125, high=2),
        ),
        "In the cotangent of z: the rule is right where t sums to 1 along its last axis, and wrong elsewhere",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_names_several_mistakes_and_sums_taken_for_one(name: str) -> None:
    rule, expected = SEVERAL[name]
    found = said(rule)
    assert found is not None and expected in found


UNRELATED: dict[str, Rule] = {
    "another function": vjp(np.sin, lambda x, g: g * np.log1p(x * x), x="n"),
    "sign and diagonal": vjp(logsoftmax, lambda z, g: -g * (1 - np.exp(logsoftmax(z))), z="m n"),
    "a term too many": vjp(np.sin, lambda x, g: g * np.cos(x) + 0.3 * g * x**3 * np.exp(x), x="n"),
    "a row of ones for a maximum": vjp(lambda x: x.max(axis=-1), lambda x, g: g[..., None] * np.ones_like(x), x="m n"),
    "one entry, not by a factor": vjp(
        lambda x: x * x, lambda x, g: 2 * g * x + np.array([0, 1, 0]) * np.sin(x) * g, x="3"
    ),
    "something nonlinear": vjp(np.sin, lambda x, g: g * np.cos(x) + 0.1 * g * g, x="n"),
    "noise": vjp(softmax, lambda z, g: softmax_right(z, g) + 0.05 * np.sin(7 * z) * spread(g * z), z="m n"),
    "two thresholds": vjp(lambda x: np.clip(x, -1, 1) + np.clip(x, 4, 5), lambda x, g: g, x="n"),
    "a wrong index": vjp(lambda x: x[2 * np.arange(x.shape[0]) % x.shape[0]], lambda x, g: g, x="m n"),
    "raises": vjp(np.sin, lambda x, g: g[100], x="n"),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_says_nothing_rather_than_guess(name: str) -> None:
    assert said(UNRELATED[name]) is None


@pytest.mark.parametrize(
    "rule",
    [
        vjp(softmax, softmax_right, z="m n"),
        vjp(layer_norm, lambda x, g: layer_norm_vjp(x, g, 1), x="m n"),
        vjp(lambda x, y: x * y, lambda x, y, g: (g * y, g * x), x="n", y="n"),
        vjp(np.abs, lambda x, g: g * np.sign(x), x="n"),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.FALSIFIED, Verdict.INACCURATE])
def test_accuses_no_right_rule(rule: Rule, verdict: Verdict) -> None:
    assert said(rule, verdict) is None


def test_diagnose_looks_at_refused_derivatives_only() -> None:
    rule = CASES["sign"][0]
    binders = binders_of(rule)
    assert diagnose(binders, refused(rule)) == "The sign is wrong: the result is minus the derivative. Negate it."
    assert diagnose(binders, refused(rule, Verdict.HOLDS)) is None
    assert diagnose(binders, refused(rule, name="reference")) is None


def test_diagnose_never_raises() -> None:
    def forward(x: Any) -> Any:
        raise KeyError("always")

    rule = vjp(forward, lambda x, g: g, x="n")
    assert diagnose(binders_of(rule), refused(rule, Verdict.ERROR)) is None
