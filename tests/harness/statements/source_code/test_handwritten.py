"""Hand-written rules are found in source of every form, and nothing else is; nothing is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.core.handwritten import Survey
from backprove.harness.core.records import from_json, to_json
from backprove.harness.statements.source_code.handwritten import survey
from tests.handwritten_package import RULES, write


def test_every_form_is_found_with_its_place_and_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "found_here")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = survey("found_here")
    assert {r.name.removeprefix("found_here."): (r.kind, r.line) for r in found.rules} == RULES
    assert [(found.shown(u.file), u.why) for u in found.unread] == [("found_here/broken.py", "line 1: invalid syntax")]
    assert found.files == 5 and found.percent == 0 and "found_here" not in sys.modules
    assert from_json(to_json(found), Survey) == found
    by_name = {r.name.removeprefix("found_here.ops."): r for r in found.rules}
    assert found.place(by_name["power"]) == "found_here/ops.py:19"
    spans = {n: [(s.role, s.first, s.last) for s in r.spans] for n, r in by_name.items()}
    assert spans["softplus"] == [("map", 7, 9), ("rule", 12, 15)]
    assert spans["power"] == [("map", 18, 20), ("rule", 23, 24), ("rule", 27, 28), ("rule", 31, 31)]
    assert spans["make.<locals>.inner"] == [("map", 45, 45), ("rule", 45, 45), ("rule", 46, 46)]
    assert spans["sine"] == [("map", 50, 50), ("rule", 53, 54), ("rule", 57, 57)]
    assert by_name["power"].spans[2].text == BACKWARD


BACKWARD = "def power_bwd(n, x, g):\n    return (1.5 * g * n * x ** (n - 1),)"


def test_a_module_and_a_subpackage_are_surveyed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "in_parts")
    monkeypatch.syspath_prepend(str(tmp_path))
    layers = survey("in_parts.sub.layers")
    assert [r.name.rpartition(".")[2] for r in layers.rules] == ["Square", "Inside"] and layers.files == 1
    assert [(s.role, s.first, s.last) for s in layers.rules[0].spans] == [("map", 12, 16), ("rule", 6, 9)]
    assert layers.place(layers.rules[0]) == "in_parts/sub/layers.py:12"
    assert len(survey("in_parts.sub").rules) == 2


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("no_such_package_here", "there is no package 'no_such_package_here' to import; install it"),
        ("os.no_such_part", "'os.no_such_part' has no Python source"),
        ("./src/package", "is no name of a package"),
        ("sys", "'sys' has no Python source"),
        ("", "'' is no name of a package"),
        ("json..decoder", "is no name of a package"),
        (".json", "is no name of a package"),
        ("json\n", "is no name of a package"),
    ],
)
def test_what_is_no_package_is_said(package: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        survey(package)


def test_a_package_of_folders_that_link_in_a_circle_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = write(tmp_path, "circular")
    (package / "sub" / "again").symlink_to(package, target_is_directory=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(survey("circular").rules) == len(RULES)
