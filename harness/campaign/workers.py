"""Workers run work items in processes of their own, so that a rule that hangs or ends the interpreter costs itself
only.

The worker (`serve`) reads requests from stdin and answers on what was its stdout, one JSON object a line; what the
user's code prints goes to stderr. One worker serves many items and is replaced when it dies or overruns its time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from backprove.harness.campaign import messages
from backprove.harness.campaign.work import Job, Server, stated
from backprove.harness.core.collector import few_collections
from backprove.harness.core.errors import BackproveError, UsageError
from backprove.harness.core.records import Malformed, Record, from_json, to_json
from backprove.harness.statements.statement import Statement

ENGINE = "backprove.harness.campaign.subjects"
"""Module whose `run`, `judge_part` and `conclude` do the work."""

START_UP = 120.0
"""Seconds that imports may take beyond the time of a rule before a worker counts as hanging."""

A = TypeVar("A", bound=Record)

ProgressCallback = Callable[[str, int, int], None]


class InternalError(BackproveError):
    """The engine failed inside the worker; `details` is its traceback."""

    def __init__(self, summary: str, details: str) -> None:
        super().__init__(summary)
        self.details = details

    def __reduce__(self) -> tuple[type[InternalError], tuple[str, str]]:
        return InternalError, (str(self), self.details)


class WorkerLost(BackproveError):
    """The worker ended or was stopped before it answered; the message says why.

    Attributes:
        killed: whether somebody else killed it (SIGKILL: an operator, or a system that is out of memory).
    """

    def __init__(self, reason: str, *, killed: bool = False) -> None:
        super().__init__(reason)
        self.killed = killed


class Worker:
    """The parent's end of one worker process; started on the first request.

    Args:
        imports: modules that the process imports before it reads a request.
    """

    def __init__(self, imports: Sequence[str] = ()) -> None:
        self._imports = list(imports)
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._starting = threading.Lock()
        self._stopped = False

    def request(
        self,
        message: messages.Request,
        answer: type[A],
        *,
        timeout: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> A:
        """Send one request and wait for its answer.

        Args:
            answer: the record that answers it.
            timeout: seconds from now until the worker is stopped; None waits for ever.
            progress: called with every step that the worker reports.

        Raises:
            WorkerLost: when the process ends, overruns its time or answers something else; the next request starts a
                new one.
            UsageError: when the user's file or rule is at fault.
            InternalError: when the engine is.
        """
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None and process.stdin is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(BrokenPipeError):  # the wait below tells how it ended
            process.stdin.write(to_json(message) + "\n")
            process.stdin.flush()
        expected: Any = answer | messages.Step | messages.WrongUse | messages.EngineFailed
        while True:
            try:
                line = self._answers.get(timeout=None if deadline is None else max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                self.close()
                raise WorkerLost(f"did not finish within {timeout:g} s and was stopped") from None
            if line is None:
                status = process.wait()
                self.close()
                killed = status == -getattr(signal, "SIGKILL", 9)
                raise WorkerLost(f"ended the Python process: {_how_it_ended(status)}", killed=killed)
            try:
                found: A | messages.Step | messages.WrongUse | messages.EngineFailed = from_json(line, expected)
            except Malformed as e:
                self.close()
                raise WorkerLost(f"gave an answer that cannot be read ({e}) and was stopped") from None
            if isinstance(found, messages.WrongUse):
                raise UsageError(found.message)
            if isinstance(found, messages.EngineFailed):
                raise InternalError(found.message, found.traceback)
            if not isinstance(found, messages.Step):
                return found
            if progress is not None:
                progress(found.name, found.done, found.total)

    def start(self) -> None:
        """Start the process, which imports while this one does something else."""
        if self._process is None:
            self._start()

    def stop(self) -> None:
        """Stop the process; further requests are lost."""
        with self._starting:  # a process that is being started in another thread must not be missed
            self._stopped = True
        self.close()

    def close(self) -> None:
        """Stop the process and forget it; the next request starts a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # with what the user's code started
            else:
                process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # what was not sent is lost with the worker
                process.stdin.close()

    def _start(self) -> None:
        # The worker imports from where this process does, installed or not.
        start = (
            "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from backprove.harness.campaign import workers"
        )
        with self._starting:
            if self._stopped:
                raise WorkerLost("was not started: the run has ended")
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"{start}; workers.serve({self._imports!r})", to_json(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                # several workers share a GPU: none takes all of its memory, unless the user wants that
                env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ},
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        self._answers = queue.Queue()
        threading.Thread(target=_forward, args=(self._process.stdout, self._answers), daemon=True).start()


