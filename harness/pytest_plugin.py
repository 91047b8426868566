"""The pytest plugin makes test cases of rules.

A test marked `@pytest.mark.backprove` may return a `Rule` or theorem (or a list, tuple or dict of them), which is then
asserted; the marker takes the options of `assert_rule`: `@pytest.mark.backprove(points=1000, dtypes=["float32"])`, and
`expect={"name": "falsified"}` for rules that are expected to be refused. Options of the command line count for the
marked tests and for every `bp.assert_rule`, and go before those of the marker and the call:

    --backprove-points N     evaluations of each claim, per dtype
    --backprove-dtype D      a dtype to check in; may be given several times
    --backprove-report DIR   write the HTML report and the tables of all rules that were asserted into DIR

A marked test without arguments that returns several rules becomes one test case for each, so that `-k`, JUnit files and
`pytest -n` know them by name. It is called for this when tests are collected: stating rules costs nothing, and none is
checked then. A test with fixtures or parameters, which only exist when it runs, stays one case for all its rules.

Neither JAX nor NumPy nor Hypothesis is imported before the first rule.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backprove.harness.report import Report
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule

MARKER = (
    "backprove(points=10_000, dtypes=..., seed=0, accuracy=None, expect=None): options of bp.assert_rule; the test may "
    "return rules, which are asserted; expect: a verdict, or name -> verdict, of rules that are to be refused"
)
OPTIONS = ("points", "dtypes", "seed", "accuracy")

SUBJECTS = pytest.StashKey[list[dict[str, Any]]]()
"""Results of the rules of one test, as plain data."""
COLLECTED = pytest.StashKey[list[dict[str, Any]]]()
"""Results of all tests, in the process that writes the report."""
VERDICTS = ("error", "falsified", "inaccurate", "inconclusive", "holds")
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
    """The options of the markers, without `expect`."""
    found: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("backprove"))):  # the nearest one last
        unknown = sorted(set(mark.kwargs) - {*OPTIONS, "expect"})
        if mark.args or unknown:
            given = ", ".join([*map(repr, mark.args), *unknown])
            options = ", ".join((*OPTIONS, "expect"))
            pytest.fail(
                f"{item.nodeid}: @pytest.mark.backprove takes the options {options} by name, got {given}", pytrace=False
            )
        found.update({name: value for name, value in mark.kwargs.items() if name != "expect"})
    return found


# -- one case per rule -----------------------------------------------------------------------------------------------


class _NotNow(Exception):
    """A rule is to be checked while tests are collected."""


@pytest.fixture
def backprove_rule(request: pytest.FixtureRequest) -> tuple[str, Rule | OwnTheorem]:
    """Name and rule of the test case, where a marked test returns several rules."""
    found: tuple[str, Rule | OwnTheorem] = request.param
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test case per rule of a marked test that states several."""
    if metafunc.definition.get_closest_marker("backprove") is None or not _states_rules(metafunc):
        return
    returned = _returned(metafunc)
    if not isinstance(returned, (Mapping, list, tuple)) or not returned:
        return
    named = _named(returned)
    mark = next((m for m in metafunc.definition.iter_markers("backprove") if "expect" in m.kwargs), None)
    expected = mark.kwargs["expect"] if mark is not None else None
    if named is None or (isinstance(expected, Mapping) and set(map(str, expected)) - {name for name, _ in named}):
        return  # the test says what is wrong with it when it runs
    metafunc.fixturenames.append("backprove_rule")
    metafunc.parametrize("backprove_rule", named, ids=[name for name, _ in named], indirect=True)


def _states_rules(metafunc: pytest.Metafunc) -> bool:
    """Whether a test takes no arguments and returns something."""
    function = inspect.unwrap(metafunc.function)
    parameters = list(inspect.signature(function).parameters)[metafunc.cls is not None :]
    code: CodeType | None = getattr(function, "__code__", None)
    if parameters or code is None or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return False
    return _returns_something(function)


def _returns_something(function: Any) -> bool:
    """Whether a function has a `return` of more than None; True where its text is not known."""
    import ast
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return True
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree))


