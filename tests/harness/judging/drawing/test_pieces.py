"""Large arrays get fewer points, in pieces, and verdicts all the same."""

from __future__ import annotations

import pytest

import backprove as bp
from backprove.harness.core.amounts import few
from backprove.harness.core.thresholds.large import FEWEST
from backprove.harness.judging import judge, minimal
from backprove.harness.judging.drawing import pieces, sampling
from backprove.harness.oracles import exact


def test_a_budget_of_entries_allows_fewer_large_points() -> None:
    assert few(100, 1, 1000) == 100 and few(100, 50, 1000) == 20
    assert few(100, 10**9, 1000) == FEWEST and few(1, 10**9, 1000) == 1 and few(7, 0, 1000) == 7


@pytest.fixture
def _small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets for points of a hundred entries, as the real ones are for points of a million."""
    for module, name, value in (
        (sampling, "DRAWN_ENTRIES", 1600),
        (sampling, "OTHER_ENTRIES", 800),
        (sampling, "BATCH_ENTRIES", 400),
        (pieces, "BATCH_ENTRIES", 400),
        (pieces, "EXACT_ENTRIES", 200),
        (judge, "EXACT_ENTRIES", 200),
        (exact, "EXACT_AT_ONCE", 50),
        (exact, "LOCALISED", 10),
        (minimal, "SHRUNK_ONE_BY_ONE", 50),
    ):
        monkeypatch.setattr(module, name, value)


def rule(factor: float) -> bp.Rule:
    def vjp(x, g):  # type: ignore[no-untyped-def]
        s = x * (g * x).sum()
        s[7] *= factor
        return g * (x * x).sum() + 2 * s

    return bp.Rule("norm", forward=lambda x: x * (x * x).sum(), vjp=vjp, inputs={"x": bp.array("50", low=0.5)})


@pytest.mark.usefixtures("_small_budgets")
def test_a_right_rule_of_large_arrays_holds_and_says_how_many_points_there_were() -> None:
    report = bp.check(rule(1.0), dtypes=("float64",))
    assert report.ok, str(report)
    [result] = report.properties
    assert 16 <= result.points < 200
    assert "large arrays: 10,000 points were asked for" in str(report.to_dataframe()["findings"].iloc[0])


@pytest.mark.usefixtures("_small_budgets")
def test_a_wrong_entry_of_large_arrays_is_refused_by_name() -> None:
    report = bp.check(rule(1.001), dtypes=("float64",))
    assert report.verdict == "falsified"
    [point] = report.counterexamples
    assert point.argument == "x" and point.entry == [7]
    assert sum(g != 0 for g in point.cotangents["cotangent"]) == 1
