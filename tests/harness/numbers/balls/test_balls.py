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
from backprove.harness.numbers.balls.arrays import lift
from tests.harness.numbers.balls.ball_cases import CASES, Case

POINTS = 4


@pytest.fixture(autouse=True)
def precision() -> Any:
    before, ctx.prec = ctx.prec, 160
    yield
    ctx.prec = before


def draw(case: Case, seed: int) -> list[np.ndarray]:
    """Inputs with a points axis; the second floating-point input does not vary (points axis of size 1)."""
    rng = np.random.default_rng(seed)
    out: list[np.ndarray] = []
    for k, (shape, dtype) in enumerate(case.specs):
        size = (*shape, 1 if k == 1 else POINTS)
        if dtype == "float64":
            out.append(rng.uniform(case.low, case.high, size))
        else:
            out.append(rng.integers(0, 2, size).astype(bool) if dtype == "bool" else rng.integers(-2, 6, size))
    return out


def at(array: np.ndarray, p: int) -> np.ndarray:
    return array[..., min(p, array.shape[-1] - 1)]


def leaves(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in jax.tree.leaves(value)]


def close(ball: Any, number: float, tolerance: float = 1e-12) -> bool:
    """The ball is narrow and lies at the number up to JAX's own rounding."""
    if np.isnan(number) or np.isinf(number):
        return not ball.is_finite()
    return ball.is_finite() and abs(float(ball.mid()) - number) <= tolerance * (1 + abs(number)) and ball.rad() < 1e-30


LOOSE = {"jax.nn: dot_product_attention": 1e-6}
"""JAX computes these in float32 inside."""


@pytest.mark.parametrize("name", CASES)
def test_values_and_tangents_are_those_of_jax(name: str) -> None:
    case = CASES[name]
    with jax.enable_x64(True):
        program = ProgramOnBalls(trace(case.call, *case.specs))
        inputs = draw(case, 5)
        tangents = draw(case, 6)
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
                        assert close(ball, float(number), LOOSE.get(name, 1e-12)), (name, p, ball, number)
