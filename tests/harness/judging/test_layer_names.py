"""The names of layers: what decides a verdict, and what a report describes, is the name of a layer that tallies."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import backprove
from backprove.harness.core.evidence import DECIDING_LAYERS
from backprove.reports.html import PILLS
from backprove.reports.view import LAYERS

JUDGING = Path(backprove.__file__).parent / "harness" / "judging"
METHODS = ("layer", "_enter")


def names_of_layers(sources: Iterable[str]) -> set[str]:
    """Texts that calls of `METHODS` are given."""
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def test_every_layer_that_decides_or_is_described_tallies_somewhere() -> None:
    tallied = names_of_layers(p.read_text(encoding="utf-8") for p in sorted(JUDGING.rglob("*.py")))
    assert set(DECIDING_LAYERS) <= tallied
    assert set(LAYERS) <= tallied
    assert set(PILLS) == set(LAYERS)


def test_a_name_that_no_call_gives_is_no_layer() -> None:
    assert names_of_layers(['seen.layer("exact")\nNAMES = ("law",)\nself._enter(x, "wide")']) == {"exact", "wide"}
