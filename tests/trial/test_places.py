"""Homes that are missing, no folders or cannot be written cost a warning at most: results and status are as ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.campaign.test_executors import FAKE, environment, results

NOWHERE = "/proc/nowhere"
"""A folder that nobody can make, root neither."""


def verify(env: dict[str, str], folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FAKE, "verify", "--points", "100", "--executor", "process:1", "--out", str(out)]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
@pytest.mark.parametrize(
    ("home", "store"), [(None, None), ("/nonexistent", None), ("/dev/null", NOWHERE), (NOWHERE, "/dev/null/store")]
)
def test_a_home_that_is_none(home: str | None, store: str | None, root: Path, tmp_path: Path) -> None:
    env = environment(root, FAKE_WORDS="true,false,true")
    for name, value in (("HOME", home), ("BACKPROVE_HOME", store)):
        env.pop(name, None)
        if value is not None:
            env[name] = value
    run = verify(env, tmp_path, tmp_path / "out")
    assert run.returncode == 1 and "Traceback" not in run.stderr + run.stdout, run.stderr
    assert "sumExp_ne_zero: falsified" in run.stdout and results(tmp_path / "out")
    assert run.stderr.count("warning") == (store is not None), run.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_a_report_that_cannot_be_written_is_said_before_the_run(root: Path, tmp_path: Path) -> None:
    run = verify(environment(root, FAKE_WORDS="true,true,true"), tmp_path, Path(NOWHERE))
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert f"{NOWHERE} cannot be written" in run.stderr and "theorems" not in run.stderr
