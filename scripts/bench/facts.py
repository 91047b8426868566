"""What the figures depend on: the machine, how busy it is, and versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from backprove.harness.core.environment import describe

BUSY = 0.5
"""A load average above this at the start means that something else runs."""


def facts() -> dict[str, Any]:
    """Name -> value: processor, cores, memory (bytes), load averages now, its vector instructions, versions."""
    found: dict[str, Any] = dict(describe())
    found["processor"] = processor()
    found["usable cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found["memory"] = _memory()
    found["load"] = [round(x, 2) for x in os.getloadavg()]
    found["vectors"] = vectors()
    return found


def warning(found: dict[str, Any]) -> str:
    """What to say where the machine is not idle; "" where it is."""
    load = found["load"][0]
    if load <= BUSY:
        return ""
    return (
        f"the load average was {load:.2f} at the start: other work shares the machine, times are too long and "
        "ratios uncertain; measure again when it is idle"
    )


def processor() -> str:
    """Model name of the processor ("unknown" where the system does not tell)."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or "unknown"
    return platform.processor() or "unknown"


def vectors() -> str:
    """The widest vector instructions that NumPy uses here."""
    import numpy as np

    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return str(found[-1]) if found else "baseline"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