class Workers:
    """The worker processes of this process: one for each item under way, kept for the items to come.

    Args:
        imports: see `Worker`.
    """

    def __init__(self, imports: Sequence[str] = ()) -> None:
        self._imports = imports
        self._lock = threading.Lock()
        self._all: list[Worker] = []
        self._idle: list[Worker] = []

    def start(self, count: int) -> None:
        """Start so many processes before there is anything to do."""
        with self._lock:
            new = [Worker(self._imports) for _ in range(count)]
            self._all += new
            self._idle += new
        for worker in new:
            worker.start()

    @contextlib.contextmanager
    def one(self) -> Iterator[Worker]:
        """A worker that nobody else uses meanwhile."""
        with self._lock:
            worker = self._idle.pop() if self._idle else Worker(self._imports)
            if worker not in self._all:
                self._all.append(worker)
        try:
            yield worker
        finally:
            with self._lock:
                self._idle.append(worker)

    def stop(self) -> None:
        """Stop all of them, with what they are doing."""
        with self._lock:
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            worker.stop()


def _forward(lines: Any, answers: queue.Queue[str | None]) -> None:
    with lines:
        for line in lines:
            answers.put(line)
    answers.put(None)


def _how_it_ended(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"


def find_jobs(
    worker: Worker, target: str, *, timeout: float | None = None, examples: messages.Examples | None = None
) -> list[Job]:
    """The rules of `FILE[::NAME]`, found in the worker.

    Args:
        examples: points of the user's own, which are held against their rules.

    Raises:
        UsageError: as `loading.load_rules`, when importing the file hangs or ends the process, and for a point that
            does not fit its rule.
    """
    try:
        limit = None if timeout is None else timeout + START_UP
        answer = worker.request(messages.Load(target, examples or {}), messages.Found, timeout=limit)
    except WorkerLost as e:
        raise UsageError(f"{target}: importing the file {e}") from None
    return [Job("rule", r.name, target, i, r.claims, r.source, r.code) for i, r in enumerate(answer.rules)]


def find_statements(worker: Worker, target: str) -> dict[str, Statement]:
    """What the theorems of a module say, by name; its imports stay in the worker, or here where that is lost.

    Raises:
        InternalError: when they cannot be imported.
    """
    try:
        answer = worker.request(messages.State(target), messages.Stated, timeout=START_UP)
    except WorkerLost:
        return stated(target)
    return {s.name: s for s in answer.theorems}


def run_isolated(
    request: messages.Work,
    timeout: float | None = None,
    progress: ProgressCallback | None = None,
    workers: Workers | None = None,
) -> messages.Answer:
    """Answer one request (`work.Server`) in a worker of this process, wherever an executor calls this.

    Args:
        timeout: seconds for the item, the start of the interpreter and imports apart.
        progress: called with every step.
        workers: where the worker comes from; those of this process if left out.

    Returns:
        The answer; `Lost` when the item ended the process or overran its time. A worker that
        somebody else killed is replaced once.

    Raises:
        UsageError, InternalError: as `Worker.request`.
    """
    start_up = None if timeout is None else timeout + START_UP
    kind: type[messages.Judged | messages.JudgedPart] = messages.JudgedPart if request.do == "part" else messages.Judged
    for last in (False, True):
        with (workers or HERE).one() as worker:
            try:
                worker.request(
                    replace(request, do="prepare"), messages.Ready, timeout=start_up
                )  # imports are not the rule's time
                return worker.request(request, kind, timeout=timeout, progress=progress)
            except WorkerLost as e:
                if last or not e.killed:
                    return messages.Lost(str(e))
    raise AssertionError("not reached")


HERE = Workers()
"""Workers of a process in which an executor runs items."""


def serve(imports: Sequence[str] = ()) -> None:
    """Answer requests until stdin closes.

    Args:
        imports: modules that the requests are going to need.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()

    def send(message: messages.Line) -> None:
        line = to_json(message) + "\n"
        try:
            out.write(line)
            out.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(0)

    def progress(name: str, done: int, total: int) -> None:
        send(messages.Step(name, done, total))

    for module in imports:
        with contextlib.suppress(Exception):  # the request that needs it says so
            importlib.import_module(module)
    gc.freeze()  # what is imported stays
    server = Server(progress)
    with few_collections():
        _answer_all(requests, server, send)


def _answer_all(requests: queue.SimpleQueue[str], server: Server, send: Callable[[messages.Line], None]) -> None:
    expected: Any = messages.Request
    while True:
        line = requests.get()
        try:
            request: messages.Request = from_json(line, expected)
            send(server.answer(request))
        except UsageError as e:
            send(messages.WrongUse(str(e)))
        except Exception as e:  # the parent says it in one line and keeps the traceback
            what = f"{type(e).__name__}: {e}"
            send(messages.EngineFailed(what, traceback.format_exc()))


def _read_requests(requests: queue.SimpleQueue[str]) -> None:
    """Hand requests over; when the parent is gone end the process, whatever a rule is doing."""
    for line in os.fdopen(os.dup(0), "r", encoding="utf-8"):
        requests.put(line)
    os._exit(0)
