"""Where forward raises at sizes of the stated domain, the reason says which dims would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.advice import advice_on_dims
from backprove.strategies.shapes import feasible, has_empty, shape_buckets

Takes = Callable[..., bool]

ADVICE: dict[str, tuple[str, Takes, str]] = {
    "two or more": ("n", lambda n: n >= 2, "n>=2"),
    "three or more": ("n", lambda n: n >= 3, "n>=3"),
    "at most": ("m n", lambda m, n: n <= 6, "m n<=6"),
    "even": ("n", lambda n: n % 2 == 0, "n%2"),
    "of four": ("n", lambda n: n % 4 == 0, "n%4"),
    "tall": ("m n", lambda m, n: m >= n, "m>=n n"),
    "wide": ("m n", lambda m, n: m <= n, "m<=n n"),
}


def advised(dims: str, takes: Takes) -> str:
    specs = {"x": bp.array(dims)}
    sizes = [s for s in shape_buckets(specs) if not has_empty(specs, s)]
    good = [s for s in sizes if takes(**s)]
    bad = [s for s in sizes if not takes(**s)]
    return advice_on_dims(specs, good, bad, lambda s: takes(**s) if feasible(specs, s) else None)


@pytest.mark.parametrize("key", ADVICE)
def test_the_dims_are_found(key: str) -> None:
    dims, takes, right = ADVICE[key]
    assert advised(dims, takes) == f'dims at which it runs: x: bp.array("{right}")'
    assert advised(right, takes) == "", "nothing raises at the dims advised"


def test_without_a_size_at_which_it_runs_nothing_is_said() -> None:
    assert advised("n", lambda n: False) == ""


def test_two_names_for_one_size() -> None:
    assert "it runs where m = n: write one name for both" in advised("m n", lambda m, n: m == n)


def raises_unless(takes: Takes) -> Callable[[np.ndarray], Any]:
    def forward(x: np.ndarray) -> Any:
        if x.size and not takes(*x.shape):
            raise ValueError("these sizes are not supported")
        return x * x

    return forward


@pytest.mark.parametrize("key", ["three or more", "of four", "tall"])
def test_a_right_rule_holds_at_the_dims_advised_and_a_wrong_one_is_refused(key: str) -> None:
    dims, takes, right = ADVICE[key]
    for vjp, verdict in ((lambda x, g: 2 * x * g, Verdict.HOLDS), (lambda x, g: x * g, Verdict.FALSIFIED)):
        stated = [
            bp.check(
                bp.Rule("square", forward=raises_unless(takes), vjp=vjp, inputs={"x": bp.array(d)}),
                points=200,
                dtypes=["float64"],
            ).properties[0]
            for d in (dims, right)
        ]
        assert stated[1].verdict is verdict, stated[1].reason
        if verdict is Verdict.HOLDS:
            assert stated[0].verdict is Verdict.INCONCLUSIVE
            assert f'x: bp.array("{right}")' in stated[0].reason
