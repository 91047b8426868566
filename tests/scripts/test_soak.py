"""The measuring scripts measure: alarms, kills with their layer, times, and what the usual checkers say."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scripts import peers
from scripts.measurement_tables import write_tables
from scripts.soak import hunt, main, soak
from tests.mutants.mutants import MUTANTS
from tests.mutants.problem import Problem
from tests.mutants.rules import PROBLEMS


def test_a_right_rule_raises_no_alarm_and_every_layer_is_timed() -> None:
    found = soak(PROBLEMS["sigmoid"], "textbook", "float32", 500, 0)
    assert found.alarms == {} and found.points >= 500 and found.beyond > 0
    assert {"trace", "floats", "rounding", "autodiff", "differences", "exact", "grading"} <= set(found.seconds)
    assert found.checked["exact"] > 0


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


def test_figures_and_tables_are_written(tmp_path: Path) -> None:
    out, tables = tmp_path / "figures", tmp_path / "tables.md"
    arguments = ["--points", "200", "--mutant-points", "200", "--only", "inv*", "--dtype", "float64"]
    assert main([*arguments, "--out", str(out), "--tables", str(tables)]) == 0
    right, wrong = (json.loads((out / f"{name}.json").read_text()) for name in ("soak", "mutants"))
    assert right["complete"] and {r["form"] for r in right["rows"]} == {"stable", "textbook", "jax"}
    assert wrong["complete"] and {k["verdict"] for k in wrong["rows"]} == {"falsified"}
    text = tables.read_text()
    assert "200 bulk points" in text and "| inv_sign |" in text and "No right rule was refused." in text


def test_a_cut_run_keeps_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.soak.soak", cut)
    with pytest.raises(KeyboardInterrupt):
        main(["--part", "right", "--only", "inv", "--out", str(tmp_path), "--tables", str(tmp_path / "tables.md")])
    assert not json.loads((tmp_path / "soak.json").read_text())["complete"]
    assert "cut short" in (tmp_path / "tables.md").read_text()


def test_peers_are_written_beside(tmp_path: Path) -> None:
    arguments = ["--tool", "gradcheck", "--points", "20", "--only", "inv", "--dtype", "float64"]
    assert peers.main([*arguments, "--out", str(tmp_path), "--tables", str(tmp_path / "tables.md")]) == 0
    assert "| gradcheck | float64 | 3 of 3 |" in (tmp_path / "tables.md").read_text()


def test_tables_without_figures_are_only_a_title(tmp_path: Path) -> None:
    write_tables(tmp_path, tmp_path / "tables.md")
    assert "## " not in (tmp_path / "tables.md").read_text()


@pytest.mark.parametrize("judge", [peers.by_check_grads, peers.by_gradcheck])
def test_the_usual_checkers_accept_a_right_rule_and_refuse_a_wrong_one(judge: object) -> None:
    with jax.enable_x64(True):
        x = [np.array([0.3, 1.2, -0.8])]
        right = judge(jnp.sin, lambda x, g: g * jnp.cos(x), x)  # type: ignore[operator]
        wrong = judge(jnp.sin, lambda x, g: 1.01 * g * jnp.cos(x), x)  # type: ignore[operator]
        assert [right(i) for i in range(3)] == [True] * 3
        assert [wrong(i) for i in range(3)] == [False] * 3


def test_gradcheck_sees_no_relative_error_of_a_ten_thousandth() -> None:
    with jax.enable_x64(True):
        x = [np.array([0.3, 1.2])]
        assert peers.gradcheck(jnp.sin, lambda x, g: (1 + 1e-4) * g * jnp.cos(x), x).all()


def test_gradcheck_judges_every_entry_of_every_argument() -> None:
    with jax.enable_x64(True):
        a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
        right = peers.gradcheck(lambda a, b: a * b, lambda a, b, g: (g * b, g * a), [a, b])
        wrong = peers.gradcheck(lambda a, b: a * b, lambda a, b, g: (g * b, g * a * jnp.array([1.0, 0.0])), [a, b])
        assert right.tolist() == [True] and wrong.tolist() == [False]


def test_a_comparison_counts_kills_and_refusals_of_the_right_rule() -> None:
    with jax.enable_x64(True):
        row = peers.compare("gradcheck", PROBLEMS["sqrt"], "float64", 20, 0)
    assert row.points > 0 and set(row.killed) == {"sqrt_factor", "sqrt_inverted"} and not row.survived
