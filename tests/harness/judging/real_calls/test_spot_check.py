"""The compiled spot check: real XLA programs against the running error bound."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.compiled import CompiledFunction
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.examination import Examination
from backprove.harness.judging.real_calls.spot_check import SpotCheck

SIGNATURE = (((3,), "float64"),)
POINTS = np.linspace(-2, 2, 3 * 70).reshape(3, 70)


def softmax(x: Any) -> Any:
    e = jnp.exp(x - x.max())
    return e / e.sum()


def check(call: Any, dtype: str = "float64") -> tuple[SpotCheck, Examination]:
    signature = (((3,), dtype),)
    spot, seen = SpotCheck(), Examination.empty(70)
    x = POINTS.astype(np.float32).astype(np.float64)
    spot.enter(call, signature, trace(softmax, *signature), [x], dtype, seen, ["output"])
    return spot, seen


def test_results_at_more_points_than_one_program_takes() -> None:
    found = CompiledFunction(softmax, SIGNATURE)([POINTS])
    assert len(found) == 1 and found[0].shape == POINTS.shape
    e = np.exp(POINTS)
    np.testing.assert_allclose(found[0], e / e.sum(axis=0), rtol=1e-13)


def test_a_callback_that_takes_one_point_at_a_time_is_compiled_once() -> None:
    traced = []

    def sine(x: Any) -> Any:
        traced.append(x)
        return jax.pure_callback(lambda v: 2 * np.sin(v), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    found = CompiledFunction(sine, SIGNATURE)([POINTS])
    np.testing.assert_array_equal(found[0], 2 * np.sin(POINTS))
    assert len(traced) <= 2  # with a batch of points, which fails, and with one


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_right_code_is_accepted(dtype: str) -> None:
    spot, seen = check(softmax, dtype)
    assert seen.layers["compiled"].agreed == 64
    assert not spot.failed and not any(seen.violations)


def test_compiled_code_that_computes_something_else_is_refused() -> None:
    """What is compiled is not what was traced, as with a bug of the compiler."""
    spot, seen = check(lambda x: softmax(x) * (1 + 1e-12))
    refused = [f for f in seen.violations if f is not None]
    assert spot.failed and refused
    assert {f.verdict for f in refused} == {Verdict.INACCURATE}
    assert "compiled" in refused[0].what


def test_once_per_dtype_unless_it_failed() -> None:
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return softmax(x)

    spot, program = SpotCheck(), trace(softmax, *SIGNATURE)
    for _ in range(3):
        spot.enter(counted, SIGNATURE, program, [POINTS], "float64", Examination.empty(70), ["output"])
    assert len(calls) == 1


def test_code_that_cannot_be_compiled_is_a_note() -> None:
    def opaque(x: Any) -> Any:
        return jnp.asarray(np.asarray(x))

    spot, seen = check(opaque)
    assert not spot.failed and not any(seen.violations)
    assert any(n.startswith("compiled spot check skipped") for n in seen.notes)


def test_compiling_leaves_the_precision_setting_alone() -> None:
    before = jax.config.jax_enable_x64
    CompiledFunction(softmax, SIGNATURE)([POINTS])
    assert jax.config.jax_enable_x64 == before
