"""The pytest plugin, run as its users run it, with a stand-in for the engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "no:backprove", "-p", "backprove.harness.pytest_plugin", "-p", "no:cacheprovider")

CONFTEST = f"""
import importlib.util, sys

spec = importlib.util.spec_from_file_location("fake_engine", {str(ROOT / "tests" / "data" / "fake_engine.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules["backprove.harness.campaign.subjects"] = module
"""

RULES = """
import pytest
import backprove as bp

def rule(factor):
    return bp.Rule("twice", forward=lambda x: 2 * x, vjp=lambda x, g: factor * g, inputs={"x": bp.array("n")})
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makeconftest(CONFTEST)


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_rules=RULES + text)
    return pytester.runpytest_subprocess(*PLUGIN, *options)


MARKED = """
@pytest.mark.backprove
def test_right():
    return rule(2)

@pytest.mark.backprove
def test_wrong():
    return {"good": rule(2), "bad": rule(3)}
"""


def test_a_marked_test_asserts_the_rules_that_it_returns(pytester: pytest.Pytester) -> None:
    result = run(pytester, MARKED, "--strict-markers", "-W", "error")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*twice: falsified*"])
    # the failure shows the report, not the inside of the library
    shows_nothing_of_ours(result)


def shows_nothing_of_ours(result: pytest.RunResult) -> None:
    text = result.stdout.str()
    for inside in ("pytest_plugin.py", "api.py", "def checked", "hookimpl", "check(rule, points="):
        assert inside not in text


def test_a_marked_test_asserts_theorems_too(pytester: pytest.Pytester) -> None:
    text = """
@pytest.mark.backprove
def test_theorem():
    return bp.theorem("false one", bp.Positivity(lambda x: x), inputs={"x": bp.array("n")}, words="false")
"""
    result = run(pytester, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*false one: falsified*"])


def test_all_rules_of_a_marked_test_are_judged(pytester: pytest.Pytester) -> None:
    text = "@pytest.mark.backprove(points=20)\ndef test_all():\n    return {'a': rule(3), 'b': rule(2), 'c': rule(5)}\n"
    result = run(pytester, text, "--junitxml", "junit.xml")
    result.assert_outcomes(failed=2, passed=1)
    section = result.stdout.str().partition("short test summary")[0]
    assert section.count("twice: falsified") == 2  # once each
    shows_nothing_of_ours(result)
    junit = (pytester.path / "junit.xml").read_text()
    assert all(junit.count(f'name="test_all[{key}]"') == 1 for key in "abc")


SEVERAL = """
import pathlib

def count(what):
    with open(pathlib.Path(__file__).with_name("log"), "a") as log:
        log.write(what)

@pytest.mark.backprove(expect={"bad": "falsified"})
def test_dict():
    count("c")
    return {"good": rule(2), "bad": rule(3)}

@pytest.mark.backprove(expect="falsified")
def test_list():
    return [rule(3), rule(2)]

@pytest.mark.backprove
def test_own_calls():
    bp.assert_rule(rule(2))
    return [rule(2), rule(2)]

class TestGroup:
    @pytest.mark.backprove(points=5)
    def test_tuple(self):
        return rule(2), rule(3)
"""


def test_cases_have_names_and_none_is_checked_while_they_are_collected(pytester: pytest.Pytester) -> None:
    engine = (pytester.path / "conftest.py").read_text() + "\nmodule.run = lambda *a, **k: 1 / 0\n"
    pytester.makeconftest(engine)
    result = run(pytester, SEVERAL, "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        ["*::test_dict?good?", "*::test_dict?bad?", "*::test_list?twice0?", "*::test_list?twice1?", "*::test_own_calls",
         "*::TestGroup::test_tuple?twice0?", "*::TestGroup::test_tuple?twice1?"]
    )  # fmt: skip
    assert (pytester.path / "log").read_text() == "c"


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_expected_findings_pass_and_other_verdicts_fail(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    result = run(pytester, SEVERAL, *options)
    result.assert_outcomes(passed=5, failed=2)  # one of the list holds, one of the tuple does not
    result.stdout.fnmatch_lines(["*twice is expected to be falsified, and is not:*"])
    run(pytester, SEVERAL, "-k", "bad").assert_outcomes(passed=1, deselected=6)


def test_a_wrong_expectation_is_wrong_use(pytester: pytest.Pytester) -> None:
    text = """
@pytest.mark.backprove(expect="wrong")
def test_word():
    return rule(2)

@pytest.mark.backprove(expect={"other": "falsified"})
def test_name():
    return [rule(2)]
"""
    result = run(pytester, text)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*expect must be one of error, falsified*got 'wrong'*"])
    result.stdout.fnmatch_lines(["*expect names 'other', which is no rule of this test (there are: twice)*"])


@pytest.mark.parametrize("options", [(), ("--backprove-report", "out"), ("--backprove-points", "3", "-n", "1")])
def test_a_failure_shows_the_line_of_the_call_and_the_report(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    result = run(pytester, "def test_call():\n    bp.assert_rule(rule(3), points=20)\n", *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*bp.assert_rule(rule(3), points=20)", "E *AssertionError: twice: falsified*"])
    shows_nothing_of_ours(result)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def test_it():\n    bp.assert_rule(rule(2), points=0)\n", "*points must be a positive integer*got 0"),
        ("def test_it():\n    bp.assert_rule(3)\n", "*expected a bp.Rule or a bp.theorem, got 3; make one*"),
        (
            "@pytest.mark.backprove(points=0)\ndef test_it():\n    return rule(2)\n",
            "*points must be a positive integer*got 0",
        ),
    ],
)
def test_wrong_use_in_a_test_shows_no_inside_either(pytester: pytest.Pytester, text: str, message: str) -> None:
    result = run(pytester, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    shows_nothing_of_ours(result)


def test_a_marked_test_that_returns_something_else_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.backprove\ndef test_no_rule():\n    return 3\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*is marked backprove and returned int: 3; expected a bp.Rule*"])


def test_a_marked_test_may_use_fixtures_and_return_nothing(pytester: pytest.Pytester) -> None:
    text = """
@pytest.fixture
def factor():
    return 2

@pytest.mark.backprove
@pytest.mark.parametrize("n", [1, 2])
def test_fixture(factor, n):
    return rule(factor)

@pytest.mark.backprove(points=10)
def test_nothing():
    bp.assert_rule(rule(2))
"""
    run(pytester, text).assert_outcomes(passed=3)


OPTIONS = """
import backprove.harness.campaign.subjects as engine
seen = []
real = engine.run

def spy(rule, **options):
    seen.append((options["points"], tuple(options["dtypes"]), options["seed"]))
    return real(rule, **options)

engine.run = spy

@pytest.mark.backprove(points=7, seed=5)
def test_marked():
    return rule(2)

def test_plain():
    bp.assert_rule(rule(2), points=9)

def test_seen():
    assert seen == {expected}
"""


def test_the_marker_gives_options(pytester: pytest.Pytester) -> None:
    both = ("float64", "float32")
    text = OPTIONS.replace("{expected}", repr([(7, both, 5), (9, both, 0)]))
    run(pytester, text).assert_outcomes(passed=3)


def test_the_command_line_goes_before_marker_and_call(pytester: pytest.Pytester) -> None:
    text = OPTIONS.replace("{expected}", repr([(4, ("float32",), 5), (4, ("float32",), 0)]))
    run(pytester, text, "--backprove-points", "4", "--backprove-dtype", "float32").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backprove-points", "0"), "*points must be a positive integer*got 0*"),
        (("--backprove-dtype", "float99"), "*dtypes: expected one or more of the names float64*got 'float99'*"),
    ],
)
def test_wrong_options_are_wrong_use(pytester: pytest.Pytester, options: tuple[str, str], message: str) -> None:
    result = run(pytester, MARKED, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_an_unknown_option_of_the_marker_is_named(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.backprove(pionts=3)\ndef test_it():\n    return rule(2)\n")
    assert result.ret != 0
    assert (
        "takes the options points, dtypes, seed, accuracy, expect by name, got pionts"
        in result.stdout.str() + result.stderr.str()
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_the_report_holds_all_rules_also_under_xdist(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    text = MARKED + "\ndef test_call():\n    bp.assert_rule(rule(2))\n"
    result = run(pytester, text, "--backprove-report", "out", "--backprove-dtype", "float64", *workers)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["backprove: 4 rules, 1 refused; report in *index.html"])
    stored = json.loads((pytester.path / "out" / "results.json").read_text())
    assert len(stored["subjects"]) == 4
    assert (pytester.path / "out" / "index.html").exists()


def test_loading_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    code = (
        "import sys, backprove.harness.pytest_plugin; print([m for m in ('jax', 'numpy', 'hypothesis') "
        "if m in sys.modules])"
    )
    result = pytester.run(sys.executable, "-c", code)
    assert result.stdout.lines == ["[]"]
