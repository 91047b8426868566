"""Three-valued truth, hulls of undecided branches, and integers that may not be undecided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from jax import lax

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.truth import (
    COMPARISONS,
    TOUCH,
    UNDECIDED,
    Undecided,
    compare,
    compare_all,
    reduce_and,
    truth_and,
    truth_not,
    truth_or,
    truth_xor,
)

VALUES = np.array([0, 1, UNDECIDED, TOUCH, TOUCH | 1], dtype=np.int8)
POSSIBLE = {0: {False}, 1: {True}, UNDECIDED: {False, True}, TOUCH: {False, True}, TOUCH | 1: {False, True}}
"""The outcomes that are arbitrarily near; a touched value has its own and the other one."""


@pytest.mark.parametrize(
    ("operation", "python"),
    [(truth_and, lambda p, q: p and q), (truth_or, lambda p, q: p or q), (truth_xor, lambda p, q: p != q)],
)
def test_three_valued_operations(operation: Callable[..., Any], python: Callable[..., bool]) -> None:
    for a in VALUES:
        for b in VALUES:
            got = int(operation(np.array([a]), np.array([b]))[0])
            near = {python(p, q) for p in POSSIBLE[int(a)] for q in POSSIBLE[int(b)]}
            assert near <= POSSIBLE[got], (a, b)
            if UNDECIDED not in (a, b):
                assert (got & 3) == python(bool(a & 1), bool(b & 1)), (a, b)
            if len(near) == 1:
                assert {bool(got & 1)} == near
                assert got in (0, 1), (a, b)


def test_not_and_reductions() -> None:
    assert truth_not(VALUES).tolist() == [1, 0, UNDECIDED, TOUCH | 1, TOUCH]
    assert reduce_and([], (2,)).tolist() == [1, 1]
    parts = [np.array([1, 1, 0], dtype=np.int8), np.array([1, UNDECIDED, UNDECIDED], dtype=np.int8)]
    assert reduce_and(parts, (3,)).tolist() == [1, UNDECIDED, 0]


def test_comparisons_of_balls() -> None:
    wide, one = arb(0, 2), arb(1)
    assert compare("lt", arb(3), wide) == 0
    assert compare("gt", arb(3), wide) == 1
    assert compare("ge", one, wide) == UNDECIDED
    assert compare("eq", one, wide) == UNDECIDED
    assert compare("ne", arb(3), wide) == 1
    assert compare("le", one, arb(1)) == TOUCH | 1
    assert compare("lt_to", one, arb(1)) == TOUCH
    assert compare("eq", arb("nan"), one) == UNDECIDED
    masked = arb("-inf")
    assert compare("eq", masked + one, masked) == compare("le", masked, masked) == 1
    assert compare("lt", masked, masked) == compare("eq", one, masked) == 0


def run(call: Callable[..., Any], *values: Any) -> list[Any]:
    """Results for scalar arguments: balls, or truth values of one point."""
    inputs = [np.array([v], dtype=object) if isinstance(v, arb) else np.array([v]) for v in values]
    specs = [((), "float64" if isinstance(v, arb) else str(np.asarray(v).dtype)) for v in values]
    return [out[..., 0] for out in ProgramOnBalls(trace(call, *specs)).balls(inputs)]


def hull(out: Any) -> tuple[float, float]:
    ball = out.item()
    return float(ball.lower()), float(ball.upper())


def test_undecided_predicates_give_hulls() -> None:
    near_zero = arb(0, 0.25)
    low, high = hull(run(lambda x: jnp.where(x > 0, 3.0, 1.0), near_zero)[0])
    assert (low, high) == pytest.approx((1.0, 3.0))
    low, high = hull(run(lambda x: lax.cond(x > 0, lambda y: y + 3, lambda y: y + 1, x), near_zero)[0])
    assert low <= 0.75 + 1e-12
    assert high >= 3.25 - 1e-12
    low, high = hull(run(lambda x: jnp.where(jnp.any(jnp.stack([x > 0, x > 5])), 3.0, 1.0), near_zero)[0])
    assert (low, high) == pytest.approx((1.0, 3.0))
    assert hull(run(lambda x: jnp.where((x > 0) & (x < -1), 3.0, 1.0), near_zero)[0]) == (1.0, 1.0)
    assert hull(run(lambda x: jnp.where((x > 0) ^ (x > -1), 3.0, 1.0), arb(1, 0.5))[0]) == (1.0, 1.0)
    low, high = hull(run(lambda x: (x > 0).astype("float64"), near_zero)[0])
    assert (low, high) == pytest.approx((0.0, 1.0), abs=1e-6)


def test_a_quantity_is_equal_to_itself_however_wide() -> None:
    wide = arb(0, 2)
    assert run(lambda x: jnp.where(x != x, 5.0, 1.0), wide)[0].item() == 1  # noqa: PLR0124
    assert run(lambda x: jnp.where(jnp.isnan(x), 5.0, 1.0), wide)[0].item() == 1
    assert run(lambda x: x == x, wide)[0].item() == 1  # noqa: PLR0124


INTEGERS: dict[str, Callable[..., Any]] = {
    "index": lambda x: jnp.array([1.0, 2.0])[(x > 0).astype(int)],
    "sum": lambda x: ((x > 0).astype(int) + 1) * 2.0,
    "choice": lambda x: jnp.where(x > 0, 1, 2) * 1.0,
    "conversion": lambda x: x.astype(int) * 1.0,
    "argmax": lambda x: jnp.argmax(jnp.stack([x, 0 * x])) * 1.0,
    "sort": lambda x: jnp.sort(jnp.stack([x, x * x * x]))[0],
}


@pytest.mark.parametrize("name", INTEGERS)
def test_an_undecided_integer_is_refused(name: str) -> None:
    with pytest.raises(Undecided):
        run(INTEGERS[name], arb(0, 1.5))
    assert run(INTEGERS[name], arb(0.5, 0.125))[0].item().is_finite()


def test_a_gather_out_of_bounds_is_not_a_number() -> None:
    program = ProgramOnBalls(trace(lambda x, i: jnp.take(x, i, mode="fill"), ((3,), "float64"), ((), "int64")))
    x, i = lift(np.array([[1.0], [2.0], [3.0]])), np.array([1, 7])
    (out,) = program.balls([x, i])
    assert out[0] == 2
    assert not out[1].is_finite()
    filled = ProgramOnBalls(
        trace(lambda x, i: jnp.take(x, i, mode="fill", fill_value=5.0), ((3,), "float64"), ((), "int64"))
    )
    values, tangents, touched = filled.duals([np.repeat(x, 2, axis=1), i], [lift(np.ones((3, 2))), None])
    assert values[0].tolist() == [2, 5]
    # what is filled in does not depend on the operand
    assert tangents[0].tolist() == [1, 0]
    assert not touched.any()


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_comparisons_of_arrays_are_those_of_their_entries(name: str) -> None:
    balls = np.array(
        [arb(0), arb(1), arb(1, 0.5), arb(0, 2), arb(-3), arb("inf"), arb("-inf"), arb("nan"), arb(1) / 3], dtype=object
    )
    told = compare_all(name, balls[:, None], balls[None, :])
    for i, a in enumerate(balls):
        for j, b in enumerate(balls):
            assert told[i, j] == compare(name, a, b), (name, a, b)
