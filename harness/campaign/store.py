"""The store keeps the last runs under `.backprove/` (or `$BACKPROVE_HOME`): one file per finished piece of work.

Every file is written beside its place and renamed, so that whatever ends a run leaves whole files only. A run has a
folder; its name is a hash of everything that decides its results, so that a run with the same name resumes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from backprove.harness.core.environment import versions
from backprove.harness.core.files import remove_left_behind, short_hash, write_whole
from backprove.harness.core.records import Malformed, Record, from_json, to_json
from backprove.harness.core.results import PropertyResult, SubjectResult

SCHEMA = 1

KEPT_RUNS = 20
"""Runs that the store keeps."""

PartKey = tuple[str, str, int]
"""Name of the rule or theorem, dtype, and which part of the points."""


class Stored(Record, tag_field="schema", tag=SCHEMA):
    """What every file of a run says beside the result."""

    name: str
    seed: int
    versions: dict[str, str]


class StoredSubject(Stored, tag=SCHEMA):
    """A finished rule or theorem."""

    result: SubjectResult


class StoredPart(Stored, tag=SCHEMA):
    """A finished part of one that is not finished."""

    dtype: str
    part: int
    result: list[PropertyResult]


T = TypeVar("T")


class Store:
    """Finished rules, theorems and parts of the last runs.

    A store that cannot be written warns once; the run goes on without it.

    Args:
        home: its folder.

    Attributes:
        whole: whether everything could be kept so far.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(os.environ.get("BACKPROVE_HOME") or ".backprove")
        self.whole = True

    def begin(self, run: str, *, resume: bool) -> dict[str, SubjectResult]:
        """Open the folder of `run`; returns what an earlier one finished (name -> record) when it is resumed."""
        finished = {s.name: s for s in _subjects(self._folder(run))} if resume else {}
        self._guard(lambda: self._start(run, resume))
        return finished

    def parts(self, run: str) -> dict[PartKey, list[PropertyResult]]:
        """Finished parts of rules and theorems that are not finished."""
        stored = _read_all(self._folder(run).glob("parts-*/*.json"), StoredPart)
        return {(s.name, s.dtype, s.part): s.result for s in stored}

    def add(self, run: str, subject: SubjectResult, *, seed: int = 0) -> None:
        """Keep one finished rule or theorem; its parts are no longer needed."""
        path = self._folder(run) / f"{short_hash(subject.name)}.json"
        if self._keep(path, StoredSubject(subject.name, seed, versions(), subject)):
            self._guard(lambda: shutil.rmtree(self._parts_folder(run, subject.name), ignore_errors=True))

    def add_part(self, run: str, key: PartKey, properties: Sequence[PropertyResult], *, seed: int = 0) -> None:
        """Keep one finished part."""
        name, dtype, part = key
        path = self._parts_folder(run, name) / f"{dtype}-{part}.json"
        self._keep(path, StoredPart(name, seed, versions(), dtype, part, list(properties)))

    def subjects(self) -> Iterator[SubjectResult]:
        """Everything finished, newest run first."""
        for folder in self._runs():
            yield from _subjects(folder)

    def costs(self) -> dict[str, float]:
        """Seconds that each rule or theorem took when it last ran to its end."""
        return next(_read_all([self.home / "costs.json"], dict[str, float]), {})

    def add_costs(self, seconds: Mapping[str, float]) -> None:
        """Remember what took how long."""
        self._keep(self.home / "costs.json", self.costs() | dict(seconds))

    def crash(self, text: str) -> Path | None:
        """Keep the traceback of an internal error; None where the store cannot be written."""
        path = self.home / f"crash-{short_hash(text)}.txt"
        return path if self._guard(lambda: _replace(path, text)) else None

    def _folder(self, run: str) -> Path:
        return self.home / "runs" / run

    def _parts_folder(self, run: str, name: str) -> Path:
        return self._folder(run) / f"parts-{short_hash(name)}"

    def _runs(self) -> list[Path]:
        folders = [p for p in (self.home / "runs").glob("*") if p.is_dir()]
        return sorted(folders, key=lambda p: (-p.stat().st_mtime_ns, p.name))

    def _start(self, run: str, resume: bool) -> None:
        folder = self._folder(run)
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for beside in folder.rglob("*.tmp"):  # of a run that was killed
            beside.unlink(missing_ok=True)
        remove_left_behind(self.home)
        ignore = self.home / ".gitignore"
        if not ignore.exists():
            _replace(ignore, "*\n")
        os.utime(folder)
        for old in self._runs()[KEPT_RUNS:]:
            shutil.rmtree(old, ignore_errors=True)

    def _keep(self, path: Path, record: Stored | dict[str, float]) -> bool:
        return self._guard(lambda: _replace(path, to_json(record, sort_keys=isinstance(record, dict))))

    def _guard(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except OSError as e:
            warned, self.whole = not self.whole, False
            with contextlib.suppress(OSError):  # stderr may be a file on the same disk
                if not warned:
                    print(
                        f"backprove: warning: {self.home} cannot be written ({e.strerror}); what finishes while this "
                        "lasts cannot be resumed, and its long replay ids will not be found",
                        file=sys.stderr,
                    )
            return False
        return True


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())


def _read_all(paths: Iterable[Path], kind: type[T]) -> Iterator[T]:
    """What the files hold; one that is damaged, or of another version, is passed over."""
    for path in sorted(paths):
        with contextlib.suppress(OSError, Malformed):
            yield from_json(path.read_bytes(), kind)


def _subjects(folder: Path) -> Iterator[SubjectResult]:
    return (s.result for s in _read_all(folder.glob("*.json"), StoredSubject))


def run_name(**decides: Any) -> str:
    """Name of a run from everything that decides its results."""
    return short_hash(to_json(decides, sort_keys=True))
