"""`backprove coverage` lists the hand-written rules of a package, judges what covers them, and holds a gate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.cli.main import main
from tests.handwritten_package import RULES, write

FILE = """
import backprove as bp
from measured import ops

X = {"x": bp.array("n", low=-5, high=5)}
softplus = bp.from_jax(ops.softplus, inputs=X)
power = bp.from_jax(ops.power, inputs=X, fixed={"n": 2})
other = bp.Rule("other", forward=lambda x: x + 1, vjp=lambda x, g: g, inputs=X)
"""
FAST = ("--points", "30", "--dtype", "float64", "--executor", "process:1")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("BACKPROVE_HOME", str(tmp_path / "home"))
    write(tmp_path / "site", "measured")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    Path("rules.py").write_text(FILE)


def read(file: str) -> Any:
    return json.loads(Path(file).read_text())


def test_a_package_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "measured", "--out", "out", "--json", "out.json"]) == 0
    out, err = capsys.readouterr()
    assert "measured/ops.py:19" in out and "make.inner" in out and "covered by" not in out
    assert "7 hand-written rules in 5 files (1 more could not be read); 0 covered (0.0 %)" in out
    assert "not read: measured/broken.py (line 1: invalid syntax)" in err
    found = read("out.json")
    assert len(found["handwritten"]) == len(RULES) and found["unread"][0]["file"] == "measured/broken.py"
    page = Path("out/coverage.html").read_text()
    assert "0 of 7 hand-written rules of measured are covered" in page and Path("out/index.html").read_text() == page
    assert main(["coverage", "measured", "--fail-under", "1"]) == 6
    assert "gate: 0.00 % of the hand-written rules are covered, --fail-under asks for 1 %" in capsys.readouterr().out


def test_rules_cover_and_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "measured", "rules.py", "--out", "out", "--json", "out.json", *FAST]) == 1
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("measured/")}
    assert rows["measured/ops.py:8"] == ["custom_jvp", "ops.softplus", "softplus", "holds"]
    assert rows["measured/ops.py:19"] == ["custom_vjp", "ops.power", "power", "falsified"]
    assert rows["measured/ops.py:35"] == ["custom_jvp", "ops.scaled", "-", "-"]
    assert "power: falsified" in out and "covering nothing of measured: other" in out and "2 covered (28.6 %)" in out
    found = read("out.json")
    assert found["coverage"] == {"declared": 7, "executable": 7, "covered": 2, "holds": 1, "percent": 100 * 2 / 7}
    assert {r["name"]: r["verdict"] for r in found["rules"]} == {
        "softplus": "holds", "power": "falsified", "other": "holds",
    }  # fmt: skip
    page = Path("out/coverage.html").read_text()
    assert "2 of 7 hand-written rules of measured are covered" in page and 'href="index.html#' in page
    assert main(["report", "out"]) == 0 and Path("out/coverage.html").read_text() == page


@pytest.mark.parametrize(("least", "status"), [("14", 0), ("15", 6)])
def test_only_chosen_rules_cover_and_the_gate_is_held(least: str, status: int) -> None:
    assert main(["coverage", "measured", "rules.py", "--only", "softplus", "--fail-under", least, *FAST]) == status


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no_such_package"], 2, "there is no package 'no_such_package'"),
        (["measured", "none.py"], 2, "none.py does not exist"),
        (["measured", "--fail-under", "101"], 2, "expected a percentage from 0 to 100, got '101'"),
        (["measured", "rules.py", "--only", "sofplus"], 5, "no rule matches --only 'sofplus'; did you mean softplus?"),
        (["measured.unrelated"], 5, "measured.unrelated has no hand-written derivative rule in 1 files"),
        ([], 2, "required: PACKAGE"),
    ],
)
def test_wrong_use(arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", *arguments, *FAST]) == status
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in out + err, err
