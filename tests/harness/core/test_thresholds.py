"""Numbers that decide verdicts stand in `core.thresholds`, each explained and each used; none stands elsewhere."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from backprove.harness.core import thresholds

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "harness" / "core" / "thresholds"
TOPICS = sorted(p for p in PLACE.glob("*.py") if p.stem != "__init__")
ROOMS = ("judging", "oracles", "numbers", "frontends")
NO_TOLERANCES = {
    "SIMPLE",  # numbers that a counterexample is shown with, where it fails with them too
    "SMALLEST_BOUND",  # the smallest float64 number that still has digits: a property of the format
}


def constants(code: str) -> Iterator[tuple[str, ast.expr, ast.stmt | None]]:
    """Upper-case names of a module with their values and the statements below them."""
    body = ast.parse(code).body
    for statement, below in zip_longest(body, body[1:]):
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in [leaf for t in targets for leaf in ast.walk(t) if isinstance(leaf, ast.Name)]:
                if target.id.isupper():
                    yield target.id, statement.value, below


def unexplained(code: str) -> list[str]:
    """Constants without a sentence of their own below them."""
    return [
        name
        for name, _, below in constants(code)
        if not (
            isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
            and below.value.value.split("\n")[0].rstrip().endswith((".", ":"))
        )
    ]


def tolerances(code: str) -> list[str]:
    """Constants that look like thresholds: written with a float, with 2**-k or arb(2)**-k, or numbers of bits.

    Counts and sizes, which decide cost, are whole numbers.
    """
    return [n for n, value, _ in constants(code) if n not in NO_TOLERANCES and _is_tolerance(n, value)]


def _is_tolerance(name: str, value: ast.expr) -> bool:
    parts = list(ast.walk(value))
    if any(isinstance(p, (ast.comprehension, ast.Lambda)) for p in parts):
        return False  # tables, and functions
    numbers = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, (int, float))]
    if any(_is_small_power(p) for p in parts):
        return True
    if any(isinstance(p, (ast.Name, ast.Call)) for p in parts):
        return False  # made of other constants
    bits = name.endswith(("BITS", "PRECISION", "PRECISIONS"))
    return any(isinstance(n, float) or bits for n in numbers)


def _is_small_power(part: ast.AST) -> bool:
    """2**-k with k written out."""
    if not (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow) and isinstance(part.right, ast.UnaryOp)):
        return False
    return isinstance(part.right.op, ast.USub) and isinstance(part.right.operand, ast.Constant)


def imported() -> set[tuple[str, str]]:
    """(topic, constant) of all imports from the thresholds in the code and the scripts."""
    found = set()
    for folder in ("harness", "strategies", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            if PLACE in path.parents:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{thresholds.__name__}."):
                    found |= {(str(node.module).rsplit(".", 1)[1], a.name) for a in node.names}
    return found


def test_each_constant_is_used() -> None:
    stated = {(p.stem, name) for p in TOPICS for name, _, _ in constants(p.read_text())}
    assert stated - imported() == set()
    assert len(stated) > 60


@pytest.mark.parametrize("path", TOPICS, ids=lambda p: p.stem)
def test_each_constant_is_explained(path: Path) -> None:
    assert unexplained(path.read_text()) == []
    assert f"- `{path.stem}`:" in (thresholds.__doc__ or "")


def test_a_constant_without_a_sentence_is_named() -> None:
    assert unexplained('A = 1.0\nB = 2.0\n"""Half of A."""\nC, D = 1, 2\n"""Bits"""\n') == ["A", "C", "D"]


def test_the_table_for_users_has_the_right_numbers() -> None:
    rows = re.findall(r"\| (\d+) \| `(\w+)\.(\w+)` \|", (ROOT / "docs" / "verdicts.md").read_text())
    assert len(rows) == 11
    for number, topic, name in rows:
        value = getattr(importlib.import_module(f"{thresholds.__name__}.{topic}"), name)
        assert number == f"{value[-1] if isinstance(value, tuple) else value:g}", name


def test_no_name_is_given_twice() -> None:
    count = Counter(name for p in TOPICS for name, _, _ in constants(p.read_text()))
    assert [name for name, n in count.items() if n > 1] == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_tolerance_stands_elsewhere(room: str) -> None:
    found = {str(p.relative_to(ROOT)): tolerances(p.read_text()) for p in (ROOT / "harness" / room).rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    ["TOLD = 1e-3", "STEPS: tuple[float, ...] = (2.0**-11, 2.0**-13)", "_CLOSE = arb(2) ** -70", "STEP_BITS = 160"],
)
def test_a_tolerance_is_known_by_its_value(line: str) -> None:
    assert len(tolerances(line)) == 1


@pytest.mark.parametrize(
    "line",
    ["CHUNK = 2048", "CACHE = 2**21", "_CLOSE = arb(2) ** -AGREEMENT_BITS", "HALF = arb(0.5)", "LN2 = float(log(2.0))"],
)
def test_sizes_and_derived_numbers_are_none(line: str) -> None:
    assert tolerances(line) == []
