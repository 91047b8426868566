"""What `mutate` found is kept for the reports of later runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from backprove.harness.mutation.record import FILE, MutationResult, OfRule, OfTheorem, store, stored


def test_results_are_kept_for_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPROVE_HOME", str(tmp_path / "home"))
    assert stored() == {}

    def result(name: str, killed: int) -> MutationResult:
        record: OfTheorem = {"name": name, "mutants": 3, "equivalent": 1, "killed": killed, "survivors": []}
        of_rule: OfRule = {**record, "float_only": [], "theorems": [name], "killed_by": {name: killed}}
        return {"rules": [of_rule], "theorems": [record], "weak": [], "seconds": 1.0}

    store(result("a", 2), partial=False)
    store(result("b", 1), partial=True)
    store(result("a", 0), partial=True)
    assert {n: t["killed"] for n, t in stored().items()} == {"a": 0, "b": 1}
    store(result("c", 2), partial=False)
    assert set(stored()) == {"c"}
    (tmp_path / "home" / FILE).write_text("{")
    assert stored() == {}
    store(result("d", 1), partial=True)
    assert stored() == {"d": {"mutants": 3, "equivalent": 1, "killed": 1, "survivors": []}}
