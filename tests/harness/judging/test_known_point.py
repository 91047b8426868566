"""The minimal point at which a rule was falsified in one format comes first in the next."""

from __future__ import annotations

from typing import Any

import backprove as bp
from backprove.harness.core.verdicts import Verdict


def test_a_wrong_rule_is_falsified_at_the_same_point_in_all_dtypes() -> None:
    def checked(factor: float) -> Any:
        rule = bp.Rule("cube", forward=lambda x: x**3, vjp=lambda x, g: factor * g * x * x, inputs={"x": bp.array("n")})
        return bp.check(rule, points=100)

    first, second = checked(3.01).properties
    assert first.verdict is second.verdict is Verdict.FALSIFIED
    assert second.points == 1 < first.points
    assert first.counterexample.inputs == second.counterexample.inputs
    assert checked(3.0).ok
