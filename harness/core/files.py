"""Files that nobody ever sees half written: written beside their place and renamed, whatever ends the process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, then rename; what a killed process left there of an earlier try goes.

    Raises:
        OSError: when it cannot be written; `path` is as before then, and nothing is left beside it.
    """
    remove_left_behind(path.parent, path.name)
    beside = _beside(path)
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def probe(path: Path) -> None:
    """Prove that `path` could be written; it is not touched.

    Raises:
        OSError: when it cannot.
    """
    remove_left_behind(path.parent, path.name)
    beside = _beside(path)
    try:
        beside.write_bytes(b"")
    finally:
        beside.unlink(missing_ok=True)


def remove_left_behind(folder: Path, name: str = "*") -> None:
    """Remove what killed processes were writing in `folder`; what others are writing now stays."""
    for beside in folder.glob(f".{name}.*.tmp"):
        if _has_ended(beside.stem.rpartition(".")[2]):
            with contextlib.suppress(OSError):
                beside.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _has_ended(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):  # not of ours; somebody else's process
        return False
    return False
