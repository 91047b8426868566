"""Finding asks a worker what a file or module states, so that this process runs no code of a user.

find_jobs(worker, "rules.py")               one job for each rule of the file
find_theorems(worker, "theorems.py")        the statement of each theorem of the file, by name
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from backprove.harness.campaign import messages, workers
from backprove.harness.campaign.work import Job, stated
from backprove.harness.campaign.workers import Worker, WorkerLost
from backprove.harness.core.errors import UsageError
from backprove.harness.core.handwritten import Survey
from backprove.harness.core.records import Record
from backprove.harness.statements.statement import Statement

A = TypeVar("A", bound=Record)


def find_jobs(
    worker: Worker, target: str, *, timeout: float | None = None, examples: messages.Examples | None = None
) -> list[Job]:
    """The rules of `FILE[::NAME]`, found in the worker; see `find_rules`."""
    return jobs_of(find_rules(worker, target, timeout=timeout, examples=examples).rules, target)


def jobs_of(rules: Sequence[messages.FoundRule], target: str) -> list[Job]:
    """One job per rule of a file."""
    return [Job("rule", r.name, target, i, r.claims, r.source, r.code) for i, r in enumerate(rules)]


def find_rules(
    worker: Worker, target: str, *, timeout: float | None = None, examples: messages.Examples | None = None
) -> messages.Found:
    """The rules of `FILE[::NAME]`, and the files that they rest on.

    Args:
        examples: points of the user's own, which are held against their rules.

    Raises:
        UsageError: as `loading.load_rules`, when importing the file hangs or ends the process, and for a point that
            does not fit its rule.
    """
    return _asked(worker, messages.Load(target, examples or {}), messages.Found, timeout)


def find_statements(worker: Worker, target: str) -> dict[str, Statement]:
    """What the theorems of a module say, by name; its imports stay in the worker, or here where that is lost.

    Raises:
        InternalError: when they cannot be imported.
    """
    try:
        answer = worker.request(messages.State(target), messages.Stated, timeout=workers.START_UP)
    except WorkerLost:
        return stated(target)
    return {s.name: s for s in answer.theorems}


def find_theorems(worker: Worker, target: str, *, timeout: float | None = None) -> list[Statement]:
    """The theorems of `FILE[::NAME]`, found in the worker.

    Raises:
        UsageError: as `loading.load_theorems`, and when importing the file hangs or ends the process.
    """
    return _asked(worker, messages.State(target, "own theorem"), messages.Stated, timeout).theorems


def find_covered(
    worker: Worker, target: str, survey: Survey, *, timeout: float | None = None
) -> list[tuple[int, int, str]]:
    """Which hand-written rules the rules of `FILE[::NAME]` cover, see `messages.Covered`.

    Raises:
        UsageError: as `find_jobs`.
    """
    return _asked(worker, messages.Cover(target, survey), messages.Covered, timeout).found


def _asked(
    worker: Worker, request: messages.Load | messages.State | messages.Cover, answer: type[A], timeout: float | None
) -> A:
    """What a worker says of a file, which it imports first."""
    try:
        return worker.request(request, answer, timeout=None if timeout is None else timeout + workers.START_UP)
    except WorkerLost as e:
        raise UsageError(f"{request.target}: importing the file {e}") from None
