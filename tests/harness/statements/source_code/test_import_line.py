"""A rule is imported from where it stands: by name, from a container, from a function that returns it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backprove.harness.statements.loading import load_rules
from backprove.harness.statements.source_code.import_line import import_line_of

FILE = """
import numpy as np
import backprove as bp


def stated(name, factor=1.0):
    return bp.Rule(name, forward=np.sin, vjp=lambda x, g: g * np.cos(x) * factor, inputs={"x": bp.array("n")})


class Case:
    def __init__(self, wrong):
        self.wrong = wrong


plain = bp.Rule("plain", forward=np.sin, vjp=lambda x, g: g, inputs={"x": bp.array("n")})
table = {
    "one": bp.Rule("in a table", forward=np.sin, vjp=lambda x, g: g, inputs={"x": bp.array("n")}),
}
cases = [Case(bp.Rule("in a case", forward=np.sin, vjp=lambda x, g: g, inputs={"x": bp.array("n")}))]


def made(factor=2.0):
    found = bp.Rule("made", forward=np.sin, vjp=lambda x, g: factor * g, inputs={"x": bp.array("n")})
    return found


def built_by(factor):
    return bp.Rule("needs an argument", forward=np.sin, vjp=lambda x, g: factor * g, inputs={"x": bp.array("n")})


SCALE = 2.0


def scaled(x):
    return SCALE * x


def test_inside():
    def vjp(x, g):
        return [scaled(g) * np.cos(x) for _ in range(1)][0]

    specs = {"x": bp.array("n")}
    found = bp.Rule("inside", forward=np.sin, vjp=vjp, inputs=specs)
    assert found.name
    kept.append(found)


kept = []
"""


def test_where_the_rule_is_found(tmp_path: Path) -> None:
    file = tmp_path / "losses.py"
    file.write_text(FILE, encoding="utf-8")
    (plain,) = [f.rule for f in load_rules(str(file)) if f.rule.name == "plain"]
    assert plain.import_line() == "from losses import plain as rule"
    space = plain.vjp.__globals__  # type: ignore[union-attr]
    assert space["table"]["one"].import_line() == "from losses import table\n\nrule = table['one']"
    assert space["cases"][0].wrong.import_line() == "from losses import cases\n\nrule = cases[0].wrong"
    assert space["made"]().import_line() == "from losses import made\n\nrule = made()"
    assert space["built_by"](3).import_line().startswith("rule = ...  # put the rule under test here, stated in line")
    space["test_inside"]()
    inside = space["kept"].pop()
    text = inside.import_line()
    assert "def vjp(x, g):" in text and "SCALE = 2.0" in text and "def scaled(x):" in text
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["rule"].name == "inside" and np.array_equal(names["rule"].vjp(np.zeros(2), np.ones(2)), [2.0, 2.0])
    assert import_line_of(object(), "", 0) == "rule = ...  # put the rule under test here"
