"""Theorems of a user: what is stated is judged, and what is stated wrongly is said in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.statements.loading import find_subject, load_rules, load_theorems
from backprove.harness.statements.own_theorem import OwnTheorem

N = bp.array("n")


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What loading adds to the import path goes after each test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def square(x: Any) -> Any:
    return x * x


def stated(claim: Any, **inputs: Any) -> OwnTheorem:
    return bp.theorem("it", claim, inputs=inputs or {"x": N})


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize(
    "claim",
    [
        lambda f: bp.Derivative(square, lambda x, dx: f * x * dx, mode="jvp"),
        lambda f: bp.Derivative(square, lambda x, g: f * g * x, mode="vjp"),
        lambda f: bp.Derivative(lambda x: jnp.sum(x * x), lambda x: f * x, mode="vjp", unit_cotangent=True),
        lambda f: bp.Equality(lambda x: (x + 1) ** 2, lambda x: x * x + f * x + 1),
        lambda f: bp.Adjointness(np.sin, lambda x, dx: 2 * dx * np.cos(x), lambda x, g: f * g * np.cos(x)),
    ],
    ids=["jvp", "vjp", "gradient", "equality", "adjointness"],
)
def test_every_claim_is_judged(claim: Any, right: bool) -> None:
    report = bp.check(stated(claim(2 if right else 3)), points=40, dtypes=["float64"])
    assert report.verdict is (Verdict.HOLDS if right else Verdict.FALSIFIED)
    assert report.ok or report.counterexamples


@pytest.mark.parametrize(("shift", "verdict"), [(1, Verdict.HOLDS), (-1, Verdict.FALSIFIED)])
def test_positivity_is_judged(shift: int, verdict: Verdict) -> None:
    assert bp.check(stated(bp.Positivity(lambda x: jnp.sum(x * x) + shift)), points=40).verdict is verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1, Verdict.HOLDS), (2, Verdict.FALSIFIED)])
def test_inputs_with_a_structure_move_along_tangents(factor: int, verdict: Verdict) -> None:
    """d log det(a) = tr(a^-1 da), for symmetric da; the other triangle of the cotangent is nobody's business."""
    claim = bp.Derivative(lambda a: jnp.linalg.slogdet(a)[1], lambda a, g: factor * g * jnp.linalg.inv(a), mode="vjp")
    theorem = stated(claim, a=bp.array("2 2", kind="spd"))
    assert theorem.flat is theorem.flat.flat and theorem.flat is not theorem
    assert bp.check(theorem, points=30, dtypes=["float64"]).verdict is verdict


def test_a_derivative_by_one_of_several_inputs() -> None:
    def claim(wrt: Any) -> Any:
        return bp.Derivative(lambda x, y: x * y, lambda x, y, g: g * y, mode="vjp", wrt=wrt)

    theorem = bp.theorem("wrt", claim(["x"]), inputs={"x": N, "y": N}, where=lambda x, y: bool((y > 0).all()))
    assert bp.check(theorem, points=30, dtypes=["float64"]).ok
    assert not bp.check(bp.theorem("wrt", claim(("y",)), inputs={"x": N, "y": N}), points=30).ok


