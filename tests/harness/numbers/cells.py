"""Cells of the table of primitives: a system evaluates a row's case, and its result is checked against JAX's.

Every check raises AssertionError where the result is wrong, and `UnsupportedPrimitive` or `NotRunnable` where the
system does not know the primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.objects.run import run_on_balls, run_on_bounded, run_on_duals
from backprove.harness.frontends.objects.scalar import NotRunnable
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.program import Program
from tests.harness.numbers.cases import CASES, POINTS, Case, at
from tests.harness.numbers.floats.linked_run import run_linked
from tests.harness.numbers.primitives import Row

PRECISION = 160
"""Bits of the balls."""
ROUNDINGS = 1e-12
"""How far JAX's float64 may be from the real number, of 1 + its size."""
MISSING = (UnsupportedPrimitive, NotRunnable)
"""What a hole raises."""


@contextmanager
def precision() -> Iterator[None]:
    before, ctx.prec = ctx.prec, PRECISION
    try:
        yield
    finally:
        ctx.prec = before


def close(ball: Any, number: float, tolerance: float = ROUNDINGS) -> bool:
    """The ball is narrow and lies at the number up to JAX's own rounding."""
    if np.isnan(number) or np.isinf(number):
        return not ball.is_finite()
    return ball.is_finite() and abs(float(ball.mid()) - number) <= tolerance * (1 + abs(number)) and ball.rad() < 1e-30


@dataclass(frozen=True)
class Reference:
    """What JAX computes at the points of a case.

    Attributes:
        values: outputs of each point.
        slopes: derivatives of each point along `moves`; None where JAX has none.
    """

    inputs: list[Array]
    moves: list[Array]
    values: list[list[Array]]
    slopes: list[list[Array]] | None


@cache
def reference(name: str) -> Reference:
    """JAX on a case, point by point; its inputs are drawn with fixed seeds."""
    case = CASES[name]
    inputs, moves = case.draw(5), case.draw(6)
    floats = [k for k, (_, dtype) in enumerate(case.specs) if dtype == "float64"]
    values, slopes = [], []
    with jax.enable_x64(True):
        for p in range(POINTS):
            here = [jnp.asarray(at(a, p)) for a in inputs]

            def partial(*moved: Any, here: Any = here) -> Any:
                full = list(here)
                for k, m in zip(floats, moved, strict=True):
                    full[k] = m
                return case.call(*full)

            point = tuple(here[k] for k in floats)
            values.append(_leaves(partial(*point)))
            if case.tangent and floats:
                along = tuple(jnp.asarray(at(moves[k], p)) for k in floats)
                slopes.append(_leaves(jax.jvp(partial, point, along)[1]))
    return Reference(inputs, moves, values, slopes or None)


def _leaves(value: Any) -> list[Array]:
    return [np.asarray(v) for v in jax.tree.leaves(value)]


@cache
def program(name: str) -> Program:
    with jax.enable_x64(True):
        return trace(CASES[name].call, *CASES[name].specs)


def _lifted(arrays: list[Array]) -> list[Array]:
    return [lift(a) if a.dtype.kind == "f" else a for a in arrays]


def _tangents(case: Case, moves: list[Array]) -> list[Array | None]:
    return [lift(t) if dtype == "float64" else None for t, (_, dtype) in zip(moves, case.specs, strict=True)]


def _assert_near(outputs: list[Array], wanted: list[list[Array]]) -> None:
    """Floats, integers and truth values with a points axis against JAX's at each point."""
    for p, point in enumerate(wanted):
        for got, number in zip(outputs, point, strict=True):
            here = np.asarray(at(got, p))
            assert here.shape == number.shape
            if number.dtype.kind == "f":
                np.testing.assert_allclose(here, number, rtol=ROUNDINGS, atol=ROUNDINGS)
            else:
                np.testing.assert_array_equal(here, number)


def _assert_enclosed(outputs: list[Array], wanted: list[Array], what: str) -> None:
    """Balls (or integers) at one point against JAX's floats."""
    for got, numbers in zip(outputs, wanted, strict=True):
        assert np.shape(got) == numbers.shape
        for g, number in zip(np.ravel(got), numbers.ravel(), strict=True):
            near = close(g, float(number)) if isinstance(g, arb) else g == number
            assert near, f"{what}: {g} against JAX's {number}"


def _ball(number: Any) -> arb:
    return number if isinstance(number, arb) else arb(number.item())


