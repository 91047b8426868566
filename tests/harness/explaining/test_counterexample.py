"""Counterexamples: minimal, complete, and a test that fails on the wrong rule only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.results import Counterexample
from backprove.harness.explaining.counterexample import hexadecimal, number

LOG_SOFTMAX = """
import numpy as np
import backprove as bp


def logsoftmax(z):
    c = z.max(axis=1, keepdims=True)
    return z - c - np.log(np.exp(z - c).sum(axis=1, keepdims=True))


def backward(z, g):
    return {formula}


rule = bp.Rule("logsoftmax", forward=logsoftmax, vjp=backward, inputs={{"z": bp.array("m n")}})
"""
WRONG = "g * (1 - np.exp(logsoftmax(z)))"
RIGHT = "g - np.exp(logsoftmax(z)) * g.sum(axis=1, keepdims=True)"


def example_of(rule: bp.Rule, **options: Any) -> Counterexample:
    result = subjects.run(rule, **{"points": 300, "dtypes": ["float64"], **options}).properties[0]
    assert result.counterexample is not None
    return result.counterexample


def rule_of(forward: Callable[..., Any], vjp: Callable[..., Any], **inputs: Any) -> bp.Rule:
    return bp.Rule("f", forward=forward, vjp=vjp, inputs=inputs or {"x": bp.array("n")})


def run_test(folder: Path, formula: str, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "rules_to_paste.py").write_text(LOG_SOFTMAX.format(formula=formula), encoding="utf-8")
    (folder / "test_pasted.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "empty.ini", "test_pasted.py"]
    (folder / "empty.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(
        f"import sys\n\nsys.path[:0] = [{str(folder)!r}, {str(Path(__file__).resolve().parents[3])!r}]\n",
        encoding="utf-8",
    )
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_the_log_softmax_and_its_pasted_test(tmp_path: Path) -> None:
    from backprove.harness.statements.loading import load_rules

    file = tmp_path / "rules_to_paste.py"
    file.write_text(LOG_SOFTMAX.format(formula=WRONG), encoding="utf-8")
    (found,) = load_rules(str(file))
    example = example_of(found.rule)
    assert example.inputs == {"z": [[0.0, 0.0]]}
    assert example.inputs_hex == {"z": [["0x0.0p+0", "0x0.0p+0"]]}
    assert np.count_nonzero(example.cotangents["cotangent"]) == 1
    assert (example.property, example.dtype, example.argument) == ("vjp", "float64", "z")
    assert example.oracle
    assert example.message.startswith("At z = [[0.0, 0.0]]")
    assert example.jacobians is not None
    assert np.allclose(example.jacobians["rule"], np.eye(2) / 2)
    assert np.allclose(example.jacobians["true"], np.eye(2) - 0.5)
    compile(example.test, "test", "exec")
    wrong = run_test(tmp_path, WRONG, example.test)
    assert wrong.returncode == 1, wrong.stdout + wrong.stderr
    assert "AssertionError" in wrong.stdout or "assert" in wrong.stdout
    right = run_test(tmp_path, RIGHT, example.test)
    assert right.returncode == 0, right.stdout + right.stderr


@pytest.mark.parametrize(
    "forward, vjp, region, got, low, high",
    [
        (np.abs, lambda x, g: g * np.where(x >= 0, 2.0, -1.0) / np.where(x > 0, 2.0, 1.0), "kink", 2.0, -1.0, 1.0),
        (lambda x: np.maximum(x, 0), lambda x, g: g * np.where(x == 0, -1.0, x > 0), "kink", -1.0, 0.0, 1.0),
    ],
    ids=["abs", "relu"],
)
def test_a_kink_shows_the_whole_range(
    forward: Callable[..., Any], vjp: Callable[..., Any], region: str, got: float, low: float, high: float
) -> None:
    example = example_of(rule_of(forward, vjp))
    assert example.region == region
    assert example.inputs == {"x": [0.0]}
    (g,) = example.cotangents["cotangent"]
    assert example.got == got * g
    assert example.expected == sorted([low * g, high * g])
    assert "between" in example.message
    assert "<= got <=" in example.test


def test_a_rule_that_raises_is_called_in_its_pasted_test() -> None:
    def backward(x: Any, g: Any) -> Any:
        raise ValueError("no slope")

    example = example_of(rule_of(lambda x: x * x, backward))
    assert "rule.vjp(x, g)  # vjp raised ValueError: no slope" in example.test


def test_the_tangent_of_an_input_is_called_so_whatever_the_input_is_called() -> None:
    inputs = {"tangential": bp.array("n")}
    rule = bp.Rule("f", forward=lambda tangential: tangential**2, jvp=lambda t, dt: t * dt, inputs=inputs)
    example = example_of(rule)
    assert set(example.tangents) == {"tangential"} and not example.cotangents
    assert "tangent of tangential = [" in example.message


def test_an_adjointness_has_tangents_and_cotangents() -> None:
    rule = bp.Rule(
        "f",
        forward=lambda x: x * x,
        jvp=lambda x, dx: 2 * x * dx,
        vjp=lambda x, g: 3 * x * g,
        inputs={"x": bp.array("n")},
    )
    (found,) = (p for p in subjects.run(rule, points=60, dtypes=["float64"]).properties if p.name == "adjointness")
    assert found.counterexample is not None
    assert set(found.counterexample.tangents) == {"tangent of x"}
    assert set(found.counterexample.cotangents) == {"cotangent"}
    assert "tangent of x = [" in found.counterexample.message
    assert "tangent of tangent" not in found.counterexample.message


def test_the_wrong_argument_and_entry_are_named() -> None:
    def backward(x: Any, y: Any, g: Any) -> Any:
        return g * y, g * (x + (np.arange(3) == 1))

    example = example_of(rule_of(lambda x, y: x * y, backward, x=bp.array("3"), y=bp.array("3")))
    assert (example.argument, example.entry) == ("y", [1])
    assert example.got != example.expected


def test_integers_and_masks_are_shown_as_they_are() -> None:
    def forward(x: Any, k: Any, m: Any) -> Any:
        return np.where(m, x * k, 0.0)

    inputs = {"x": bp.array("n"), "k": bp.array("n", dtype="int32"), "m": bp.array("n", kind="mask")}
    example = example_of(rule_of(forward, lambda x, k, m, g: g * k, **inputs))
    assert example.inputs["m"] == [False]
    assert isinstance(example.inputs["k"][0], int)
    assert example.inputs_hex["k"] == example.inputs["k"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_every_dtype_has_its_example(dtype: str) -> None:
    example = example_of(rule_of(lambda x: x * x, lambda x, g: x * g), dtypes=[dtype])
    assert example.dtype == dtype
    assert example.inputs == {"x": [1.0]}


def test_hexadecimal_reads_back() -> None:
    a = np.array([[0.1, -0.0], [np.inf, 5e-324]])
    back = [[float.fromhex(v) for v in row] for row in hexadecimal(a)]
    assert np.array_equal(back, a)
    assert np.signbit(back[0][1])
    assert hexadecimal(np.array([1, 2])) == [1, 2]
    assert hexadecimal(np.zeros((0, 2))) == []


def test_numbers_in_words() -> None:
    assert (number(None), number(np.float64(0.1)), number(1)) == ("none", "0.1", "1.0")
