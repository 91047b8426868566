"""Part "runs": whole runs in fresh processes, cold and warm: time, peak memory, and where the time goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from scripts.bench import phases

CACHE = "BACKPROVE_CACHE"
"""Environment variable that names the folder of traced programs."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 for the measurements in this process; whole runs do as they do without."""
MANY_LIMIT = 900.0
"""Seconds after which the long run is ended."""


@dataclass(frozen=True)
class Run:
    """One command.

    Attributes:
        what: as the table names it.
        command: as typed.
        seconds: wall time.
        cpu: seconds of processor time of the process and all that it started.
        memory: largest resident size of any one process, bytes.
        status: exit status; None where the time limit ended it.
    """

    what: str
    command: str
    seconds: float
    cpu: float
    memory: int
    status: int | None


def measure(points: int, only: str | None, limit: float, many: int) -> dict[str, Any]:
    """The start-up of the command line; the catalogue with an empty and with a filled cache, and with many points.

    Args:
        points: per claim and dtype.
        only: glob over the theorems; None: all.
        limit: seconds after which a run is ended.
        many: points of the long run; 0: none.
    """
    run("first start", ["--help"], [], {}, limit)  # writes the bytecode
    found = [run("start", ["--help"], [], {}, limit)]
    chosen = ["--only", only] if only else []
    options = ["verify", "--profile", "ci", "--points", str(points), *chosen]
    with tempfile.TemporaryDirectory() as folder:
        cache = {CACHE: str(Path(folder) / "cache"), "BACKPROVE_HOME": str(Path(folder) / "home")}
        out = ["--out", str(Path(folder) / "out")]
        found.append(run("catalogue, cold", options, out, cache, limit))
        found.append(run("catalogue, warm", options, out, cache, limit))
        found.append(run("catalogue, warm, one worker", [*options, "--executor", "process:1"], out, cache, limit))
        if many:
            long = ["verify", "--profile", "ci", "--points", f"{many:.0e}".replace("+0", ""), *chosen]
            found.append(run("catalogue, many points", long, out, cache, max(limit, MANY_LIMIT)))
        serial = [*options, "--executor", "serial", *out]
        shares = {k: phases.measure(serial, cache | {CACHE: str(Path(folder) / "other")}) for k in ("cold", "warm")}
    for one in found:
        print(f"bench: {one.what}: {one.seconds:.2f} s, {one.memory / 2**20:.0f} MiB", file=sys.stderr)
    return {"points": points, "only": only, "limit": limit, "rows": [asdict(r) for r in found], "phases": shares}


def run(what: str, shown: Sequence[str], hidden: Sequence[str], environment: dict[str, str], limit: float) -> Run:
    """Run `backprove` in a fresh process; its output goes nowhere.

    Args:
        shown, hidden: arguments, those that the table shows first.
        environment: variables beside this process's own.
        limit: seconds.
    """
    started = perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "backprove", *shown, *hidden],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k not in (*THREADS, "PYTHONDONTWRITEBYTECODE")} | environment,
        start_new_session=True,
    )
    ended = False
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        if not ended and perf_counter() - started > limit:
            os.killpg(child.pid, signal.SIGKILL)
            ended = True
        sleep(0.005)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        what,
        " ".join(["backprove", *shown]),
        perf_counter() - started,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        None if ended else child.returncode,
    )
