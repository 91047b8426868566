"""The pytest plugin makes test cases of rules.

A test marked `@pytest.mark.backprove` may return a `Rule` (or a list, tuple or dict of rules), which is then asserted;
the marker takes the options of `assert_rule`: `@pytest.mark.backprove(points=1000, dtypes=["float32"])`. Options of the
command line count for the marked tests and for every `bp.assert_rule`, and go before those of the marker and the call:

    --backprove-points N     evaluations of each claim, per dtype
    --backprove-dtype D      a dtype to check in; may be given several times
    --backprove-report DIR   write the HTML report and the tables of all rules that were asserted into DIR

Neither JAX nor NumPy nor Hypothesis is imported before the first rule.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backprove.harness.report import Report

MARKER = (
    "backprove(points=10_000, dtypes=..., seed=0, accuracy=None): options of bp.assert_rule; the test may return a Rule"
)
OPTIONS = ("points", "dtypes", "seed", "accuracy")

SUBJECTS = pytest.StashKey[list[dict[str, Any]]]()
"""Results of the rules of one test, as plain data."""
COLLECTED = pytest.StashKey[list[dict[str, Any]]]()
"""Results of all tests, in the process that writes the report."""
WRITTEN = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backprove", "derivative rules (backprove)")
    group.addoption(
        "--backprove-points", type=int, default=None, metavar="N", help="evaluations of each claim, per dtype"
    )
    group.addoption(
        "--backprove-dtype",
        action="append",
        default=None,
        metavar="D",
        help="a dtype to check in: float64, float32, bfloat16 or float16; may be given several times",
    )
    group.addoption(
        "--backprove-report", default=None, metavar="DIR", help="write the report of all asserted rules into DIR"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.stash[COLLECTED] = []
    # a wrong option is wrong use of the command line, not a failure of every test
    if config.getoption("--backprove-points") is not None or config.getoption("--backprove-dtype"):
        from backprove.harness.api import checked_options
        from backprove.harness.core.errors import UsageError

        given = {"points": 1, "dtypes": ("float64",), "seed": 0, "accuracy": None, **_from_command_line(config)}
        try:
            checked_options(**given)
        except UsageError as why:
            raise pytest.UsageError(f"backprove: {why}") from why


def _from_command_line(config: pytest.Config) -> dict[str, Any]:
    points, dtypes = config.getoption("--backprove-points"), config.getoption("--backprove-dtype")
    return {**({} if points is None else {"points": points}), **({"dtypes": tuple(dtypes)} if dtypes else {})}


def _from_marker(item: pytest.Item) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("backprove"))):  # the nearest one last
        unknown = sorted(set(mark.kwargs) - set(OPTIONS))
        if mark.args or unknown:
            given = ", ".join([*map(repr, mark.args), *unknown])
            pytest.fail(
                f"{item.nodeid}: @pytest.mark.backprove takes the options {', '.join(OPTIONS)} by name, got {given}",
                pytrace=False,
            )
        found.update(mark.kwargs)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Every `assert_rule` of this test runs with the options of the command line and the marker, and is recorded."""
    from_marker, from_command_line = _from_marker(item), _from_command_line(item.config)
    reporting = item.config.getoption("--backprove-report") is not None
    if not (from_marker or from_command_line or reporting):
        return (yield)
    from backprove.harness import api

    check, results = api.check, item.stash.setdefault(SUBJECTS, [])

    def checked(rule: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        report = check(rule, **{**options, **from_marker, **from_command_line})
        if reporting:
            from backprove.harness.core.records import to_plain

            results.append({"subject": to_plain(report.subject), "options": to_plain(report.options)})
        return report

    __tracebackhide__ = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "check", checked)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test and assert the rules that it returns."""
    if pyfuncitem.get_closest_marker("backprove") is None or inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    returned = pyfuncitem.obj(**{n: v for n, v in pyfuncitem.funcargs.items() if n in names})
    failed = []
    for rule in _rules(returned, pyfuncitem.nodeid):
        from backprove.harness.api import assert_rule
        from backprove.harness.core.errors import UsageError

        try:
            assert_rule(rule)
        except (AssertionError, UsageError) as why:
            failed.append(str(why))
    if failed:
        # no line of the test is at fault, so the texts of its rules, all of which were judged, are the whole failure
        pytest.fail("\n\n".join(failed), pytrace=False)
    return True


def _rules(returned: Any, test: str) -> Iterator[Any]:
    if returned is None:
        return
    from backprove.harness.statements.rule import Rule

    many = returned.values() if isinstance(returned, Mapping) else returned
    found = (
        [returned]
        if isinstance(returned, Rule)
        else list(many)
        if isinstance(many, (Sequence, type({}.values())))
        else [many]
    )
    for rule in found:
        if not isinstance(rule, Rule):
            pytest.fail(
                f"{test} is marked backprove and returned {type(rule).__name__}: {rule!r}; "
                "expected a bp.Rule, a list or dict of rules, or nothing",
                pytrace=False,
            )
        yield rule


# -- report ----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Results travel with the test's report, also from the workers of pytest-xdist."""
    report = yield
    if call.when == "call" and item.stash.get(SUBJECTS, None):
        vars(report)["backprove"] = item.stash[SUBJECTS]
    return report


class _Collector:
    """Takes the results out of the reports in the process that sees all of them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.config.stash[COLLECTED] += getattr(report, "backprove", [])


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("--backprove-report") is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(config), "backprove-collector")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report."""
    config = session.config
    directory, results = config.getoption("--backprove-report"), config.stash.get(COLLECTED, [])
    if directory is None or hasattr(config, "workerinput") or not results:
        return
    from backprove.harness.core.environment import describe
    from backprove.harness.core.records import from_plain
    from backprove.harness.core.results import RunResult, SubjectResult
    from backprove.harness.core.verdicts import exit_status
    from backprove.harness.core.version import __version__
    from backprove.reports.write import write_reports

    subjects = [from_plain(r["subject"], SubjectResult) for r in results]
    options = results[0]["options"]
    status = int(exit_status(p.verdict for s in subjects for p in s.properties))
    run = RunResult("check", __version__, int(options["seed"]), subjects, describe(), options, exit=status)
    out = Path(config.invocation_params.dir, directory)
    write_reports(run, out)
    held = sum(1 for s in subjects if not s.verdict.fails)
    config.stash[WRITTEN] = (
        f"backprove: {len(subjects)} rules, {len(subjects) - held} refused; report in {out / 'index.html'}"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if WRITTEN in config.stash:
        terminalreporter.write_line(config.stash[WRITTEN])
