"""Files are whole or as they were, and what killed processes left beside them goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backprove.harness.core.files import probe, remove_left_behind, write_whole


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"one")
    write_whole(file, b"two")
    assert file.read_bytes() == b"two"

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as f:
            f.write(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"three")
    with pytest.raises(OSError, match="No space left"):
        probe(file)
    assert file.read_bytes() == b"two" and names(tmp_path) == ["a.json"]


def test_only_what_ended_processes_were_writing_goes(tmp_path: Path, ended: int) -> None:
    here = os.getpid()
    kept = [f".a.json.{here}.tmp", ".a.json.x.tmp", ".a.json", f"a.json.{ended}.tmp", f".b.json.{ended}.tmp"]
    for name in (*kept, f".a.json.{ended}.tmp"):
        (tmp_path / name).write_text("{")
    remove_left_behind(tmp_path, "a.json")
    assert names(tmp_path) == sorted(kept)
    remove_left_behind(tmp_path)
    assert names(tmp_path) == sorted(kept[:-1])


def test_a_probe_touches_nothing(tmp_path: Path, ended: int) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / f".a.json.{ended}.tmp").write_text("{")
    probe(tmp_path / "a.json")
    probe(tmp_path / "new")
    assert names(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "{}"
