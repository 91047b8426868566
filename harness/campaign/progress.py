"""Progress shows a run on stderr: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Self, TextIO

from backprove.harness.core.texts import printable


class Progress:
    """What the commands report to, from any thread: finished subjects, and the fractions of those under way.

    Args:
        what: plural noun of what is counted: "theorems", "rules".
        subjects: how many there are.
    """

    def __init__(self, what: str, subjects: int) -> None:
        self.what = what
        self.subjects = subjects
        self.done = 0
        self.failures = 0
        self.current: dict[str, float] = {}
        self.lock = threading.Lock()

    def update(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of the subject `name` are through."""
        with self.lock:
            self.current[name] = min(done / total, 1.0) if total > 0 else 0.0
            self.show(name)

    def finished(self, name: str, verdict: str) -> None:
        """The subject `name` has its verdict."""
        with self.lock:
            self.current.pop(name, None)
            self.done += 1
            self.failures += verdict not in ("holds", "inconclusive")
            self.show(name)

    def show(self, name: str) -> None:
        """Tell where the run is, at the subject `name`."""

    @property
    def completed(self) -> float:
        return min(self.done + sum(self.current.values()), float(self.subjects))

    @property
    def count(self) -> str:
        bad = f", {self.failures} refused" if self.failures else ""
        return f"{self.done}/{self.subjects} {self.what}{bad}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def make_progress(what: str, subjects: int, stream: TextIO | None = None) -> Progress:
    """A bar where `stream` (stderr) is a terminal, else plain lines."""
    stream = sys.stderr if stream is None else stream
    return Bar(what, subjects, stream) if stream.isatty() else Lines(what, subjects, stream)


class Lines(Progress):
    """One plain line every `interval` seconds and at the end; no control characters."""

    def __init__(self, what: str, subjects: int, stream: TextIO, interval: float = 5.0) -> None:
        super().__init__(what, subjects)
        self.stream = stream
        self.interval = interval
        self.started = self.last = time.monotonic()

    def show(self, name: str) -> None:
        now, last = time.monotonic(), self.done == self.subjects
        if not last and now - self.last < self.interval:
            return
        self.last = now
        at = "" if last else f", at {printable(name)}"
        with contextlib.suppress(OSError):  # a log on a full disk must not end the run
            self.stream.write(f"{self.count}, {now - self.started:.0f} s{at}\n")
            self.stream.flush()


class Bar(Progress):
    """A rich progress bar that goes away when the run ends."""

    def __init__(self, what: str, subjects: int, stream: TextIO) -> None:
        from rich import progress
        from rich.console import Console

        super().__init__(what, subjects)
        self.bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[name]}", style="dim", markup=False),
            console=Console(file=stream),
            transient=True,
            redirect_stdout=False,
        )
        self.task = self.bar.add_task(self.count, total=max(subjects, 1), name="")

    def show(self, name: str) -> None:
        self.bar.update(self.task, completed=self.completed, description=self.count, name=printable(name))

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
