"""Files that code was read from, and that it has read, are known with their content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backprove.harness.core.used_files import installed, unchanged

TOLD = """
import json, sys
from backprove.harness.core.used_files import used_files, watch
watch()
sys.path.insert(0, ".")
import mine
print(json.dumps(used_files()))
"""


def told(folder: Path, code: str) -> dict[str, str] | None:
    """The files of a process that imports `code`."""
    (folder / "mine.py").write_text(code)
    for file in folder.iterdir():
        os.utime(file, (1e9, 1e9))
    path = os.pathsep.join(p for p in sys.path if p)
    run = subprocess.run(
        [sys.executable, "-B", "-c", TOLD],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, str] | None = json.loads(run.stdout.splitlines()[-1])
    return found


def test_modules_and_data_are_used_and_a_change_is_seen(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("1")
    (tmp_path / "other.py").write_text("A = 1")
    code = "import os, other, numpy\nopen('data.txt').read()\nopen('/dev/null', 'w').write('x')\nos.chdir('/')"
    used = told(tmp_path, code)
    assert used is not None and {Path(p).name for p in used} == {"data.txt", "mine.py", "other.py"}
    assert unchanged(used)
    (tmp_path / "data.txt").write_text("2")
    assert not unchanged(used)
    (tmp_path / "data.txt").unlink()
    assert not unchanged(used)


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.system('true')",
        "open('new.txt', 'w').write('1')\nopen('new.txt').read()",
    ],
)
def test_code_whose_answers_no_file_holds_is_told(code: str, tmp_path: Path) -> None:
    assert told(tmp_path, code) is None


def test_installed_packages_have_a_digest() -> None:
    assert len(installed()) == 64
