"""Rules that misbehave cost themselves only: those before and after them get their own verdicts, on any executor."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from backprove.harness.campaign import workers
from backprove.harness.campaign.dispatch import Dispatch
from backprove.harness.campaign.executors import ExecutorSpec
from backprove.harness.campaign.finding import find_jobs
from backprove.harness.campaign.messages import EngineOptions
from backprove.harness.campaign.workers import Workers
from backprove.harness.core.verdicts import Verdict
from tests.trial import misbehaving

DATA = Path(__file__).parents[1] / "data"
RULES = Path(__file__).parent / "misbehaving.py"
OPTIONS: EngineOptions = {"points": 10, "dtypes": ["float64"], "seed": 0, "accuracy": None}
LIMIT = 1.5

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="Linux alone kills what left its group")


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[Verdict, str]]:
    """Verdict and reason of every rule, by name, from one worker at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(DATA)])
        patch.setattr(workers, "ENGINE", "fake_engine")
        all_workers = Workers()
        with all_workers.one() as worker:
            jobs = find_jobs(worker, str(RULES))
        started = time.monotonic()
        found = list(Dispatch(OPTIONS, ExecutorSpec("process", 1), timeout=LIMIT, workers=all_workers).run(jobs))
        assert time.monotonic() - started < len(jobs) * (LIMIT + 5)
        return {s.name: (s.verdict, s.properties[0].reason) for s in found}


def test_every_rule_has_a_result(verdicts: dict[str, tuple[Verdict, str]]) -> None:
    groups = {n.partition(" after ")[0] for n in verdicts if " after " in n}
    assert groups == {"right", "wrong"} and len(verdicts) % 3 == 0 and len(verdicts) >= 180


def test_neighbours_get_their_own_verdicts(verdicts: dict[str, tuple[Verdict, str]]) -> None:
    rights = {n: v for n, v in verdicts.items() if n.startswith("right after ") and v[0] is not Verdict.HOLDS}
    wrongs = {n: v for n, v in verdicts.items() if n.startswith("wrong after ") and v[0] is not Verdict.FALSIFIED}
    assert not rights and not wrongs


def test_what_ends_its_process_is_an_error_with_a_reason(verdicts: dict[str, tuple[Verdict, str]]) -> None:
    assert {
        n: verdicts[n] for n in misbehaving.ERRORS if verdicts[n][0] is not Verdict.ERROR or not verdicts[n][1]
    } == {}
    reasons = " ".join(verdicts[n][1] for n in misbehaving.ERRORS)
    assert all(c.isprintable() for c in reasons) and max(len(verdicts[n][1]) for n in misbehaving.ERRORS) < 2000
    assert "did not finish within 1.5 s" in verdicts["holds the interpreter"][1]
    assert "signal SIGABRT" in verdicts["aborts"][1] and "exit status 1" in verdicts["leaves with 1"][1]


def test_what_only_changes_the_process_is_judged(verdicts: dict[str, tuple[Verdict, str]]) -> None:
    judged = (Verdict.HOLDS, Verdict.ERROR, Verdict.FALSIFIED)
    assert {n: verdicts[n] for n in misbehaving.CHANGES if verdicts[n][0] not in judged} == {}
    assert sum(verdicts[n][0] is Verdict.HOLDS for n in misbehaving.CHANGES) >= len(misbehaving.CHANGES) - 8


def test_no_process_of_theirs_is_left(verdicts: dict[str, tuple[Verdict, str]]) -> None:
    assert verdicts
    sleeping = [
        p
        for p in Path("/proc").glob("[0-9]*/cmdline")
        if p.read_bytes() == f"sleep\x00{misbehaving.SECONDS}\x00".encode()
    ]
    assert not sleeping
