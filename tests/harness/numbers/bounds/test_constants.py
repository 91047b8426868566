"""The measured rounding constants; that they hold at new points is tested with the elementary functions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.bounds.constants import DATA, constants, from_ulp, measurements, rounding_constant
from backprove.harness.numbers.elementary.table import ROWS, having


def test_an_ulp_is_two_unit_roundoffs_rounded_up() -> None:
    assert from_ulp(0.5) == 1.05
    assert from_ulp(0.6) == 2
    assert from_ulp(1.4) == 3


def test_every_function_is_measured_in_every_format_on_both_backends() -> None:
    for backend in ("xla-cpu", "numpy"):
        for dtype in FORMATS:
            measured = measurements()[backend]["formats"][dtype]
            assert {name for name, row in having("growth").items() if not row.exact} <= measured.keys()
            assert {"pow", "rem", "atan2"} <= measured.keys()
            assert all(np.isfinite(r["ulp"]) and r["points"] > 100 for r in measured.values())


def test_the_worse_backend_counts() -> None:
    for name, got in constants("float32").items():
        ulps = [b["formats"]["float32"][name]["ulp"] for b in measurements().values()]
        assert got.k == max(map(from_ulp, ulps))


def test_known_weak_spots_are_seen() -> None:
    assert rounding_constant("float64", "log1p").k > 200
    # sinh and cosh round their argument: the error grows with |x|
    assert rounding_constant("float64", "sinh").kappa > 0.5
    assert rounding_constant("float64", "sinh").k < 20
    assert rounding_constant("float64", "mul").k == 1
    assert rounding_constant("bfloat16", "mul").k > 1


def test_the_wide_evaluation_is_charged_by_its_row_and_arithmetic_one_rounding() -> None:
    wide = Running("float64", unit=2.0**-64).format("float64")
    assert wide.constant("add") == (1.0, 0.0)
    assert wide.constant("erfc") == (ROWS["erfc"].wide_k, 0.0)
    assert wide.constant("pow")[0] > 1


def test_a_missing_or_foreign_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"calibrate\.py"):
        measurements(tmp_path / "none.json")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"schema": 99}))
    with pytest.raises(UsageError, match="99"):
        measurements(other)


def test_the_file_is_strict_json() -> None:
    assert "NaN" not in DATA.read_text() and "Infinity" not in DATA.read_text()
