"""Progress shows a run on stderr: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from types import TracebackType
from typing import Any, Protocol, Self, TextIO


class Progress(Protocol):
    """What the commands report to; usable from several threads."""

    def update(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of the subject `name` are through."""

    def finished(self, name: str, verdict: str) -> None:
        """The subject `name` has its verdict."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_progress(what: str, subjects: int, stream: TextIO | None = None) -> Progress:
    """A bar where `stream` (stderr) is a terminal, else plain lines.

    Args:
        what: plural noun of what is counted: "theorems", "rules".
        subjects: how many there are.
    """
    stream = sys.stderr if stream is None else stream
    return Bar(what, subjects, stream) if stream.isatty() else Lines(what, subjects, stream)


class _Counter:
    """Finished subjects and the fractions of those under way."""

    def __init__(self, what: str, subjects: int) -> None:
        self.what = what
        self.subjects = subjects
        self.done = 0
        self.failures = 0
        self.current: dict[str, float] = {}
        self.lock = threading.Lock()

    def update(self, name: str, done: int, total: int) -> None:
        with self.lock:
            self.current[name] = min(done / total, 1.0) if total > 0 else 0.0

    def finished(self, name: str, verdict: str) -> None:
        with self.lock:
            self.current.pop(name, None)
            self.done += 1
            self.failures += verdict not in ("holds", "inconclusive")

    @property
    def completed(self) -> float:
        return min(self.done + sum(self.current.values()), float(self.subjects))


class Lines(_Counter):
    """One plain line every `interval` seconds and at the end; no control characters."""

    def __init__(self, what: str, subjects: int, stream: TextIO, interval: float = 5.0) -> None:
        super().__init__(what, subjects)
        self.stream = stream
        self.interval = interval
        self.started = self.last = time.monotonic()

    def update(self, name: str, done: int, total: int) -> None:
        super().update(name, done, total)
        self._line(name)

    def finished(self, name: str, verdict: str) -> None:
        super().finished(name, verdict)
        self._line(name, last=self.done == self.subjects)

    def _line(self, name: str, last: bool = False) -> None:
        with self.lock:
            now = time.monotonic()
            if not last and now - self.last < self.interval:
                return
            self.last = now
            bad = f", {self.failures} refused" if self.failures else ""
            at = "" if last else f", at {name}"
            with contextlib.suppress(OSError):  # a log on a full disk must not end the run
                self.stream.write(f"{self.done}/{self.subjects} {self.what}{bad}, {now - self.started:.0f} s{at}\n")
                self.stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Bar(_Counter):
    """A rich progress bar that goes away when the run ends."""

    def __init__(self, what: str, subjects: int, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        super().__init__(what, subjects)
        columns: list[Any] = [TextColumn("{task.fields[count]}"), BarColumn(), TimeElapsedColumn()]
        columns += [TimeRemainingColumn(), TextColumn("{task.fields[name]}", style="dim", markup=False)]
        self.bar = RichProgress(*columns, console=Console(file=stream), transient=True, redirect_stdout=False)
        self.task = self.bar.add_task(what, total=max(subjects, 1), name="", count="")

    def update(self, name: str, done: int, total: int) -> None:
        super().update(name, done, total)
        self._show(name)

    def finished(self, name: str, verdict: str) -> None:
        super().finished(name, verdict)
        self._show(name)

    def _show(self, name: str) -> None:
        bad = f", {self.failures} refused" if self.failures else ""
        count = f"{self.done}/{self.subjects} {self.what}{bad}"
        self.bar.update(self.task, completed=self.completed, name=name, count=count)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
