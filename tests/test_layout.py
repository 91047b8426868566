"""The layout holds: links, rooms and their contract, module sizes, and a lock file of names and versions alone."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDERS = ("harness", "reports", "rules", "strategies")
MAX_LINES = 400
MAX_MODULES = 25
"""Modules of one room; what has more wants a room of its own."""

PUBLIC_FACE = {"__init__.py", "api.py", "pytest_plugin.py", "report.py"}
"""All that lies directly in harness/: every other module has a room."""

LOCKED = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_]+ [=!<>]+ '[a-zA-Z0-9_.]+')?")

ROOT = Path(__file__).resolve().parents[1]


def modules() -> list[Path]:
    return [p for folder in (*FOLDERS, "tests") for p in sorted((ROOT / folder).rglob("*.py")) if "out" not in p.parts]


def rooms(folder: str) -> list[Path]:
    """Every folder of Python modules at and below `folder`."""
    return sorted({p.parent for p in (ROOT / folder).rglob("*.py") if "out" not in p.parts})


def test_the_links_of_the_import_root_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "backprove" / folder
        assert link.is_symlink() and link.readlink() == Path("..") / folder, link
        assert (link / "__init__.py").is_file()


def broken_contracts(checkout: Path) -> list[str]:
    """Names of the contracts of pyproject.toml that the checkout breaks."""
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COLUMNS": "200"},
    )
    assert "Contracts: " in run.stdout, run.stdout + run.stderr
    found = re.findall(r"^(.+) BROKEN$", run.stdout, re.MULTILINE)
    assert (run.returncode != 0) == bool(found)
    return found


@pytest.fixture(scope="module")
def copy_of_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout")
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__", "out", "templates", "*.json", "*.toml")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    shutil.copytree(ROOT / "backprove", copy / "backprove", symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_every_room_imports_only_what_it_may(copy_of_checkout: Path) -> None:
    assert broken_contracts(copy_of_checkout) == []


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("harness/judging/tally.py", "from backprove.harness.campaign import store", "higher rooms"),
        ("harness/oracles/kinks.py", "def f():\n    import backprove.harness.judging.judge", "higher rooms"),
        ("harness/core/results.py", "if TYPE_CHECKING:\n    from backprove.strategies import array", "inputs know"),
        ("harness/numbers/base.py", "from backprove.harness.statements.rule import Rule", "the mathematics"),
        ("harness/numbers/balls/duals.py", "from backprove.harness.numbers.floats import floats", "independent"),
        ("harness/judging/tally.py", "if TYPE_CHECKING:\n    from backprove.harness.judging import judge", "circle"),
        ("harness/judging/tally.py", "from backprove.rules import all", "public face"),
        ("strategies/points.py", "from backprove.reports import write", "public face"),
        ("reports/write.py", "from backprove.strategies.array import array", "reports read"),
        ("rules/losses.py", "from backprove.harness.campaign.subjects import run", "rules are formulas"),
        ("rules/losses.py", "from backprove.harness.statements.rule import Rule", "rules are formulas"),
        ("rules/losses.py", "import pandas", "rules are formulas"),
    ],
)
def test_a_wrong_import_is_seen(copy_of_checkout: Path, path: str, line: str, contract: str) -> None:
    module = copy_of_checkout / path
    before = module.read_text("utf-8")
    try:
        module.write_text(f"{before}\nfrom typing import TYPE_CHECKING\n{line}\n", "utf-8")
        assert any(contract in name for name in broken_contracts(copy_of_checkout))
    finally:
        module.write_text(before, "utf-8")


def test_the_public_face_alone_lies_directly_in_the_harness() -> None:
    assert {p.name for p in (ROOT / "harness").glob("*.py")} == PUBLIC_FACE


def first_sentence(module: Path) -> str:
    return " ".join((ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").split("\n\n")[0].split())


def test_every_room_starts_with_its_sentence_of_the_architecture() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for room in rooms("harness"):
        name = room.relative_to(ROOT / "harness").as_posix()
        if name != ".":
            assert f"- `{name}/`: {first_sentence(room / '__init__.py')}\n" in page, room


def test_the_glossary_is_short() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    words = re.findall(r"\*\*[^*]+\*\*", page.split("## Glossary")[1])
    assert 20 <= len(words) <= 40 and len(set(words)) == len(words)


def test_every_module_says_what_it_does() -> None:
    ours = [p for p in modules() if ROOT / "tests" not in p.parents]
    assert [p for p in ours if not first_sentence(p)] == []


def test_no_room_is_crowded() -> None:
    crowded = {p.relative_to(ROOT).as_posix(): len(list(p.glob("*.py"))) for p in rooms("harness")}
    assert {room: n for room, n in crowded.items() if n > MAX_MODULES} == {}


def test_tests_mirror_the_rooms() -> None:
    known = {p.relative_to(ROOT) for p in rooms("harness")}
    mirrored = {p.relative_to(ROOT / "tests") for p in rooms("tests/harness")}
    assert mirrored <= known
    assert len(mirrored) > 10


def test_no_module_is_too_long() -> None:
    lengths = {p.relative_to(ROOT).as_posix(): len(p.read_text("utf-8").splitlines()) for p in modules()}
    assert {p: n for p, n in lengths.items() if n > MAX_LINES} == {}


def test_test_files_have_names_of_their_own() -> None:
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
    assert [p for p in (ROOT / "tests").rglob("__init__.py") if p.parent != ROOT / "tests"] == []


def test_the_lock_file_holds_names_and_versions_alone() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert [line for line in packages if not LOCKED.fullmatch(line)] == []
    names = [line.split("==")[0] for line in packages]
    assert names == sorted(set(names))
    assert not [line for line in lines if "://" in line]


@pytest.mark.parametrize(
    "line",
    [
        "numpy>=2.4",
        "numpy",
        "numpy @ file:///wheels/numpy.whl",
        "--index-url https://example.org/simple",
        "numpy==2.4.6 --hash=sha256:00",
        "/wheels/numpy.whl",
        "-e .",
    ],
)
def test_anything_else_in_the_lock_file_is_seen(line: str) -> None:
    assert not LOCKED.fullmatch(line)


def test_importing_backprove_loads_no_heavy_package() -> None:
    heavy = {"flint", "hypothesis", "jax", "numpy", "pandas", "rich"}
    code = f"import sys, backprove; dir(backprove); print(sorted(sys.modules.keys() & {heavy}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_wrong_public_name_is_refused_in_words() -> None:
    import backprove

    with pytest.raises(AttributeError, match="no attribute 'chekc'; public names: Adjointness, Derivative"):
        backprove.chekc


def unused(sources: Mapping[str, str]) -> list[str]:
    """Public functions, classes and constants that no line but their own definition names."""
    words = Counter(word for text in sources.values() for word in re.findall(r"\w+", text))
    found = []
    for name, text in sources.items():
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined = [node.name]
            elif isinstance(node, ast.Assign):
                defined = [t.id for t in node.targets if isinstance(t, ast.Name)]
            else:
                continue
            found += [f"{name}: {d}" for d in defined if not d.startswith(("_", "pytest_")) and words[d] == 1]
    return found


def test_nothing_public_is_there_for_tests_alone() -> None:
    folders = (*FOLDERS, "scripts", "backprove")
    sources = {
        str(p.relative_to(ROOT)): p.read_text(encoding="utf-8")
        for folder in folders
        for p in sorted((ROOT / folder).rglob("*.py"))
        if "out" not in p.parts and (folder != "backprove" or p.parent == ROOT / folder)
    }
    assert unused(sources) == []


def test_what_only_its_definition_names_is_unused() -> None:
    sources = {"a.py": "def used():\n    pass\n\n\nSHARE = 0.5\n", "b.py": "import a\n\n\n_private = a.used\n"}
    assert unused(sources) == ["a.py: SHARE"]
