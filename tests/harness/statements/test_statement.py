"""Statements are plain data, the same from a worker and from this process."""

from __future__ import annotations

from typing import Any

import pytest

from backprove.harness.campaign.finding import find_statements
from backprove.harness.campaign.messages import State, Stated
from backprove.harness.campaign.work import run_here
from backprove.harness.campaign.workers import Worker, WorkerLost
from backprove.harness.core.records import from_json, to_json
from backprove.harness.statements.statement import Statement, statements
from backprove.rules.all import load

TARGET = "backprove.rules.all"


def test_a_statement_survives_json() -> None:
    found = statements(load())
    assert len(found) == len(load())
    for name, statement in found.items():
        assert statement.name == name and statement.weight > 0
        assert from_json(to_json(statement), Statement) == statement


def test_a_worker_states_what_this_process_would() -> None:
    worker = Worker()
    try:
        assert find_statements(worker, TARGET) == statements(load())
    finally:
        worker.stop()
    assert run_here(State(TARGET)) == Stated(list(statements(load()).values()))


def test_where_the_worker_is_lost_this_process_imports_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise WorkerLost("was killed", killed=True)

    worker = Worker()
    monkeypatch.setattr(worker, "request", lost)
    assert find_statements(worker, TARGET) == statements(load())
