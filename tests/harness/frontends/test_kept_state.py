"""Code that may keep something for its next call is told from code that cannot."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.frontends.function import TRIED, Function
from backprove.harness.frontends.kept_state import may_keep

kept: dict[Any, Any] = {}


@functools.cache
def table(n: int) -> Any:
    return jnp.arange(n)


class Layer:
    def __init__(self) -> None:
        self.seen: Any = None

    def __call__(self, x: Any) -> Any:
        self.seen = x
        return x


class Names:
    @functools.cached_property
    def weight(self) -> Any:
        return jnp.ones(3)

    def forward(self, x: Any) -> Any:
        return x * self.weight


def by_shape(x: Any) -> Any:
    if x.shape not in kept:
        kept[x.shape] = jnp.zeros_like(x)
    return x + kept[x.shape]


def counted() -> Callable[[Any], Any]:
    calls = 0

    def call(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * calls

    return call


def swish(x: Any) -> Any:
    return jax.jit(lambda v: v * jax.nn.sigmoid(v))(x)


def through(f: Any) -> Any:
    return lambda x: f(x) + 1


KEEPING = [
    by_shape,
    lambda x: x * table(3),
    Layer(),
    Names().forward,
    counted(),
    through(counted()),
    through(Layer()),
    functools.partial(by_shape),
    lambda x: kept.setdefault(x.shape, x),
    lambda x: setattr(table, "last", x),
]
PURE = [
    swish,
    jnp.sin,
    np.tanh,
    jax.nn.softmax,
    through(swish),
    functools.partial(jnp.add, 1.0),
    jax.jit(swish),
    math.log,
]


@pytest.mark.parametrize("call", KEEPING)
def test_what_may_keep_something_is_found(call: Any) -> None:
    assert may_keep(call)


@pytest.mark.parametrize("call", PURE)
def test_what_keeps_nothing_is_known_to(call: Any) -> None:
    assert not may_keep(call)


def test_the_rule_that_an_adapter_makes_of_pure_code_keeps_nothing() -> None:
    @jax.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))
    rule = bp.from_jax(square, inputs={"x": bp.array("n")})
    assert not may_keep(rule.vjp) and not may_keep(rule.forward)


def test_what_cannot_be_looked_at_may_keep_something() -> None:
    class Strange:
        def __call__(self, x: Any) -> Any:
            return x

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert may_keep(Strange())


def test_a_front_end_that_never_follows_the_code_is_not_tried_at_every_size() -> None:
    """NumPy code is given tracers of JAX at a few shapes; code that JAX follows at one shape is traced at all."""

    def shapes_traced(call: Any) -> int:
        given: list[tuple[int, ...]] = []

        def noted(x: Any) -> Any:
            given.append(x.shape) if isinstance(x, jax.core.Tracer) and x.dtype == np.float64 else None
            return call(x)

        function = Function(noted, "forward")
        for n in range(2, 8):
            assert function.program((((n,), "float64"),)) is not None
        return len({*given})

    assert shapes_traced(lambda x: np.maximum(x, 0.5)) == TRIED
    assert shapes_traced(jnp.sin) == 6
    assert shapes_traced(lambda x: np.maximum(x, 0.5) if len(x) < 3 else jnp.sin(x)) == 6
