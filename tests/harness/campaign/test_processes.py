"""Worker processes end with their parent, whatever they are doing, and take with them what they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backprove.harness.campaign.processes import MARK, end, marked, start

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="Linux")

HOLDS = "import ctypes; print('ready', flush=True); ctypes.PyDLL(None).sleep(100000)"
"""A program that never lets another of its threads run."""


def gone(pid: int, within: float = 10.0) -> bool:
    end_of_wait = time.monotonic() + within
    while time.monotonic() < end_of_wait:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.05)
                continue
        return True
    return False


def test_a_process_and_a_child_that_left_its_group_end_together() -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True); print('ready', flush=True)"
    process = start(["-c", f"{code}; input()"], mark="together")
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    found = marked("together")
    assert len(found) == 2 and process.pid in found
    end(process, mark="together")
    assert process.poll() is not None and all(map(gone, found)) and not marked("together")


def test_a_worker_that_holds_the_interpreter_ends_with_its_parent(root: Path) -> None:
    code = f"""
import sys
from backprove.harness.campaign import processes

worker = '''
import os, sys
sys.path[:] = PATH
from backprove.harness.campaign.processes import die_with
die_with(os.getppid())
{HOLDS}
'''
p = processes.start(["-c", worker.replace("PATH", repr(sys.path))], mark="m")
p.stdout.readline()
print(p.pid, flush=True)
input()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid, within=0.2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pid)
    assert MARK not in os.environ
