"""Versions and machine class of a run, read without importing the packages themselves."""

from __future__ import annotations

import os
import platform
from importlib import metadata

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "hypothesis", "python-flint", "torch")


def version() -> str:
    """Version of this project ("unknown" when it runs from a folder that is not installed)."""
    return _version("backprove") or "unknown"


def describe() -> dict[str, str]:
    """Name -> text: Python, operating system, machine, cores and the versions of what the checks rest on."""
    found = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count() or 1),
    }
    found |= {name: v for name in PACKAGES if (v := _version(name))}
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
