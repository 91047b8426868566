"""Balls and dual balls against JAX's values and jax.jvp, primitive by primitive."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import ctx

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from tests.harness.numbers.cases import POINTS, REAL_CASES, at
from tests.harness.numbers.cells import ROUNDINGS, close


@pytest.fixture(autouse=True)
def precision() -> Any:
    before, ctx.prec = ctx.prec, 160
    yield
    ctx.prec = before


def leaves(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in jax.tree.leaves(value)]


LOOSE = {"jax.nn: dot_product_attention": 1e-6}
"""JAX computes these in float32 inside."""


@pytest.mark.parametrize("name", REAL_CASES)
def test_values_and_tangents_are_those_of_jax(name: str) -> None:
    case = REAL_CASES[name]
    with jax.enable_x64(True):
        program = ProgramOnBalls(trace(case.call, *case.specs))
        inputs = case.draw(5)
        tangents = case.draw(6)
        balls = [lift(a) if a.dtype.kind == "f" else a for a in inputs]
        moving = [lift(t) if a.dtype.kind == "f" else None for a, t in zip(inputs, tangents, strict=True)]
        enclosed = program.balls(balls)
        values, slopes, touched = program.duals(balls, moving)
        assert not touched.any()
        floats = [k for k, (_, dtype) in enumerate(case.specs) if dtype == "float64"]
        for p in range(POINTS):
            here = [jnp.asarray(at(a, p)) for a in inputs]

            def partial(*moved: Any, here: Any = here) -> Any:
                full = list(here)
                for k, m in zip(floats, moved, strict=True):
                    full[k] = m
                return case.call(*full)

            primal = partial(*(here[k] for k in floats))
            wanted = [(enclosed, primal), (values, primal)]
            if case.tangent:
                directions = tuple(jnp.asarray(at(tangents[k], p)) for k in floats)
                wanted.append((slopes, jax.jvp(partial, tuple(here[k] for k in floats), directions)[1]))
            for got, result in wanted:
                for g, w in zip(got, leaves(result), strict=True):
                    assert g.shape[:-1] == w.shape
                    for ball, number in zip(at(g, p).ravel(), w.ravel(), strict=True):
                        assert close(ball, float(number), LOOSE.get(name, ROUNDINGS)), (name, p, ball, number)


def test_floats_become_exact_balls_and_the_rest_stays() -> None:
    x, k, m = np.array([0.1, -0.0]), np.array([3]), np.array([True])
    balls, integers, mask = lift_floats([x, k, m])
    assert balls.dtype == object and [float(b) for b in balls] == x.tolist() and all(b.is_exact() for b in balls)
    assert integers is k and mask is m
