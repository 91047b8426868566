"""Numbers are read from code objects, closures, defaults, globals and called functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.judging.planting.code_constants import CodeConstants, code_constants

BLOCK = 24


class _Threshold:
    def __init__(self) -> None:
        self.limit = 3.25

    def __call__(self, x: Any, g: Any) -> Any:
        return g if x[0] < self.limit else 2 * g

    def method(self, x: Any, g: Any) -> Any:
        return g * self.limit


def _called(x: Any) -> Any:
    return 77.5 if x.shape[0] in (8, 16) else x.size % BLOCK


def _closure(k: int = 31, limit: float = 777.7) -> Callable[..., Any]:
    def vjp(x: Any, g: Any) -> Any:
        if x.shape[0] == k:
            return g
        return g * _called(x) if float(x[0]) > limit else g[:40]

    return vjp


def _partial(x: Any, g: Any, limit: float) -> Any:
    return g if x[0] < limit else 0 * g


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (_closure(), {777.7, 77.5}),
        (_Threshold(), {3.25}),
        (_Threshold().method, {3.25}),
        (functools.partial(_partial, limit=6.5), {6.5}),
        (jax.jit(lambda x, g: g * jnp.where(x > 9.5, 1, 2)), {9.5}),
        (np.vectorize(lambda x: x * 2.75), {2.75}),
    ],
)
def test_numbers_of_the_code(function: Callable[..., Any], numbers: set[float]) -> None:
    assert numbers <= set(code_constants([function]).numbers)


def test_integers_that_sizes_are_compared_with() -> None:
    found = code_constants([_closure()])
    assert {8, 16, 24, 31} <= set(found.sizes) and 40 in found.others
    assert code_constants([lambda x, g: g if x > 40 else 0 * g]).sizes == ()  # no size is asked for


def test_the_code_of_a_rule_is_found_behind_its_wrappers() -> None:
    rule = bp.Rule("r", forward=np.sin, vjp=_closure(), inputs={"x": bp.array("n")})
    (_, claim), *_ = rule.named_claims()
    assert 31 in code_constants([claim.rule]).sizes  # type: ignore[union-attr]


def test_libraries_are_not_read() -> None:
    assert code_constants([np.sin, np.linalg.norm, jax.nn.gelu, bp.check]) == CodeConstants()
