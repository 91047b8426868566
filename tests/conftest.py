"""Settings of the whole test run."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.quick import (  # noqa: F401  (hooks of pytest)
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_report_header,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

# Tests judge rules, not the accelerator that the machine happens to have.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# What earlier runs kept must not decide; subprocesses inherit it.
os.environ["BACKPROVE_CACHE"] = "off"

# There are as many test processes as cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# In a step of a GitHub workflow the command line would annotate the tests' wrong rules.
os.environ.pop("GITHUB_ACTIONS", None)

# Shared machines stall at times, so no example has a deadline; CI draws the same examples every time.
settings.register_profile("backprove", deadline=None, print_blob=True)
settings.register_profile("backprove-ci", parent=settings.get_profile("backprove"), derandomize=True)
settings.load_profile("backprove-ci" if os.environ.get("CI") else "backprove")


def pytest_collection_finish() -> None:
    """The collector need not look at ten thousand tests and all that they import, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return Path(__file__).resolve().parents[1]
