"""The dispatcher sends jobs through an executor as work items; results come as they finish, the same for every
executor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from backprove.harness.campaign import parts, workers
from backprove.harness.campaign.executors import ExecutorSpec, open_executor
from backprove.harness.campaign.messages import Answer, EngineFailed, EngineOptions, Judged, JudgedPart, Lost, Work
from backprove.harness.campaign.store import PartKey
from backprove.harness.campaign.work import Item, Job, failure_of, lost, run_here
from backprove.harness.campaign.workers import ProgressCallback, Workers, run_isolated
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import PropertyResult, SubjectResult, is_user_code

Keep = Callable[[PartKey, list[PropertyResult]], None]
Complain = Callable[[EngineFailed], str]
"""Keeps the traceback of a failure of the engine; returns where, in words."""


@dataclass
class _Large:
    """A job in parts: what is known of each dtype."""

    job: Job
    number: int
    found: dict[str, dict[int, list[PropertyResult]]]
    concluding: bool = False

    def done(self) -> bool:
        return all(parts.complete(found, self.number) for found in self.found.values())

    def needs(self, item: Item) -> bool:
        """Whether a part that has not started still counts."""
        found = self.found[item.dtype]
        return item.part not in found and not any(k < item.part and parts.refused(found[k]) for k in found)

    def merged(self) -> list[PropertyResult]:
        return [p for found in self.found.values() for p in parts.merge_parts(found)]


PATIENCE = 2.5
"""Seconds after which a few rules get another worker for their further dtypes: it takes one to import its libraries."""


@dataclass
class Dispatch:
    """One run of jobs.

    Attributes:
        options: points, dtypes, seed and accuracy for the engine.
        spec: the executor.
        isolated: whether items run in worker processes; else here, one after the other (`serial` only).
        timeout: seconds per item, the start of the interpreter apart.
        progress: called with (name of the job, done, total).
        workers: worker processes of this machine that already run.
        fingerprint: of the code, which workers on other machines must have too.
        earlier: parts that an interrupted run finished.
        keep: called with every part that finishes.
        lost: names of the jobs whose worker was lost: their results say so, and a resumed run should try them again.
        used: files that the result of a job rests on, by its name, where they can be told.
        complain: called where the engine failed at one item, which costs that job alone.
    """

    options: EngineOptions
    spec: ExecutorSpec
    isolated: bool = True
    timeout: float | None = None
    progress: ProgressCallback | None = None
    workers: Workers = field(default_factory=Workers)
    fingerprint: str = ""
    earlier: Mapping[PartKey, list[PropertyResult]] = field(default_factory=dict)
    keep: Keep = lambda *_: None
    lost: set[str] = field(default_factory=set)
    complain: Complain = lambda failure: failure.message
    used: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job]) -> Iterator[SubjectResult]:
        """Yield the result of each job as it comes, in the order of `jobs` where items run one after the other.

        Raises:
            UsageError: as `workers.run_isolated`; what was yielded before stands.
        """
        large: dict[Job, _Large] = {}
        queue: deque[Item] = deque()
        number = parts.parts_of(self.options["points"])
        one_by_one = self.spec.kind == "serial" or (self.spec.count == 1 and not self.spec.remote)
        # a few rules, fewer than workers: their dtypes side by side, with the same results
        room = self.isolated and not (self.spec.remote or one_by_one) and len(jobs) < self.spec.count
        for job in jobs if one_by_one else sorted(jobs, key=lambda j: -j.weight):
            if number == 1 and not (room and is_user_code(job.kind) and len(self.options["dtypes"]) > 1):
                queue.append(Item(job))
                continue
            large[job] = self._large(job, number)
            queue.extend(self._items(large[job]))
        under_way: dict[Future[Answer], Item] = {}
        finished: SimpleQueue[Future[Answer]] = SimpleQueue()
        allowed = len(jobs) if room else len(queue)
        try:
            with open_executor(self.spec) as (executor, at_once):
                while queue or under_way:
                    while queue and len(under_way) < min(at_once, max(allowed, 1)):
                        item = queue.popleft()
                        if _counts(item, large):
                            future = self._submit(executor, item, large)
                            under_way[future] = item
                            future.add_done_callback(finished.put)
                    if under_way:
                        try:
                            future = finished.get(timeout=PATIENCE if queue and allowed < at_once else None)
                        except Empty:
                            allowed += 1
                            continue
                        if future in under_way:  # else called off
                            yield from self._take(future, under_way.pop(future), large, queue, under_way)
        finally:
            for future in list(under_way):
                future.cancel()
            self.workers.stop()

    def _large(self, job: Job, number: int) -> _Large:
        found: dict[str, dict[int, list[PropertyResult]]] = {d: {} for d in self.options["dtypes"]}
        for (name, dtype, part), properties in self.earlier.items():
            if name == job.name and dtype in found and part < number:
                found[dtype][part] = properties
        return _Large(job, number, found)

    def _items(self, of: _Large) -> list[Item]:
        if of.done():
            of.concluding = True
            return [Item(of.job, "conclude")]
        items = [Item(of.job, "part", dtype, part) for dtype in of.found for part in range(of.number)]
        return [i for i in items if of.needs(i)]

    def _submit(self, executor: Executor, item: Item, large: Mapping[Job, _Large]) -> Future[Answer]:
        merged = large[item.job].merged() if item.do == "conclude" else ()
        fingerprint = (item.job.fingerprint or self.fingerprint) if self.spec.remote else ""
        request = item.request(workers.ENGINE, self.options, fingerprint, merged)
        if self.spec.remote:  # the arguments travel
            return executor.submit(run_isolated, request, self.timeout)
        if self.isolated:
            return executor.submit(run_isolated, request, self.timeout, self._step(item), self.workers)
        return executor.submit(_run_here, request, self._step(item))

    def _step(self, item: Item) -> ProgressCallback:
        def step(_: str, done: int, total: int) -> None:
            if self.progress is not None and item.do != "conclude" and total <= parts.PART_POINTS:
                self.progress(item.job.name, done, total)

        return step

    def _take(
        self,
        future: Future[Answer],
        item: Item,
        large: dict[Job, _Large],
        queue: deque[Item],
        under_way: dict[Future[Answer], Item],
    ) -> Iterator[SubjectResult]:
        """Enter the answer of one item; yields the job's result when it was the last."""
        answer, job = self._answer(future), item.job
        if not _counts(item, large):
            return
        if isinstance(answer, (Lost, EngineFailed)):
            large.pop(job, None)
            self.lost.add(job.name)
            _call_off(under_way, large)
            yield lost(job, self.options["dtypes"], self._reason(job, answer))
        elif isinstance(answer, Judged):
            if answer.used is not None:
                self.used[job.name] = answer.used
            yield answer.subject
        else:
            assert isinstance(answer, JudgedPart)
            of = large[job]
            found = of.found[item.dtype]
            properties = found[item.part] = answer.properties
            self.keep((job.name, item.dtype, item.part), properties)
            if parts.refused(properties):
                _call_off(under_way, large)
            if self.progress is not None:
                self.progress(job.name, sum(map(len, of.found.values())), of.number * len(of.found))
            if of.done() and not of.concluding:
                of.concluding = True
                queue.appendleft(Item(job, "conclude"))

    def _reason(self, job: Job, answer: Lost | EngineFailed) -> str:
        """Why a job has no result of its own; whose process was changed by its code has itself to blame."""
        if isinstance(answer, Lost):
            return answer.reason
        if answer.changed:
            return f"changes the process that it runs in ({', '.join(answer.changed)}), where {answer.message} follows"
        return f"met a mistake of backprove, please report it: {self.complain(answer)}"

    def _answer(self, future: Future[Answer]) -> Answer:
        try:
            return future.result()
        except CancelledError:
            raise UsageError(
                f"--executor {self.spec.kind}: the scheduler gave up the work; what finished is kept, and --resume "
                "goes on from there"
            ) from None
        except ModuleNotFoundError as e:
            if not self.spec.remote:
                raise
            raise UsageError(f"a worker cannot import {e.name}; install the same packages on all machines") from None
        except Exception as e:
            if type(e).__name__ != "KilledWorker":  # Dask tried several workers, and each died
                raise
            return Lost("was under way on several Dask workers, each of which died")


def _run_here(request: Work, progress: ProgressCallback) -> Answer:
    """Answer in this process; a failure of the engine is one of this item."""
    try:
        return run_here(request, progress)
    except UsageError:
        raise
    except Exception as e:
        return failure_of(e)


def _counts(item: Item, large: Mapping[Job, _Large]) -> bool:
    """Whether the item still matters: parts do not once their job is lost, or an earlier part is refused."""
    return item.do != "part" or (item.job in large and large[item.job].needs(item))


def _call_off(under_way: dict[Future[Answer], Item], large: Mapping[Job, _Large]) -> None:
    """Cancel what matters no more and has not started."""
    for future, item in list(under_way.items()):
        if not _counts(item, large):
            del under_way[future]
            future.cancel()
