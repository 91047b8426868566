"""This module starts worker processes so that they end when this one does, and ends them with all that they started.

process = start(["-c", "print(1)"], mark="3f2a")
end(process, mark="3f2a")          # dead when it returns, and so are its children

A worker asks the system to be killed when its parent dies (`die_with`), which also ends one that never lets Python's
other threads run. The system takes the thread that started a process for its parent: so one thread, which lasts as
long as the process, starts them all. Children inherit a mark in their environment, by which they are found again when
they have left the group of their worker. Both need Linux; elsewhere the end of a worker's stdin, and its group, remain.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MARK = "BACKPROVE_WORKER"
"""Variable that a worker and all that it starts have in their environment."""
WORKERS_OWN = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "HYPOTHESIS_NO_PLUGINS": "1"}
"""Of a worker, unless the user has set it: plugins of Hypothesis import what they are for, pytest or trio."""

ENDS_WITHIN = 5.0
"""Seconds in which a killed process must be gone."""

CANNOT_ANSWER = 97
"""Exit status of a worker that cannot write its answer."""

_SET_PARENT_DEATH_SIGNAL = 1
"""Of Linux's prctl."""

_asking = threading.Lock()


def start(arguments: Sequence[str], *, mark: str) -> subprocess.Popen[bytes]:
    """Start a Python process whose stdin and stdout are pipes to this one, in a group of its own.

    Raises:
        OSError: where the system starts none.
    """

    def launch() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", *arguments],  # -P: nothing is imported from the working directory
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # several workers share a GPU: none takes all of its memory, unless the user wants that
            env={**WORKERS_OWN, **os.environ, MARK: mark},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )

    with _asking:
        launcher = _launcher(os.getpid())
    return launcher.submit(launch).result()


@functools.cache
def _launcher(process: int) -> ThreadPoolExecutor:
    """The one thread that starts workers for this process, by its id: a forked child needs a thread of its own.

    Asked for under a lock: a second one for the same process would be collected, and its thread's end kills workers.
    """
    return ThreadPoolExecutor(1, thread_name_prefix="backprove-launcher")


def die_with(parent: int) -> None:
    """End this process when its parent ends, whatever it is doing; at once where that has happened already."""
    with contextlib.suppress(OSError, AttributeError):
        library: Any = ctypes.CDLL(None)
        library.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if hasattr(os, "getppid") and os.getppid() != parent:
        os._exit(0)


def end(process: subprocess.Popen[bytes], *, mark: str) -> None:
    """Kill a process and all that it started; returns within `ENDS_WITHIN` seconds also where the system is slow."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for pid in marked(mark):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_WITHIN)
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # what was not sent is lost with the worker
            process.stdin.close()


def marked(mark: str) -> list[int]:
    """The processes that have the mark in the environment with which they started, this one excepted."""
    wanted, found = f"{MARK}={mark}".encode(), []
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
    return found
