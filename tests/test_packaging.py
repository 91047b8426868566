"""Wheel and sdist hold everything and run outside the checkout; the lock file is complete and fits pyproject.toml."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDERS = ("harness", "reports", "rules", "strategies")

# Runs in an empty folder, against an installed copy. Prints where the package came from.
INSTALLED = """
import backprove
from importlib import resources
from backprove.rules.catalogue import NAMES, Catalogue
for name in backprove.__all__:
    getattr(backprove, name)
print(backprove.__file__)
print([len(Catalogue.load(name).entries) for name in ("documented", "library")])
print(sorted(t.name for t in (resources.files("backprove.reports") / "templates").iterdir() if t.is_file()))
"""


def python(*arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    run = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{arguments}: {run.stdout}{run.stderr}"
    return run


def shipped(root: Path) -> set[str]:
    """Every file that an installed copy must have, relative to the folder that holds `backprove`."""
    files = {f"backprove/{name}" for name in ("__init__.py", "__main__.py", "py.typed")}
    for folder in FOLDERS:
        found = (p.relative_to(root) for p in (root / folder).rglob("*") if p.is_file())
        files |= {f"backprove/{p.as_posix()}" for p in found if not {"__pycache__", "out"} & set(p.parts)}
    return files


def build(root: Path, scratch: Path, kind: str) -> Path:
    """Build a wheel or an sdist, offline, from a copy of the checkout; returns the file."""
    ignore = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "out", "tests")
    source = scratch / "a checkout"
    shutil.copytree(root, source, symlinks=True, ignore=ignore)
    python("-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(scratch / "dist"), str(source), cwd=scratch)
    (built,) = (scratch / "dist").iterdir()
    return built


def install(archive: Path, scratch: Path) -> Path:
    target = scratch / "site"
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    python("-m", "pip", "install", *options, str(archive), cwd=scratch)
    return target


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_installed_copy_holds_everything_and_runs(root: Path, tmp_path: Path, kind: str) -> None:
    site = install(build(root, tmp_path, kind), tmp_path)
    installed = {p.relative_to(site).as_posix() for p in (site / "backprove").rglob("*") if p.is_file()}
    assert {p for p in installed if "__pycache__" not in p} == shipped(root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place, sizes, templates = python("-c", INSTALLED, cwd=elsewhere, path=site).stdout.splitlines()
    assert Path(place) == site / "backprove" / "__init__.py"
    lists = [(root / f"rules/catalogue/{name}.toml").read_text() for name in ("documented", "library")]
    assert sizes == str([text.count("[[entry]]") for text in lists])
    assert "html" in templates
    assert "usage: backprove" in python("-m", "backprove", "--help", cwd=elsewhere, path=site).stdout
    (metadata,) = site.glob("backprove-*.dist-info")
    assert (metadata / "licenses" / "LICENSE").is_file()
    assert "backprove = backprove.harness.cli.main:main" in (metadata / "entry_points.txt").read_text()


def locked(root: Path, name: str = "requirements.lock") -> dict[str, str]:
    lines = (root / name).read_text("utf-8").splitlines()
    return dict(line.split(" ;")[0].split("==") for line in lines if not line.startswith("#"))


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """`name` and everything it needs here, by the metadata of what is installed."""
    found: set[str] = set()
    todo = [(canonicalize_name(name), extras)]
    seen = set()
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        found.add(item[0])
        for requirement in map(Requirement, importlib.metadata.requires(item[0]) or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *item[1])):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def declared(root: Path) -> list[Requirement]:
    """What pyproject.toml asks for to run, to test and to develop."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"] + extras["test"] + extras["dev"]
    return [Requirement(text) for text in wanted]


def test_the_lock_file_is_complete_and_has_nothing_to_spare(root: Path) -> None:
    # pip itself is pinned too, so that an environment made by uv has it.
    wanted = {"pip"}.union(*(needed(r.name, frozenset(r.extras)) for r in declared(root)))
    assert set(locked(root)) == wanted


def test_the_lock_file_of_the_site_fits_the_bounds_and_adds_to_the_other(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    wanted = [Requirement(text) for text in project["project"]["optional-dependencies"]["docs"]]
    versions = locked(root, "requirements-docs.lock")
    assert [str(r) for r in wanted if versions[canonicalize_name(r.name)] not in r.specifier] == []
    assert not versions.keys() & locked(root).keys()
    try:
        needs = set().union(*(needed(r.name, frozenset(r.extras)) for r in wanted))
    except importlib.metadata.PackageNotFoundError:
        return  # `make docs` installs them where a site is wanted
    assert needs - locked(root).keys() == versions.keys()


def test_the_lock_file_fits_the_bounds_of_pyproject(root: Path) -> None:
    versions = locked(root)
    assert [str(r) for r in declared(root) if versions[canonicalize_name(r.name)] not in r.specifier] == []


def test_the_tests_run_with_the_locked_versions(root: Path) -> None:
    present = {name: importlib.metadata.version(name) for name in locked(root)}
    assert present == locked(root)


def test_the_readme_names_the_two_commands_and_no_missing_target(root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text("utf-8"), re.M))
    readme = (root / "README.md").read_text("utf-8")
    named = {
        t for words in re.findall(r"(?:^|`)make((?: [a-z]+)+)(?:`| +#| ARGS)", readme, re.M) for t in words.split()
    }
    assert {"verify", "test", "lint"} <= named <= targets
    first_screen = "\n".join(readme.splitlines()[:40])
    assert "make verify" in first_screen and "make test" in first_screen
