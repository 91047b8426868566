"""Reports say who judged, how much, what was left out and what is open."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.evidence_words import (
    BLACK_BOX,
    MEANING,
    NO_VALUE,
    NOT_IN_FLOATS,
    OVER_REALS,
    accuracy,
    is_black_box,
    meaning,
    rests_on,
)
from backprove.harness.core.results import Counterexample, LayerTally, PropertyResult
from backprove.harness.core.verdicts import Verdict


def result(verdict: Verdict = Verdict.HOLDS, **more: Any) -> PropertyResult:
    return PropertyResult("vjp", "float64", verdict, 40, **more)


def point(got: float | None, oracle: str = "dual balls") -> Counterexample:
    return Counterexample("id", "vjp", "float64", {}, {}, {}, {}, "x", [0], got, 1.0, oracle, "zero")


def test_layers_sizes_and_what_is_left_out_stand_in_one_line() -> None:
    p = result(counts={"undecided": 7})
    p.evidence.at("n=3", {"exact": 400, "autodiff": 900}, "full")
    p.evidence.at("n=1", {"exact": 12}, "thin")
    p.evidence.at("n=0", {"exact": 8}, "empty")
    p.evidence.leave_out("n=2", "forward raises ValueError", "text", empty=False)
    p.evidence.object("autodiff", 5, 0)
    assert rests_on(p) == (
        "judged in balls at 412 points of 2 sizes, empty arrays apart; "
        "1 size left out: forward raises ValueError at n=2; "
        "5 suspicious points, all cleared; 7 points undecided"
    )
    p.evidence.object("autodiff", 2, 2)
    assert "7 suspicious points, 2 of them not cleared" in rests_on(p)


def test_calls_of_own_code_and_nearness_of_an_approximation_are_said_and_merged() -> None:
    p, other = result(), result()
    for q, worst in ((p, None), (other, 1.5)):
        q.evidence.at("n=3", {"exact": 20}, "full")
        q.evidence.call("plain", 32)
        q.evidence.approximate(4, "the reference", worst)
    other.evidence.call("layouts", 6)
    p.evidence.merge(other.evidence)
    assert rests_on(p) == (
        "judged in balls at 40 points of 1 size, within 4 units of the reference (1.5 at worst); "
        "own code called: 64 times as it is, 6 in other layouts"
    )


@pytest.mark.parametrize("shaped", ["custom_vjp", "NumPy"])
def test_own_code_is_called_and_counted(shaped: str) -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jnp.sin(x)

    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    inputs = {"x": bp.array("m n")}
    rule = bp.from_jax(f, inputs=inputs)
    if shaped == "NumPy":
        rule = bp.Rule("sin", forward=np.sin, vjp=lambda x, g: g * np.cos(x), inputs=inputs)
    report = bp.check(rule, points=40, dtypes=["float64"])
    calls = {p.name: p.evidence.calls for p in report.properties}
    if shaped == "NumPy":
        assert calls["vjp"]["plain"] > 0 < calls["vjp"]["layouts"]
    else:
        assert all(calls[name]["plain"] > 0 < calls[name]["jitted"] for name in ("vjp", "primal"))
    assert int(report.to_dataframe()["calls_plain"].min()) > 0


def test_without_balls_the_black_box_is_named() -> None:
    p = result(layers={"black box": LayerTally(30, 30), "differences": LayerTally(90, 80)})
    p.evidence.at("n=3", {"black box": 30, "differences": 80}, "full")
    assert is_black_box(p) and rests_on(p) == "judged as a black box, by differences, at 30 points of 1 size"
    p.layers["exact"] = LayerTally(4, 4)
    p.evidence.at("n=3", {"exact": 4}, "full")
    assert not is_black_box(p)
    assert rests_on(p) == "judged in balls at 4 points and as a black box, by differences, at 30 points of 1 size"


def test_sizes_without_a_value_are_left_out() -> None:
    p = result()
    p.evidence.at("n=3", {"exact": 30}, "full", inside=30)
    p.evidence.at("n=1", {}, "thin", inside=0)
    p.evidence.at("n=9", {}, "full", inside=4)
    assert rests_on(p) == (
        "judged in balls at 30 points of 1 size; 1 size left out: forward has no finite value at n=1; "
        "1 size left out: no layer could tell at n=9"
    )
    p.verdict = Verdict.FALSIFIED
    assert "left out" not in rests_on(p), "the search ended before"


def test_a_size_at_which_forward_is_never_finite_is_told() -> None:
    def spread(x: Any) -> Any:
        return jnp.var(x, ddof=1)

    rule = bp.Rule(
        "spread",
        forward=spread,
        vjp=lambda x, g: 2 * g * (x - x.mean()) / (x.size - 1),
        inputs={"x": bp.array("n")},
    )
    held = bp.check(rule, points=200, dtypes=["float64"])
    assert held.ok and "1 size left out: forward has no finite value at n=1" in str(held)


def test_nothing_known_is_nothing_said() -> None:
    assert rests_on(result()) == "" and accuracy(result()) == ""


@pytest.mark.parametrize(
    ("layer", "got", "oracle", "said"),
    [
        ("exact", 2.0, "dual balls", OVER_REALS),
        ("exact", None, "smooth pieces", NO_VALUE),
        ("exact", math.nan, "smooth pieces", NO_VALUE),
        ("black box", 2.0, "finite differences", BLACK_BOX),
        ("wide", 2.0, "in float64", MEANING[Verdict.FALSIFIED]),
    ],
)
def test_over_the_reals_is_said_where_balls_decided(layer: str, got: float | None, oracle: str, said: str) -> None:
    refuted = result(Verdict.FALSIFIED, counterexample=point(got, oracle), layers={layer: LayerTally(3, refuted=3)})
    assert meaning([result(), refuted]) == said


def test_right_over_the_reals_is_said_where_balls_agreed() -> None:
    lost = result(Verdict.INACCURATE)
    assert meaning([lost]) == MEANING[Verdict.INACCURATE]
    lost.evidence.at("n=3", {"exact": 30}, "full")
    assert meaning([lost]) == NOT_IN_FLOATS
    assert meaning([]) == MEANING[Verdict.INCONCLUSIVE]


def test_an_error_is_a_multiple_of_what_conditioning_forces() -> None:
    held = result(max_ulp=2.7e305, grade="stable", grade_factor=1.234, grade_region="large: x = 1e300")
    assert accuracy(held) == "stable (error up to 1.23 times what conditioning forces)"
    held.grade = "lost"
    assert accuracy(held) == "lost for large: x = 1e300 (error up to 1.23 times what conditioning forces)"
    held.verdict = Verdict.FALSIFIED
    assert accuracy(held) == "", "a wrong formula has no grade"


def error_function(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(float(v)) for v in x])


def slope(x: np.ndarray) -> np.ndarray:
    return np.array([math.exp(-(float(v) ** 2)) * 2 / math.sqrt(math.pi) for v in x])


def test_a_report_of_code_that_can_only_be_called_says_so() -> None:
    inputs = {"x": bp.array("n", low=-3, high=3)}
    right = bp.Rule("erf", forward=error_function, vjp=lambda x, g: g * slope(x), inputs=inputs)
    wrong = bp.Rule("erf", forward=error_function, vjp=lambda x, g: g * slope(x) / 2, inputs=inputs)
    few: dict[str, Any] = {"points": 100, "dtypes": ["float64"]}
    held, refused = bp.check(right, **few), bp.check(wrong, **few)
    assert held.ok and "judged as a black box, by differences, at" in str(held)
    assert f"falsified ({BLACK_BOX})" in str(refused) and "over the reals" not in str(refused)
    for report in (held, refused):
        assert set(report.subject.front_end.values()) == {"black box"}
        frame = report.to_dataframe()
        assert set(frame["judged_by"]) == {"black box"}
        assert (frame["uncleared"] == 0).all() and (frame["sizes_left_out"] == 0).all()
