"""Writing a report directory."""

from __future__ import annotations

import builtins
import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import load_run
from backprove.reports.write import write_reports

FILES = [
    "index.html",
    "results.json",
    "summary.json",
    "results.csv",
    "junit.xml",
    "summary.md",
    "badge.svg",
    "history.jsonl",
]


def test_all_files_and_no_others(holding_run: RunResult, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert [p.name for p in write_reports(holding_run, out)] == FILES
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    assert load_run(out).ok and json.loads((out / "summary.json").read_text())["ok"]


def test_the_same_run_again_changes_nothing(failing_run: RunResult, holding_run: RunResult, tmp_path: Path) -> None:
    holding_run.started = "2026-11-23T12:00:00Z"
    write_reports(failing_run, tmp_path)
    write_reports(holding_run, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write_reports(load_run(tmp_path), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert before["history.jsonl"].count(b"\n") == 2
    assert b"was falsified and holds now" in before["index.html"]


def test_a_run_of_the_other_command_is_no_previous_run(
    user_run: RunResult, holding_run: RunResult, tmp_path: Path
) -> None:
    write_reports(user_run, tmp_path)
    write_reports(holding_run, tmp_path)
    assert b"no longer covered" not in (tmp_path / "index.html").read_bytes()
    assert load_run(tmp_path / "previous.json").command == "check"


def test_runs_without_a_start_are_told_apart_by_content(holding_run: RunResult, tmp_path: Path) -> None:
    holding_run.started = ""
    write_reports(holding_run, tmp_path)
    write_reports(copy.deepcopy(holding_run), tmp_path)
    assert not (tmp_path / "previous.json").exists()
    holding_run.subjects.pop()
    write_reports(holding_run, tmp_path)
    assert (tmp_path / "previous.json").exists()


def test_rubbish_in_the_directory_does_no_harm(holding_run: RunResult, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{")
    (tmp_path / "previous.json").write_text("[]")
    (tmp_path / "history.jsonl").write_bytes(b"\xff half a line")
    write_reports(holding_run, tmp_path)
    assert load_run(tmp_path).ok


def test_hostile_rules_are_written(hostile_run: RunResult, tmp_path: Path) -> None:
    write_reports(hostile_run, tmp_path)
    assert all((tmp_path / name).stat().st_size for name in FILES)
    write_reports(load_run(tmp_path), tmp_path)


def test_an_interrupted_write_leaves_the_old_file(
    failing_run: RunResult, holding_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(failing_run, tmp_path)
    before = (tmp_path / "index.html").read_bytes()

    def fail(source: Any, target: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_reports(holding_run, tmp_path)
    assert (tmp_path / "index.html").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_place_that_cannot_be_written_is_wrong_use(holding_run: RunResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write reports"):
        write_reports(holding_run, tmp_path / "file")


def test_parquet_needs_pyarrow(holding_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="Parquet needs pyarrow"):
        write_reports(holding_run, tmp_path, parquet=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES), "all other files are there"


def test_all_reports_of_the_catalogue_within_a_second(
    failing_run: RunResult, holding_run: RunResult, tmp_path: Path
) -> None:
    write_reports(failing_run, tmp_path)
    holding_run.started = "2026-11-23T12:00:00Z"
    start = time.process_time()
    write_reports(holding_run, tmp_path)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, g: g[..., None],
        lambda x, g: np.copyto(g, 2 * g) or 2 * x * g,
        lambda x, g: {}["slope"],
        lambda x, g: 2 * x * g + np.random.default_rng().random(),
    ],
    ids=["shape", "changed", "raised", "two answers"],
)
def test_an_error_shows_no_values_where_there_are_none(wrong: Any, tmp_path: Path) -> None:
    rule = bp.Rule("square", forward=lambda x: x * x, vjp=wrong, inputs={"x": bp.array("n")})
    report = bp.check(rule, points=40, dtypes=["float64"])
    assert report.verdict is Verdict.ERROR
    report.write(tmp_path)
    texts = {f: (tmp_path / f).read_text() for f in ("index.html", "summary.md", "junit.xml")} | {"text": str(report)}
    for name, text in texts.items():
        for word in ("got not finite", "expected not finite", "right is (", 'class="got"', "got      "):
            assert word not in text, (name, word)
    stored = json.loads((tmp_path / "results.json").read_text())
    shown = [p["counterexample"] for s in stored["subjects"] for p in s["properties"]]
    assert all(c["got"] is None and c["expected"] is None and not c["oracle"] for c in shown)
