"""The interpreter keeps what never changes of a program, and nothing else."""

from __future__ import annotations

import gc
from typing import Any

import jax.numpy as jnp
import numpy as np
from flint import ctx

from backprove.harness import interpret
from backprove.harness.interpret import evaluate, plan
from backprove.harness.program import trace
from backprove.harness.systems.balls import Balls, lift
from backprove.harness.systems.floats import Floats
from backprove.harness.systems.running import Running


def program() -> Any:
    return trace(lambda x: 0.1 * x + jnp.arange(3.0).sum(), ((3,), "float64"))


def test_constants_are_made_once_per_kind_of_system() -> None:
    p = program()
    first = plan(p).constants(p, Running("float64"))
    assert plan(p).constants(p, Running("float64")) is first
    for other in (Running("float64", unit=2.0**-64), Running("float64", literals=2.0**-53), Floats()):
        assert plan(p).constants(p, other) is not first


def test_constants_of_balls_are_not_kept() -> None:
    """They depend on the precision, which is no part of the system."""
    p = trace(lambda x: 0.1 + x, ((), "float64"))
    for precision in (64, 256):
        ctx.prec = precision
        (out,) = evaluate(p, Balls(2.0**-53), lift(np.array([1.0])))
        assert out[0].is_finite()
    assert not plan(p)._constants


def test_a_plan_goes_with_its_program() -> None:
    p = program()
    assert plan(p) is plan(p)
    key = id(p)
    assert key in interpret._PLANS
    del p
    gc.collect()
    assert key not in interpret._PLANS


def test_the_largest_value_counts_the_entries_of_one_point() -> None:
    assert plan(trace(lambda x: x[:, None] * x[None, :], ((4,), "float64"))).largest == 16
    assert plan(trace(lambda x: x, ((0,), "float64"))).largest == 1
