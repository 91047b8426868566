"""Work items through executors: what comes back does not depend on which, in what order, or what was lost."""

from __future__ import annotations

import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from backprove.harness.campaign import dispatch, parts, workers
from backprove.harness.campaign.dispatch import Dispatch
from backprove.harness.campaign.executors import ExecutorSpec
from backprove.harness.campaign.messages import Answer, EngineOptions, Judged, JudgedPart, Work
from backprove.harness.campaign.store import PartKey
from backprove.harness.campaign.work import Item, Job, Server, run_here
from backprove.harness.core.errors import UsageError
from backprove.harness.core.files import fingerprint
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import PropertyResult, SubjectResult

DATA = Path(__file__).parents[2] / "data"
OPTIONS: EngineOptions = {"points": 1000, "dtypes": ["float64", "float32"], "seed": 0, "accuracy": None}
NAMES = ("sumExp_pos", "sumExp_ne_zero", "logSoftmaxVec")


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(DATA)])
    monkeypatch.setattr(workers, "ENGINE", "fake_engine")
    monkeypatch.setattr(parts, "PART_POINTS", 100)
    monkeypatch.setenv("FAKE_WORDS", "true,part 3 false part 7 false,true")


def jobs() -> list[Job]:
    return [Job("theorem", f"Proofs.Autograd.{n}", "fake_engine", weight=w) for w, n in enumerate(NAMES)]


class Backwards(Executor):
    """Runs nothing until it must, and then the last item given."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run_one(self) -> None:
        future, work = self.waiting.pop()
        if future.set_running_or_notify_cancel():
            future.set_result(work())


class Reluctant:
    """A queue of finished futures that lets the executor work only when it is empty."""

    def __init__(self, executor: Backwards) -> None:
        self.executor = executor
        self.done: list[Future[Any]] = []

    def put(self, future: Future[Any]) -> None:
        self.done.append(future)

    def get(self, timeout: float | None = None) -> Future[Any]:
        while not self.done:
            self.executor.run_one()
        return self.done.pop()


def run(spec: ExecutorSpec, **more: Any) -> dict[str, Any]:
    isolated = more.pop("isolated", False)
    found = Dispatch(OPTIONS, spec, isolated, **more).run(jobs())
    return {s.name.rpartition(".")[2]: to_plain(s) for s in found}


def test_any_executor_in_any_order_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    serial = run(ExecutorSpec("serial"))
    assert list(serial) == list(NAMES)
    right, wrong = serial["sumExp_pos"]["properties"], serial["sumExp_ne_zero"]["properties"]
    assert [p["points"] for p in right] == [1000, 1000] and right[0]["max_ulp"] == 4.0
    assert [(p["verdict"], p["reason"], p["points"]) for p in wrong] == [("falsified", "part 3", 400)] * 2
    for executor in (ThreadPoolExecutor(3), backwards := Backwards()):
        context: AbstractContextManager[tuple[Executor, int]] = nullcontext((executor, 100))
        with monkeypatch.context() as patched:
            patched.setattr(dispatch, "open_executor", lambda _, context=context: context)
            if executor is backwards:
                patched.setattr(dispatch, "SimpleQueue", lambda: Reluctant(backwards))
            assert run(ExecutorSpec("process", 3)) == serial


def test_only_what_is_missing_is_run_again_and_a_lost_part_loses_its_theorem() -> None:
    kept: dict[PartKey, list[PropertyResult]] = {}
    serial = run(ExecutorSpec("serial"), keep=kept.__setitem__)
    assert len(kept) == 2 * (10 + 4 + 10)
    again: dict[PartKey, list[PropertyResult]] = {}
    some = {k: p for k, p in kept.items() if k[2] % 2}
    assert run(ExecutorSpec("serial"), earlier=some, keep=again.__setitem__) == serial
    # part 3 is known to be refused: nothing beyond it is judged
    assert len(again) == 2 * (5 + 2 + 5) and not set(again) & set(some)
    assert run(ExecutorSpec("serial"), earlier=kept) == serial


def test_a_part_that_hangs_is_stopped_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_POINTS", 500)
    monkeypatch.setenv("FAKE_WORDS", "true,part 1 slow,true")
    lost: set[str] = set()
    found = run(ExecutorSpec("process", 2), isolated=True, timeout=1.0, lost=lost)
    assert [found[n]["properties"][0]["verdict"] for n in NAMES] == ["holds", "error", "holds"]
    assert "did not finish within 1 s" in found["sumExp_ne_zero"]["properties"][0]["reason"]
    assert lost == {"Proofs.Autograd.sumExp_ne_zero"}


def test_the_dearest_starts_first_where_several_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: Work, *_: Any) -> Answer:
        asked.append(request.name)
        return Judged(SubjectResult("theorem", request.name))

    monkeypatch.setattr(dispatch, "run_isolated", answer)
    monkeypatch.setattr(dispatch, "open_executor", lambda _: nullcontext((ThreadPoolExecutor(1), 2)))
    few: EngineOptions = {**OPTIONS, "points": 10}
    list(Dispatch(few, ExecutorSpec("process", 2)).run(jobs()))
    assert asked == [f"Proofs.Autograd.{n}" for n in reversed(NAMES)]


@pytest.mark.parametrize("patience", [60.0, 0.01])
def test_the_further_format_of_a_single_rule_waits_unless_the_first_takes_long(
    patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []
    at_once: list[int] = []

    def answer(request: Work, *_: Any) -> Answer:
        running.append(request.dtype)
        at_once.append(len(running))
        if request.do == "part":
            sleep(0.2)
        running.remove(request.dtype)
        if request.do == "part":
            return JudgedPart([PropertyResult("vjp", request.dtype)])
        return Judged(SubjectResult("rule", request.name))

    monkeypatch.setattr(dispatch, "run_isolated", answer)
    monkeypatch.setattr(dispatch, "PATIENCE", patience)
    monkeypatch.setattr(dispatch, "open_executor", lambda _: nullcontext((ThreadPoolExecutor(2), 2)))
    few: EngineOptions = {**OPTIONS, "points": 10}
    list(Dispatch(few, ExecutorSpec("process", 2)).run([Job("rule", "mine", "mine.py", weight=1)]))
    assert max(at_once) == (2 if patience < 1 else 1)


def test_work_that_the_executor_gives_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class GivesUp(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            return future

    monkeypatch.setattr(dispatch, "open_executor", lambda _: nullcontext((GivesUp(), 2)))
    with pytest.raises(UsageError, match="gave up the work"):
        run(ExecutorSpec("dask", address="x"))


def test_a_worker_with_other_code_refuses(tmp_path: Path) -> None:
    file = tmp_path / "rules.py"
    file.write_text((DATA / "several_rules.py").read_text())
    request = Item(Job("rule", "double", str(file))).request("fake_engine", OPTIONS, fingerprint(file))
    assert isinstance(run_here(request), Judged)
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UsageError, match=r"rules\.py or a package it rests on differs on the worker"):
        run_here(request)
    file.unlink()
    with pytest.raises(UsageError, match=r"rules\.py does not exist on the worker"):
        Server(lambda *_: None).answer(request)
    theorem = Item(jobs()[0]).request("fake_engine", OPTIONS, "another")
    with pytest.raises(UsageError, match="backprove or a package it rests on differs"):
        run_here(theorem)
