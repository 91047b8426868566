"""Names and texts with control characters, lone surrogates or 10,000 characters harm neither terminals nor files."""

from __future__ import annotations

import csv
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign import workers
from backprove.harness.cli.main import main

DATA = Path(__file__).parents[1] / "data"
NAMES = [
    "a\nb", "a\rb", "a\r\nb", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "nul\0", "\ud800lone", "\udfff", "x" * 10_000,
    "\n" * 300 + "x", "::error::boo", "a\n::error file=x::y", "##[error]x", "=cmd|' /C calc'!A0", "+1", "@SUM(1)", "-2",
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a|b`c", "| --- |", "[x](javascript:alert(1))",
    "\u202egnp", "tab\tb", "../../etc/passwd", "/dev/null", 'a,b"c', "\x9b31mC1", "é", "名前", "🙂", "\x7f", 
    "\ufeffbom", "a\u2028b", "a\x85b", "${jndi:ldap}", "%0A::warning::x", "]]>", "&lt;&#0;", "--><!--", "\x08back",
    "%s%n", "{0}", "\\x1b",
]  # fmt: skip
"""Forty-four, each harmful somewhere."""
TEXT = "a\r\x1b[31m\0\ud800\u202e\x9b ::error::\n::error file=x::no" + "y" * 10_000


def rules() -> str:
    stated = [
        "import numpy as np, backprove as bp",
        f"NAMES, TEXT = {NAMES!r}, {TEXT!r}",
        "def boom(x, g): raise ValueError(TEXT)",
        "def rule(n, vjp): return bp.Rule(n, forward=np.sin, vjp=vjp, inputs={'x': bp.array('n')})",
        "RULES = {i: rule(n, lambda x, g: g * np.sin(x)) for i, n in enumerate(NAMES)}",
        "raises = rule('raises', boom)",
    ]
    return "\n".join(stated)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `check` prints and writes of all of them, in a workflow of GitHub."""
    place = tmp_path_factory.mktemp("names")
    (place / "names.py").write_text(rules(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", [*sys.path, str(DATA)])
        patch.setattr(workers, "ENGINE", "fake_engine")
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.setenv("GITHUB_STEP_SUMMARY", str(place / "step.md"))
        with (place / "stdout").open("w") as out, (place / "stderr").open("w") as err:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            status = main(["check", "names.py", "--points", "10", "--dtype", "float64", "--executor", "serial",
                           "--out", "out", "--json", "found.json"])  # fmt: skip
    assert status in (1, 3)
    return place


def test_what_is_written_holds_no_control_characters(folder: Path) -> None:
    files = [*(folder / "out").iterdir(), *(folder / n for n in ("stdout", "stderr", "step.md", "found.json"))]
    assert len(files) >= 12
    harmful = re.compile(
        r"[^\x20-\x7e\n\t\xa0-\u200d\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\U0010ffff]"
    )
    found = {f.name: sorted(set(harmful.findall(f.read_text(encoding="utf-8")))) for f in files}
    assert {name for name, characters in found.items() if characters} == set()


def test_every_rule_has_its_row_and_names_stay_apart(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text())
    names = [r["name"] for r in found["rules"]]
    assert len(names) == len(set(names)) == len(NAMES) + 1 and max(map(len, names)) <= 240
    with (folder / "out" / "results.csv").open(newline="", encoding="utf-8") as f:
        rows = list(csv.reader(f))
    assert len({len(r) for r in rows}) == 1 and len(rows) == len(names) + 1
    assert len(list(ET.parse(folder / "out" / "junit.xml").getroot().iter("testcase"))) >= len(names)


def test_no_name_is_markup_or_a_command(folder: Path) -> None:
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page
    lines = (folder / "stdout").read_text(encoding="utf-8").splitlines() + (folder / "stderr").read_text().splitlines()
    stopped, token = False, ""
    for line in lines:
        if line.startswith("::stop-commands::"):
            stopped, token = True, f"::{line.rpartition('::')[2]}::"
        elif stopped and line == token:
            stopped = False
        elif not stopped and line.startswith("::"):
            assert re.match(r"::(error|warning|notice) (file|title)=", line) and "file=x" not in line, line


def test_a_report_in_ones_own_process_is_readable_too() -> None:
    def boom(x: np.ndarray, g: np.ndarray) -> np.ndarray:
        raise ValueError(TEXT)

    rule = bp.Rule(NAMES[3], forward=np.sin, vjp=boom, inputs={"x": bp.array("2")})
    text = str(bp.check(rule, points=10, dtypes=["float64"]))
    assert all(c.isprintable() or c in "\n\t" for c in text)
