"""The cache keeps what a run of a theorem leaves for the next one: traced programs, drawn examples, passed compiled
checks.

One file per theorem, in a folder named by a digest of this package's code and of the versions of what it rests on: a
change of either starts an empty folder. A pickle is code: the folder is the user's own, never the working directory,
and a file is read only where nobody else can have written it.
`BACKPROVE_CACHE` names another folder, or is `off`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import platform
import shutil
import stat
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backprove.harness.core.collector import no_collections
from backprove.harness.core.environment import describe
from backprove.harness.core.files import digest_of_files, write_whole

if TYPE_CHECKING:  # NumPy takes long to import
    from backprove.harness.core.arrays import Code

FOLDERS_KEPT = 4
"""Digests whose files are kept; the least recently used go first."""


class Cache:
    """Key -> value for one theorem; in memory, and on disk where there is a file.

    Args:
        file: read at once, written by `save`; a file that cannot be read counts as empty.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.entries: dict[Hashable, object] = _read(file)
        self._known = len(self.entries)
        self._names: dict[int, tuple[str, Code]] = {}

    def name(self, call: Code) -> str:
        """A name of `call`: its place among the callables asked for, which the code of the theorem determines."""
        return self._names.setdefault(id(call), (f"callable {len(self._names)}", call))[0]

    def get(self, key: Hashable) -> Any:
        """The value, or None."""
        return self.entries.get(key)

    def put(self, key: Hashable, value: object) -> None:
        self.entries[key] = value

    def save(self) -> None:
        """Write what is new beside the file, then rename; a full or read-only disk costs the next run its time only."""
        if self.file is None or len(self.entries) == self._known:
            return
        merged = _read(self.file) | self.entries
        with contextlib.suppress(Exception):  # what cannot be pickled is traced again
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, pickle.dumps(merged, protocol=pickle.HIGHEST_PROTOCOL), private=True)
            self._known = len(self.entries)


def cache_of(name: str) -> Cache:
    """The cache of one theorem of the catalogue."""
    home = folder()
    if home is None:
        return Cache()
    return Cache(home / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.pickle")


@cache
def folder() -> Path | None:
    """The folder for this code and these versions; made, and old ones removed, on first use."""
    wanted = os.environ.get("BACKPROVE_CACHE", "")
    if wanted == "off":
        return None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backprove"
    home = (Path(wanted) if wanted else base) / _digest()[:24]
    try:
        home.mkdir(parents=True, exist_ok=True)
        os.utime(home)
        folders = sorted((p for p in home.parent.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    except OSError:
        return None
    for old in folders[:-FOLDERS_KEPT]:
        if len(old.name) == len(home.name):
            shutil.rmtree(old, ignore_errors=True)
    return home


def _digest() -> str:
    package = Path(__file__).resolve().parents[2]
    code = digest_of_files(*(package / folder for folder in ("harness", "rules", "strategies")))
    facts = {**describe(), "implementation": platform.python_implementation(), "processor": _processor()}
    facts.pop("cores")
    return hashlib.sha256(repr((code, sorted(facts.items()))).encode()).hexdigest()


def _processor() -> str:
    """Model and features: XLA compiles for the processor at hand."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "\n".join(dict.fromkeys(line for line in lines if line.startswith(("model name", "flags", "Features"))))
    return platform.processor()


def is_ours(descriptor: int) -> bool:
    """Whether nobody but this user (or root) can have written a file: what is read from it can run code."""
    if not hasattr(os, "getuid"):
        return True
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _read(file: Path | None) -> dict[Hashable, object]:
    if file is None:
        return {}
    with contextlib.suppress(Exception):  # missing, cut short, or written by something else
        with file.open("rb") as stream:
            if not is_ours(stream.fileno()):
                return {}
            data = stream.read()
        with no_collections():  # many small objects, none of them garbage
            found = pickle.loads(data)
        if isinstance(found, dict):
            return found
    return {}
