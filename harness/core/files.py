"""Files are written whole or not at all (beside their place, then renamed), and code is hashed for caches and resumed
runs.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from backprove.harness.core.environment import versions


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write `content` beside `path`, then rename; what a killed process left there of an earlier try goes.

    Args:
        private: nobody but the user may write the file, whatever the umask says.

    Raises:
        OSError: when it cannot be written; `path` is as before then, and nothing is left beside it.
    """
    remove_left_behind(path.parent, path.name)
    beside = _beside(path)
    try:
        beside.write_bytes(content)
        if private:
            beside.chmod(0o600)
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
    for beside in folder.glob(f".{name if name == '*' else glob.escape(name)}.*.tmp"):
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


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(*files: Path) -> str:
    """Hash of the code that decides results: this package, `files`, and the versions of what it rests on."""
    package = Path(__file__).parents[2]
    # Folder by folder: in a checkout they are links, which a search from above does not follow.
    code = digest_of_files(*(package / folder for folder in ("harness", "rules", "strategies")), *files)
    return short_hash(json.dumps([code, versions()], sort_keys=True))


def digest_of_files(*paths: Path) -> str:
    """SHA-256 over the contents of Python files (folders: all below them), in a fixed order."""
    total = hashlib.sha256()
    for path in paths:
        for file in _python_files(path):
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _python_files(path: Path) -> Iterable[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]