def _assert_bounded(
    bounds: list[tuple[Array, Array]], exact: list[Array], floats: list[Array], compiled: list[Array] | None = None
) -> None:
    """Values in a wide format at one point: near the real numbers, and no float result farther away than the bound.

    Compiled results may be off by twice the bound, as rules are judged: XLA divides by multiplying with reciprocals.
    """
    results = [(1, floats)] if compiled is None else [(1, floats), (2, compiled)]
    for k, ((values, errors), balls) in enumerate(zip(bounds, exact, strict=True)):
        for i in np.ndindex(balls.shape):
            v, e, ball = values[i], float(errors[i]), _ball(balls[i])
            assert 0 <= e <= ROUNDINGS * (1 + abs(float(v))), f"a bound of {e} says nothing of {v}"
            assert abs(float(v) - float(ball.mid())) <= 1e-15 * (1 + abs(float(v))), f"{v} is not {ball}"
            for times, result in results:
                off = abs(_ball(result[k][i]) - ball)
                assert not off > times * arb(e), f"{result[k][i]} is not {ball} +- {times} * {e}"


def check_floats(row: Row) -> None:
    jax_says = reference(row.case)
    _assert_near(Floats().run(program(row.case), jax_says.inputs), jax_says.values)


def check_linked_floats(row: Row) -> None:
    """Bit for bit those of `Floats` where every input varies (one that does not has its products in another order)."""
    inputs = [np.broadcast_to(a, (*a.shape[:-1], POINTS)) for a in reference(row.case).inputs]
    linked = run_linked(program(row.case), inputs)
    for got, wanted in zip(linked, Floats().run(program(row.case), inputs), strict=True):
        np.testing.assert_array_equal(got, wanted)


def check_balls(row: Row) -> None:
    jax_says = reference(row.case)
    outputs = ProgramOnBalls(program(row.case)).balls(_lifted(jax_says.inputs))
    for p, wanted in enumerate(jax_says.values):
        _assert_enclosed([at(o, p) for o in outputs], wanted, "value")


def check_dual_balls(row: Row) -> None:
    jax_says = reference(row.case)
    moves = _tangents(CASES[row.case], jax_says.moves)
    values, slopes, touched = ProgramOnBalls(program(row.case)).duals(_lifted(jax_says.inputs), moves)
    assert not touched.any()
    for p, wanted in enumerate(jax_says.values):
        _assert_enclosed([at(o, p) for o in values], wanted, "value")
        if jax_says.slopes is not None:
            _assert_enclosed([at(o, p) for o in slopes], jax_says.slopes[p], "tangent")


def check_error_bounds(row: Row) -> None:
    jax_says, traced = reference(row.case), program(row.case)
    bounds = Running("float64").run(traced, jax_says.inputs)
    exact = ProgramOnBalls(traced).balls(_lifted(jax_says.inputs))
    floats = Floats().run(traced, jax_says.inputs)
    for p, wanted in enumerate(jax_says.values):
        here = [(at(b.v, p), at(b.e, p)) for b in bounds]
        _assert_bounded(here, [np.asarray(at(x, p)) for x in exact], [at(f, p) for f in floats], wanted)


def _code(row: Row) -> Callable[..., Any]:
    if row.numpy is None:
        raise NotRunnable("there is no NumPy code of this meaning")
    return row.numpy


def check_object_balls(row: Row) -> None:
    code, jax_says = _code(row), reference(row.case)
    for p, wanted in enumerate(jax_says.values):
        _assert_enclosed(run_on_balls(code, _lifted([at(a, p) for a in jax_says.inputs])), wanted, "value")


def check_object_duals(row: Row) -> None:
    code, jax_says = _code(row), reference(row.case)
    for p, wanted in enumerate(jax_says.values):
        moves = _tangents(CASES[row.case], [at(t, p) for t in jax_says.moves])
        values, slopes, touched = run_on_duals(code, _lifted([at(a, p) for a in jax_says.inputs]), moves)
        assert not touched
        _assert_enclosed(values, wanted, "value")
        if jax_says.slopes is not None:
            _assert_enclosed(slopes, jax_says.slopes[p], "tangent")


def check_object_bounds(row: Row) -> None:
    code, jax_says = _code(row), reference(row.case)
    for p in range(POINTS):
        here = [at(a, p) for a in jax_says.inputs]
        bounds = run_on_bounded(code, here, "float64")
        _assert_bounded(bounds, run_on_balls(code, _lifted(here)), [np.asarray(code(*here))])


CHECKS: dict[str, Callable[[Row], None]] = {
    "floats": check_floats,
    "linked floats": check_linked_floats,
    "balls": check_balls,
    "dual balls": check_dual_balls,
    "error bounds": check_error_bounds,
    "object balls": check_object_balls,
    "object duals": check_object_duals,
    "object bounds": check_object_bounds,
}
"""System -> what evaluates a row in it and checks the result."""