INPUTS = {"x": N}
POSITIVE = bp.Positivity(square)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: bp.theorem("", POSITIVE, inputs=INPUTS), "the name must be a string"),
        (lambda: bp.theorem(POSITIVE, inputs=INPUTS), "the name must be a string such as"),  # type: ignore[arg-type]
        (lambda: bp.theorem("a", inputs=INPUTS), r"no claim given; give one or more of bp\.Derivative"),
        (lambda: bp.theorem("a", square, inputs=INPUTS), "a claim is one of bp.Derivative"),  # type: ignore[arg-type]
        (lambda: bp.theorem("a", POSITIVE, inputs={}), "inputs is empty; give every variable"),
        (lambda: bp.theorem("a", POSITIVE, inputs=["x"]), "inputs must map argument names"),  # type: ignore[arg-type]
        (lambda: bp.theorem("a", POSITIVE, inputs={"x": "n"}), r"write bp\.array\('n'\)"),  # type: ignore[dict-item]
        (lambda: bp.theorem("a", POSITIVE, inputs={"x": bp.array("n", dtype="complex")}), "'x' is complex"),
        (lambda: bp.theorem("a", POSITIVE, inputs={"x": bp.array("n", dtype="int64", high="m", kind="index")}), "'m'"),
        (lambda: bp.theorem("a", POSITIVE, inputs={"x": N, "y": N}), r"Positivity: value\(x.*wrong number"),
        (lambda: bp.theorem("a", POSITIVE, inputs=INPUTS, where=lambda x, y: True), "where.*wrong number"),
        (lambda: bp.theorem("a", POSITIVE, inputs=INPUTS, words=3), "words must be a string"),  # type: ignore[arg-type]
        (lambda: bp.theorem("a", POSITIVE, inputs=INPUTS, rests_on="b"), "rests_on must be a list of names"),
        (lambda: stated(bp.Derivative(square, lambda x: x, mode="vjp")), "rule.*one cotangent per output"),
        (lambda: stated(bp.Derivative(square, lambda x, dx, dy: x, mode="jvp")), "rule.*one tangent per diff"),
        (lambda: stated(bp.Derivative(square, square, mode="vjp", wrt=("y",))), "wrt names 'y', which is no input"),
        (lambda: stated(bp.Equality(lambda y, x: x, lambda x, y: x), x=N, y=N), "Equality: left takes y, x but is"),
        (lambda: stated(bp.Derivative(square, square, mode="fwd")), 'mode must be "jvp" or "vjp", got \'fwd\''),
        (lambda: stated(bp.Derivative(square, 3.0, mode="vjp")), r"rule must be a function .*got 3\.0"),
        (lambda: stated(bp.Derivative(square, square, mode="vjp", wrt="x")), "wrt must be a tuple"),
        (lambda: stated(bp.Equality(square, None)), "right must be a function"),  # type: ignore[arg-type]
        (lambda: stated(bp.Equality(square, square, labels="ab")), "labels must be two texts"),  # type: ignore[arg-type]
        (lambda: stated(bp.Positivity([1])), "value must be a function"),  # type: ignore[arg-type]
        (lambda: stated(bp.Adjointness(square, square, 1)), "vjp must be a function"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_stated_wrongly_is_said(state: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        state()


FILE = """
import backprove as bp
from {common} import shared, state

def here(name):
    return bp.theorem(name, bp.Positivity(lambda x: x * x), inputs={{"x": bp.array("n")}})

for name in ("one", "two"):
    here(name)
ALL = {{"three": state("three")}}
"""
COMMON = """
import backprove as bp

def state(name):
    return bp.theorem(name, bp.Positivity(lambda x: x * x), inputs={"x": bp.array("n")})

state("of the module")
shared = state("shared")
"""


def write(folder: Path) -> str:
    common = f"common_{abs(hash(folder))}"
    (folder / f"{common}.py").write_text(COMMON)
    file = folder / "theorems.py"
    file.write_text(FILE.format(common=common))
    return str(file)


def test_a_file_has_what_it_states_and_what_its_variables_hold(tmp_path: Path) -> None:
    file = write(tmp_path)
    for _ in range(2):  # the second time the other module is imported already
        found = load_theorems(file)
        assert [t.name for t in found] == ["one", "two", "three", "shared"]
        lines = [t.source[1] for t in found[:3]]
        assert lines == [9, 9, 10] and {t.source[0] for t in found[:3]} == {str(Path(file).resolve())}
    assert "def here" not in found[0].code and "bp.theorem(name" in found[0].code
    assert [t.name for t in load_theorems(f"{file}::shared")] == ["shared"]
    assert [t.name for t in load_theorems(f"{file}::two")] == ["two"]
    assert find_subject("own theorem", "three", file).name == "three"
    for name, message in (("four", "no theorem is called 'four'"), ("", "no name after")):
        with pytest.raises(UsageError, match=message):
            load_theorems(f"{file}::{name}")
    with pytest.raises(UsageError, match="states no theorem named 'four'"):
        find_subject("own theorem", "four", file)
    with pytest.raises(UsageError, match=r"no rule found.*its theorems, 4 in all, are checked by backprove verify"):
        load_rules(file)


def test_a_file_without_theorems_and_one_that_states_a_name_twice(tmp_path: Path) -> None:
    file = tmp_path / "rules.py"
    file.write_text("import backprove as bp\nr = bp.Rule('a', forward=abs, vjp=pow, inputs={'x': bp.array('n')})\n")
    with pytest.raises(UsageError, match=r"no theorem found.*its rules are checked by backprove check"):
        load_theorems(str(file))
    file.write_text(
        "import backprove as bp\n"
        "for k in range(2):\n    bp.theorem('same', bp.Positivity(abs), inputs={'x': bp.array('n')})\n"
    )
    with pytest.raises(UsageError, match="theorem 'same' is stated twice, in lines 3 and 3"):
        load_theorems(str(file))
