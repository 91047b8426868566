"""Programs that work entry by entry: told apart from others, and differentiated with all entries at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import ctx

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.balls import works_entrywise
from backprove.harness.oracles.vectors import vector
from tests.harness.oracles.problems import vjp_problem

F = "float64"
ENTRYWISE: dict[str, Callable[..., Any]] = {
    "relu": lambda x: jnp.maximum(x, 0),
    "softplus": jax.nn.softplus,
    "select": lambda x: jnp.where(x > 1, x**2, jnp.exp(x) / 3),
    "clip": lambda x: jnp.clip(x, -1, 1),
    "with a row of constants": lambda x: x * jnp.arange(1.0, 4.0) + jnp.array([0.5, 2.0, -1.0]),
    "square root": lambda x: jnp.sqrt(1 + jnp.tanh(x) ** 2),
}
OTHERS: dict[str, Callable[..., Any]] = {
    "sum": lambda x: x * x.sum(),
    "reversed": lambda x: x[::-1],
    "softmax": jax.nn.softmax,
    "cumsum": jnp.cumsum,
    "first entry": lambda x: x * x[0],
    "sorted": jnp.sort,
    "select by the first entry": lambda x: jnp.where(x[0] > 1, x, 2 * x),
    "one result": jnp.sum,
    "a gather": lambda x: x[jnp.array([0, 0, 1])],
}


@pytest.mark.parametrize("name", ENTRYWISE)
def test_entrywise_programs_are_known(name: str) -> None:
    assert works_entrywise(trace(ENTRYWISE[name], ((3,), F)))


@pytest.mark.parametrize("name", OTHERS)
def test_other_programs_are_not_taken_for_entrywise(name: str) -> None:
    assert not works_entrywise(trace(OTHERS[name], ((3,), F)))


def test_inputs_of_another_shape_are_not_entrywise() -> None:
    assert not works_entrywise(trace(lambda x, y: x * y, ((3,), F), ((), F)))
    assert works_entrywise(trace(lambda x, y: (x * y, x / y), ((3,), F), ((3,), F)))


@pytest.mark.parametrize("inputs", [1, 2])
def test_all_entries_at_once_give_the_same_vector(inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx.prec = 128
    forward: Callable[..., Any] = (
        (lambda x: jax.nn.softplus(x) * x) if inputs == 1 else lambda x, y: (x * y, jnp.exp(x) / y)
    )
    problem = vjp_problem(forward, lambda *arguments: arguments[:inputs], [(3,)] * inputs)
    rng = np.random.default_rng(0)
    x = [lift(rng.normal(size=(3, 5))) for _ in range(inputs)]
    d = [lift(rng.normal(size=(3, 5))) for _ in range(inputs)]
    at_once = vector(problem, x, d)
    monkeypatch.setattr(ProgramOnBalls, "is_entrywise", False)
    one_by_one = vector(problem, x, d)
    assert len(at_once) == len(one_by_one) == inputs
    for a, b in zip(at_once, one_by_one, strict=True):
        assert a.shape == b.shape == (3, 5)
        assert all(p.overlaps(q) and p.rel_accuracy_bits() > 100 for p, q in zip(a.ravel(), b.ravel(), strict=True))
