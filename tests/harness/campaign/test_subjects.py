"""A whole rule: all its properties at all dtypes, replay, and the same bytes in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.evaluate_again import replay
from backprove.harness.explaining.replay import Payload, decode_id, payload_of
from backprove.harness.judging.binders import binders_of
from backprove.harness.statements.claims import Adjointness, Derivative, Equality, Positivity
from backprove.harness.statements.theorem import Theorem

TINY = """
import json
import numpy as np
import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.records import to_plain

def plain(vjp):
    rule = bp.Rule("tanh", forward=np.tanh, vjp=vjp, inputs={"x": bp.array("*batch n")})
    data = to_plain(subjects.run(rule, points=300, dtypes=["float64", "float32"], seed=5))
    for p in data["properties"]:
        del p["seconds"]
    return data

print(json.dumps([plain(lambda x, g: g * (1 - np.tanh(x) ** 2)), plain(lambda x, g: g * (1 - np.tanh(x)))]))
"""

SQUARES = """
import backprove as bp

right = bp.Rule("right", forward=lambda x: x * x, vjp=lambda x, g: 2 * x * g, inputs={"x": bp.array("n")})
wrong = bp.Rule("wrong", forward=lambda x: x * x, vjp=lambda x, g: x * g, inputs={"x": bp.array("n")})
"""


def square_rule(**changes: Any) -> bp.Rule:
    parts: dict[str, Any] = {
        "forward": lambda x: x * x,
        "jvp": lambda x, t: 2 * x * t,
        "vjp": lambda x, g: 2 * x * g,
        "reference": np.square,
        "inputs": {"x": bp.array("n")},
    }
    return bp.Rule("square", **{**parts, **changes})


def test_every_property_at_every_dtype() -> None:
    dtypes = ["float64", "float32", "bfloat16", "float16"]
    subject = subjects.run(square_rule(), points=100, dtypes=dtypes)
    assert [(p.dtype, p.name) for p in subject.properties] == [
        (d, n) for d in dtypes for n in ("jvp", "vjp", "adjointness", "reference")
    ]
    assert subject.verdict is Verdict.HOLDS, [p.reason for p in subject.properties]
    assert subject.points >= 100
    assert all(p.seconds > 0 for p in subject.properties)
    assert subject.front_end["forward"] == "jax"


@pytest.mark.parametrize(
    "changes, refused",
    [
        ({"jvp": lambda x, t: x * t}, {"jvp", "adjointness"}),
        ({"vjp": lambda x, g: x * g}, {"vjp", "adjointness"}),
        ({"jvp": lambda x, t: x * t, "vjp": lambda x, g: x * g}, {"jvp", "vjp"}),
        ({"reference": lambda x: x * x + 1}, {"reference"}),
    ],
)
def test_only_what_is_wrong_is_refused(changes: dict[str, Any], refused: set[str]) -> None:
    subject = subjects.run(square_rule(**changes), points=100, dtypes=["float64"])
    assert {p.name for p in subject.properties if p.verdict is Verdict.FALSIFIED} == refused
    assert {p.name for p in subject.properties if p.verdict is Verdict.HOLDS} == {
        "jvp",
        "vjp",
        "adjointness",
        "reference",
    } - refused


def test_spot_values_of_a_refused_rule() -> None:
    subject = subjects.run(square_rule(vjp=lambda x, g: x * g), points=100, dtypes=["float64"])
    (spot,) = subject.source["spots"]
    assert spot["inputs"] == {"x": [1.0, 2.0, 3.0]}
    assert (spot["got"], spot["expected"]) == ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert subjects.run(square_rule(), points=100, dtypes=["float64"]).source["spots"] == []


def test_the_claims_of_a_theorem_have_names_of_their_own() -> None:
    def square(x: Any) -> Any:
        return (x * x).sum()

    claims = (
        Derivative(square, lambda x: 2 * x, "vjp", unit_cotangent=True),
        Derivative(square, lambda x, t: (2 * x * t).sum(), "jvp"),
        Adjointness(square, lambda x, t: (2 * x * t).sum(), lambda x, g: 2 * x * g),
        Equality(square, lambda x: (x**2).sum()),
        Equality(lambda x: x + x, lambda x: 2 * x),
        Positivity(lambda x: square(x) + 1),
    )
    theorem = Theorem("square", {"x": bp.array("n")}, claims)
    names = ["gradient", "jvp", "adjointness", "equality 1", "equality 2", "positivity"]
    assert [b.name for b in binders_of(theorem)] == names
    subject = subjects.run(theorem, points=100, dtypes=["float64"])
    assert [p.verdict for p in subject.properties] == [Verdict.HOLDS] * len(names)
    assert subject.kind == "theorem"


def test_the_same_bytes_whatever_the_hash_seed(root: Path) -> None:
    outputs = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-c", TINY], env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert '"holds"' in outputs.pop()


# -- replay ------------------------------------------------------------------------------------------------------------


def test_a_failing_point_fails_again_by_its_id(tmp_path: Path) -> None:
    file = tmp_path / "squares_to_replay.py"
    file.write_text(SQUARES, encoding="utf-8")
    from backprove.harness.statements.loading import load_rules

    wrong = next(f.rule for f in load_rules(str(file)) if f.rule.name == "wrong")
    subject = subjects.run(wrong, points=100, dtypes=["float64"])
    example = subject.properties[0].counterexample
    assert example is not None
    payload = decode_id(example.id)
    assert payload == payload_of(subject, example)
    text = replay(payload)
    assert "falsified" in text
    assert "x = [1.0]" in text
    assert replay(replace(payload, name="right")) == ""
    for name, words in (("missing", "no rule named"), ("wrong", "no property")):
        with pytest.raises(UsageError, match=words):
            replay(replace(payload, name=name, property="vpj"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": "float8"}, "there is no dtype 'float8'"),
        ({"inputs": {}}, "does not fit the inputs of wrong"),
        ({"inputs": {"x": ["no number"]}}, "does not fit the inputs of wrong"),
        ({"inputs": {"x": ["0x1p+9999"]}}, "does not fit the inputs of wrong"),
        ({"inputs": {"x": [["0x1p+0"], []]}}, "does not fit the inputs of wrong"),
    ],
)
def test_an_id_of_a_point_that_does_not_fit_is_wrong_use(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = tmp_path / "squares_of_other_sizes.py"
    file.write_text(SQUARES, encoding="utf-8")
    right = Payload("rule", "wrong", str(file), "vjp", "float64", {"x": ["0x1p+0"]}, {}, {"out": [1.0]})
    assert "falsified" in replay(right)
    with pytest.raises(UsageError, match=words):
        replay(replace(right, **changes))


def test_binders_follow_the_rule() -> None:
    assert [b.name for b in binders_of(square_rule(jvp=None, reference=None))] == ["vjp"]
    assert [b.name for b in binders_of(square_rule(vjp=None, reference=None))] == ["jvp"]


SINE = bp.Rule(
    "sine",
    forward=np.sin,
    jvp=lambda x, t: t * np.cos(x),
    vjp=lambda x, g: -g * np.cos(x),
    inputs={"x": bp.array("n", low=-3, high=3)},
)


def stop(*arguments: Any, **options: Any) -> Any:
    raise ZeroDivisionError("a layer fell over")


def test_a_fault_of_ours_about_one_property_is_its_own_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = subjects.Judge.run

    def falls_over(judge: Any) -> Any:
        return stop() if judge.binder.name == "jvp" else run(judge)

    monkeypatch.setattr(subjects.Judge, "run", falls_over)
    found = {p.name: p for p in bp.check(SINE, points=20, dtypes=["float64"]).properties}
    assert found["vjp"].verdict is Verdict.FALSIFIED
    assert found["jvp"].verdict is Verdict.ERROR
    reason = found["jvp"].reason
    assert "backprove itself failed here" in reason and "ZeroDivisionError: a layer fell over" in reason


@pytest.mark.parametrize("part", ["build", "_spots", "_front_ends"])
def test_a_fault_while_a_refusal_is_described_leaves_the_refusal(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, part, stop)
    report = bp.check(SINE, points=20, dtypes=["float64"])
    assert report.verdict is Verdict.FALSIFIED
    assert any("ZeroDivisionError: a layer fell over" in n for p in report.properties for n in p.notes)


def test_a_fault_before_any_property_is_an_error_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "binders_of", stop)
    report = bp.check(SINE, points=20, dtypes=["float64"])
    assert {"jvp", "vjp"} <= {p.name for p in report.properties}
    assert {p.verdict for p in report.properties} == {Verdict.ERROR}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, UsageError])
def test_an_interrupt_and_wrong_use_are_no_faults_of_ours(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(judge: Any) -> Any:
        raise kind("now")

    monkeypatch.setattr(subjects.Judge, "run", interrupted)
    with pytest.raises(kind):
        bp.check(SINE, points=20, dtypes=["float64"])
