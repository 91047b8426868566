"""The environment of a run, its versions and machine class, is read here without importing the packages themselves."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata

from backprove.harness.core.version import __version__

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "hypothesis", "python-flint", "torch")


def describe() -> dict[str, str]:
    """Name -> text: Python, operating system, machine, cores and the versions of what the checks rest on."""
    found = dict(versions())
    python = {"python": found.pop("python")}
    del found["backprove"]
    host = {"system": platform.system(), "machine": platform.machine(), "cores": str(os.cpu_count() or 1)}
    return python | host | found


@cache
def versions() -> dict[str, str]:
    """Name -> version of Python, this project, and the packages that decide what the checks find."""
    found = {"python": platform.python_version(), "backprove": __version__}
    return found | {name: v for name in PACKAGES if (v := _version(name))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
