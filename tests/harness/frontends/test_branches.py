"""Code that has a way to tell that it is traced is told from code that has none."""

from __future__ import annotations

import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.guard import guarded
from backprove.harness.frontends.branches import is_alike_in_calls, may_tell_tracing


def converted(x: Any) -> bool:
    try:
        float(x.sum())
    except jax.errors.ConcretizationTypeError:
        return False
    return True


def helper(x: Any) -> Any:
    return x if isinstance(x, int) else 2 * x


class Callable:
    def __init__(self, call: Any) -> None:
        self.call = call

    def __call__(self, x: Any) -> Any:
        return self.call(x)


@pytest.mark.parametrize(
    ("call", "may"),
    [
        (lambda x: jnp.sin(x) + 1, False),
        (lambda x: 2 * x if x.ndim else x, False),
        (lambda x: helper(x) + 1, True),
        (lambda x: 2 * x if jax.config.jax_enable_x64 else x, True),
        (lambda x: 2 * x if "Traced" in f"{x}" else x, True),
        (converted, True),
        (Callable(helper), True),
        (Callable(jnp.sin), False),
    ],
)
def test_ways_to_tell_that_code_is_traced_are_seen(call: Any, may: bool) -> None:
    assert may_tell_tracing(call) is may


kept: dict[Any, Any] = {}


def keeping(x: Any) -> Any:
    return kept.setdefault(x.shape, jnp.sin(x))


def through(call: Any) -> Any:
    return guarded(lambda x: call(x) + 1)


@pytest.mark.parametrize(
    ("call", "is_alike"),
    [
        (lambda x: jnp.sin(x) + 1, True),
        (jnp.tanh, True),
        (through(jnp.tanh), True),
        (lambda x: jnp.sin(x) + np.float64(0.1), False),
        (through(np.tanh), False),
        (lambda x: jnp.sin(x) * random.random(), False),
        (lambda x: 2 * x, False),  # NumPy's as much as JAX's
        (keeping, False),
        (lambda x: jnp.sin(x) if converted(x) else x, False),
    ],
)
def test_jax_code_that_does_the_same_in_plain_calls_is_known(call: Any, is_alike: bool) -> None:
    assert is_alike_in_calls(call) is is_alike
