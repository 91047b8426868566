"""One run of `verify` or `check`: results are stored as they come, and written out whatever ends the run."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backprove.harness.commands.options import RunOptions
from backprove.harness.environment import describe, version
from backprove.harness.errors import UsageError
from backprove.harness.progress import Progress
from backprove.harness.replay import Store
from backprove.harness.result import RunResult, SubjectResult
from backprove.harness.verdict import Exit, exit_status

EXIT_WORDS = {
    Exit.OK: "all holds",
    Exit.FAILED: "something is falsified, inaccurate or in error",
    Exit.USAGE: "wrong use or an unreadable file",
    Exit.INTERNAL: "an internal error",
    Exit.INTERRUPTED: "interrupted; the results so far are kept and marked as partial",
    Exit.NOTHING_RAN: "nothing ran",
    Exit.GATE: "nothing failed, but all is inconclusive or the gate is not passed",
}


class Session:
    """Collects the subjects of a run and finishes its `RunResult`.

    Args:
        command: "verify" or "check".
        options: the resolved options.
        order: names of all subjects, in the order of the report.
        name: the run's name in the store.
    """

    def __init__(self, command: str, options: RunOptions, order: Iterable[str], name: str) -> None:
        self.options = options
        self.order = list(order)
        self.name = name
        self.store = Store()
        self.started = time.monotonic()
        self.run = RunResult(
            command,
            version(),
            options.seed,
            environment=describe(),
            options=options.shown,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        earlier = self.store.begin(name, resume=options.resume)
        # A name that stands twice cannot be told apart in the store and runs again.
        self.resumed = {n: s for n, s in earlier.items() if self.order.count(n) == 1}
        self.run.subjects += self.resumed.values()

    def collect(self, subjects: Iterable[SubjectResult], progress: Progress) -> BaseException | None:
        """Take in `subjects` as they come; returns what cut the run short, if anything did."""
        try:
            with progress:
                for subject in subjects:
                    self.run.subjects.append(subject)
                    self.store.add(self.name, subject)
                    progress.finished(subject.name, subject.verdict.value)
        except (KeyboardInterrupt, Exception) as e:
            return e
        return None

    def finish(
        self,
        cut: BaseException | None,
        *,
        complete: Callable[[RunResult], bool],
        as_json: Callable[[RunResult], dict[str, Any]],
    ) -> Exit:
        """Complete the run and write its files; then raise what cut it short, interruption apart.

        Args:
            cut: what `collect` returned.
            complete: fills in coverage and the gate; returns whether the gate is passed.
            as_json: the machine-readable form for `--json`.

        Raises:
            UsageError: when an output cannot be written after all.
        """
        run = self.run
        place = {name: i for i, name in enumerate(self.order)}
        run.subjects.sort(key=lambda s: place.get(s.name, len(place)))
        run.partial = cut is not None
        run.seconds = time.monotonic() - self.started
        passed = complete(run)
        status = exit_status((s.verdict for s in run.subjects), gate_passed=passed)
        if isinstance(cut, KeyboardInterrupt):
            status = Exit.INTERRUPTED
        elif cut is not None:
            status = Exit.USAGE if isinstance(cut, UsageError) else Exit.INTERNAL
        run.exit = int(status)
        if run.subjects or cut is None:
            self._write(as_json)
        if cut is not None and not isinstance(cut, KeyboardInterrupt):
            raise cut
        return status

    def _write(self, as_json: Callable[[RunResult], dict[str, Any]]) -> None:
        from backprove.reports.summary import strict_json

        try:
            if self.options.out is not None:
                from backprove.reports.write import write_reports

                write_reports(self.run, self.options.out)
            if self.options.json is not None:
                write_text(self.options.json, strict_json(as_json(self.run), indent=2))
        except OSError as e:
            kept = f"the results are kept in {self.store.home}"
            raise UsageError(f"{e.filename or self.options.out} cannot be written ({e.strerror}); {kept}") from None


def write_text(file: Path, text: str) -> None:
    """Write beside and rename, so that nobody reads half a file; pipes and devices are written as they are."""
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8") as f:
            f.write(text)
        return
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
