"""The benchmark measures what it says, writes strict JSON, and its tables show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import backprove as bp
from scripts.bench import facts, ours, peers, runs, suite, tables
from scripts.bench.__main__ import main
from scripts.bench.rules import RULES, BenchRule
from scripts.bench.tables import END, LAYERS, OURS, START

NAMES = [
    "log-softmax 8",
    "log-softmax 1000",
    "tanh-GELU 16",
    "softplus 16",
    "MLP 4-8-3, MSE",
    "cross entropy 8x10",
    "layer norm 4x16",
    "attention T=6 d=4",
]
SOFTPLUS = next(r for r in RULES if r.name == "softplus 16")


def test_the_eight_rules_are_there() -> None:
    assert [r.name for r in RULES] == NAMES


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_the_rules_are_right_and_the_compiled_check_accepts_them(rule: BenchRule) -> None:
    with jax.enable_x64(True):
        inputs, tangents, cotangent = (
            [jax.numpy.asarray(a[0]) for a in part] if isinstance(part, list) else jax.numpy.asarray(part[0])
            for part in rule.draw(1)
        )
        assert rule.forward(*inputs).shape == rule.output
        assert bool(peers.compiled_check(rule)(*inputs, *tangents, cotangent))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_torch_computes_the_same_map(rule: BenchRule) -> None:
    torch = pytest.importorskip("torch")
    inputs, _, _ = rule.draw(1)
    with jax.enable_x64(True):
        wanted = np.asarray(rule.forward(*(jax.numpy.asarray(a[0]) for a in inputs)))
    found = rule.torch(torch, *(torch.tensor(a[0]) for a in inputs)).numpy()
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_the_compiled_check_refuses_a_wrong_rule() -> None:
    wrong = BenchRule(
        "wrong", SOFTPLUS.forward, lambda x, v: v, SOFTPLUS.vjp, SOFTPLUS.torch, SOFTPLUS.shapes, SOFTPLUS.output
    )
    with jax.enable_x64(True), pytest.raises(peers.Refused, match="refused wrong"):
        peers.compiled_loop(wrong)(1)
    with pytest.raises(peers.Refused, match=r"stopped .* points of wrong"):
        ours.bulk(wrong)(1)


def test_whole_rounds_are_counted() -> None:
    run = ours.bulk(SOFTPLUS)
    assert run(1) == ours.POINTS and run(ours.POINTS + 1) == 2 * ours.POINTS


def test_every_checker_runs() -> None:
    found, notes = peers.available()
    assert {"check_grads", "check_grads, jitted", "Hypothesis arrays()", "compiled loop"} <= set(found)
    assert ("gradcheck, fast" in found) == (not notes)
    with jax.enable_x64(True):
        for make in found.values():
            make(SOFTPLUS)(2)


def test_without_torch_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    found, notes = peers.available()
    assert "gradcheck, fast" not in found and "torch is not installed" in notes[0]


def test_a_quick_measurement_writes_figures_and_tables(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    files = ["--out", str(tmp_path / "figures"), "--tables", str(tmp_path / "b.md"), "--readme", str(readme)]
    assert main(["--quick", "--part", "checkers", "--only", "softplus*", *files]) == 0
    figures = json.loads((tmp_path / "figures" / "checkers.json").read_text(), parse_constant=pytest.fail)
    rates = figures["rows"][0]["rates"]
    assert rates[OURS]["wall"] > 20 * rates["check_grads"]["wall"]
    assert 0 < rates[LAYERS]["slowest"] <= rates[LAYERS]["wall"] <= rates[LAYERS]["fastest"]
    assert figures["machine"]["load"] and figures["machine"]["processor"] and figures["quick"]
    text = (tmp_path / "b.md").read_text()
    assert "softplus 16" in text and "geometric mean" in text and "What one check contains" in text
    short = readme.read_text()
    assert short.startswith("before\n") and short.endswith("\nafter\n") and "softplus 16" in short
    assert "old" not in short


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkers.json").write_text(json.dumps(_figures()))
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match="lacks the markers"):
        tables.write_tables(tmp_path, tmp_path / "b.md", tmp_path / "README.md")


def test_ratios_and_their_geometric_mean() -> None:
    text = tables.short(_figures(), None)
    assert "| a | 1,000 | 100 |" in text and "| b | 4,000 | 1,600 |" in text and "| geometric mean |  | 400 |" in text


def test_the_tables_of_runs_and_scaling(tmp_path: Path) -> None:
    row = {"what": "start", "command": "backprove --help", "seconds": 0.25, "cpu": 0.2, "memory": 2**25, "status": 0}
    slow = row | {"what": "catalogue, cold", "seconds": 90.0, "status": None}
    both = [
        row | {"what": "catalogue, warm", "seconds": 10.0},
        row | {"what": "catalogue, warm, one worker", "seconds": 18.0},
    ]
    machine = _figures()["machine"]
    whole = {"rows": [row, slow, *both], "points": 10, "machine": machine}
    (tmp_path / "runs.json").write_text(json.dumps(whole))
    scaling = {
        "rule": "softplus 16",
        "points": [{"points": 1000, "build": 0.02, "run": 0.003}],
        "sizes": [{"entries": 8, "points": 10, "run": 1.6e-6}],
        "workers": [{"workers": 1, "points": 100, "seconds": 1.0}, {"workers": 2, "points": 100, "seconds": 0.5}],
        "machine": machine,
    }
    (tmp_path / "scaling.json").write_text(json.dumps(scaling))
    tables.write_tables(tmp_path, tmp_path / "b.md", None)
    text = (tmp_path / "b.md").read_text()
    for part in (
        "| 0.25 s | 0.2 s | 32 MiB |",
        "more than 90 s",
        "1.80 times",
        "| 8 | 1.60 | 200 |",
        "| 2 | 200 | 2.00 |",
    ):
        assert part in text
    assert "| 1,000 | 20 ms | 0.0030 s | 3.00 |" in text


def test_a_suite_of_rules_is_timed_beside_other_checkers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite.bp, "check", lambda rule, check=bp.check: check(rule, points=30, dtypes=["float64"]))
    monkeypatch.setattr(suite, "_first_verdict", lambda limit: [{"what": "check", "seconds": 3.0, "cpu": 2.0}])
    files = ["--out", str(tmp_path), "--tables", str(tmp_path / "b.md")]
    assert main(["--part", "suite", "--only", "softplus*", *files]) == 0
    rows = json.loads((tmp_path / "suite.json").read_text())["rows"]
    assert [r["framework"] for r in rows][:2] == ["JAX", "NumPy"] and all(r["cpu"] > 0 < r["other"] for r in rows)
    text = (tmp_path / "b.md").read_text()
    assert "| softplus 16 | NumPy |" in text and "| mean | JAX |" in text and "| check | 3.0 s | 2.0 s |" in text


def test_a_rule_in_numpy_calls_no_jax() -> None:
    for rule in RULES:
        inputs, tangents, cotangent = rule.draw(1)
        found = suite.in_numpy(rule)
        x, v, g = [a[0] for a in inputs], [a[0] for a in tangents], cotangent[0]
        for out in (found.forward(*x), found.jvp(*x, *v), *found.vjp(*x, g)):
            assert isinstance(out, (np.ndarray, np.floating))


def test_a_busy_machine_is_told() -> None:
    assert facts.warning({"load": [0.1, 3, 3]}) == ""
    assert "load average was 3.50" in facts.warning({"load": [3.5, 0, 0]})
    assert "**Not idle:**" in tables.short(_figures(load=2.0), None)


def test_a_whole_run_is_timed_and_its_memory_taken() -> None:
    found = runs.run("start", ["--help"], [], {}, 60)
    assert found.status == 0 and found.command == "backprove --help"
    assert 0 < found.seconds < 60 and found.memory > 2**22  # of the forking process too, which may be large


def test_a_run_past_its_limit_is_ended() -> None:
    found = runs.run("long", ["verify", "--points", "1e6"], [], {}, 0.2)
    assert found.status is None and found.seconds < 20


def test_wrong_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (
        (["--only", "nothing"], "matches none of: log-softmax 8"),
        (["--readme", "none"], "no such"),
    ):
        with pytest.raises(SystemExit) as status:
            main(wrong)
        assert status.value.code == 2 and message in capsys.readouterr().err


def _figures(load: float = 0.0) -> dict[str, Any]:
    def rates(mine: float, other: float) -> dict[str, dict[str, float]]:
        return {name: dict.fromkeys(("wall", "cpu"), rate) for name, rate in ((OURS, mine), ("check_grads", other))}

    parts = ("chunk", "calls", "all", "derivatives", "forward", "rest", "functions", "elementary")
    profile = dict.fromkeys(parts, 1)
    rows = [
        {"rule": "a", "rates": rates(1000.0, 10.0), "profile": profile},
        {"rule": "b", "rates": rates(4000.0, 2.5), "profile": profile},
    ]
    machine = {"processor": "P", "usable cores": 2, "vectors": "AVX2", "python": "3.11", "load": [load, 0, 0]}
    return {"rows": rows, "notes": [], "machine": machine}
