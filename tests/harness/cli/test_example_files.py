"""Points of one's own on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.campaign import subjects
from backprove.harness.cli.example_files import Given, by_rule, read_examples
from backprove.harness.cli.main import main
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.loading import find_rules, import_file

RULES = """
import numpy as np
import backprove as bp

sine = bp.Rule(
    "sine",
    forward=np.sin,
    vjp=lambda x, g: g * np.cos(x) * (2.0 if x.shape[0] > 130 else 1.0),
    inputs={"x": bp.array("n", low=-10)},
)
cube = bp.Rule("cube", forward=lambda x: x**3, vjp=lambda x, g: 3 * x**2 * g, inputs={"x": bp.array("n")})
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKPROVE_HOME", str(tmp_path / "store"))
    (tmp_path / "mine.py").write_text(RULES)
    return tmp_path / "points.json"


def check(file: Path, points: Any, *more: str) -> int:
    file.write_text(points if isinstance(points, str) else json.dumps(points))
    return int(main(["check", "mine.py", "--points", "40", "--dtype", "float64", "--example", file.name, *more]))


def test_an_example_of_a_file_is_judged_and_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(file, [{"rule": "sine", "x": [1.0]}, {"rule": "cube", "x": ["0x1p1"]}]) == 0
    assert check(file, [{"rule": "sine", "x": [1.0]}, {"rule": "sine", "x": [1.0] * 131, "g": [1] * 131}]) == 1
    assert "points.json, example 2" in capsys.readouterr().out


def test_a_changed_example_is_judged_again(file: Path) -> None:
    resumed = ("--resume", "--only", "sine", "--executor", "serial")
    assert check(file, {"x": [1.0]}, *resumed) == 0
    assert check(file, {"x": [1.0] * 131}, *resumed) == 1
    assert check(file, {"x": [1.0]}, *resumed) == 0


def test_parts_judge_an_example_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backprove.harness.campaign.parts.PART_POINTS", 20)
    rule = find_rules(import_file(file.with_name("mine.py")))[0].rule.with_examples([{"x": [2.0]}])
    (found,) = subjects.run(rule, points=60, dtypes=["float64"]).properties
    assert found.points > 60
    assert found.counts["examples"] == 1


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ({"x": [1.0]}, "does not say for which rule it is: sine, cube"),
        ({"rule": "tan", "x": [1.0]}, "is for the rule 'tan', which is none of those to check: sine, cube"),
        ({"rule": "sine", "x": [-11.0]}, "points.json: x holds -11.0, which is below low=-10"),
        ([{"rule": "sine"}], "points.json, example 1 lacks x"),
        ({"rule": "sine", "x": [1.0], "g": [1, 2, 3]}, "the cotangent has shape"),
        ({"rule": "sine", "x": {"a": 1}}, "x must be numbers of one shape"),
        ({"rule": "sine", "x": [10**40]}, "x must be numbers of one shape"),
        ('{"rule": "sine", "x": [NaN]}', "NaN is no number of JSON"),
        ([1], "1 is no point"),
        ("null", "null is no point"),
        ("{x: 1", "line 1: this is not JSON"),
        ('{"x": 1, "x": 2}', "'x' is given twice"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_example_is_wrong_use(
    file: Path, points: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(file, points, "--executor", "serial") == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_files_that_cannot_be_read_are_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(bytes(range(128, 256)))
    for name, said in (("none.json", "cannot be read: No such file"), ("bytes.json", "is not text in UTF-8")):
        with pytest.raises(UsageError, match=said):
            read_examples([tmp_path / name])


def test_points_go_to_their_rules() -> None:
    given = [Given("a", None, {"x": 1}), Given("b", "sine", {"x": 2})]
    assert by_rule(given, ["sine"], ["sine"]) == {
        "sine": [{"label": "a", "point": {"x": 1}}, {"label": "b", "point": {"x": 2}}]
    }
    assert by_rule(given[1:], ["sine", "cube"], ["cube"]) == {}, "a rule that is not selected"


def test_an_input_may_be_called_rule(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"rule": [1.0], "x": 2}')
    (one,) = read_examples([tmp_path / "p.json"])
    assert one.rule is None
    assert one.point == {"rule": [1.0], "x": 2}
