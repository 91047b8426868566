"""Rules are found in user files, and what is wrong with a file is said in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.statements.loading import load_rules, split_target

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What loading adds to the import path goes after each test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def labels(target: str) -> list[str]:
    return [f.label for f in load_rules(f"{DATA}/{target}")]


def test_rules_are_found_at_module_level_and_in_dicts_each_once() -> None:
    assert labels("logsoftmax_wrong.py") == ["rule"]
    assert labels("several_rules.py") == ["doubled", "RULES['right']", "RULES['wrong']", "MORE['right']"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("doubled", ["doubled"]),
        ("RULES", ["RULES['right']", "RULES['wrong']"]),
        ("wrong", ["RULES['wrong']"]),
        ("triple", ["RULES['wrong']"]),
        ("other", ["MORE['right']"]),
    ],
)
def test_a_name_is_a_variable_else_a_key_else_a_rules_name(name: str, expected: list[str]) -> None:
    assert labels(f"several_rules.py::{name}") == expected


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("several_rules.py::right", r"'right' is ambiguous.*RULES\['right'\], MORE\['right'\]"),
        ("several_rules.py::double", "'double' is ambiguous"),
        ("several_rules.py::quadruple", r"no rule is called 'quadruple'; the file has doubled \('double'\)"),
        ("several_rules.py::", "no name after '::'"),
        ("no_rule.py", "no rule found"),
        ("no_such_file.py", "does not exist"),
        ("", "is a folder"),
        ("raises_at_import.py", r"(?s)IndexError.*line 10, in <module>: broken\(\)\n.*line 7, in broken"),
        ("wrong_parameters.py", "(?s)cannot be imported: Rule.*vjp.*wrong number of parameters.*line 5"),
    ],
)
def test_what_is_wrong_is_said(target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_rules(f"{DATA}/{target}")


def test_a_file_that_does_not_parse_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("x = 1\nrule = bp.Rule(\n    'a' 1)\n")
    with pytest.raises(UsageError, match="line 3: this is not Python"):
        load_rules(str(file))
    file.write_bytes(b"x = '\xff'\n")
    with pytest.raises(UsageError, match="not Python"):
        load_rules(str(file))


def test_only_the_users_own_lines_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text("import json\njson.loads('{')\n")
    with pytest.raises(UsageError) as refusal:
        load_rules(str(file))
    lines = str(refusal.value).splitlines()
    assert "JSONDecodeError" in lines[0] and lines[1:] == ["    line 2, in <module>: json.loads('{')"]


def test_a_file_that_exits_is_no_exit_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UsageError, match="the file calls exit"):
        load_rules(str(file))


def test_a_file_imports_its_neighbours_and_two_of_one_name_do_not_mix(tmp_path: Path) -> None:
    text = (
        "import backprove as bp\n"
        "from {0} import FACTOR\n"
        "rule = bp.Rule('r{0}', forward=lambda x: x, vjp=lambda x, g: g, inputs={{'x': bp.array('n')}})\n"
    )
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"neighbour_{folder}.py").write_text("FACTOR = 1\n")
        (tmp_path / folder / "same.py").write_text(text.format(f"neighbour_{folder}"))
    names = [load_rules(f"{tmp_path}/{folder}/same.py")[0].rule.name for folder in ("one", "two")]
    assert names == ["rneighbour_one", "rneighbour_two"]


def test_a_target_is_a_path_and_a_name() -> None:
    assert split_target("a/b.py::c") == (Path("a/b.py"), "c")
    assert split_target("a/b.py") == (Path("a/b.py"), None)
