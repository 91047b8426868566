from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.asked import kept
from scripts.opinfo.page import page
from scripts.opinfo.worker import CALLED, EXACTLY, LATE, Row


def row(operator: str, outcome: str, why: str = "", verdict: str = "") -> Row:
    found: Row = {"operator": operator, "outcome": outcome, "why": why, "seconds": 1.0}
    return found | ({"verdict": verdict} if verdict else {})


def test_the_page_counts_outcomes_and_leaves_no_refusal_unsaid() -> None:
    text = page(
        [
            row("sin", EXACTLY, verdict="holds"),
            row("as_strided_scatter", EXACTLY, "gives 1", "falsified"),
            row("new", EXACTLY, "gives 2", "falsified"),
            row("slow", LATE, "over 60 s"),
            row("branch", CALLED, "a | b", "holds"),
        ],
        points=50,
        limit=60,
    )
    assert "Judged exactly: **3 of 5**, in a median of" in text
    assert "| `as_strided_scatter` | falsified | gives 1 | A bug of torch" in text
    assert "| `new` | falsified | gives 2 | **open** |" in text
    assert "| `branch` | called | a \\| b |" in text and "| `slow` | late | over 60 s |" in text


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    state = tmp_path / "rows.jsonl"
    assert kept(state) == {}
    lines = [json.dumps(row("sin", LATE)), json.dumps(row("sin", EXACTLY)), '{"operator": "co']
    state.write_text("\n".join(lines))
    assert kept(state) == {"sin": row("sin", EXACTLY)}


def test_a_sample_becomes_a_rule_whose_inputs_require_grad() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from scripts.opinfo.samples import rule

    stated = rule("nn.functional.linear")
    assert stated.name == "nn.functional.linear" and len(stated.inputs) >= 2
