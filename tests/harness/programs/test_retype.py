"""A program of a short format in float64: the same operations, no format left, and none where the format matters."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.retype import widened


def loss(x: Any, k: Any) -> Any:
    """Sums (which JAX widens in short formats), a product, an index, a mask, a literal that is rounded."""
    y = jax.nn.log_softmax(x) @ jnp.ones((3, 2), x.dtype)
    return jnp.where(k > 0, y[k], 0.1 * x.sum()) + jnp.arange(3.0, dtype=x.dtype)[k]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_results_are_those_of_float64(dtype: str) -> None:
    program = widened(trace(loss, ((3,), dtype), ((), "int32")))
    variables = [*program.inputs, *program.outputs, *(v for e in program.equations for v in (*e.inputs, *e.outputs))]
    assert {v.dtype for v in variables if v.dtype in FORMATS} == {"float64"}
    x, k = np.random.default_rng(0).standard_normal((3, 7)), np.arange(7) % 2
    (found,) = Floats().run(program, [x, k])
    tenth = float(np.asarray(0.1).astype(FORMATS[dtype].numpy))
    for p in range(7):
        a = x[:, p]
        y = (a - np.log(np.exp(a).sum())) @ np.ones((3, 2))
        wanted = (y[k[p]] if k[p] else tenth * a.sum()) + k[p]
        assert np.allclose(found[..., p], wanted, rtol=1e-14, atol=1e-14)


def test_formats_and_control_flow_are_refused() -> None:
    for code in (
        lambda x: jnp.nextafter(x, x + 1),
        lambda x: jax.lax.reduce_precision(x, 5, 10),
        lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * x, x),
    ):
        with pytest.raises(UnsupportedPrimitive):
            widened(trace(code, ((2,), "float32")))
