"""Code that forks and comes back twice is told from code whose child ends by itself."""

from __future__ import annotations

import os

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.forks import CameBackTwice, position, returned
from backprove.harness.core.verdicts import Verdict

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def test_a_child_that_comes_back_is_ended_and_its_parent_told() -> None:
    before = position()
    os.fork()
    with pytest.raises(CameBackTwice):
        returned(before)


def test_a_child_that_ends_by_itself_is_none_of_our_business() -> None:
    before = position()
    if os.fork() == 0:
        os._exit(0)
    returned(before)


def test_a_rule_that_forks_is_an_error_and_one_that_does_not_holds() -> None:
    def forks(x: np.ndarray) -> np.ndarray:
        os.fork()
        return np.sin(x)

    found = {
        name: bp.check(
            bp.Rule(name, forward=f, vjp=lambda x, g: g * np.cos(x), inputs={"x": bp.array("2")}),
            points=10,
            dtypes=["float64"],
        )
        for name, f in (("forks", forks), ("sine", np.sin))
    }
    assert found["forks"].verdict is Verdict.ERROR and "goes on in both" in str(found["forks"])
    assert found["sine"].verdict is Verdict.HOLDS
