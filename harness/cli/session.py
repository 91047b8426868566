"""A session is one run of `verify` or `check`: it stores results as they come and writes them out whatever ends the
run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backprove.harness.campaign.dispatch import Dispatch
from backprove.harness.campaign.messages import EngineFailed
from backprove.harness.campaign.progress import Progress
from backprove.harness.campaign.store import PartKey, Store
from backprove.harness.campaign.work import Job
from backprove.harness.campaign.workers import TIME_LIMIT, Workers
from backprove.harness.cli import github
from backprove.harness.cli.options import RunOptions
from backprove.harness.core.environment import describe
from backprove.harness.core.errors import UsageError
from backprove.harness.core.files import write_whole
from backprove.harness.core.records import to_json
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.texts import readable
from backprove.harness.core.verdicts import Exit, Verdict, exit_status
from backprove.harness.core.version import __version__

EXIT_WORDS = {
    Exit.OK: "all holds",
    Exit.FAILED: "something is falsified, inaccurate or in error",
    Exit.USAGE: "wrong use, or a file that cannot be read or written",
    Exit.INTERNAL: "an internal error",
    Exit.INTERRUPTED: "interrupted; the results so far are kept and marked as partial",
    Exit.NOTHING_RAN: "nothing ran",
    Exit.GATE: "nothing failed, but all is inconclusive or the gate is not passed",
}


def exit_words(status: Exit, run: RunResult) -> str:
    """What the exit status says of a run; what is inconclusive does not hold, although it does not fail the run."""
    if run.survey is not None and not run.subjects and status is Exit.OK:
        return "nothing was judged"
    open_ = sum(s.verdict is Verdict.INCONCLUSIVE for s in run.subjects)
    return f"nothing failed, {open_} inconclusive" if status is Exit.OK and open_ else EXIT_WORDS[status]


class Session:
    """Collects the subjects of a run and finishes its `RunResult`.

    Args:
        command: "verify" or "check".
        options: the resolved options.
        order: names of all subjects, in the order of the report.
        name: the run's name in the store.
        code: fingerprint of the code that is run.
    """

    def __init__(self, command: str, options: RunOptions, order: Iterable[str], name: str, code: str) -> None:
        self.options = options
        self.order = list(order)
        self.name = name
        self.code = code
        self._lost: set[str] = set()
        self._engine_failed = False
        self.store = Store()
        self.started = time.monotonic()
        self.run = RunResult(
            command,
            __version__,
            options.seed,
            environment=describe(),
            options=options.shown,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        earlier = self.store.begin(name, resume=options.resume)
        # A name that stands twice cannot be told apart in the store and runs again.
        self.resumed = {n: s for n, s in earlier.items() if self.order.count(n) == 1}
        self.run.subjects += self.resumed.values()
        self.used: dict[str, dict[str, str]] = {}

    def take_over(self, kept: Mapping[str, SubjectResult]) -> None:
        """Take results of earlier runs (`campaign/kept.py`) for those that are wanted and not there yet."""
        new = {n: s for n, s in kept.items() if n not in self.resumed and self.order.count(n) == 1}
        self.resumed |= new
        self.run.subjects += new.values()

    def dispatch(
        self, jobs: Sequence[Job], progress: Progress, *, isolated: bool = True, workers: Workers | None = None
    ) -> Iterator[SubjectResult]:
        """Run the jobs as the options say; what took longest the last time starts first.

        Args:
            isolated: whether items run in worker processes.
            workers: those that already run.
        """
        costs = self.store.costs()
        # What has no cost on record may take long.
        weighed = [dataclasses.replace(j, weight=costs.get(j.name, float("inf"))) for j in jobs] if costs else jobs
        earlier = self.store.parts(self.name) if self.options.resume else {}
        dispatch = Dispatch(
            self.options.engine,
            self.options.executor,
            isolated,
            self.options.timeout or (TIME_LIMIT if isolated else None),
            progress.update,
            workers or Workers(),
            self.code,
            {key: found for key, found in earlier.items() if self.order.count(key[0]) == 1},
            self._keep_part,
            self._lost,
            self._complain,
            self.used,
        )
        return dispatch.run(weighed)

    def _complain(self, failure: EngineFailed) -> str:
        self._engine_failed = True
        place = self.store.crash(failure.traceback)
        return f"{failure.message} ({f'traceback in {place}' if place else 'its traceback could not be kept'})"

    def _keep_part(self, key: PartKey, properties: list[PropertyResult]) -> None:
        self.store.add_part(self.name, key, properties, seed=self.options.seed)

    def collect(self, subjects: Generator[SubjectResult, None, None], progress: Progress) -> BaseException | None:
        """Take in `subjects` as they come; returns what cut the run short, if anything did."""
        try:
            with progress, _terminable():
                for subject in subjects:
                    self.run.subjects.append(subject)
                    if subject.name not in self._lost:  # a resumed run tries these again
                        self.store.add(self.name, subject, seed=self.options.seed)
                    progress.finished(subject.name, subject.verdict.value)
        except (KeyboardInterrupt, Exception) as e:
            return e
        finally:
            subjects.close()
        return None

    def finish(
        self,
        cut: BaseException | None,
        *,
        complete: Callable[[RunResult], bool],
        as_json: Callable[[RunResult], dict[str, Any]],
        summary: Callable[[RunResult, RunOptions, Exit], str],
    ) -> Exit:
        """Complete the run, tell GitHub where it runs there, write its files and print what it has found.

        What cut it short is raised, except an interruption. A report that cannot be written is complained of last:
        what hours of work have found is printed all the same.

        Args:
            cut: what `collect` returned.
            complete: fills in coverage and the gate; returns whether the gate is passed.
            as_json: the machine-readable form for `--json`.
            summary: what is printed.

        Raises:
            UsageError: when an output cannot be written after all.
        """
        run = self.run
        place = {name: i for i, name in enumerate(self.order)}
        run.subjects.sort(key=lambda s: place.get(s.name, len(place)))
        run.partial = cut is not None
        run.seconds = time.monotonic() - self.started
        fresh = (s for s in run.subjects if s.name not in self.resumed)
        self.store.add_costs({s.name: sum(p.seconds for p in s.properties) for s in fresh if s.name not in self._lost})
        passed = complete(run)
        status = exit_status((s.verdict for s in run.subjects), gate_passed=passed)
        if not self.order and run.survey is not None:  # a list was asked for
            status = Exit.OK if passed else Exit.GATE
        if self._engine_failed:
            status = Exit.INTERNAL
        if isinstance(cut, KeyboardInterrupt):
            status = Exit.INTERRUPTED
        elif cut is not None:
            status = Exit.USAGE if isinstance(cut, UsageError) else Exit.INTERNAL
        run.exit = int(status)
        github.announce(run)
        failed = cut is not None and not isinstance(cut, KeyboardInterrupt)
        unwritten = self._write(as_json) if run.subjects or not failed else None
        if failed:  # matters more than a report that cannot be written
            assert cut is not None
            raise cut
        options = self.options
        if unwritten is not None:
            status, options = Exit.USAGE, dataclasses.replace(options, out=None)
        with github.commands_stopped():
            print_out(summary(run, options, status))
        if unwritten is not None:
            raise unwritten
        return status

    def _write(self, as_json: Callable[[RunResult], dict[str, Any]]) -> UsageError | None:
        """Write the files that were asked for; returns what is to be said where one of them fails."""
        failures = []
        for write in (self._write_reports, lambda: self._write_json(as_json)):
            try:
                write()
            except OSError as e:
                failures.append(f"{e.filename or self.options.json} cannot be written ({e.strerror})")
            except UsageError as e:
                failures.append(str(e))
        return UsageError("; ".join(failures) + self._kept()) if failures else None

    def _write_reports(self) -> None:
        if self.options.out is not None:
            from backprove.reports.write import write_reports

            write_reports(self.run, self.options.out)

    def _write_json(self, as_json: Callable[[RunResult], dict[str, Any]]) -> None:
        if self.options.json is not None:
            write_text(self.options.json, to_json(as_json(self.run), indent=2) + "\n")

    def _kept(self) -> str:
        if not self.store.whole:
            return ""
        return f"; the results are kept in {self.store.home}, and the same command with --resume writes them out"


def print_out(text: str) -> None:
    """Print to stdout now.

    Raises:
        UsageError: when that is a file on a full disk.
    """
    try:
        print(readable(text), flush=True)
    except BrokenPipeError:  # the reader went away
        raise
    except OSError as e:
        raise UsageError(f"stdout cannot be written ({e.strerror}); send it to another place") from None


def write_text(file: Path, text: str) -> None:
    """Write beside and rename, so that nobody reads half a file; pipes and devices are written as they are."""
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8") as f:
            f.write(text)
        return
    write_whole(file, text.encode())


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, which time limits send, and SIGHUP end a run as Ctrl-C does: with what it has found so far."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if here and hasattr(signal, name)]
    ours = [s for s in signals if signal.getsignal(s) is signal.SIG_DFL]
    for s in ours:
        signal.signal(s, interrupt)
    try:
        yield
    finally:
        for s in ours:
            signal.signal(s, signal.SIG_DFL)
