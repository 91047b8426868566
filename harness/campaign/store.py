"""The store keeps the last runs under `.backprove/` (or `$BACKPROVE_HOME`): one file per finished piece of work.

Every file is written beside its place and renamed, so that whatever ends a run leaves whole files only. A run has a
folder; its name is a hash of everything that decides its results, so that a run with the same name resumes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backprove.harness.core.environment import versions
from backprove.harness.core.files import remove_left_behind, short_hash, write_whole
from backprove.harness.core.results import (
    PropertyResult,
    SubjectResult,
    property_from_plain,
    subject_from_plain,
    to_plain,
)

SCHEMA = 1

KEPT_RUNS = 20
"""Runs that the store keeps."""

PartKey = tuple[str, str, int]
"""Name of the rule or theorem, dtype, and which part of the points."""


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
        finished = {s.name: s for s in self._subjects(self._folder(run))} if resume else {}
        self._guard(lambda: self._start(run, resume))
        return finished

    def parts(self, run: str) -> dict[PartKey, list[PropertyResult]]:
        """Finished parts of rules and theorems that are not finished."""
        found = {}
        for record in self._records(self._folder(run), "part"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                key = (str(record["name"]), str(record["dtype"]), int(record["part"]))
                found[key] = [property_from_plain(p) for p in record["result"]]
        return found

    def add(self, run: str, subject: SubjectResult, *, seed: int = 0) -> None:
        """Keep one finished rule or theorem; its parts are no longer needed."""
        if self._keep(run, ("subject", subject.name), {"result": to_plain(subject)}, seed):
            self._guard(lambda: shutil.rmtree(self._parts_folder(run, subject.name), ignore_errors=True))

    def add_part(self, run: str, key: PartKey, properties: Sequence[PropertyResult], *, seed: int = 0) -> None:
        """Keep one finished part."""
        name, dtype, part = key
        record = {"dtype": dtype, "part": part, "result": to_plain(properties)}
        self._keep(run, ("part", name, dtype, str(part)), record, seed)

    def subjects(self) -> Iterator[SubjectResult]:
        """Everything finished, newest run first."""
        for folder in self._runs():
            yield from self._subjects(folder)

    def costs(self) -> dict[str, float]:
        """Seconds that each rule or theorem took when it last ran to its end."""
        try:
            found = json.loads((self.home / "costs.json").read_text(encoding="utf-8"))
            return {str(name): float(seconds) for name, seconds in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def add_costs(self, seconds: Mapping[str, float]) -> None:
        """Remember what took how long."""
        text = json.dumps(self.costs() | dict(seconds), sort_keys=True)
        self._guard(lambda: _replace(self.home / "costs.json", text))

    def crash(self, text: str) -> Path | None:
        """Keep the traceback of an internal error; None where the store cannot be written."""
        path = self.home / f"crash-{os.getpid()}.txt"
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

    def _keep(self, run: str, key: tuple[str, ...], record: dict[str, Any], seed: int) -> bool:
        kind, name, *more = key
        file = f"{short_hash(name)}.json" if kind == "subject" else f"{'-'.join(more)}.json"
        folder = self._folder(run) if kind == "subject" else self._parts_folder(run, name)
        head = {"schema": SCHEMA, "kind": kind, "name": name, "seed": seed, "versions": versions()}
        text = json.dumps(head | record, allow_nan=False, separators=(",", ":"))
        return self._guard(lambda: _replace(folder / file, text))

    def _records(self, folder: Path, kind: str) -> Iterator[dict[str, Any]]:
        for path in sorted(folder.glob("*.json" if kind == "subject" else "parts-*/*.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(record, dict) and (record.get("schema"), record.get("kind")) == (SCHEMA, kind):
                yield record

    def _subjects(self, folder: Path) -> Iterator[SubjectResult]:
        for record in self._records(folder, "subject"):
            with contextlib.suppress(ValueError, TypeError, KeyError):  # of another version
                yield subject_from_plain(record["result"])

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


def run_name(**decides: Any) -> str:
    """Name of a run from everything that decides its results."""
    return short_hash(json.dumps(decides, sort_keys=True, default=str))