def _returned(metafunc: pytest.Metafunc) -> Any:
    """What a marked test returns; None where it cannot be told before the test runs."""
    from backprove.harness import api

    def not_now(**_: Any) -> None:
        raise _NotNow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "checked_options", not_now)
        try:
            if metafunc.cls is None:
                return metafunc.function()
            return getattr(metafunc.cls(), metafunc.function.__name__)()
        except (Exception, pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception):
            return None  # raised again when the test runs


def _named(returned: Any) -> list[tuple[str, Rule | OwnTheorem]] | None:
    """The rules that a test returned, by the names of its dict or their own; None where one is no rule."""
    kinds = _kinds()
    if isinstance(returned, kinds):
        one: Any = returned
        return [(one.name, one)]
    if isinstance(returned, Mapping):
        pairs = [(str(name), rule) for name, rule in returned.items()]
    else:
        pairs = [(getattr(rule, "name", ""), rule) for rule in returned]
    return pairs if all(isinstance(rule, kinds) for _, rule in pairs) else None


def _kinds() -> tuple[type, ...]:
    """What a marked test may return."""
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule

    return Rule, OwnTheorem


def _expected(item: pytest.Item) -> Mapping[str, str] | str | None:
    """What the nearest marker with `expect` says of the verdicts: one for all, or by name."""
    mark = next((m for m in item.iter_markers("backprove") if "expect" in m.kwargs), None)
    given = None if mark is None else mark.kwargs["expect"]
    if given is None:
        return None
    verdicts = list(given.values()) if isinstance(given, Mapping) else [given]
    if not all(isinstance(v, str) and v in VERDICTS for v in verdicts):
        pytest.fail(
            f"{item.nodeid}: expect must be one of {', '.join(VERDICTS)}, or map names of rules to them, got {given!r}",
            pytrace=False,
        )
    return {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else str(given)


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
    """Run a marked test and assert the rules that it returns, or the one of this case."""
    if pyfuncitem.get_closest_marker("backprove") is None or inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    expected = _expected(pyfuncitem)
    stated = getattr(pyfuncitem, "callspec", None)
    if stated is not None and "backprove_rule" in stated.params:
        rules = [stated.params["backprove_rule"]]
    else:
        names = inspect.signature(pyfuncitem.obj).parameters
        returned = pyfuncitem.obj(**{n: v for n, v in pyfuncitem.funcargs.items() if n in names})
        rules = _rules(returned, pyfuncitem.nodeid)
        if isinstance(expected, Mapping) and (unknown := sorted(set(expected) - {name for name, _ in rules})):
            pytest.fail(
                f"{pyfuncitem.nodeid}: expect names {unknown[0]!r}, which is no rule of this test "
                f"(there are: {', '.join(name for name, _ in rules) or 'none'})",
                pytrace=False,
            )
    failed = [text for name, rule in rules if (text := _failure(name, rule, expected))]
    if failed:
        # no line of the test is at fault, so the texts of its rules, all of which were judged, are the whole failure
        pytest.fail("\n\n".join(failed), pytrace=False)
    return True


def _failure(name: str, rule: Rule | OwnTheorem, expected: Mapping[str, str] | str | None) -> str:
    """Why a rule fails its test; "" where it does not."""
    from backprove.harness import api
    from backprove.harness.core.errors import UsageError

    wanted = expected.get(name, "holds") if isinstance(expected, Mapping) else expected or "holds"
    try:
        report = api.check(rule)
    except UsageError as why:
        return str(why)
    if str(report.verdict) == wanted:
        return ""
    return f"{report}" if wanted == "holds" else f"{name} is expected to be {wanted}, and is not:\n{report}"


def _rules(returned: Any, test: str) -> list[tuple[str, Rule | OwnTheorem]]:
    """Names and rules of what a test returned; none where it returned nothing."""
    if returned is None:
        return []
    named = _named(returned) if isinstance(returned, (Mapping, Sequence)) else _named([returned])
    if named is None:
        many = returned.values() if isinstance(returned, Mapping) else returned
        several = isinstance(returned, (Mapping, Sequence)) and not isinstance(returned, str)
        wrong = next(r for r in (many if several else [returned]) if not isinstance(r, _kinds()))
        pytest.fail(
            f"{test} is marked backprove and returned {type(wrong).__name__}: {wrong!r}; "
            "expected a bp.Rule, a bp.theorem, a list or dict of these, or nothing",
            pytrace=False,
        )
    return named


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
