"""`backprove verify FILE` reports on theorems of a user as on the catalogue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from backprove.harness.cli import verify
from backprove.harness.cli.main import main
from backprove.harness.core.names import did_you_mean
from backprove.harness.statements.claims import Positivity
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.array import array

FILE = """
import numpy as np
import backprove as bp

X = {"x": bp.array("n")}
bp.theorem("positive", bp.Positivity(lambda x: x @ x + 1), inputs=X, words="It is positive.", covers=COVERS)
bp.theorem(
    "wrong",
    bp.Derivative(lambda x: x * x, lambda x, g: g * x, mode="vjp"),
    inputs=X, latex="x^2", rests_on=["positive"],
)
"""
CATALOGUE = """
[[entry]]
name = "positive"
statement = "x'x + 1 > 0"
module = "Squares"

[[entry]]
name = "notation"
statement = "x'x is a sum of squares"
executable = false
why_not = "notation"

[[entry]]
name = "missing"
statement = "something else"
"""
FAST = ("--points", "40", "--dtype", "float64", "--executor", "process:1")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("BACKPROVE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("mine.py").write_text(FILE.replace("COVERS", "()"))
    Path("covering.py").write_text(FILE.replace("COVERS", "['notation']"))
    Path("list.toml").write_text(CATALOGUE)


def results(folder: str = "reports/out") -> Any:
    return json.loads((Path(folder) / "results.json").read_text())


def test_a_file_is_judged_reported_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "covering.py", "--catalogue", "list.toml", "--json", "out.json", *FAST]) == 1
    out, err = capsys.readouterr()
    for part in (
        "Squares", "covering.py", "wrong: falsified", "half the derivative", "2/2 theorems, 1 refused",
        "coverage, list: 2 of 3 declarations covered (2 executable), 2 hold",
        "not covered: missing", "in no entry of the catalogue: wrong",
    ):  # fmt: skip
        assert part in out + err, out + err
    found = json.loads(Path("out.json").read_text())
    assert found["coverage"] == {"list": {"declared": 3, "executable": 2, "covered": 2, "holds": 2}}
    assert [(t["name"], t["module"], t["verdict"]) for t in found["theorems"]] == [
        ("positive", "Squares", "holds"), ("wrong", "covering.py", "falsified"),
    ]  # fmt: skip
    first, second = results()["subjects"]
    assert (first["kind"], first["property_words"], first["statement"]) == (
        "own theorem", "It is positive.", "x'x + 1 > 0",
    )  # fmt: skip
    assert (second["latex"], second["rests_on"]) == ("x^2", ["positive"]) and "bp.Derivative" in second["code"]
    page = Path("reports/out/index.html").read_text()
    assert "theorem" in page and "missing" in page and "bp.Derivative" not in page.partition("<body")[0]
    assert len(ElementTree.parse("reports/out/junit.xml").findall(".//failure")) == 1
    point = second["properties"][0]["counterexample"]
    assert main(["replay", point["id"]]) == 1
    out, err = capsys.readouterr()
    assert "wrong, vjp, float64: falsified" in out and "covering.py" in err


def test_a_finished_run_is_taken_over() -> None:
    choice = ["verify", "mine.py", "--only", "posi*", "--out", "out", *FAST[:-1], "serial"]
    assert main(choice) == 0
    once = results("out")["subjects"]
    assert main([*choice, "--resume"]) == 0
    assert results("out")["subjects"] == once  # with the seconds that it took then


def test_formats_side_by_side_find_their_theorem() -> None:
    assert main(["verify", "mine.py::wrong", "--out", "out", "--points", "40", "--executor", "process:2"]) == 1
    assert [p["dtype"] for p in results("out")["subjects"][0]["properties"]] == ["float64", "float32"]


def test_the_gate_is_that_of_the_users_list(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[tool.backprove]\nfail_under = 70\n")
    Path("mine.py").write_text(Path("covering.py").read_text())
    assert main(["verify", "mine.py", "--only", "positive", "--catalogue", "list.toml", *FAST]) == 6
    assert "coverage of the list catalogue is 66.67 % (2 of 3), fail_under is 70 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["missing.py"], 2, "missing.py does not exist; give a Python file that states rules or theorems"),
        (["mine.py", "covering.py"], 2, "theorem 'positive' is stated twice: at "),
        (["mine.py::wrng"], 2, "no theorem is called 'wrng'; the file has 'positive', 'wrong'"),
        (["mine.py", "--only", "worng"], 5, "no theorem matches --only 'worng'; did you mean wrong?"),
        (["mine.py", "--catalogue", "no.toml"], 2, "--catalogue no.toml cannot be read (No such file"),
        (["mine.py", "--catalogue", "mine.py"], 2, "catalogue mine: not readable as TOML"),
        (["mine.py", "--catalogue", "empty.toml"], 2, "has no entry; an [[entry]] has at least name"),
        (["covering.py", "--catalogue", "other.toml"], 2, "covers of positive "),
        (["unknown.py"], 2, "rests on 'positiv', which no file given states; did you mean positive?"),
        (["--catalogue", "list.toml"], 2, "give the files that state them"),
    ],
)
def test_wrong_use(arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.toml").write_text("")
    Path("other.toml").write_text(CATALOGUE.replace("notation", "notion"))
    Path("unknown.py").write_text(FILE.replace("COVERS", "()").replace('["positive"]', '["positiv"]'))
    assert main(["verify", *arguments, *FAST]) == status
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in out + err, err


def test_a_theorem_of_the_project_in_no_list_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = ModuleType("stated_here")
    new = Theorem("Proofs.Autograd.new", {"x": array("n")}, (Positivity(abs),), statement="|x| > 0")
    stub.__dict__["load"] = lambda: {new.name: new}
    monkeypatch.setitem(sys.modules, "stated_here", stub)
    monkeypatch.setattr(verify, "THEOREMS", "stated_here")
    assert main(["list", "--only", "new"]) == 0
    out = capsys.readouterr().out
    assert "in no list:" in out and "new      |x| > 0" in out and "documented: 0 of 93" in out


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("verfy", "verify"),
        ("logsoftmaxvjp", "Proofs.logSoftmaxVjp"),
        ("*softmax*", "Proofs.logSoftmaxVjp"),
        ("qqq", ""),
    ],
)
def test_near_names_are_suggested(word: str, near: str) -> None:
    hint = did_you_mean(word, ["verify", "check", "Proofs.logSoftmaxVjp"])
    assert hint == (f"; did you mean {near}?" if near else "")
    assert did_you_mean("x", []) == ""
