"""Workers run work items in processes of their own, so that a rule that hangs or ends the interpreter costs itself
only.

worker = Worker()
worker.request(messages.Load("rules.py"), messages.Found, timeout=60)

A worker (`serving.serve`) serves many items. It is replaced when it dies, overruns its time, or when code has left its
process changed. Whoever waits for it looks after it twice a second: nothing here waits without an end.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from backprove.harness.campaign import messages, processes
from backprove.harness.campaign.processes import CANNOT_ANSWER
from backprove.harness.core.errors import BackproveError, UsageError
from backprove.harness.core.records import Malformed, Record, from_json, to_json

ENGINE = "backprove.harness.campaign.subjects"
"""Module whose `run`, `judge_part` and `conclude` do the work."""

TIME_LIMIT = 600.0
"""Seconds for a rule, theorem or part of one where the user names no limit."""

START_UP = 120.0
"""Seconds that imports may take beyond the time of a rule before a worker counts as hanging."""

LOOK_AFTER = 0.5
"""Seconds between two looks at whether a worker is still there."""

LAST_WORDS = 2.0
"""Seconds in which what a process wrote before it ended must arrive: a child of it may hold the pipe open."""

A = TypeVar("A", bound=Record)

ProgressCallback = Callable[[str, int, int], None]


class InternalError(BackproveError):
    """The engine failed inside the worker.

    Attributes:
        details: its traceback.
        changed: what code had left changed in that process, see `changes.Snapshot`.
    """

    def __init__(self, summary: str, details: str, changed: tuple[str, ...] = ()) -> None:
        super().__init__(summary)
        self.details, self.changed = details, changed

    def __reduce__(self) -> tuple[type[InternalError], tuple[str, str, tuple[str, ...]]]:
        return InternalError, (str(self), self.details, self.changed)


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
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._starting = threading.Lock()
        self._stopped = False
        self._mark = ""
        self._number = 0

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
            timeout: seconds from now until the worker is stopped; None: no limit.
            progress: called with every step that the worker reports.

        Raises:
            WorkerLost: when the process ends, overruns its time or answers something else; the next request starts a
                new one.
            UsageError: when the user's file or rule is at fault.
            InternalError: when the engine is.
        """
        if self._process is None:
            self._start()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._number += 1
        self._send(to_json(messages.Order(self._number, message)).encode() + b"\n", deadline)
        while True:
            line = self._line(deadline)
            if line is _LATE:
                self.close()
                raise WorkerLost(f"did not finish within {timeout:g} s and was stopped; --timeout gives it longer")
            if line is None:
                raise self._ended()
            try:
                said = from_json(line, messages.Numbered)
                if said.number != self._number:  # of an earlier request: whoever wrote it comes too late
                    continue
                if not isinstance(said.line, (answer, *_OTHER_LINES)):
                    raise Malformed(f"it is of the kind {type(said.line).__name__}")
            except Malformed as e:
                self.close()
                raise WorkerLost(f"gave an answer that cannot be read ({e}) and was stopped") from None
            found = said.line
            if isinstance(found, messages.WrongUse):
                raise UsageError(found.message)
            if isinstance(found, messages.EngineFailed):
                raise InternalError(found.message, found.traceback, found.changed)
            if isinstance(found, messages.Lost):
                self.close()
                raise WorkerLost(found.reason)
            if not isinstance(found, messages.Step):
                assert isinstance(found, answer)
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
        """Stop the process, with what the user's code started, and forget it; the next request starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            processes.end(process, mark=self._mark)

    def _send(self, data: bytes, deadline: float | None) -> None:
        """Write a request; a worker that reads none for as long as it may take is told by the wait for its answer."""
        process = self._process
        assert process is not None and process.stdin is not None
        pipe = process.stdin.fileno()
        rest = memoryview(data)
        while rest and process.poll() is None and (deadline is None or time.monotonic() < deadline):
            if sys.platform == "win32" or select.select([], [pipe], [], LOOK_AFTER)[1]:
                try:
                    rest = rest[os.write(pipe, rest[: select.PIPE_BUF if sys.platform != "win32" else None]) :]
                except OSError:  # the wait below tells how it ended
                    return

    def _line(self, deadline: float | None) -> bytes | None:
        """The next line; `_LATE` after the deadline, None when the process has ended or closed its pipe."""
        process, ended = self._process, 0.0
        assert process is not None
        while True:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return _LATE
            if ended and now - ended > LAST_WORDS:
                return None
            with contextlib.suppress(queue.Empty):
                return self._lines.get(timeout=LOOK_AFTER if deadline is None else min(LOOK_AFTER, deadline - now))
            if not ended and process.poll() is not None:
                ended = time.monotonic()

    def _ended(self) -> WorkerLost:
        """Why there are no further answers."""
        process = self._process
        assert process is not None
        try:
            status = process.wait(processes.ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.close()
            return WorkerLost("closed the pipe of its answers and was stopped")
        self.close()
        killed = status == -getattr(signal, "SIGKILL", 9)
        return WorkerLost(f"ended the Python process: {_how_it_ended(status)}", killed=killed)

    def _start(self) -> None:
        # The worker imports from where this process does, installed or not.
        start = (
            "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from backprove.harness.campaign import serving"
        )
        with self._starting:
            if self._stopped:
                raise WorkerLost("was not started: the run has ended")
            self._mark = uuid.uuid4().hex
            call = f"serving.serve({self._imports!r}, {os.getpid()})"
            try:
                self._process = processes.start(["-c", f"{start}; {call}", to_json(_path())], mark=self._mark)
            except OSError as e:
                raise WorkerLost(f"could not be started: {e.strerror}") from None
        self._lines = queue.Queue()
        threading.Thread(target=_forward, args=(self._process.stdout, self._lines), daemon=True).start()


_LATE = b""
"""Stands for a line that did not come in time; real ones end in a line break."""
_OTHER_LINES = (messages.Step, messages.Lost, messages.WrongUse, messages.EngineFailed)


def _path() -> list[str]:
    """Where a worker imports from: as this process, but from the working directory only where this package lies there.

    `python -m` puts the working directory first, and a file of any name in it would be imported.
    """
    homes = [str(p) for p in Path(__file__).resolve().parents[2:4]]
    asked = {os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p}
    kept = []
    for i, entry in enumerate(sys.path):
        place = os.path.abspath(entry)
        if (i == 0 or not entry) and place == os.getcwd() and place not in homes and place not in asked:
            continue
        kept.append(entry)
    return kept


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


def _forward(pipe: Any, lines: queue.Queue[bytes | None]) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _how_it_ended(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
    if status == CANNOT_ANSWER:
        return "its answer could not be written, since code has closed its pipe or replaced what writes it"
    return f"exit status {status}"


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
        The answer; `Lost` when the item ended the process or overran its time, `EngineFailed` when the engine failed. A
        worker that somebody else killed is replaced once, and one whose process code has changed for the next item.

    Raises:
        UsageError: as `Worker.request`.
    """
    start_up = None if timeout is None else timeout + START_UP
    kind: type[messages.Judged | messages.JudgedPart] = messages.JudgedPart if request.do == "part" else messages.Judged
    for last in (False, True):
        with (workers or HERE).one() as worker:
            try:
                worker.request(
                    replace(request, do="prepare"), messages.Ready, timeout=start_up
                )  # imports are not the rule's time
                found = worker.request(request, kind, timeout=timeout, progress=progress)
                if found.changed:
                    worker.close()
                return found
            except InternalError as e:
                worker.close()  # code of the rule may be what broke the engine
                return messages.EngineFailed(str(e), e.details, e.changed)
            except WorkerLost as e:
                if last or not e.killed:
                    return messages.Lost(str(e))
    raise AssertionError("not reached")


HERE = Workers()
"""Workers of a process in which an executor runs items."""
