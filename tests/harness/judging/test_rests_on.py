"""A claim holds on evidence only: inside the domain, on arrays with entries, with no objection left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.objections import cleared, in_rounds
from backprove.harness.judging.opaque_code import CodeLayers
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.problem import Outcome, Status
from backprove.rules.all import load


def judged(rule: bp.Rule, points: int = 300) -> PropertyResult:
    return bp.check(rule, points=points, dtypes=["float64"]).properties[0]


# -- output shapes are found inside the domain ------------------------------------------------------------------------


def shifted_log(x: np.ndarray) -> np.ndarray:
    return np.array([math.log(float(v) - 1) for v in x])


def inverse(a: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.linalg.inv(a))


def regular(a: np.ndarray) -> bool:
    return not a.size or bool(np.linalg.cond(a) < 50)


def pick(x: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Code that only real numbers run through, and that raises for an index which the array lacks."""
    if (i >= len(x)).any():
        raise IndexError("no such entry")
    return np.array([float(x[int(k)]) for k in i])


def pick_right(x: np.ndarray, i: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(x.shape)
    for k, v in zip(i, g, strict=True):
        out[int(k)] += v
    return out


def pick_wrong(x: np.ndarray, i: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(x.shape)
    for k, v in zip(i, g, strict=True):
        out[int(k)] = v  # an index that comes twice counts once
    return out


def ordered(a: float, b: float) -> np.ndarray:
    if not float(a) > float(b):
        raise ValueError("a must be above b")
    return np.array(math.log(float(a) - float(b)))


def ordered_right(a: Any, b: Any, g: Any) -> Any:
    return g / (a - b), -g / (a - b)


def ordered_wrong(a: Any, b: Any, g: Any) -> Any:
    return g / (a - b), g / (a - b)


BOX = bp.array("", low=0, high=1)
CALLED: dict[str, dict[str, Any]] = {
    "bounds": {
        "forward": shifted_log,
        "right": lambda x, g: g / (x - 1),
        "wrong": lambda x, g: 2 * g / (x - 1),
        "inputs": {"x": bp.array("n", low=2, high=9)},
    },
    "regular": {
        "forward": inverse,
        "right": lambda a, g: -inverse(a).T @ g @ inverse(a).T,
        "wrong": lambda a, g: -inverse(a) @ g @ inverse(a),
        "inputs": {"a": bp.array("n n", low=-1, high=1)},
        "where": regular,
    },
    "index": {
        "forward": pick,
        "right": pick_right,
        "wrong": pick_wrong,
        "inputs": {"x": bp.array("v"), "i": bp.array("n", kind="index", high="v")},
    },
    "where": {
        "forward": ordered,
        "right": ordered_right,
        "wrong": ordered_wrong,
        "inputs": {"a": BOX, "b": BOX},
        "where": lambda a, b: a - b > 0.01,
    },
}


@pytest.mark.parametrize("key", CALLED)
def test_code_that_raises_outside_its_domain_is_judged_inside(key: str) -> None:
    case = dict(CALLED[key])
    right, wrong = case.pop("right"), case.pop("wrong")
    held = judged(bp.Rule(key, vjp=right, **case))
    assert held.verdict is Verdict.HOLDS, held.reason
    assert sum(n for size, n in held.shapes.items() if "=0" not in size) >= 250
    assert judged(bp.Rule(key, vjp=wrong, **case)).verdict is Verdict.FALSIFIED


def test_both_sides_of_an_identity_are_called_inside_the_domain() -> None:
    for factor, verdict in ((1.0, Verdict.HOLDS), (1.0001, Verdict.FALSIFIED)):
        rule = bp.Rule(
            "shifted log",
            forward=shifted_log,
            vjp=lambda x, g: g / (x - 1),
            inputs={"x": bp.array("n", low=2, high=9)},
            reference=lambda x, factor=factor: factor * jnp.log(x - 1),  # type: ignore[misc]
        )
        (found,) = [p for p in bp.check(rule, points=200, dtypes=["float64"]).properties if p.name == "reference"]
        assert found.verdict is verdict, found.reason
        assert "n=3" in found.evidence.sizes and not found.evidence.left_out


# -- sizes ------------------------------------------------------------------------------------------------------------


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b


def product_vjp(a: np.ndarray, b: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return g @ b.T, a.T @ g


def test_sizes_at_which_forward_raises_make_it_inconclusive() -> None:
    inputs = {"a": bp.array("m n"), "b": bp.array("m n")}
    found = judged(bp.Rule("product", forward=product, vjp=product_vjp, inputs=inputs))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "forward raises ValueError at (m=3, n=5)" in found.reason
    assert "matmul" in found.reason
    inputs = {"a": bp.array("m n"), "b": bp.array("n k")}
    assert judged(bp.Rule("product", forward=product, vjp=product_vjp, inputs=inputs)).verdict is Verdict.HOLDS


def test_a_wrong_rule_is_refused_although_forward_raises_at_some_sizes() -> None:
    inputs = {"a": bp.array("m n"), "b": bp.array("m n")}
    rule = bp.Rule("product", forward=product, vjp=lambda a, b, g: (g @ b, a.T @ g), inputs=inputs)
    assert judged(rule).verdict is Verdict.FALSIFIED


def only_at(least: int) -> Callable[..., Any]:
    def forward(x: np.ndarray) -> np.ndarray:
        if x.size >= least:
            raise ValueError("too many")
        return np.sin(x)

    return forward


def test_single_entries_and_empty_arrays_are_no_evidence() -> None:
    for most, words in ((2, "single entry"), (1, "empty arrays")):
        for vjp in (lambda x, g: g * np.cos(x), lambda x, g: g * np.cos(x.sum())):
            found = judged(bp.Rule("sine", forward=only_at(most), vjp=vjp, inputs={"x": bp.array("n")}))
            assert found.verdict is Verdict.INCONCLUSIVE
            assert words in found.reason and "forward raises ValueError" in found.reason


def test_a_condition_that_leaves_single_entries_is_no_evidence() -> None:
    rule = bp.Rule(
        "sine",
        forward=np.sin,
        vjp=lambda x, g: g * np.cos(x.sum()),  # right for one entry
        inputs={"x": bp.array("n")},
        where=lambda x: x.size < 2,
    )
    found = judged(rule)
    assert found.verdict is Verdict.INCONCLUSIVE and "single entry" in found.reason


# -- objections -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact layer is undecided everywhere."""

    def undecided(layer: ExactLayer, problem: Any, x: list[np.ndarray], d: list[np.ndarray]) -> list[Outcome]:
        return [Outcome(Status.UNDECIDED) for _ in range(x[0].shape[-1])]

    monkeypatch.setattr(ExactLayer, "derivative", undecided)


def sine(vjp: Callable[..., Any]) -> bp.Rule:
    return bp.Rule("sine", forward=jnp.sin, vjp=vjp, inputs={"x": bp.array("n", low=-3, high=3)})


@pytest.mark.usefixtures("nothing_is_told")
def test_where_the_exact_layer_cannot_tell_differences_are_asked() -> None:
    assert judged(sine(lambda x, g: 0 * g)).verdict is Verdict.FALSIFIED
    held = judged(sine(lambda x, g: g * jnp.cos(x)))
    assert held.verdict is Verdict.HOLDS, held.reason


@pytest.mark.usefixtures("nothing_is_told")
def test_an_objection_that_nobody_cleared_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CodeLayers, "decide", lambda *_: None)
    found = judged(sine(lambda x, g: 0 * g))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "differences object at" in found.reason
    assert found.evidence.uncleared["differences"] > 100
    assert judged(sine(lambda x, g: g * jnp.cos(x))).verdict is Verdict.HOLDS


def test_suspicious_points_beyond_the_cap_are_looked_at_in_further_rounds() -> None:
    suspicious = np.ones(10, dtype=bool)
    asked = np.arange(10) < 2
    outcomes: list[Outcome | None] = [None] * 10
    seen = []
    for index in in_rounds(asked, suspicious, 3, outcomes):
        seen.append(index.tolist())
        for i in index:
            outcomes[i] = Outcome(Status.AGREES)
    assert seen == [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9]]


@pytest.mark.parametrize("status", [Status.REFUTED, Status.UNDECIDED])
def test_rounds_end_with_a_refusal_and_where_nothing_is_told(status: Status) -> None:
    outcomes: list[Outcome | None] = [None] * 10
    rounds = 0
    for index in in_rounds(np.zeros(10, dtype=bool), np.ones(10, dtype=bool), 3, outcomes):
        rounds += 1
        for i in index:
            outcomes[i] = Outcome(status)
    assert rounds == 1
    assert cleared(outcomes, [None] * 10).sum() == (3 if status is Status.REFUTED else 0)


def test_a_screen_that_saw_overflow_objects_to_nothing() -> None:
    """At 10,000 the hyperbolic sine overflows, so that its screen compares no numbers, and balls become too wide."""
    (theorem,) = [t for name, t in load().items() if name.endswith("TapeNodes.sinh")]
    subject = subjects.run(theorem, points=10_000, dtypes=["float64"], seed=0, accuracy=None)
    assert subject.verdict is Verdict.HOLDS, [p.reason for p in subject.properties]


def test_kinks_that_are_left_alone_do_not_end_the_rounds() -> None:
    """Of 10,000 points of a relu, hundreds lie at kinks, of which few are examined."""
    for status, rounds in ((Status.UNEXAMINED, 5), (Status.UNDECIDED, 2)):
        outcomes: list[Outcome | None] = [None] * 40
        seen = []
        for index in in_rounds(np.zeros(40, dtype=bool), np.ones(40, dtype=bool), 12, outcomes):
            seen.append(index)
            for i in index.tolist():
                outcomes[i] = Outcome(status)
        assert len(seen) == rounds
