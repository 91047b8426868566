"""One callable and its front ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import scipy.special
from flint import ctx

from backprove.harness.core.arrays import cast, flatten, quiet
from backprove.harness.frontends.front_end import CodeStopped, FrontEnd
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.registry import BLACK_BOX, JAX, NUMPY, OBJECTS
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.floats.floats import run_floats

VECTOR = (((3,), "float64"),)


def assigns(x: Any) -> Any:
    out = np.zeros_like(x)
    out[::2] = np.exp(x[::2])
    return out


def branches(x: Any) -> Any:
    return x[0] * x[1] if x[0] > 0 else x[1] * x[1]


@pytest.mark.parametrize(
    "call, end",
    [
        (jnp.exp, JAX),
        (lambda x: x * x, JAX),
        (lambda x: np.exp(x) + 1, NUMPY),
        (assigns, NUMPY),
        (branches, OBJECTS),
    ],
    ids=["jnp", "operators", "numpy", "assignment", "branch"],
)
def test_the_first_front_end_that_can(call: Callable[..., Any], end: FrontEnd) -> None:
    function = Function(call, "forward")
    assert function.front_end(VECTOR) == end
    assert (function.program(VECTOR) is not None) == (end in (JAX, NUMPY))
    assert function.exact(VECTOR) is not None


def test_front_ends_can_be_left_out() -> None:
    assert Function(lambda x: x * x, "f", NUMPY).front_end(VECTOR) == NUMPY
    assert Function(lambda x: x * x, "f", OBJECTS).front_end(VECTOR) == OBJECTS
    black = Function(lambda x: x * x, "f", BLACK_BOX)
    assert (black.front_end(VECTOR), black.exact(VECTOR)) == (BLACK_BOX, None)


@pytest.mark.parametrize(
    "call, only",
    [(lambda x: jnp.exp(x) * x, JAX), (lambda x: np.exp(x) * x, NUMPY), (lambda x: np.exp(x) * x, OBJECTS)],
    ids=["jax", "numpy", "objects"],
)
def test_all_front_ends_agree_in_balls(call: Callable[..., Any], only: FrontEnd) -> None:
    ctx.prec = 128
    x = np.array([[0.5, -1.0], [2.0, 0.0], [-3.0, 1.0]])
    function = Function(call, "f", only)
    assert function.front_end(VECTOR) == only
    exact = function.exact(VECTOR)
    assert exact is not None
    (balls,) = exact.balls([lift(x)])
    assert np.allclose(np.vectorize(lambda v: float(v.mid()))(balls), np.exp(x) * x, rtol=1e-15)


def test_duals_carry_the_derivative_and_the_kinks() -> None:
    ctx.prec = 128
    x = np.array([[2.0, 0.0]])
    for only in (JAX, OBJECTS):
        exact = Function(abs, "f", only).exact((((1,), "float64"),))
        assert exact is not None
        values, moved, touched = exact.duals([lift(x)], [lift(np.ones((1, 2)))])
        assert float(values[0][0, 0].mid()) == 2.0
        assert float(moved[0][0, 0].mid()) == 1.0
        assert touched.tolist() == [False, True]


def test_code_that_does_not_run_on_exact_scalars_is_undecided() -> None:
    exact = Function(scipy.special.expit, "f", OBJECTS).exact(VECTOR)
    assert exact is not None
    with pytest.raises(CodeStopped, match="exact scalars"):
        exact.balls([lift(np.ones((3, 1)))])
    with pytest.raises(CodeStopped, match="exact scalars"):
        exact.duals([lift(np.ones((3, 1)))], [lift(np.ones((3, 1)))])


def test_calls_as_they_are() -> None:
    def call(x: Any) -> Any:
        return (x, None, [x.sum(), {"b": x * 2, "a": x * 3}])

    got = Function(call, "f").at(np.ones(2, dtype=np.float32))
    assert [a.tolist() for a in got] == [[1, 1], 2, [3, 3], [2, 2]]
    assert got[0].dtype == np.float32
    (wide,) = Function(jnp.exp, "f").at(np.ones(2))
    assert wide.dtype == np.float64


def test_flatten() -> None:
    assert flatten(None) == []
    assert [a.tolist() for a in flatten((1.0, [2, (3,)], None))] == [1.0, 2, 3]


def test_quiet_silences_and_restores() -> None:
    before = np.geterr()
    with quiet():
        assert np.isinf(np.float64(1) / np.float64(0))
    assert np.geterr() == before


def test_cast() -> None:
    assert cast(np.ones(2), "bfloat16").dtype == ml_dtypes.bfloat16
    assert cast(np.ones(2), "float16").dtype == np.float16
    assert cast(np.ones(2, dtype=np.int64), "float32").dtype == np.int64
    assert cast(np.ones(2, dtype=bool), "float32").dtype == bool


def test_draws_under_a_fixed_key_are_constants_of_the_program() -> None:
    drawn = Function(lambda x: jnp.sin(x) * jax.random.normal(jax.random.key(0), x.shape), "forward")
    program, x = drawn.program(VECTOR), np.array([0.5, -1.0, 2.0])
    assert program is not None and drawn.front_end(VECTOR) is JAX
    assert np.allclose(run_floats(program, [x[:, None]])[0][:, 0], drawn.at(x)[0], rtol=1e-12)
    assert Function(lambda x: jnp.sin(x) * 2, "forward").front_end(VECTOR) is JAX
