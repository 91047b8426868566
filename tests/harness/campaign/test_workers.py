"""A rule that hangs or ends the interpreter is reported, and the others go on."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.campaign import workers
from backprove.harness.campaign.dispatch import Dispatch
from backprove.harness.campaign.executors import ExecutorSpec
from backprove.harness.campaign.finding import find_jobs
from backprove.harness.campaign.messages import (
    EngineFailed,
    EngineOptions,
    Found,
    FoundRule,
    Load,
    Numbered,
    Ready,
    Step,
)
from backprove.harness.campaign.work import Item, Job
from backprove.harness.campaign.workers import Worker, WorkerLost, Workers
from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import to_json
from backprove.harness.core.results import SubjectResult
from backprove.harness.core.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
OPTIONS: EngineOptions = {"points": 10, "dtypes": ["float64"], "seed": 0, "accuracy": None}


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import from where this process does."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(DATA)])
    monkeypatch.setattr(workers, "ENGINE", "fake_engine")


def jobs_of(target: str, workers: Workers | None = None) -> list[Job]:
    with (workers := workers or Workers()).one() as worker:
        return find_jobs(worker, target)


def run(
    jobs: Sequence[Job], *, processes: int = 1, workers: Workers | None = None, **more: Any
) -> Iterator[SubjectResult]:
    spec = ExecutorSpec("process", processes)
    return Dispatch(OPTIONS, spec, workers=workers or Workers(), **more).run(jobs)


def test_rules_that_crash_hang_or_print_do_not_stop_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    workers = Workers()
    jobs = jobs_of(f"{DATA}/unruly.py", workers)
    steps: list[tuple[str, int, int]] = []
    started = time.monotonic()
    found = list(run(jobs, timeout=1.5, progress=lambda *s: steps.append(s), workers=workers))
    assert time.monotonic() - started < 60
    assert [s.name for s in found] == ["before", "crashes", "aborts", "hangs", "prints", "after"]
    error, holds = Verdict.ERROR, Verdict.HOLDS
    assert [s.verdict for s in found] == [holds, error, error, error, holds, holds]
    reasons = [s.properties[0].reason for s in found]
    assert "ended the Python process: exit status 7" in reasons[1]
    assert "signal SIGABRT" in reasons[2]
    assert "did not finish within 1.5 s and was stopped" in reasons[3]
    assert [p.name for p in found[1].properties] == ["vjp"] and found[1].source["line"] > 0
    assert steps[0] == ("before", 1, 2)
    out, err = capfd.readouterr()
    assert out == "" and '{"type": "result"}' in err


def test_a_worker_serves_several_rules_and_their_points_come_back() -> None:
    workers = Workers()
    [job] = jobs_of(f"{DATA}/logsoftmax_wrong.py::rule", workers)
    assert job.claims == ("vjp",) and "logsoftmax_backward" in job.code
    with workers.one() as worker:
        process = worker._process
    [wrong] = run([job], workers=workers)
    assert process is not None and process.poll() is not None
    point = wrong.properties[0].counterexample
    assert wrong.verdict is Verdict.FALSIFIED and point is not None
    assert point.entry == [0, 1] and point.expected == pytest.approx(-0.5)


def test_two_workers_give_the_results_of_one() -> None:
    jobs = jobs_of(f"{DATA}/several_rules.py::RULES")
    found = {s.name: s.verdict for s in run(jobs, processes=2)}
    assert found == {"double": Verdict.HOLDS, "triple": Verdict.FALSIFIED}


def test_theorems_run_in_workers_too() -> None:
    jobs = [Job("theorem", "Proofs.Autograd.sumExp_ne_zero", "fake_engine")]
    [found] = run(jobs)
    assert found.kind == "theorem" and found.verdict is Verdict.FALSIFIED


def test_a_mistake_of_the_engine_is_told_from_one_of_the_rule() -> None:
    results = run(jobs_of(f"{DATA}/several_rules.py"))
    names = [next(results).name for _ in range(3)]
    assert names == ["double", "double", "triple"]
    other = next(results)
    assert other.verdict is Verdict.ERROR and "ZeroDivisionError" in other.properties[0].reason
    assert "a mistake of backprove" in other.properties[0].reason and not list(results)


def test_a_failure_of_the_engine_travels_with_its_traceback() -> None:
    [*_, job] = jobs_of(f"{DATA}/several_rules.py")
    answer = workers.run_isolated(Item(job).request(workers.ENGINE, OPTIONS))
    again = pickle.loads(pickle.dumps(answer))  # as it comes from another machine
    assert isinstance(again, EngineFailed) and again == answer
    assert "ZeroDivisionError" in again.message and "Traceback" in again.traceback and not again.changed


def test_a_worker_that_somebody_kills_is_replaced_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_WORDS", "kill,true,true")
    jobs = [Job("theorem", f"Proofs.Autograd.{n}", "fake_engine") for n in ("sumExp_pos", "sumExp_ne_zero")]
    lost: set[str] = set()
    always, other = run(jobs, lost=lost)
    assert "signal SIGKILL" in always.properties[0].reason and other.verdict is Verdict.HOLDS
    assert lost == {"Proofs.Autograd.sumExp_pos"}
    monkeypatch.setenv("FAKE_WORDS", f"kill once {tmp_path / 'killed'},true,true")
    lost.clear()
    assert [s.verdict for s in run(jobs, lost=lost)] == [Verdict.HOLDS] * 2 and not lost


def test_workers_that_start_early_import_and_take_the_first_items() -> None:
    workers = Workers(("json", "no_such_module"))
    workers.start(1)
    (early,) = workers._idle
    with workers.one() as worker:
        assert worker is early
        with pytest.raises(UsageError, match="no rule found"):
            find_jobs(worker, f"{DATA}/no_rule.py")
    workers.stop()
    with workers.one() as worker:
        assert worker is not early


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        '{"number":1,"line":{"type":"found"}}',
        '{"number":1,"line":{"type":"ready"}}',
        '{"number":1,"line":{"type":"step","name":"a","done":"1","total":2}}',
        '{"type":"found","rules":[]}',
        "[" * 200_000,
    ],
)
def test_a_worker_that_answers_something_else_is_lost(line: str) -> None:
    worker = Worker()
    worker.start()
    worker._lines.put(line.encode() + b"\n")
    with pytest.raises(WorkerLost, match="gave an answer that cannot be read"):
        worker.request(Load("x.py"), Found)
    assert worker._process is None


def test_steps_are_reported_until_the_answer_comes() -> None:
    worker, steps = Worker(), list[tuple[str, int, int]]()
    worker.start()
    for line in (Numbered(1, Step("a", 1, 2)), Numbered(1, Found([]))):
        worker._lines.put(to_json(line).encode() + b"\n")
    assert worker.request(Load("x.py"), Found, progress=lambda *s: steps.append(s)) == Found([])
    assert steps == [("a", 1, 2)]
    worker.close()


def test_an_answer_to_an_earlier_request_is_passed_over() -> None:
    worker = Worker()
    worker.start()
    late, now = FoundRule("late", ("vjp",), ("x.py", 1), ""), FoundRule("now", ("vjp",), ("x.py", 1), "")
    for line in (Numbered(0, Found([late])), Numbered(0, Ready()), Numbered(1, Found([now]))):
        worker._lines.put(to_json(line).encode() + b"\n")
    assert worker.request(Load("x.py"), Found) == Found([now])
    worker.close()


def test_a_stopped_worker_starts_no_process() -> None:
    worker = Worker()
    worker.stop()
    with pytest.raises(WorkerLost, match="the run has ended"):
        worker.request(Load("x.py"), Found)


def test_a_file_that_cannot_be_read_is_the_users_to_mend(tmp_path: Path) -> None:
    worker = Worker()
    with pytest.raises(UsageError, match="no rule found"):
        find_jobs(worker, f"{DATA}/no_rule.py")
    file = tmp_path / "crash.py"
    file.write_text("import os\nos._exit(3)\n")
    with pytest.raises(UsageError, match="ended the Python process: exit status 3"):
        find_jobs(worker, str(file))
    worker.close()


def test_a_file_that_hangs_when_imported_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "START_UP", 1.0)
    file = tmp_path / "hang.py"
    file.write_text("import time\nwhile True:\n    time.sleep(1)\n")
    with pytest.raises(UsageError, match=r"importing the file did not finish within 1\.5 s"):
        find_jobs(Worker(), str(file), timeout=0.5)
