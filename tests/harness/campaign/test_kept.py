"""Passed rules are taken over from an earlier run while nothing has changed that they rest on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.campaign.test_executors import environment

RULES = """
import numpy as np
import backprove as bp
from factor import FACTOR

X = {"x": bp.array("n")}
good = bp.Rule("good", forward=np.sin, vjp=lambda x, g: FACTOR * g * np.cos(x), inputs=X)
bad = bp.Rule("bad", forward=np.sin, vjp=lambda x, g: 2 * FACTOR * g * np.cos(x), inputs=X)
"""


class Checks:
    """Runs of `backprove check` on one file, with a cache of their own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.write("FACTOR = 1.0")
        (folder / "rules.py").write_text(RULES)
        self.env = environment(root, BACKPROVE_CACHE=str(folder / "cache"), BACKPROVE_HOME=str(folder / "home"))
        self.env.pop("CI", None)
        os.utime(folder / "rules.py", (1e9, 1e9))

    def write(self, factor: str) -> None:
        (self.folder / "factor.py").write_text(factor)
        os.utime(self.folder / "factor.py", (1e9 + len(factor), 1e9))

    def run(self, *options: str, target: str = "rules.py") -> tuple[int, str]:
        start = "import sys; from backprove.harness.cli.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", start, "check", target, "--points", "20", "--dtype", "float64", *options]
        run = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in run.stderr, run.stderr
        return run.returncode, run.stdout


def judged_again(text: str) -> bool:
    """Whether a run judged the good rule, and took nothing over."""
    return "good: holds" in text and "as on" not in text


@pytest.fixture
def checks(root: Path, tmp_path: Path) -> Checks:
    return Checks(root, tmp_path)


def test_what_has_passed_is_kept_and_what_has_not_is_judged_again(checks: Checks) -> None:
    status, text = checks.run()
    assert status == 1 and "as on" not in text
    status, text = checks.run()
    good, bad = text[text.index("good: ") :].split("\n", 1)[0], text[text.index("bad: ") :].split("\n", 1)[0]
    assert status == 1 and ", as on 20" in good and "as on" not in bad
    assert checks.run("--only", "good")[1].count("as on") == 1
    for options in (["--fresh"], ["--seed", "1"], ["--profile", "ci"]):
        assert judged_again(checks.run("--only", "good", *options)[1])


def test_a_change_of_what_a_rule_imports_is_a_change_of_the_rule(checks: Checks) -> None:
    assert checks.run("--only", "good")[0] == 0
    checks.write("FACTOR = 1.001")
    status, text = checks.run("--only", "good")
    assert status == 1 and "good: falsified" in text and "as on" not in text


def test_a_record_that_is_broken_or_anybodys_is_none(checks: Checks) -> None:
    checks.run("--only", "good")
    (record,) = (checks.folder / "cache").rglob("passed/*.json")
    record.chmod(0o666)
    assert judged_again(checks.run("--only", "good")[1])
    (record,) = (checks.folder / "cache").rglob("passed/*.json")
    record.write_text("{")
    assert judged_again(checks.run("--only", "good")[1])
    assert "as on" in checks.run("--only", "good")[1]
