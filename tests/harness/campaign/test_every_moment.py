"""A campaign may be ended at any moment: everything is whole then, and `--resume` goes on to the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.campaign.test_executors import DATA, environment

STRIDE = 4
"""Every fourth operation on a file or folder is one of the moments; with 1 all of them pass too."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("ending", ["kill", "interrupt", "full"])
def test_whatever_ends_a_campaign_leaves_whole_files(ending: str, root: Path, tmp_path: Path) -> None:
    """Killed, interrupted, or out of space for more than 100 bytes: between any two operations on files."""
    env = environment(root, FAKE_WORDS="true,true part 1 false,true")
    command = [sys.executable, str(DATA / "every_moment.py"), ending, str(tmp_path), str(STRIDE)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    operations, tried = map(int, done.stdout.splitlines()[-1].split())
    assert operations > 50 and tried >= operations // STRIDE
