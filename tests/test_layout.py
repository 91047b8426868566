"""The layout holds: links, one-way imports, module sizes, and a lock file of names and versions alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = ("harness", "reports", "rules", "strategies")
MAX_LINES = 400

# Which folders of backprove each folder may import. The modules of TIES put everything together.
MAY_IMPORT = {
    "harness": {"harness", "strategies"},
    "reports": {"harness", "reports"},
    "rules": {"harness", "rules", "strategies"},
    "strategies": {"harness", "strategies"},
}
TIES = (
    "harness/api.py",
    "harness/cli/main.py",
    "harness/commands/",
    "harness/pytest_plugin.py",
    "harness/report.py",
)

# A rule is a formula: besides the standard library it needs arrays and the vocabulary of statements.
RULES_MAY_IMPORT = {"jax", "math_core", "numpy"}
RULES_MAY_USE = {"claims", "dtypes", "errors", "theorem", "verdict"}

LOCKED = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_]+ [=!<>]+ '[a-zA-Z0-9_.]+')?")

ROOT = Path(__file__).resolve().parents[1]


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that `source` imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def violations(path: str, source: str) -> list[str]:
    """What the module at `path` (relative to the checkout, "harness/statements/laws.py") imports and may not."""
    folder = Path(path).parts[0]
    found = []
    for line, name in imports(source):
        first, *rest = name.split(".")
        problem = ""
        if first in FOLDERS or first == "":
            problem = "import it from backprove"
        elif first == "backprove":
            target = rest[0] if rest else ""
            if target in FOLDERS and folder in MAY_IMPORT and target not in MAY_IMPORT[folder]:
                problem = "" if path.startswith(TIES) else f"{folder} knows nothing of {target}"
            elif folder == "rules" and target == "harness" and rest[1] not in RULES_MAY_USE:
                problem = f"rules use only {', '.join(sorted(RULES_MAY_USE))} of harness"
        elif folder == "rules" and first not in RULES_MAY_IMPORT | sys.stdlib_module_names:
            problem = f"rules use only {', '.join(sorted(RULES_MAY_IMPORT))} and the standard library"
        if problem:
            found.append(f"{path}:{line}: {name}: {problem}")
    return found


def modules() -> list[Path]:
    return [p for folder in (*FOLDERS, "tests") for p in sorted((ROOT / folder).rglob("*.py")) if "out" not in p.parts]


def test_the_links_of_the_import_root_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "backprove" / folder
        assert link.is_symlink() and link.readlink() == Path("..") / folder, link
        assert (link / "__init__.py").is_file()


def test_every_folder_imports_only_what_it_may() -> None:
    assert [v for p in modules() for v in violations(p.relative_to(ROOT).as_posix(), p.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("harness/statements/laws.py", "from backprove.rules.all import load"),
        ("harness/statements/laws.py", "def f():\n    import backprove.reports.write"),
        ("harness/statements/laws.py", "from backprove import rules"),
        ("harness/statements/laws.py", "import_module('backprove.rules.all')"),
        ("strategies/values.py", "from backprove.reports import write"),
        ("reports/write.py", "from backprove.rules.catalogue import Catalogue"),
        ("reports/write.py", "from backprove.strategies.array import array"),
        ("rules/losses.py", "from backprove.reports import write"),
        ("rules/losses.py", "from backprove.harness.campaign.subjects import run_theorem"),
        ("rules/losses.py", "from backprove.harness.campaign import subjects"),
        ("rules/losses.py", "import torch"),
        ("harness/statements/laws.py", "from harness.claims import Claim"),
        ("tests/test_x.py", "import strategies.array"),
        ("harness/statements/laws.py", "from .claims import Claim"),
        ("harness/statements/laws.py", "from . import claims"),
    ],
)
def test_a_wrong_import_is_seen(path: str, source: str) -> None:
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("harness/cli/main.py", "from backprove.rules.all import load"),
        ("harness/cli/verify.py", "from backprove.reports.write import write_reports"),
        ("harness/api.py", "from backprove.harness.statements.rule import Rule"),
        ("strategies/values.py", "from backprove.harness.core.formats import FORMATS"),
        (
            "rules/losses.py",
            "import math\nfrom backprove.harness.statements.theorem import theorem",
        ),
        ("reports/write.py", "from backprove.harness.core.results import RunResult"),
        ("tests/test_x.py", "import backprove as bp\nfrom backprove.rules.catalogue import Catalogue"),
    ],
)
def test_a_right_import_is_accepted(path: str, source: str) -> None:
    assert violations(path, source) == []


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

    with pytest.raises(AttributeError, match="no attribute 'chekc'; public names: Report, Rule"):
        backprove.chekc
