"""What code prints is counted and shown once."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.printed import SHOWN, captured


def test_lines_are_counted_and_the_first_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with captured() as (printed, outside):
        for k in range(502):
            print("line", k)
        sys.stdout.buffer.write(b"bytes\n")
        outside(lambda: print("progress"))()
    print("after")
    assert printed.words == "prints (503 times): line 0"
    assert capsys.readouterr().out == "progress\nafter\n"


@pytest.mark.parametrize(
    ("text", "words"), [("", ""), ("x", "prints: x"), ("x\n", "prints: x"), (999 * "y", f"prints: {SHOWN * 'y'}...")]
)
def test_little_and_long_lines(text: str, words: str) -> None:
    with captured() as (printed, _):
        print(text, end="")
    assert printed.words == words


def test_a_closed_output_is_the_codes_own_affair(capsys: pytest.CaptureFixture[str]) -> None:
    with captured():
        sys.stdout.close()
    print("open")
    assert capsys.readouterr().out == "open\n"


def test_a_check_says_once_what_a_rule_prints(capsys: pytest.CaptureFixture[str]) -> None:
    def vjp(x: Any, g: Any) -> Any:
        print("here")
        return g * np.cos(x)

    report = bp.check(bp.Rule("sin", forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")}), points=30)
    assert report.ok and str(report).count("here") == 1 and " times): here" in str(report)
    assert capsys.readouterr().out == ""
