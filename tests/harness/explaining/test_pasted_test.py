"""A pasted test is written for one call only where that call tells a wrong rule from a right one."""

from __future__ import annotations

import pytest

from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.pasted_test import _shows
from backprove.harness.judging.examination import Violation


@pytest.mark.parametrize(
    ("got", "expected", "dtype", "shown"),
    [
        (2.0, 1.0, "float64", True),
        (1.0, 1.0, "float64", False),
        (1.0 + 2.0**-52, 1.0, "float64", False),
        (1.0 + 2.0**-40, 1.0, "float64", True),
        (1.0 + 2.0**-22, 1.0, "float32", False),
        (float("nan"), 0.0, "float64", True),
        (0.5, (0.0, 1.0), "float64", False),
        (2.0, (0.0, 1.0), "float64", True),
    ],
)
def test_one_entry_is_shown_where_it_is_enough(
    got: float, expected: float | tuple[float, float], dtype: str, shown: bool
) -> None:
    violation = Violation(Verdict.FALSIFIED, "wrong", "x", (0,), got, expected)
    assert _shows(violation, dtype) is shown
