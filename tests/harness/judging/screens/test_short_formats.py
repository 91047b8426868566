"""Results of a short format beside float64: a few roundings pass, narrowing and what is not finite do not."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.rounding import SHORT_FORMAT_ROUNDINGS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.screens.short_formats import Short, within
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.retype import widened

SHORT = ["float32", "bfloat16", "float16"]


@pytest.mark.parametrize("dtype", SHORT)
def test_within_counts_roundings_of_the_largest_entry(dtype: str) -> None:
    form = FORMATS[dtype]
    wide = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1e-3, np.inf]])
    off = np.array([[0.9, 1.1, 0.0, 0.0], [0.9, 0.0, 0.0, 0.0]]) * SHORT_FORMAT_ROUNDINGS * form.u
    with np.errstate(invalid="ignore"):
        found = within(wide + off, wide, dtype)
    assert found[:, :3].tolist() == [[True, False, True], [True, True, True]]
    assert not found[1, 3]


@pytest.mark.parametrize(("dtype", "half"), [("float32", 2.0**12), ("bfloat16", 2.0**5), ("float16", 2.0**6)])
def test_two_programs_of_common_arguments_are_told_apart(dtype: str, half: float) -> None:
    def good(x: Any, d: Any) -> Any:
        return jnp.exp(x) * d

    def narrow(x: Any) -> Any:
        """Half of the digits alone (Veltkamp); over the reals exp."""
        y = jnp.exp(x)
        return y * (half + 1) - (y * (half + 1) - y)

    shape = ((3,), dtype)
    programs = [trace(narrow, shape), trace(good, shape, shape)]
    x, d = FORMATS[dtype].round(np.random.default_rng(0).uniform(0.5, 2, (2, 3, 50)))
    wide = [Floats().run(widened(p), a) for p, a in zip(programs, ([x], [x, d]), strict=True)]
    short = Short(programs, [[0], [0, 1]], dtype)
    for _ in range(5):  # directly, then on linked buffers
        finite, close = short.look([x, d], wide)
        assert all(f.all() for f in finite) and close[1].all()
        assert close[0].mean() < 0.3


def test_overflow_of_the_format_is_not_finite_and_not_close() -> None:
    shape = ((), "float16")
    program = trace(lambda x: x * x, shape)
    x = np.array([100.0, 300.0])
    finite, close = Short([program], [[0]], "float16").look([x], [[x * x]])
    assert finite[0].tolist() == close[0].tolist() == [True, False]
