"""Dual balls: several directions per point, hulls at kinks, and what counts as touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx
from jax import lax

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from tests.harness.numbers.cases import POINTS, REAL_CASES, Case

DIRECTIONS = 3


@pytest.fixture(autouse=True)
def precision() -> Any:
    before, ctx.prec = ctx.prec, 128
    yield
    ctx.prec = before


def tangent_like(case: Case, inputs: list[np.ndarray], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [lift(rng.integers(-3, 4, (*a.shape[:-1], POINTS)) / 2.0) if a.dtype.kind == "f" else None for a in inputs]


@pytest.mark.parametrize("name", REAL_CASES)
def test_many_directions_at_once_are_those_of_one_at_a_time(name: str) -> None:
    case = REAL_CASES[name]
    with jax.enable_x64(True):
        program = ProgramOnBalls(trace(case.call, *case.specs))
    inputs = case.draw(5)
    balls = [lift(a) if a.dtype.kind == "f" else a for a in inputs]
    each = [tangent_like(case, inputs, seed) for seed in range(DIRECTIONS)]
    together = [None if columns[0] is None else np.concatenate(columns, axis=-1) for columns in zip(*each, strict=True)]
    _, wide, touched = program.duals(balls, together)
    assert touched.size == POINTS
    for k, tangents in enumerate(each):
        _, narrow, _ = program.duals(balls, tangents)
        for w, t in zip(wide, narrow, strict=True):
            part = np.broadcast_to(w, (*w.shape[:-1], DIRECTIONS * POINTS))[..., k * POINTS : (k + 1) * POINTS]
            for p, q in zip(part.ravel(), np.broadcast_to(t, part.shape).ravel(), strict=True):
                assert (p.overlaps(q) and p.rad() < 1e-25) or not (p.is_finite() or q.is_finite())


def touched(call: Callable[..., Any], *values: Any, tangents: Any = None) -> bool:
    specs = [(np.shape(v), "float64") for v in values]
    balls = [lift(np.asarray(v, dtype=float)[..., None]) for v in values]
    moving = tangents or [np.arange(1.0, np.size(v) + 1).reshape(np.shape(v)) for v in values]
    with jax.enable_x64(True):
        program = ProgramOnBalls(trace(call, *specs))
    return bool(program.duals(balls, [lift(np.asarray(t, dtype=float)[..., None]) for t in moving])[2][0])


TOUCHED: dict[str, tuple[Callable[..., Any], Any]] = {
    "abs": (jnp.abs, 0.0),
    "sign": (jnp.sign, 0.0),
    "relu": (lambda x: jnp.where(x > 0, x, 0.0), 0.0),
    "relu from above": (lambda x: jnp.where(x >= 0, x, 0.0), 0.0),
    "maximum": (lambda x: jnp.maximum(x, 0.0), 0.0),
    "max": (jnp.max, [1.0, 1.0, 0.0]),
    "min": (jnp.min, [1.0, 1.0, 2.0]),
    "sort": (jnp.sort, [1.0, 2.0, 1.0]),
    "top_k": (lambda x: lax.top_k(x, 1)[0], [1.0, 2.0, 2.0]),
    "argmax": (lambda x: x[jnp.argmax(x)], [1.0, 1.0]),
    "cummax": (lax.cummax, [1.0, 1.0]),
    "floor": (jnp.floor, 2.0),
    "round": (jnp.round, 2.5),
    "clamp": (lambda x: lax.clamp(-1.0, x, 1.0), 1.0),
    "rem": (lambda x: lax.rem(jnp.asarray(6.0), x), 2.0),
    "jump": (lambda x: jnp.where(x > 0, 1.0, 0.0), 0.0),
    "mask": (lambda x: (x > 0) * 1.0, 0.0),
    "cond": (lambda x: lax.cond(x > 0, lambda y: y, lambda y: 2 * y, x), 0.0),
    "all": (lambda x: jnp.where(jnp.all(x > 0), x[0], 0.0), [0.0, 1.0]),
}


@pytest.mark.parametrize("name", TOUCHED)
def test_kinks_ties_and_jumps_are_touched(name: str) -> None:
    assert touched(*TOUCHED[name])


UNTOUCHED: dict[str, tuple[Callable[..., Any], Any]] = {
    "abs away": (jnp.abs, 1e-300),
    "both branches alike": (lambda x: jnp.where(x > 0, x, x), 0.0),
    "branches that meet smoothly": (lambda x: jnp.where(x > 0, x * x, 0.0), 0.0),
    "behind stop_gradient": (lambda x: x * lax.stop_gradient(jnp.abs(x)), 0.0),
    "in a constant": (lambda x: x * jnp.abs(jnp.asarray(0.0)), 2.0),
    "nan check": (lambda x: jnp.where(jnp.isnan(x), 0.0, x), 0.0),
    "max of what is no tie": (jnp.max, [1.0, 1.0 + 2.0**-52]),
    "a clear false beside": (lambda x: jnp.where((x > 0) & (x > 1), x, 0.0), 0.0),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_has_one_derivative_is_not_touched(name: str) -> None:
    assert not touched(*UNTOUCHED[name])


def test_ties_that_move_together_are_not_touched() -> None:
    assert not touched(jnp.max, [1.0, 1.0], tangents=[[2.0, 2.0]])
    assert not touched(jnp.sort, [1.0, 1.0], tangents=[[2.0, 2.0]])
    assert touched(jnp.sort, [1.0, 1.0], tangents=[[2.0, 1.0]])


def test_the_tangent_at_a_kink_is_a_hull() -> None:
    program = ProgramOnBalls(trace(lambda x: jnp.abs(x) + jnp.maximum(x, 0.0), ((), "float64")))
    (value,), (tangent,), near = program.duals([lift(np.zeros(1))], [lift(np.ones(1))])
    assert value[0] == 0
    assert near[0]
    assert tangent[0].contains(arb(2))
    assert tangent[0].contains(arb(-1))


def test_zero_times_nothing_is_nothing() -> None:
    """A tangent of exact zeros does not hide that the slope is not a number."""
    program = ProgramOnBalls(trace(jnp.sqrt, ((), "float64")))
    _, (tangent,), _ = program.duals([lift(np.zeros(1))], [lift(np.zeros(1))])
    assert not tangent[0].is_finite()


def test_equal_steps_are_no_kink_and_jumps_are() -> None:
    """`floor(x) > 1` at x in (1, 2) compares equal numbers that stay equal; at x = 1 it jumps."""

    def halved(x: Any) -> Any:
        return jnp.where(jnp.floor(x) > 1.0, x, x / 2) * jnp.ones(3)[jnp.floor(x).astype(int)]

    with jax.enable_x64(True):
        program = ProgramOnBalls(trace(halved, ((), "float64")))
    for x, kink in ((1.5, False), (1.0, True), (2.5, False), (2.0, True)):
        _, [moved], touched = program.duals([lift(np.array([x]))], [lift(np.array([1.0]))])
        assert bool(touched[0]) is kink, x
        if not kink:
            assert float(moved[0].mid()) == (1.0 if x > 2 else 0.5)
