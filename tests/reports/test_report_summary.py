"""The JSON shapes, and storing and reading a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import to_json, to_plain
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import (
    check_json,
    coverage_percent,
    inconclusive_share,
    load_run,
    results_json,
    summary_json,
    verify_json,
)

PROPERTY = {"name", "verdict", "dtype", "points", "max_ulp", "counterexample"}
COUNTEREXAMPLE = {
    "id", "property", "dtype", "inputs", "inputs_hex", "tangents", "cotangents", "argument", "entry", "got", "expected",
    "oracle", "region", "test",
}  # fmt: skip


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not strict JSON")


def test_verify_json_has_the_published_shape(failing_run: RunResult) -> None:
    data = json.loads(to_json(verify_json(failing_run)), parse_constant=refuse)
    assert set(data) == {"ok", "exit", "version", "seed", "coverage", "theorems"}
    assert set(data["coverage"]["documented"]) == {"declared", "executable", "covered", "holds"}
    assert data["ok"] is False and data["exit"] == 1
    for theorem in data["theorems"]:
        assert set(theorem) == {"name", "module", "verdict", "points", "max_ulp", "properties"}
        assert all(set(p) == PROPERTY for p in theorem["properties"])
    bad = next(t for t in data["theorems"] if t["verdict"] == "falsified")
    assert set(bad["properties"][0]["counterexample"]) == COUNTEREXAMPLE


def test_check_json_has_the_published_shape(user_run: RunResult) -> None:
    data = json.loads(to_json(check_json(user_run)), parse_constant=refuse)
    assert set(data) == {"ok", "exit", "version", "seed", "rules"}
    wrong, right = data["rules"]
    assert set(wrong) == {"name", "verdict", "diagnosis", "properties"}
    assert (wrong["verdict"], right["verdict"]) == ("falsified", "holds")
    assert right["diagnosis"] is None
    assert all(set(p) == PROPERTY for p in wrong["properties"])


def test_summary_names_what_fails_and_nothing_else(failing_run: RunResult, holding_run: RunResult) -> None:
    bad = summary_json(failing_run)
    assert {f["verdict"] for f in bad["failing"]} == {"error", "falsified", "inaccurate"}
    assert sum(bad["verdicts"].values()) == len(failing_run.subjects)
    good = summary_json(holding_run)
    assert good["ok"] and good["failing"] == [] and good["coverage_percent"] == 100.0


def test_shares() -> None:
    properties = [PropertyResult("a", "float64", v) for v in (Verdict.HOLDS, Verdict.INCONCLUSIVE)]
    run = RunResult("verify", "0", 0, [SubjectResult("theorem", "t", properties=properties)])
    assert inconclusive_share(run) == 0.5
    assert inconclusive_share(RunResult("verify", "0", 0)) == 0.0
    assert coverage_percent(run) is None
    run.coverage = {"documented": {"declared": 8, "executable": 4, "covered": 2, "holds": 0}}
    assert coverage_percent(run) == 25.0


def test_what_is_not_finite_becomes_null() -> None:
    run = RunResult(
        "check", "0", 0, [SubjectResult("rule", "r", properties=[PropertyResult("a", "float64", max_ulp=np.inf)])]
    )
    data = json.loads(results_json(run), parse_constant=refuse)
    assert data["subjects"][0]["properties"][0]["max_ulp"] is None


@pytest.mark.parametrize("name", ["holding_run", "failing_run", "user_run", "hostile_run"])
def test_a_stored_run_reads_back_the_same(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run = request.getfixturevalue(name)
    text = results_json(run)
    assert json.loads(text) == to_plain(run) and text.startswith('{"schema":1,') and text.endswith("}\n")
    (tmp_path / "results.json").write_text(text)
    again = load_run(tmp_path)
    assert to_plain(again) == to_plain(run)
    assert results_json(again) == text
    assert to_plain(load_run(tmp_path / "results.json")) == to_plain(run)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no stored results"),
        ("{", "not strict JSON"),
        ('{"schema": NaN}', "not strict JSON"),
        ("[" * 200_000, "not strict JSON"),
        ("[]", "got `array`"),
        ('{"schema": 99}', "Invalid value 99 - at `\\$.schema`"),
        ('{"schema": 1}', "missing required field `command`"),
        ('{"command": "verify", "version": "0", "seed": 0}', "a field is missing"),
        ('{"schema": 1, "command": "verify", "version": "0", "seed": 0}', "a field is missing"),
        ('{"schema": 1, "command": "verify", "version": "0", "seed": 0, "subjects": [{"x": 1}]}', "unknown field `x`"),
    ],
)
def test_what_cannot_be_read_is_wrong_use(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(UsageError, match=said):
        load_run(tmp_path)


def test_bytes_that_are_no_text_are_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not strict JSON"):
        load_run(tmp_path)
