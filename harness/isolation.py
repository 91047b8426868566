"""Run rules in a process of their own: one that hangs or ends the interpreter is reported, and the others go on.

The worker (`serve`) reads requests from stdin and answers on what was its stdout, one JSON object a line; what the
user's code prints goes to stderr. One worker serves many rules and is replaced when it dies or overruns its time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from backprove.harness.errors import BackproveError, UsageError
from backprove.harness.result import PropertyResult, SubjectResult, subject_from_plain, to_plain
from backprove.harness.verdict import Verdict

ENGINE = "backprove.harness.campaign"
"""Module whose `run_rule` and `run_theorem` the worker calls."""

START_UP = 120.0
"""Seconds that imports may take beyond the time of a rule before a worker counts as hanging."""

ProgressCallback = Callable[[str, int, int], None]


class InternalError(BackproveError):
    """The engine failed inside the worker; `details` is its traceback."""

    def __init__(self, summary: str, details: str) -> None:
        super().__init__(summary)
        self.details = details


class WorkerLost(BackproveError):
    """The worker ended or was stopped before it answered; the message says why."""


@dataclass(frozen=True)
class Job:
    """One rule of a file, or one theorem, to run in a worker.

    Attributes:
        kind: "rule" or "theorem".
        name: the rule's or theorem's name.
        target: `FILE[::NAME]` of the user (rules), or the module whose `load()` gives the theorems by name.
        place: position among the rules of the file.
        claims: names of the claims, for a result when the worker is lost.
        source: {"file", "line"} of the rule.
        code: its text.
    """

    kind: str
    name: str
    target: str = ""
    place: int = 0
    claims: tuple[str, ...] = ()
    source: tuple[str, int] = ("", 0)
    code: str = ""


class Worker:
    """The parent's end of one worker process; started on the first request."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()

    def request(
        self, message: dict[str, Any], *, timeout: float | None = None, progress: ProgressCallback | None = None
    ) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Args:
            timeout: seconds from now until the worker is stopped; None waits for ever.
            progress: called with every step that the worker reports.

        Raises:
            WorkerLost: when the process ends or overruns its time; the next request starts a new one.
            UsageError: when the user's file or rule is at fault.
            InternalError: when the engine is.
        """
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None and process.stdin is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(BrokenPipeError):  # the wait below tells how it ended
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        while True:
            try:
                line = self._answers.get(timeout=None if deadline is None else max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                self.close()
                raise WorkerLost(f"did not finish within {timeout:g} s and was stopped") from None
            if line is None:
                status = process.wait()
                self.close()
                raise WorkerLost(f"ended the Python process: {_how_it_ended(status)}")
            answer = json.loads(line)
            if answer["type"] == "progress":
                if progress is not None:
                    progress(answer["name"], answer["done"], answer["total"])
            elif answer["type"] == "usage":
                raise UsageError(answer["message"])
            elif answer["type"] == "internal":
                raise InternalError(answer["message"], answer["traceback"])
            else:
                return answer  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stop the process and forget it."""
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
        start = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import backprove.harness.isolation as i"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{start}; i.serve()", json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self._answers = queue.Queue()
        threading.Thread(target=_forward, args=(self._process.stdout, self._answers), daemon=True).start()


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


def find_jobs(worker: Worker, target: str, *, timeout: float | None = None) -> list[Job]:
    """The rules of `FILE[::NAME]`, found in the worker.

    Raises:
        UsageError: as `loading.load_rules`, and when importing the file hangs or ends the process.
    """
    try:
        limit = None if timeout is None else timeout + START_UP
        answer = worker.request({"do": "load", "target": target}, timeout=limit)
    except WorkerLost as e:
        raise UsageError(f"{target}: importing the file {e}") from None
    return [
        Job("rule", r["name"], target, i, tuple(r["claims"]), (r["source"][0], r["source"][1]), r["code"])
        for i, r in enumerate(answer["rules"])
    ]


