"""The interpreter keeps what never changes of a program, and nothing else."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.balls import Balls
from backprove.harness.numbers.balls.duals import DualBalls
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs import evaluate as module
from backprove.harness.programs.evaluate import evaluate, schedule


def program() -> Any:
    return trace(lambda x: 0.1 * x + jnp.arange(3.0).sum(), ((3,), "float64"))


def test_constants_are_made_once_per_kind_of_system() -> None:
    p = program()
    first = schedule(p).constants(p, Running("float64"))
    assert schedule(p).constants(p, Running("float64")) is first
    for other in (Running("float64", unit=2.0**-64), Running("float64", literals=2.0**-53), Floats()):
        assert schedule(p).constants(p, other) is not first


def test_constants_of_balls_are_kept_as_far_as_they_do_not_depend_on_the_precision() -> None:
    p = trace(lambda x: 0.1 + x, ((), "float64"))
    (slot,) = p.constants

    def constant(system: Balls, precision: int) -> Any:
        ctx.prec = precision
        (out,) = evaluate(p, system, lift(np.array([1.0])))
        assert out[0].is_finite()
        return system.primal(schedule(p).constants(p, system)[slot])

    exact = constant(Balls(), 64)
    assert exact[0].is_exact()
    assert exact[0] == 0.1
    assert constant(Balls(), 256) is exact
    widened = {precision: constant(Balls(2.0**-53), precision) for precision in (64, 256)}
    assert widened[64] is not widened[256]
    assert constant(Balls(2.0**-8), 64) is not widened[64]
    for precision, (ball,) in widened.items():
        ctx.prec = precision
        made_here = arb(0.1) * arb(1, 2.0**-53)
        assert ball.mid() == made_here.mid()
        assert ball.rad() == made_here.rad()
    assert schedule(p).constants(p, DualBalls(1)) is not schedule(p).constants(p, Balls())


def test_constants_of_balls_cannot_be_written_to() -> None:
    p = trace(lambda x: 0.1 + x + jnp.array([1.5, 0.3]), ((2,), "float64"))
    for system in (Balls(), Balls(2.0**-53), DualBalls(1)):
        for kept in schedule(p).constants(p, system).values():
            with pytest.raises(ValueError, match="read-only"):
                system.primal(kept)[...] = arb(0)


def test_a_plan_goes_with_its_program() -> None:
    p = program()
    assert schedule(p) is schedule(p)
    key = id(p)
    assert key in module._SCHEDULES
    del p
    gc.collect()
    assert key not in module._SCHEDULES


def test_the_largest_value_counts_the_entries_of_one_point() -> None:
    assert schedule(trace(lambda x: x[:, None] * x[None, :], ((4,), "float64"))).largest == 16
    assert schedule(trace(lambda x: x, ((0,), "float64"))).largest == 1


def test_a_trace_holds_no_objects_of_jax() -> None:
    """Whoever reads a kept one would import it."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("d",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    program = trace(lambda x: jax.lax.with_sharding_constraint(jnp.sin(x), everywhere), ((3,), "float64"))
    assert len(program.equations) == 2 and b"jax" not in pickle.dumps(program)
