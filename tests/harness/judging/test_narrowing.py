"""A rule may round to a shorter format inside where forward does; elsewhere its lost digits are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp

X = {"x": bp.array("n", low=-30, high=30)}
Code = Callable[..., Any]


def numpy_sigmoid(x: Any, dtype: str) -> Any:
    return (1 / (1 + np.exp(-x.astype(jnp.dtype(dtype))))).astype(x.dtype)


def jax_sigmoid(x: Any, dtype: str) -> Any:
    return jax.nn.sigmoid(x.astype(dtype)).astype(x.dtype)


def verdict(forward: Code, vjp: Code) -> str:
    return str(bp.check(bp.Rule("rule", forward=forward, vjp=vjp, inputs=X), points=60, dtypes=["float64"]).verdict)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("sigmoid", [numpy_sigmoid, jax_sigmoid])
def test_a_rule_may_narrow_as_forward_does(sigmoid: Code, dtype: str) -> None:
    """At x = -20 the sigmoid is no number of float16, and exp(20) overflows there."""

    def forward(x: Any) -> Any:
        return sigmoid(x, dtype)

    for factor, told in ((1.0, "holds"), (1.01, "falsified")):
        assert verdict(forward, lambda x, g, k=factor: g * forward(x) * (1 - forward(x)) * k) == told


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_it_may_not_narrow_alone_nor_further(dtype: str) -> None:
    shorter = {"float16": "bfloat16", "bfloat16": "float32", "float32": "float16"}[dtype]
    for forward, inside in ((jnp.tanh, dtype), (lambda x: jnp.tanh(x.astype(dtype)).astype(x.dtype), shorter)):

        def vjp(x: Any, g: Any, inside: str = inside) -> Any:
            return g * (1 - jnp.tanh(x.astype(inside)).astype(x.dtype) ** 2)

        coarser = forward is jnp.tanh or jnp.finfo(inside).eps > jnp.finfo(dtype).eps
        assert verdict(forward, vjp) == ("inaccurate" if coarser else "holds")


def test_what_a_fwd_returns_may_narrow_as_the_function_does() -> None:
    for factor, told in ((2, "holds"), (2.125, "falsified")):

        @jax.custom_vjp
        def sine(x: Any) -> Any:
            return jnp.sin(x.astype(jnp.bfloat16)).astype(x.dtype) * 2

        def fwd(x: Any, factor: float = factor) -> Any:
            return jnp.sin(x.astype(jnp.bfloat16)).astype(x.dtype) * factor, x

        sine.defvjp(fwd, lambda x, g: (2 * g * jnp.cos(x),))
        report = bp.check(bp.from_jax(sine, inputs=X), points=60, dtypes=["float64"])
        (primal,) = (p for p in report.properties if p.name == "primal")
        assert primal.verdict == told
