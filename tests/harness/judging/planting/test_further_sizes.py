"""Rules that are wrong at some sizes alone are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.planting.code_constants import CodeConstants
from backprove.harness.judging.planting.further_sizes import further_sizes
from backprove.strategies.shapes import shape_buckets

BLOCK = 24

WRONG: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "eight entries": ("n", lambda x: x.shape[0] == 8),
    "twelve entries": ("n", lambda x: x.shape[0] == 12),
    "a multiple of four": ("n", lambda x: x.shape[0] % 4 == 0),
    "a constant of the module": ("n", lambda x: len(x) == BLOCK),
    "beyond a block": ("n", lambda x: len(x) > 40),
    "twice as tall as wide": ("m n", lambda x: x.shape[0] >= 2 * x.shape[1] > 2),
    "thrice as wide as tall": ("m n", lambda x: x.shape[1] > 3 * x.shape[0] > 3),
    "four axes": ("*batch n", lambda x: x.ndim >= 4),
    "this very shape": ("m n", lambda x: x.shape == (4, 9)),
    "so many entries in all": ("m n", lambda x: x.size == 24),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_wrong_at_some_sizes_is_refused(name: str) -> None:
    dims, wrong = WRONG[name]

    def vjp(x: Any, g: Any) -> Any:
        return g * np.cos(x) * (1.5 if wrong(x) else 1)

    rule = bp.Rule(name, forward=np.sin, vjp=vjp, inputs={"x": bp.array(dims)})
    report = bp.check(rule, points=300, dtypes=["float64"])
    assert report.verdict is Verdict.FALSIFIED
    assert wrong(np.array(report.counterexamples[0].inputs["x"]))


def test_a_jax_rule_that_is_wrong_at_ten_entries_is_refused() -> None:
    def vjp(x: Any, g: Any) -> Any:
        return g * jnp.cos(x) * (1.5 if x.shape[0] == 10 else 1)

    rule = bp.Rule("ten", forward=jnp.sin, vjp=vjp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64"]).verdict is Verdict.FALSIFIED


def test_a_right_rule_with_branches_by_size_holds() -> None:
    def vjp(x: Any, g: Any) -> Any:
        if len(x) in (8, 12):
            return np.concatenate([g[:4] * np.cos(x[:4]), g[4:] * np.cos(x[4:])])
        return g * np.cos(x)

    rule = bp.Rule("right", forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64"]).ok


def test_sizes_too_large_are_named() -> None:
    def vjp(x: Any, g: Any) -> Any:
        return g * np.cos(x) * (1.5 if len(x) == 1000 else 1)

    rule = bp.Rule("large", forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")})
    assert "the code compares sizes with 1000, where no point was judged" in str(
        bp.check(rule, points=300, dtypes=["float64"])
    )


def test_few_sizes_are_tried_and_none_twice() -> None:
    specs = {"a": bp.array("m k"), "b": bp.array("k n")}
    tried = shape_buckets(specs)
    found = further_sizes(specs, tried, CodeConstants(sizes=tuple(range(2, 60))))
    assert 4 <= len(found.sizes) <= 13 and found.untried
    assert all(s not in tried for s in found.sizes)
    assert further_sizes({"x": bp.array("3")}, [{}], CodeConstants(sizes=(8,))).sizes == ()
