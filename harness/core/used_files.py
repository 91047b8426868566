"""Used files are what the code of this process was read from, and what it has read: a result depends on their content.

watch()                          # once, before any code of a user runs
used_files()                     # the paths of rules.py and weights.npy, each with a digest of what it holds
unchanged(used_files())          # True, until one of them has another content

Files of Python and of installed packages are left out: their versions stand for them (`installed`). Directories that
are listed, environment variables and the clock are not seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import site
import sys
import sysconfig
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LARGE = 2**26
"""Bytes from which on a file's size and time of change stand for its content."""
REACHING_OUT = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"))
"""Events of code that asks other programs or machines, whose answers no file holds."""
NOT_FILES = ("/proc/", "/sys/", "/dev/")


class _Watch:
    """What the process has done since it is watched."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.read: set[str] = set()
        self.reached_out = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode = arguments[0], arguments[1]
            if isinstance(path, (str, bytes)) and not (isinstance(mode, str) and set(mode) & set("wax+")):
                self.read.add(os.path.abspath(os.fsdecode(path)))  # as long as the working directory is this one
        elif event == "ctypes.dlopen":
            if isinstance(arguments[0], str) and os.sep in arguments[0]:
                self.read.add(os.path.abspath(arguments[0]))
        elif event in REACHING_OUT and not _is_a_librarys():
            self.reached_out = True


def _is_a_librarys() -> bool:
    """Whether the code that calls what Python comes with is an installed package's, which looks for its own parts."""
    frame = sys._getframe(2)
    python = os.path.dirname(os.path.realpath(os.__file__))
    while frame is not None:
        path = os.path.realpath(frame.f_code.co_filename)
        if not path.startswith(python) or "site-packages" in path:
            return path.startswith(_installed_places())
        frame = frame.f_back  # type: ignore[assignment]
    return False


_watch = _Watch()


def watch() -> None:
    """Note from now on what this process reads; there is no end to it."""
    if _watch.since is None:
        _watch.since = time.time()
        sys.addaudithook(_watch)


def used_files() -> dict[str, str] | None:
    """Path -> digest of the content; None where that does not say all: code has asked other programs or machines, or a
    file has changed since `watch`.
    """
    if _watch.since is None or _watch.reached_out:
        return None
    modules = [str(getattr(m, "__file__", None) or "") for m in list(sys.modules.values())]
    found = {}
    for path in {_own(p) for p in (*_watch.read, *modules)}:
        with contextlib.suppress(OSError):  # what is no file, or none any more
            if path and os.path.isfile(path):
                if os.stat(path).st_mtime > _watch.since:
                    return None
                found[path] = _digest(path)
    return found


@cache
def _own(path: str) -> str:
    """The file that a path leads to; "" where it is Python's, an installed package's or the system's."""
    real = os.path.realpath(path)
    return "" if real.startswith((*_installed_places(), *NOT_FILES)) or real.endswith(".pyc") else real


def unchanged(used: Mapping[str, str]) -> bool:
    """Whether all files have the content that they had."""
    try:
        return all(_digest(path) == digest for path, digest in used.items())
    except OSError:
        return False


def _digest(path: str) -> str:
    status = os.stat(path)
    return _digest_at(path, status.st_size, status.st_mtime_ns)


@cache
def _digest_at(path: str, size: int, changed: int) -> str:
    if size > LARGE:
        return f"{size} bytes of {changed}"
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@cache
def _installed_places() -> tuple[str, ...]:
    """Folders of Python, of installed packages and of this one."""
    here = Path(__file__).resolve().parents[2]
    own = [here / room for room in ("harness", "rules", "strategies", "reports", "backprove")]
    places = [*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values(), *map(str, own)]
    real = {os.path.realpath(p) for p in places}
    return tuple(sorted(p + os.sep for p in real if p != os.sep))


@cache
def installed() -> str:
    """A digest of the names and versions of all installed packages, which the names of their folders tell."""
    found = []
    for place in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.scandir(place or "."):
                if entry.name.endswith((".dist-info", ".egg-info")):
                    found.append(entry.name if entry.name.endswith(".dist-info") else _with_time(entry))
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _with_time(entry: os.DirEntry[str]) -> str:
    """A folder of a package under development, whose name need not have a version."""
    return f"{entry.name} {entry.stat().st_mtime_ns}"
