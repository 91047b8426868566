"""CSV, data frame, JUnit, Markdown, badge and history."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree as ET

import pandas as pd
from msgspec.structs import replace

from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports import markdown
from backprove.reports.badge import COLOURS, to_badge
from backprove.reports.frame import TEXT, columns, to_csv, to_dataframe
from backprove.reports.history import CHANGES, history_record, past_runs, with_run
from backprove.reports.junit import to_junit
from backprove.reports.markdown import headline, to_markdown


def test_the_frame_has_a_row_for_each_verdict(failing_run: RunResult) -> None:
    frame = to_dataframe(failing_run)
    assert len(frame) == sum(len(s.properties) for s in failing_run.subjects)
    assert list(frame.columns) == columns()
    assert frame["points"].dtype == "int64" and frame["max_ulp"].dtype == "float64"
    bad = frame[frame["verdict"] == "falsified"].iloc[0]
    assert bad["entry"] == "z[0, 1]" and bad["got"] == 0.0 and bad["expected_low"] == bad["expected_high"] < 0


def test_the_frame_of_nothing_has_its_columns() -> None:
    frame = to_dataframe(RunResult("verify", "0", 0))
    assert list(frame.columns) == columns() and len(frame) == 0


def test_csv_agrees_with_the_frame(holding_run: RunResult) -> None:
    again = pd.read_csv(io.StringIO(to_csv(holding_run)))
    frame = to_dataframe(holding_run)
    for name in ("name", "property", "dtype", "verdict", "points", "max_ulp", "kink"):
        assert list(again[name]) == list(frame[name])


def test_no_text_cell_is_a_formula_and_numbers_stay_numbers(hostile_run: RunResult) -> None:
    p = hostile_run.subjects[1].properties[0]
    assert p.counterexample is not None
    p.counterexample = replace(p.counterexample, got=-0.5)
    rows = list(csv.DictReader(io.StringIO(to_csv(hostile_run))))
    names = [r["name"] for r in rows]
    assert '\'=HYPERLINK("http://example.invalid")' in names and "'-2+3" in names and "'@SUM(1)" in names
    for row in rows:
        for column in TEXT:
            assert not row[column].lstrip(" ").startswith(tuple("=+-@\t\r\n")), (column, row[column])
    assert rows[1]["got"] == "-0.5" and rows[0]["expected_low"] == "-1.0"


def test_junit_counts_and_kinds(failing_run: RunResult) -> None:
    root = ET.fromstring(to_junit(failing_run))
    cases = root.findall(".//testcase")
    results = [p for s in failing_run.subjects for p in s.properties]
    assert len(cases) == len(results) == int(root.get("tests", ""))
    kinds = {
        "failure": (Verdict.FALSIFIED, Verdict.INACCURATE),
        "error": (Verdict.ERROR,),
        "skipped": (Verdict.INCONCLUSIVE,),
    }
    for kind, verdicts in kinds.items():
        n = sum(r.verdict in verdicts for r in results)
        assert n and len(root.findall(f".//{kind}")) == n
        assert sum(int(s.get({"failure": "failures", "error": "errors"}.get(kind, kind), "")) for s in root) == n
    text = root.find(".//failure").text or ""  # type: ignore[union-attr]
    assert "backprove replay logsoftmax-7f3a91c2e4" in text and "z[0, 1]: got 0.0" in text


def test_junit_of_hostile_rules_parses(hostile_run: RunResult) -> None:
    root = ET.fromstring(to_junit(hostile_run).encode("utf-8"))
    assert {c.get("classname") for c in root.findall(".//testcase")} >= {
        "<script>document.title='owned'</script>",
        '=HYPERLINK("http://example.invalid")',
    }


def test_markdown_leads_with_the_answer(failing_run: RunResult, holding_run: RunResult) -> None:
    good = to_markdown(holding_run)
    assert good.startswith("# All 81 theorems hold\n") and "What is wrong" not in good
    bad = to_markdown(failing_run, ["something changed"])
    assert bad.startswith("# 3 of 79 theorems are refused\n")
    assert "The gate did not pass" in bad and "cut short" in bad and "- something changed" in bad
    assert bad.index("Before you rely") < bad.index("What is wrong") < bad.index("Since the previous")
    assert "backprove replay logsoftmax-7f3a91c2e4" in bad and "def test_logsoftmax_vjp" in bad


def test_markdown_escapes_and_never_breaks_out_of_a_block(hostile_run: RunResult) -> None:
    text = to_markdown(hostile_run)
    outside, fence = [], ""
    for line in text.splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line[: len(line) - len(line.lstrip("`"))]
        else:
            outside.append(line)
    rest = "\n".join(outside)
    assert fence == ""
    assert "<" not in rest and not re.search(r"(?<!\\)\]\(", rest)
    assert " @everyone" not in rest and "&#64;everyone" in rest


def test_markdown_keeps_below_the_limit(failing_run: RunResult) -> None:
    for s in failing_run.subjects:
        for p in s.properties:
            p.findings = [f"finding {i} of {s.name} " + "\u00e9" * 200 for i in range(60)]
    text = to_markdown(failing_run)
    assert len(text.encode()) <= markdown.LIMIT + 100
    assert text.rstrip().endswith("the HTML report has it all.")
    assert text.count("```") % 2 == 0


def test_headlines() -> None:
    def run(*verdicts: Verdict, partial: bool = False) -> str:
        subjects = [
            SubjectResult("theorem", f"t{i}", properties=[PropertyResult("a", "float64", v, 1)])
            for i, v in enumerate(verdicts)
        ]
        return headline(RunResult("verify", "0", 0, subjects, partial=partial))

    holds, open_, wrong = Verdict.HOLDS, Verdict.INCONCLUSIVE, Verdict.FALSIFIED
    assert run() == "Nothing ran"
    assert run(holds) == "t0 holds" and run(wrong) == "t0 is falsified"
    assert run(holds, holds) == "All 2 theorems hold"
    assert run(holds, holds, partial=True) == "2 theorems hold in a run that was cut short"
    assert run(holds, open_) == "1 of 2 theorems is inconclusive"
    assert run(wrong, open_, wrong) == "2 of 3 theorems are refused"


def test_badge(holding_run: RunResult, failing_run: RunResult, user_run: RunResult, hostile_run: RunResult) -> None:
    assert "theorems: 93/93 hold" in to_badge(holding_run) and COLOURS[Verdict.HOLDS] in to_badge(holding_run)
    assert "1 refused, 1/2 hold" in to_badge(user_run) and COLOURS[Verdict.FALSIFIED] in to_badge(user_run)
    assert COLOURS[Verdict.ERROR] in to_badge(failing_run)
    holding_run.partial = True
    assert COLOURS[Verdict.INCONCLUSIVE] in to_badge(holding_run)
    assert "0/0 hold" in to_badge(RunResult("check", "0", 0))
    assert all(
        ET.fromstring(to_badge(r)).tag.endswith("svg") for r in (holding_run, failing_run, user_run, hostile_run)
    )


def test_history_appends_one_line_a_run(holding_run: RunResult, failing_run: RunResult) -> None:
    text = with_run("", failing_run)
    text = with_run(text, holding_run)
    assert with_run(text, holding_run) == text
    assert with_run("half a li", holding_run).startswith("half a li\n{")
    records = [json.loads(line) for line in text.splitlines()]
    assert [r["ok"] for r in records] == [False, True]
    runs = past_runs(records, "verify")
    assert [(r.holds, r.covered, r.refused) for r in runs] == [(87 / 93, 91, 3), (1.0, 93, 0)]
    assert past_runs([{"command": "verify"}, {"command": "verify", "coverage": 3}, *records], "verify") == runs
    assert past_runs(records, "check") == []


def test_history_names_the_verdicts_that_changed(holding_run: RunResult, failing_run: RunResult) -> None:
    text = with_run(with_run("", holding_run), failing_run, holding_run)
    first, second = past_runs([json.loads(line) for line in text.splitlines()], "verify")
    assert first.changes == []
    assert second.changes[:2] == [
        f"{failing_run.subjects[30].name}: holds before, error now",
        f"{failing_run.subjects[4].name}: holds before, falsified now",
    ]
    for s in failing_run.subjects:
        s.properties = [PropertyResult("a", "float64", Verdict.FALSIFIED)]
    (run,) = past_runs([history_record(failing_run, holding_run)], "verify")
    assert (
        len(run.changes) == CHANGES + 1 and run.changes[-1] == f"and {len(failing_run.subjects) - CHANGES} more changes"
    )


def test_history_of_a_check_is_a_share_of_its_rules(user_run: RunResult) -> None:
    (run,) = past_runs([history_record(user_run)], "check")
    assert run.holds == 0.5 and run.covered is None
