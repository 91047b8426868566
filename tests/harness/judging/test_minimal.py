"""A failing point becomes small, and stays smooth where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backprove as bp


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def without_weights(x: Any, g: Any) -> Any:
    return softmax(x) * (g - np.sum(g, axis=-1, keepdims=True))


def first_of_equals(x: Any, g: Any) -> Any:
    """The derivative of the maximum, but for 2 in the place of a number from 0 to 1 where entries are equal."""
    top = x == np.max(x)
    return np.where(top, np.where(np.sum(top) > 1, 2 * g, g), 0.0)


def twice(x: Any, g: Any) -> Any:
    return np.where(x == np.max(x), 2 * g, 0.0)


@pytest.mark.parametrize(
    ("forward", "vjp", "tied"),
    [
        (softmax, without_weights, True),  # a tie of the maximum inside, and smooth there
        (np.max, first_of_equals, True),
        (np.max, twice, False),
    ],
)
def test_a_kink_is_shown_only_where_nothing_else_fails(forward: Any, vjp: Any, tied: bool) -> None:
    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs={"x": bp.array("n", low=-9, high=9)})
    report = bp.check(rule, points=100, dtypes=["float64"])
    shown = next(p.counterexample for p in report.properties if p.name == "vjp")
    assert report.verdict == "falsified" and shown is not None
    x = np.array(shown.inputs["x"])
    assert x.size == 2 and (x[0] == x[1]) is np.bool_(tied)
