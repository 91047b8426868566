"""One function at one signature: every way to evaluate it gives the same, and says what it cannot do."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.function import Function
from backprove.harness.frontends.function_at import FunctionAt, in_float64
from backprove.harness.frontends.registry import BLACK_BOX, JAX, NUMPY, OBJECTS
from backprove.harness.numbers.balls.arrays import lift

SIGNATURE = (((3,), "float64"), ((3,), "float64"))
X = np.linspace(0.75, 2.0, 15).reshape(3, 5)
Y = np.linspace(-1.0, 1.0, 15).reshape(3, 5)


def in_jax(x: Any, y: Any) -> Any:
    return jnp.exp(x) * y, (x > 1).sum()


def in_numpy(x: Any, y: Any) -> Any:
    return np.exp(x) * y, (x > 1).sum()


def opaque(x: Any, y: Any) -> Any:
    return np.array([float(np.exp(a)) * float(b) for a, b in zip(x, y, strict=True)]), int((x > 1).sum())


@pytest.mark.parametrize(("call", "only"), [(in_jax, JAX), (in_numpy, NUMPY), (in_numpy, OBJECTS), (opaque, BLACK_BOX)])
def test_floats_values_and_calls_agree(call: Any, only: str) -> None:
    at = FunctionAt(Function(call, "forward", only=only), SIGNATURE, "float64", floats_only=True)
    assert at.front_end is only and at.is_its_program == (only is JAX)
    assert at.shapes == ((3,),)
    wanted = np.exp(X) * Y
    for got in (at.floats([X, Y]).values, at.values([X, Y]), at.calls([X, Y]).values):
        (out,) = got
        assert out.shape == (3, 5)
        np.testing.assert_allclose(out, wanted, rtol=1e-15)
    np.testing.assert_allclose(at.at_one([X[..., 2], Y[..., 2]])[0], wanted[..., 2], rtol=1e-15)


def test_integer_results_stay_unless_floats_alone_are_wanted() -> None:
    at = FunctionAt(Function(in_jax, "forward"), SIGNATURE, "float64")
    assert at.shapes == ((3,), ())
    np.testing.assert_array_equal(at.floats([X, Y]).values[1], (X > 1).sum(axis=0))


def test_bounds_and_balls_enclose_the_floats() -> None:
    at = FunctionAt(Function(lambda x, y: jnp.exp(x) * y, "forward"), SIGNATURE, "float64")
    (bound,), (out,) = at.bounds([X, Y]), at.floats([X, Y]).values
    assert np.all(np.abs(out - bound.v) <= bound.e) and np.all(bound.e < 1e-14)
    assert at.exact is not None
    (ball,) = at.exact.balls([lift(X), lift(Y)])
    assert all(abs(float(b.mid()) - o) < 1e-14 for b, o in zip(ball.ravel(), out.ravel(), strict=True))


def test_a_primitive_that_numpy_lacks_is_compiled_and_noted() -> None:
    unknown = Function(lambda x: jax.lax.linalg.schur(jax.numpy.diag(x))[0], "forward")
    at = FunctionAt(unknown, SIGNATURE[:1], "float64")
    found = at.floats([X])
    assert found.notes == ["forward: compiled results only, " + found.notes[0].partition("only, ")[2]]
    np.testing.assert_allclose(found.values[0], at.xla([X])[0])


def test_what_raises_is_a_trouble_of_its_point() -> None:
    def picky(x: Any) -> Any:
        if float(x[0]) > 1:
            raise ValueError("too large")
        return x

    at = FunctionAt(Function(picky, "forward", only=BLACK_BOX), SIGNATURE[:1], "float64", expected=((3,),))
    found = at.floats([X])
    assert set(found.troubles) == set(np.flatnonzero(X[0] > 1).tolist())
    assert np.isnan(at.values([X])[0][:, X[0] > 1]).all() if (X[0] > 1).any() else True


def test_the_same_in_float64() -> None:
    signature = (((2,), "float32"), ((), "int64"))
    assert in_float64(signature) == (((2,), "float64"), ((), "int64"))
    at = FunctionAt(Function(lambda x, k: x * k, "forward"), signature, "float32", batched=True)
    wide = at.in_float64()
    assert (wide.dtype, wide.signature, wide.batched) == ("float64", in_float64(signature), True)
    assert at.signature == signature
