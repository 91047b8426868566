"""Hooks of pytest: `--quick` runs one test of each module and says how many it leaves out; the header says how long.

make test ARGS=--quick
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CPU_MINUTES = 48
"""Processor time of all tests, as measured on an ordinary machine."""
QUICK_MINUTES = 2
"""Wall time of the quick form on two cores."""
SLOW = (
    "docs/test_code_blocks.py",
    "harness/campaign/test_every_moment.py",
    "harness/campaign/test_executors.py",
    "harness/campaign/test_mpi.py",
    "harness/campaign/test_same_results.py",
    "harness/mutation/test_run.py",
    "harness/numbers/bounds/test_bounds_are_sound.py",
    "harness/test_pytest_plugin.py",
    "reports/browser/test_report_browser.py",
    "rules/test_all_theorems.py",
    "scripts/test_bench.py",
    "scripts/test_soak.py",
    "test_packaging.py",
)
"""Modules whose first test already takes many seconds: they are left out, unless a test of theirs is marked quick."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="one test of each module: about two minutes on two cores")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: a test that --quick runs; the first one of most modules is")
    config.stash[_LEFT_OUT] = 0


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.args != [str(p) for p in config.getini("testpaths")] or config.getoption("--collect-only"):
        return None
    if config.getoption("--quick"):
        return f"about {QUICK_MINUTES} minutes on two cores: one test of each module"
    workers = len(getattr(config.option, "tx", None) or [1])
    return f"about {CPU_MINUTES / workers:.0f} minutes with {workers} workers; --quick runs one test of each module"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    here, first = Path(__file__).parent, set()
    kept, left = [], []
    for item in items:
        module = item.path.relative_to(here).as_posix()
        if module not in first and module not in SLOW:
            first.add(module)
            item.add_marker("quick")
        (left if item.get_closest_marker("quick") is None else kept).append(item)
    items[:] = kept
    config.stash[_LEFT_OUT] = len(left)
    config.hook.pytest_deselected(items=left)


_LEFT_OUT = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash[_LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    found = getattr(node, "workeroutput", {}).get("left_out", 0)
    node.config.stash[_LEFT_OUT] = max(found, node.config.stash[_LEFT_OUT])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--quick"):
        left = config.stash[_LEFT_OUT]
        terminalreporter.write_line(f"--quick left out {left} tests; make test runs them all")
