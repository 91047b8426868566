"""The measuring scripts measure: alarms, kills with their layer, times, and what the usual checkers say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from scripts import peers
from scripts.measurement_tables import write_tables
from scripts.soak import main
from scripts.soaking import catch, hunt, soak
from tests.mutants.mutants import MUTANTS
from tests.mutants.problem import Problem
from tests.mutants.rules import PROBLEMS


def test_a_right_rule_raises_no_alarm_and_every_layer_is_timed() -> None:
    found = soak(PROBLEMS["sigmoid"], "textbook", "float32", 500, 0)
    assert found.alarms == {} and found.points >= 500 and found.beyond > 0
    assert {"trace", "floats", "rounding", "autodiff", "differences", "exact", "grading"} <= set(found.seconds)
    assert found.checked["exact"] > 0
    assert found.cpu > 0 and not found.cut


def test_a_wrong_rule_raises_alarms() -> None:
    mutant = MUTANTS["sigmoid_dropped"]
    right = PROBLEMS["sigmoid"]
    wrong = Problem(right.name, right.forward, right.inputs, {"stable": mutant.vjp})
    found = soak(wrong, "stable", "float32", 500, 0)
    assert found.alarms["falsified"] > 0 and found.first.startswith("falsified")


@pytest.mark.parametrize(
    ("name", "verdict", "layers"),
    [
        ("exp_1e12", "falsified", {"exact"}),
        ("exp_float32", "inaccurate", {"rounding", "range"}),
        ("relu_two_at_zero", "falsified", {"kink"}),
    ],
)
def test_the_layer_that_refuses_is_told(name: str, verdict: str, layers: set[str]) -> None:
    kill = hunt(MUTANTS[name], "float64", 2000, 0)
    assert kill.verdict == verdict and kill.layer in layers and kill.point is not None and kill.point >= 1


def test_an_equivalent_rule_survives() -> None:
    kill = hunt(MUTANTS["exp_1e12"], "bfloat16", 500, 0)
    assert (kill.verdict, kill.point, kill.equivalent) == ("holds", None, True)


@pytest.mark.parametrize("kind", ["wrong", "right"])
def test_a_bug_of_the_zoo_gets_its_verdict_with_another_seed(kind: str) -> None:
    found = catch("B06", kind, 300, 3)
    assert found.as_expected and found.verdict == ("falsified" if kind == "wrong" else "holds")


def test_figures_and_tables_are_written(tmp_path: Path) -> None:
    out, tables = tmp_path / "figures", tmp_path / "tables.md"
    arguments = ["--points", "200", "--mutant-points", "200", "--only", "inv*", "--dtype", "float64", "--jobs", "1"]
    assert main([*arguments, "--part", "right", "wrong", "--out", str(out), "--tables", str(tables)]) == 0
    right, wrong = (json.loads((out / f"{name}.json").read_text()) for name in ("soak", "mutants"))
    assert right["complete"] and {r["form"] for r in right["rows"]} == {"stable", "textbook", "jax"}
    assert wrong["complete"] and {k["verdict"] for k in wrong["rows"]} == {"falsified"}
    text = tables.read_text()
    assert "200 bulk points" in text and "| inv_sign |" in text and "No right rule was refused." in text


def right_part(folder: Path, *more: str) -> dict[str, Any]:
    """The figures of a small run over the right rules of `inv`, in this process."""
    arguments = ["--part", "right", "--only", "inv", "--dtype", "float64", "--points", "200", "--jobs", "1"]
    assert main([*arguments, "--out", str(folder), "--tables", str(folder / "tables.md"), *more]) == 0
    figures: dict[str, Any] = json.loads((folder / "soak.json").read_text())
    return figures


def test_an_interrupted_run_keeps_its_rows_and_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def once(problem: Problem, form: str, *more: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(form)
        return soak(problem, form, *more)

    with monkeypatch.context() as patched:
        patched.setattr("scripts.soak.soak", once)
        with pytest.raises(KeyboardInterrupt):
            right_part(tmp_path)
    cut = json.loads((tmp_path / "soak.json").read_text())
    assert not cut["complete"] and [r["form"] for r in cut["rows"]] == done
    assert "cut short: 1 of 3 done" in (tmp_path / "tables.md").read_text()
    whole = right_part(tmp_path, "--resume")
    assert whole["complete"] and whole["rows"][0] == cut["rows"][0]
    assert [r["form"] for r in whole["rows"]] == ["stable", "textbook", "jax"]
    assert not list(tmp_path.glob("*.jsonl"))


def test_rows_of_other_points_are_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right_part(tmp_path, "--budget", "0")
    assert (tmp_path / "soak.jsonl").exists()
    whole = right_part(tmp_path, "--resume", "--points", "100")
    assert whole["complete"] and whole["points"] == 100


def test_a_run_whose_time_is_up_says_so(tmp_path: Path) -> None:
    figures = right_part(tmp_path, "--budget", "0")
    assert not figures["complete"] and figures["rows"] == [] and figures["items"] == 3
    assert "cut short: 0 of 3 done" in (tmp_path / "tables.md").read_text()


def test_a_rule_whose_time_is_up_is_marked() -> None:
    found = soak(PROBLEMS["inv"], "stable", "bfloat16", 200, 0, deadline=0.0)
    assert found.cut and not found.exhaustive and 0 < found.points < 30_000


def test_peers_are_written_beside(tmp_path: Path) -> None:
    for tool in ("check_grads", "backprove"):
        arguments = ["--tool", tool, "--points", "20", "--only", "inv", "--dtype", "float64"]
        assert peers.main([*arguments, "--out", str(tmp_path), "--tables", str(tmp_path / "tables.md")]) == 0
        assert f"| {tool} | float64 | 3 of 3 |" in (tmp_path / "tables.md").read_text()
    rows = [json.loads((tmp_path / f"{tool}.json").read_text())["rows"] for tool in ("check_grads", "backprove")]
    assert rows[0][0]["points"] == rows[1][0]["points"] > 0


def test_tables_without_figures_are_only_a_title(tmp_path: Path) -> None:
    write_tables(tmp_path, tmp_path / "tables.md")
    assert "## " not in (tmp_path / "tables.md").read_text()


SINE = Problem("sine", jnp.sin, {"x": bp.array("")}, {"stable": lambda x, g: g * jnp.cos(x)})


@pytest.mark.parametrize("tool", peers.TOOLS)
def test_every_checker_accepts_a_right_rule_and_refuses_a_wrong_one(tool: str) -> None:
    if tool == "gradcheck":
        pytest.importorskip("torch")
    with jax.enable_x64(True):
        x = [np.array([0.3, 1.2, -0.8])]
        right = peers.TOOLS[tool](SINE, SINE.forms["stable"], x, "float64")
        wrong = peers.TOOLS[tool](SINE, lambda x, g: 1.01 * g * jnp.cos(x), x, "float64")
        assert [right(i) for i in range(3)] == [True] * 3
        assert [wrong(i) for i in range(3)] == [False] * 3


def test_gradcheck_sees_no_relative_error_of_a_ten_thousandth() -> None:
    pytest.importorskip("torch")
    with jax.enable_x64(True):
        x = [np.array([0.3, 1.2])]
        accepts = peers.by_gradcheck(SINE, lambda x, g: (1 + 1e-4) * g * jnp.cos(x), x, "float64")
        assert accepts(0) and accepts(1)


@pytest.mark.parametrize("tool", ["gradcheck", "backprove"])
def test_every_entry_of_every_argument_is_judged(tool: str) -> None:
    if tool == "gradcheck":
        pytest.importorskip("torch")
    pair = {"a": bp.array("2"), "b": bp.array("2")}
    product = Problem("product", lambda a, b: a * b, pair, {"stable": lambda a, b, g: (g * b, g * a)})
    with jax.enable_x64(True):
        points = [np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])]
        right = peers.TOOLS[tool](product, product.forms["stable"], points, "float64")
        wrong = peers.TOOLS[tool](product, lambda a, b, g: (g * b, g * a * jnp.array([1.0, 0.0])), points, "float64")
        assert right(0) and not wrong(0)


def test_bfloat16_goes_to_torch_and_back() -> None:
    torch = pytest.importorskip("torch")
    x = np.array([[1.5, -0.0], [np.inf, 3e-39]]).astype(peers.BFLOAT16)
    tensor = peers.to_torch(x)
    assert tensor.dtype == torch.bfloat16 and tensor.shape == (2, 2)
    assert peers.from_torch(tensor).tobytes() == x.tobytes()


@pytest.mark.parametrize("tool", peers.TOOLS)
def test_a_comparison_counts_kills_and_refusals_of_the_right_rule(tool: str) -> None:
    if tool == "gradcheck":
        pytest.importorskip("torch")
    row = peers.compare(tool, PROBLEMS["sqrt"], "float64", 20, 0)
    assert row.points > 0 and set(row.killed) == {"sqrt_factor", "sqrt_inverted"} and not row.survived
