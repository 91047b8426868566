"""Hooks of pytest: `--quick` runs one test of each module, `--all` also the long ones; the header says how long.

make test ARGS=--quick
make test ARGS=--all        # before a release: what `LONG` names too

What is left out is counted at the end of every run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

CPU_MINUTES = 30
"""Processor time of the tests without the long ones, on an ordinary machine."""
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


LONG = re.compile(
    r"test_mutant_suite\.py::test_a_wrong_rule_is_refused\[.*-float32\]"
    r"|test_black_box_conditioning\.py::.*\[(True|False)-(float16 in|large)"
    r"|test_rests_on\.py::(.*although_forward_raises|.*judged_inside\[index\])"
    r"|test_compared_intermediates\.py::.*\[(opaque huber|a norm in|a sum in|a branch in)"
    r"|test_layouts\.py::test_code_that_depends_on_the_layout_is_an_error\[<lambda>-n-"
    r"|test_linear_algebra\.py::.*\[det\]"
    r"|test_scipy_linalg\.py::.*svdvals"
    r"|test_further_sizes\.py::.*(a constant of|thrice as wide)"
    r"|test_jit_and_vmap\.py::.*cannot_be_jitted_holds_and_says_so"
    r"|test_wrong_directions\.py::.*\[a loop\]"
    r"|test_opaque_code\.py::(.*test_wrong_in_float32_only|TestObjects::test_right$|.*test_not_a_number)"
    r"|test_spectral_rules\.py::test_the_right_rule_holds\[(matrix exponential|projector)"
    r"|trial/test_(kills|misbehaving)\.py"
)
"""Tests of many seconds, variants of others: the other format, another function or size, more of a kind."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="one test of each module: about two minutes on two cores")
    parser.addoption("--all", action="store_true", help="also the long tests, variants of others", dest="all_tests")


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
        named = any("::" in a for a in config.args)
        long = [] if named or config.getoption("all_tests") else [i for i in items if LONG.search(i.nodeid)]
        _leave_out(config, items, long)
        return
    here, first = Path(__file__).parent, set()
    left = []
    for item in items:
        module = item.path.relative_to(here).as_posix()
        if module not in first and module not in SLOW:
            first.add(module)
            item.add_marker("quick")
        if item.get_closest_marker("quick") is None:
            left.append(item)
    _leave_out(config, items, left)


def _leave_out(config: pytest.Config, items: list[pytest.Item], left: list[pytest.Item]) -> None:
    if left:
        gone = set(map(id, left))
        items[:] = [i for i in items if id(i) not in gone]
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
    left = config.stash[_LEFT_OUT]
    if config.getoption("--quick"):
        terminalreporter.write_line(f"--quick left out {left} tests; make test runs most, make test ARGS=--all all")
    elif left:
        terminalreporter.write_line(
            f"{left} long tests, variants of others, are left out; make test ARGS=--all runs them"
        )
