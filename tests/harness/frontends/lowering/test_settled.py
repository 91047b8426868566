"""Random numbers under a fixed key are constants of the program; keys that are inputs are refused by name."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.floats import run_floats

OLD_KEY, NEW_KEY = jax.random.PRNGKey(3), jax.random.key(0)


@pytest.mark.parametrize(
    "drawn",
    [
        lambda x: x * jax.random.normal(NEW_KEY, x.shape, x.dtype),
        lambda x: x * jax.random.bernoulli(OLD_KEY, 0.3, x.shape),
        lambda x: x[jax.random.permutation(NEW_KEY, 4)],
        lambda x: x * jax.random.gumbel(jax.random.split(OLD_KEY)[1], (4,)),
        lambda x: x * jax.random.gamma(NEW_KEY, 2.0, (4,)),
        lambda x: x * jax.random.uniform(jax.random.fold_in(jax.random.key(1), 5), (4,), x.dtype),
    ],
    ids=["normal", "bernoulli", "permutation", "gumbel", "gamma", "uniform"],
)
def test_what_a_fixed_key_draws_is_a_constant(drawn: Any) -> None:
    x = np.arange(1.0, 5.0)
    program = trace(drawn, ((4,), "float64"))
    assert len(program.equations) == 1
    with jax.enable_x64(True):
        np.testing.assert_array_equal(run_floats(program, [x[:, None]])[0][:, 0], drawn(jnp.asarray(x)))


def test_other_constants_stay_equations() -> None:
    program = trace(lambda x: x * jnp.exp(jnp.ones(())), ((), "float64"))
    assert "exp" in program.primitives


def test_a_key_that_is_an_input_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="keys that are inputs"):
        trace(
            lambda k, x: x * jax.random.normal(jax.random.wrap_key_data(k), (2,)), ((2,), "uint32"), ((2,), "float64")
        )


def dropout(x: Any, scale: float = 2.0) -> Any:
    return jnp.where(jax.random.bernoulli(NEW_KEY, 0.5, x.shape), x * scale, 0.0)


@pytest.mark.parametrize(("scale", "verdict"), [(2.0, Verdict.HOLDS), (2.0 + 1e-9, Verdict.FALSIFIED)])
def test_dropout_under_a_fixed_key_is_judged(scale: float, verdict: Verdict) -> None:
    rule = bp.Rule("dropout", forward=dropout, vjp=lambda x, g: dropout(g, scale), inputs={"x": bp.array("4")})
    assert bp.check(rule, points=100, dtypes=("float64",)).verdict == verdict