def run_jobs(
    jobs: Sequence[Job],
    options: dict[str, Any],
    *,
    timeout: float | None = None,
    progress: ProgressCallback | None = None,
    workers: int = 1,
    first: Worker | None = None,
) -> Iterator[SubjectResult]:
    """Run each job in a worker; yields the results as they come, in the order of `jobs` when `workers` is 1.

    Args:
        options: points, dtypes, seed and accuracy for the engine.
        timeout: seconds per job, the start of the interpreter apart.
        workers: number of processes.
        first: a worker that already runs, used before others are started.

    Raises:
        UsageError, InternalError: as `Worker.request`; what was yielded before stands.
    """
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    pool = [first or Worker(), *(Worker() for _ in range(workers - 1))]
    for w in pool:
        idle.put(w)

    def run(job: Job) -> SubjectResult:
        worker = idle.get()
        try:
            return _run_job(worker, job, options, timeout, progress)
        finally:
            idle.put(worker)

    executor = ThreadPoolExecutor(workers)
    waiting: set[Future[SubjectResult]] = set()
    queued = iter(jobs)
    try:
        while True:
            while len(waiting) < workers and (job := next(queued, None)) is not None:
                waiting.add(executor.submit(run, job))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for w in pool:
            w.close()
        executor.shutdown(wait=False, cancel_futures=True)


def _run_job(
    worker: Worker, job: Job, options: dict[str, Any], timeout: float | None, progress: ProgressCallback | None
) -> SubjectResult:
    def step(_: str, done: int, total: int) -> None:
        if progress is not None:
            progress(job.name, done, total)

    message = {"kind": job.kind, "name": job.name, "target": job.target, "place": job.place, "engine": ENGINE}
    try:
        # Imports are not the rule's time.
        worker.request(message | {"do": "prepare"}, timeout=None if timeout is None else timeout + START_UP)
        answer = worker.request(message | {"do": "run", "options": options}, timeout=timeout, progress=step)
    except WorkerLost as e:
        return lost(job, options["dtypes"], str(e))
    return subject_from_plain(answer["subject"])


def lost(job: Job, dtypes: Sequence[str], reason: str) -> SubjectResult:
    """The result of a job whose worker was lost: every claim is an `error`, with the reason."""
    text = f"the {job.kind} {reason}"
    names = job.claims or ("run",)
    properties = [PropertyResult(n, d, verdict=Verdict.ERROR, reason=text) for n in names for d in dtypes]
    source = {"file": job.source[0], "line": job.source[1]}
    return SubjectResult(job.kind, job.name, job.target.partition("::")[0], properties, source=source, code=job.code)


class _Server:
    """The worker's side: loaded files and theorems, and one method per request."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self.send = send
        self.files: dict[str, list[Any]] = {}

    def rules(self, target: str) -> list[Any]:
        from backprove.harness.loading import load_rules

        if target not in self.files:
            self.files[target] = [f.rule for f in load_rules(target)]
        return self.files[target]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "load":
            from backprove.harness.rule import to_claims

            rules = self.rules(request["target"])
            keys = [(r, [name for name, _ in to_claims(r)]) for r in rules]
            return {
                "type": "found",
                "rules": [{"name": r.name, "claims": c, "source": r.source, "code": r.code} for r, c in keys],
            }
        engine = importlib.import_module(request["engine"])
        subject = self.subject(request)
        if request["do"] == "prepare":
            return {"type": "ready"}
        run = engine.run_rule if request["kind"] == "rule" else engine.run_theorem
        result = run(subject, **request["options"], progress=self.progress)
        return {"type": "result", "subject": to_plain(result)}

    def subject(self, request: dict[str, Any]) -> Any:
        if request["kind"] == "rule":
            return self.rules(request["target"])[request["place"]]
        return importlib.import_module(request["target"]).load()[request["name"]]

    def progress(self, name: str, done: int, total: int) -> None:
        self.send({"type": "progress", "name": name, "done": int(done), "total": int(total)})


def serve() -> None:
    """Answer requests until stdin closes."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message, allow_nan=False) + "\n")
        out.flush()

    server = _Server(send)
    while True:
        request = json.loads(requests.get())
        try:
            send(server.answer(request))
        except UsageError as e:
            send({"type": "usage", "message": str(e)})
        except Exception as e:  # the parent says it in one line and keeps the traceback
            what = f"{type(e).__name__}: {e}"
            send({"type": "internal", "message": what, "traceback": traceback.format_exc()})


def _read_requests(requests: queue.SimpleQueue[str]) -> None:
    """Hand requests over; when the parent is gone end the process, whatever a rule is doing."""
    for line in os.fdopen(os.dup(0), "r", encoding="utf-8"):
        requests.put(line)
    os._exit(0)
