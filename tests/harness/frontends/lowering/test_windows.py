"""Convolutions and pooling are traced to programs that compute what XLA does, and rules about them are judged."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.lowering.windows import ABSENT, taps
from backprove.harness.numbers.balls.balls import Balls
from backprove.harness.numbers.floats.floats import run_floats

NO_PADDING = ((0, 0), (0, 0))


def agree(function: Any, *inputs: np.ndarray) -> None:
    """The traced program, whose primitives balls know, computes what XLA does."""
    with jax.enable_x64(True):
        program = trace(function, *((x.shape, str(x.dtype)) for x in inputs))
        wanted = jax.tree.leaves(jax.jit(function)(*inputs))
    assert program.primitives <= Balls.primitives()
    for got, number in zip(run_floats(program, [x[..., None] for x in inputs]), wanted, strict=True):
        assert got[..., 0].shape == number.shape
        np.testing.assert_allclose(got[..., 0], number, rtol=1e-12, atol=1e-12)


def numbers(*shape: int) -> np.ndarray:
    """Eighths, so that every product and sum is exact."""
    return np.random.default_rng(7).integers(-8, 9, shape) / 8.0


@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((1, 2, 5), (3, 2, 2), {"window_strides": (2,), "padding": [(1, 0)]}),
        ((2, 4, 4, 5), (6, 2, 2, 1), {"window_strides": (1, 2), "padding": "SAME", "feature_group_count": 2}),
        ((4, 1, 5), (2, 1, 2), {"window_strides": (1,), "padding": "VALID", "batch_group_count": 2}),
        ((1, 1, 3, 3), (1, 1, 2, 2), {"window_strides": (1, 1), "padding": [(1, 2), (0, 1)], "lhs_dilation": (2, 3)}),
        ((1, 1, 6), (1, 1, 3), {"window_strides": (1,), "padding": [(-1, 1)], "rhs_dilation": (2,)}),
        ((1, 1, 2), (1, 1, 4), {"window_strides": (1,), "padding": "VALID"}),
        (
            (1, 4, 4, 2),
            (2, 2, 2, 3),
            {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")},
        ),
    ],
    ids=["stride", "groups", "batch groups", "holes in x", "holes in the kernel", "nothing fits", "channels last"],
)
def test_convolutions(x: Any, kernel: Any, options: dict[str, Any]) -> None:
    call = lambda a, b: lax.conv_general_dilated(a, b, **options)  # noqa: E731
    agree(call, numbers(*x), numbers(*kernel))
    if options["padding"] != "VALID" or kernel[-1] < 4:
        y = jax.eval_shape(call, numbers(*x), numbers(*kernel))
        agree(lambda a, b, g: jax.vjp(call, a, b)[1](g), numbers(*x), numbers(*kernel), numbers(*y.shape))


@pytest.mark.parametrize(
    ("start", "join"),
    [(0.0, lax.add), (-np.inf, lax.max), (np.inf, lax.min), (1.0, lax.mul), (0.0, jnp.hypot)],
    ids=["sum", "max", "min", "product", "function"],
)
def test_windows_with_padding_and_holes(start: float, join: Any) -> None:
    agree(lambda x: lax.reduce_window(x, start, join, (2, 3), (1, 2), ((1, 0), (0, 2)), (1, 2), (2, 1)), numbers(4, 3))


@pytest.mark.parametrize("start", [-np.inf, np.inf])
def test_derivatives_of_extremes_in_windows(start: float) -> None:
    def pool(x: Any) -> Any:
        return lax.reduce_window(x, start, lax.max if start < 0 else lax.min, (2, 2), (1, 2), ((1, 0), (0, 1)))

    x = np.random.default_rng(3).permutation(12).reshape(3, 4) / 2.0
    y = jax.eval_shape(pool, x)
    agree(lambda a, g: jax.vjp(pool, a)[1](g), x, numbers(*y.shape))
    agree(lambda a, t: jax.jvp(pool, (a,), (t,)), x, numbers(3, 4))
    agree(lambda a, g: jax.vjp(pool, a)[1](g), np.zeros((3, 4)), numbers(*y.shape))  # the first of equal ones wins


def test_where_windows_read() -> None:
    table, counts = taps((3,), (2,), (1,), ((1, 0),), (1,), (1,))
    assert counts == (3,) and table.tolist() == [[ABSENT, 0], [0, 1], [1, 2]]
    table, counts = taps((2, 2), (1, 2), (1, 1), ((0, 0), (-1, 1)), (1, 1), (1, 1))
    assert counts == (2, 1) and table.tolist() == [[1, ABSENT], [3, ABSENT]]
    assert taps((0,), (1,), (1,), ((0, 0),), (1,), (1,))[1] == (0,)


def correlate(x: Any, w: Any) -> Any:
    return lax.conv_general_dilated(x, w, (1,), "VALID")


def back(x: Any, w: Any, g: Any, flip: bool) -> Any:
    kernel = jnp.swapaxes(w, 0, 1)
    dx = lax.conv_general_dilated(g, kernel[..., ::-1] if flip else kernel, (1,), [(w.shape[-1] - 1,) * 2])
    dw = lax.conv_general_dilated(jnp.swapaxes(x, 0, 1), jnp.swapaxes(g, 0, 1), (1,), "VALID")
    return dx, jnp.swapaxes(dw, 0, 1)


@pytest.mark.parametrize(("flip", "verdict"), [(True, Verdict.HOLDS), (False, Verdict.FALSIFIED)])
def test_a_convolution_s_rule_flips_the_kernel(flip: bool, verdict: Verdict) -> None:
    rule = bp.Rule(
        "correlate",
        forward=correlate,
        vjp=lambda x, w, g: back(x, w, g, flip),
        inputs={"x": bp.array("1 2 4"), "w": bp.array("2 2 2")},
    )
    assert bp.check(rule, points=100, dtypes=("float64",)).verdict == verdict


def max_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "SAME")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.HOLDS), (1 + 1e-9, Verdict.FALSIFIED)])
def test_max_pooling_s_rule_is_exact_and_free_at_ties(factor: float, verdict: Verdict) -> None:
    rule = bp.Rule(
        "max_pool",
        forward=max_pool,
        vjp=lambda x, g: jax.vjp(max_pool, x)[1](g)[0] * factor,
        inputs={"x": bp.array("4")},
    )
    assert bp.check(rule, points=200, dtypes=("float64",)).verdict == verdict
