"""The gate, and what changed between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.diff import diff
from backprove.reports.gate import evaluate_gate
from backprove.reports.summary import results_json
from backprove.reports.trust import facts, warnings


def test_without_settings_everything_passes(failing_run: RunResult) -> None:
    assert evaluate_gate(failing_run, {}, None) == {"passed": True, "reasons": []}


def test_coverage(failing_run: RunResult, holding_run: RunResult, user_run: RunResult) -> None:
    assert evaluate_gate(holding_run, {"fail_under": 100}, None)["passed"]
    assert evaluate_gate(failing_run, {"fail_under": 97}, None)["passed"]
    refused = evaluate_gate(failing_run, {"fail_under": 98}, None)
    assert not refused["passed"] and "97.85 % (91 of 93)" in refused["reasons"][0]
    assert evaluate_gate(user_run, {"fail_under": 100}, None)["passed"], "a check has no coverage to judge"


def test_inconclusive_share(failing_run: RunResult, holding_run: RunResult) -> None:
    assert evaluate_gate(holding_run, {"inconclusive_limit": 0}, None)["passed"]
    assert evaluate_gate(failing_run, {"inconclusive_limit": 0.05}, None)["passed"]
    assert "inconclusive_limit is 1 %" in evaluate_gate(failing_run, {"inconclusive_limit": 0.01}, None)["reasons"][0]


def test_verdicts_that_fail(failing_run: RunResult, holding_run: RunResult) -> None:
    assert evaluate_gate(holding_run, {"fail_on": ["inconclusive", "error"]}, None)["passed"]
    reasons = evaluate_gate(failing_run, {"fail_on": ["inconclusive"]}, None)["reasons"]
    assert reasons == [f"{failing_run.subjects[50].name} is inconclusive and fail_on lists inconclusive"]


def test_what_held_must_hold_and_be_covered(failing_run: RunResult, holding_run: RunResult) -> None:
    assert evaluate_gate(holding_run, {}, holding_run)["passed"]
    assert evaluate_gate(holding_run, {}, failing_run)["passed"], "getting better is no regression"
    reasons = evaluate_gate(failing_run, {}, holding_run)["reasons"]
    assert f"{failing_run.subjects[50].name} held in the baseline and is now inconclusive" in reasons
    assert f"{holding_run.subjects[-1].name} held in the baseline and is no longer covered" in reasons
    assert len(reasons) == 6


def test_an_entry_reached_before_must_still_be_reached(holding_run: RunResult) -> None:
    import copy

    now = copy.deepcopy(holding_run)
    now.not_covered[0]["covered_by"] = []
    (reason,) = evaluate_gate(now, {}, holding_run)["reasons"]
    assert reason == f"{now.not_covered[0]['name']} was reached in the baseline and is no longer covered"


def test_a_selection_answers_for_what_it_selects(holding_run: RunResult) -> None:
    import copy

    now = copy.deepcopy(holding_run)
    now.subjects = [s for s in now.subjects if "logSoftmax" in s.name][1:]
    now.options["only"] = "logSoftmax*"
    reasons = evaluate_gate(now, {}, holding_run)["reasons"]
    assert len(reasons) == 1 and "logSoftmaxVec held in the baseline and is no longer covered" in reasons[0]


def test_the_baseline_is_read_from_its_path(failing_run: RunResult, holding_run: RunResult, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results_json(holding_run))
    assert not evaluate_gate(failing_run, {"baseline": str(tmp_path)}, None)["passed"]
    with pytest.raises(UsageError, match="no stored results"):
        evaluate_gate(failing_run, {"baseline": str(tmp_path / "nothing")}, None)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"fail_undr": 90}, "unknown key 'fail_undr'; known keys are fail_under"),
        ({"fail_under": "90"}, "fail_under must be a coverage in percent from 0 to 100, got '90'"),
        ({"fail_under": True}, "got True"),
        ({"fail_under": 101}, "got 101"),
        ({"inconclusive_limit": 5}, "a share from 0 to 1, got 5"),
        ({"fail_on": "error"}, "must be a list of verdicts"),
        ({"fail_on": ["wrong"]}, "got \\['wrong'\\]"),
        ({"fail_on": ["holds"]}, "got \\['holds'\\]"),
        ({"baseline": 3}, "baseline must be the path"),
    ],
)
def test_wrong_settings_are_wrong_use(config: dict[str, Any], said: str, holding_run: RunResult) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate_gate(holding_run, config, None)


def test_no_difference_no_words(holding_run: RunResult) -> None:
    assert diff(holding_run, holding_run) == []


def test_diff_tells_what_got_worse_first(failing_run: RunResult, holding_run: RunResult) -> None:
    words = diff(holding_run, failing_run)
    assert words[0].endswith("elemwiseFderiv held and is now error (derivative in float64)")
    assert "logSoftmaxDerivCLM held and is now falsified" in words[1]
    assert "hasFDerivAt_mlp_wrt_W2 held and is now inaccurate" in words[2]
    assert "held and is now inconclusive" in words[3]
    assert sum(w.endswith("held and is no longer covered") for w in words) == 2
    assert "documented entries covered: 93 before, 91 now" in words
    assert "the new run was cut short" in words


def test_diff_tells_what_got_better_and_what_is_new(failing_run: RunResult, holding_run: RunResult) -> None:
    words = diff(failing_run, holding_run)
    assert any(w.endswith("was falsified and holds now") for w in words)
    assert sum(w.endswith("is new and holds") for w in words) == 2
    assert "the old run was cut short, the new one is complete" in words


def test_diff_of_errors_grades_points_and_setup(holding_run: RunResult) -> None:
    import copy

    new = copy.deepcopy(holding_run)
    p = new.subjects[0].properties[0]
    p.grade_factor, p.grade, p.points = 5000.0, "lost", 7
    new.subjects[1].properties[0].grade_factor = (holding_run.subjects[1].properties[0].grade_factor or 0) * 1.5
    new.subjects[1].properties[0].max_ulp = 2.7e305  # an error in ulps alone is no news
    new.seed, new.environment["jax"] = 5, "0.11"
    words = diff(holding_run, new)
    name = new.subjects[0].name
    [grew] = [w for w in words if w.startswith(f"{name}, positivity in float64: worst error grew from")]
    assert grew.endswith("to 5,000 times what conditioning forces")
    assert f"{name}, positivity in float64: graded lost (ordinary), before stable" in words
    assert f"{name} was judged at fewer points: 7 instead of 10,000" in words
    assert "the seed differs: 0 before, 5 now" in words and "jax: 0.10.2 before, 0.11 now" in words
    assert not any(new.subjects[1].name in w for w in words), "half as much again is no news"


def test_facts_of_a_good_run_are_good(holding_run: RunResult) -> None:
    assert warnings(holding_run) == []
    assert [f.level for f in facts(holding_run)] == ["good"] * 7


def test_facts_warn_of_each_weakness(failing_run: RunResult) -> None:
    found = {f.title: f for f in warnings(failing_run)}
    s = failing_run.subjects
    assert set(found) == {
        "Run",
        "Without any point",
        "Discarded inputs",
        "Untested number formats",
        "Inconclusive",
        "Weak theorems",
    }
    assert found["Without any point"].names == [s[50].name]
    assert found["Discarded inputs"].names == [s[53].name]
    assert found["Inconclusive"].names == [s[50].name]
    assert found["Weak theorems"].names == [s[51].name]


def test_a_format_asked_for_and_not_tried_is_a_weakness(holding_run: RunResult) -> None:
    holding_run.options["dtypes"] = ["float64", "float32", "bfloat16", "float16"]
    (fact,) = warnings(holding_run)
    assert fact.title == "Untested number formats" and "float16 in 81 theorems" in fact.detail


def test_undecided_points_and_unmeasured_strength(holding_run: RunResult) -> None:
    for s in holding_run.subjects:
        s.mutation = None
    holding_run.subjects[2].properties[0].counts["undecided"] = 5000
    found = {f.title: f for f in facts(holding_run)}
    assert found["Weak theorems"].level == "note"
    assert found["Undecided points"].level == "warn" and found["Undecided points"].names == [
        holding_run.subjects[2].name
    ]


def test_a_subject_without_properties_says_nothing(holding_run: RunResult) -> None:
    holding_run.subjects[0].properties = []
    assert holding_run.subjects[0].verdict is Verdict.INCONCLUSIVE
    assert any(
        f.title == "Without any point" and f.names == [holding_run.subjects[0].name] for f in warnings(holding_run)
    )
