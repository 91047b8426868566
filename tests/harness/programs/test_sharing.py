"""Merged programs compute each value once and give what the single ones give."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.program import Program
from backprove.harness.programs.sharing import share

X = ((3,), "float64")


def f(x: Any) -> Any:
    return jnp.exp(x) * 2.0


def f_and_slope(x: Any, v: Any) -> Any:
    return jnp.exp(x) * 2.0, jnp.exp(x) * 2.0 * v


def test_equal_values_are_computed_once() -> None:
    program, where = share([trace(f, X), trace(f_and_slope, X, X)], [[0], [0, 1]])
    assert [e.primitive for e in program.equations].count("exp") == 1
    assert where == [slice(0, 1), slice(1, 3)]
    assert program.outputs[0] == program.outputs[1]


def test_results_are_those_of_the_single_programs() -> None:
    rng = np.random.default_rng(1)
    x, v = rng.standard_normal((2, 3, 50))
    parts: list[tuple[Program, list[int]]] = [(trace(f_and_slope, X, X), [1, 0]), (trace(f, X), [1])]
    program, where = share([p for p, _ in parts], [k for _, k in parts])
    found = Floats().run(program, [v, x])
    for (single, places), here in zip(parts, where, strict=True):
        wanted = Floats().run(single, [(v, x)[k] for k in places])
        for a, b in zip(found[here], wanted, strict=True):
            assert np.array_equal(a, b)


def test_constants_that_differ_in_the_sign_of_zero_or_in_dtype_stay_apart() -> None:
    def g(x: Any) -> Any:
        return x * 0.0, x * -0.0

    program, _ = share([trace(g, X)], [[0]])
    plus, minus = Floats().run(program, [np.ones((3, 1))])
    assert not np.signbit(plus).any() and np.signbit(minus).all()


def test_loops_are_left_as_they_are() -> None:
    def looped(x: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda i, y: y * 1.5, x)

    program, _ = share([trace(looped, X), trace(looped, X)], [[0], [0]])
    a, b = Floats().run(program, [np.ones((3, 2))])
    assert np.array_equal(a, b) and np.array_equal(a, np.full((3, 2), 1.5**3))


@pytest.mark.parametrize(
    ("places", "message"),
    [([[0], [0, 2]], r"share: arguments \[0, 2\] are used"), ([[1], [0, 1]], "argument 1 is")],
)
def test_arguments_that_do_not_fit_are_refused(places: list[list[int]], message: str) -> None:
    other = trace(f_and_slope, X, ((), "float64"))
    with pytest.raises(ValueError, match=message):
        share([trace(f, X), other], places)
