"""Truth values, infinities, integers, literals and chunks in the running error bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn

from backprove.harness.core.errors import UnsupportedPrimitive, UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.bounds import bounds
from backprove.harness.numbers.bounds.bounds import CHUNK, EXTENDED, Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Program


def test_literals_are_exact_in_the_wide_evaluation_and_rounded_in_the_tested_one() -> None:
    program = trace(lambda x: jnp.maximum(x, 0.1), ((), "float64"))
    low = [np.array([-1.0])]
    assert Running("float64", unit=2.0**-64).run(program, low)[0].e == 0
    assert Running("float64").run(program, low)[0].e == pytest.approx(0.1 * 2.0**-53)
    assert Running("float64").run(trace(lambda x: jnp.maximum(x, 0.125), ((), "float64")), low)[0].e == 0


# ---------------------------------------------------------------- truth values, infinities, integers


def bound_of(function: Callable[..., Any], *columns: list[float], dtype: str = "float64") -> Bounded:
    """The bound of a function of scalars, or of one vector given as a list per entry."""
    return Running(dtype).run(trace(function, *[((), dtype)] * len(columns)), [np.array(c) for c in columns])[0]


def test_an_undecided_select_covers_both_branches() -> None:
    def step(x: Any) -> Any:
        return jnp.where(x * 0.1 > 0.3, 5.0, 7.0)

    far, near = bound_of(step, [1.0]), bound_of(step, [3.0])
    assert far.v == 7 and far.e == 0
    assert near.e >= 2


def test_comparing_inputs_or_a_value_with_itself_is_decided() -> None:
    assert bound_of(lambda x, y: jnp.where(x == y, 5.0, 7.0), [0.1], [0.1]).e == 0
    assert bound_of(lambda x: jnp.where(x * 0.1 == x * 0.1, 5.0, 7.0), [3.0]).v == 5
    assert bound_of(lambda x: jnp.where(jnp.isnan(x * 0.1), 5.0, 7.0), [3.0]).e == 0


def test_logic_on_undecided_values() -> None:
    near = 3.0  # 0.1 * 3 > 0.3 is undecided

    def both(x: Any, y: Any) -> Any:
        return jnp.where((x * 0.1 > 0.3) & (y > 0), 5.0, 7.0)

    def either(x: Any, y: Any) -> Any:
        return jnp.where((x * 0.1 > 0.3) | ~(y > 0), 5.0, 7.0)

    assert bound_of(both, [near, near], [1.0, -1.0]).e.tolist() == [2, 0]
    assert bound_of(either, [near, near], [1.0, -1.0]).e.tolist() == [2, 0]
    assert bound_of(lambda x: (x * 0.1 > 0.3).astype(x.dtype), [near]).e == 1
    assert bound_of(lambda x: jnp.where((x * 0.1 > 0.3) ^ (x > 5), 1.0, 3.0), [near]).e == 2


def test_a_subnormal_input_may_be_flushed() -> None:
    tiny = FORMATS["float64"].tiny
    system = Running("float64", flush=False)
    assert Running("float64").lift(np.array([tiny / 2, tiny])).e.tolist() == [tiny / 2, 0]
    assert system.lift(np.array([tiny / 2])).e == 0
    assert system.run(trace(lambda x: x * 0.3, ((), "float64")), [np.array([1e-300])])[0].e < 1e-310


def test_minus_zero_is_zero() -> None:
    assert not np.signbit(Running("float64").lift(np.array([-0.0])).v[0])


def test_masks_of_minus_infinity_stay_exact() -> None:
    def masked(x: Any) -> Any:
        return nn.softmax(jnp.where(jnp.array([True, False, True]), x, -jnp.inf))

    bound = Running("float32").run(trace(masked, ((3,), "float32")), [np.array([[1.0], [2.0], [3.0]])])[0]
    assert bound.e[1, 0] == 0 and bound.v[1, 0] == 0
    assert np.all(bound.e < 1e-5)


def test_indices_that_depend_on_rounding_leave_no_bound() -> None:
    x = np.array([[1.0, 0.1], [0.1, 0.1], [3.0, 3.0]])

    def largest(x: Any) -> Any:
        y = jnp.array([x[0] * x[2], x[1] * x[2]])
        return x[jnp.argmax(y)], x[jnp.argsort(y)], nn.one_hot(jnp.argmax(y), 2), jnp.sort(y)

    bounds = Running("float64").run(trace(largest, ((3,), "float64")), [x])
    assert all(np.isfinite(b.e[..., 0]).all() for b in bounds)
    assert all(np.isinf(b.e[..., 1]).all() for b in bounds[:2])
    assert np.all(bounds[2].e == [0, 1])
    assert np.all(bounds[3].e < 1e-15)


def test_integers_and_booleans_stay_what_they_are() -> None:
    program = trace(
        lambda x, i, m: (x[i], jnp.where(m, x, 0.0), i + 1), ((3,), "float64"), ((), "int64"), ((3,), "bool")
    )
    x = np.arange(6.0).reshape(3, 2)
    mask = np.array([[True, False], [True, True], [False, True]])
    taken, kept, index = Running("float64").run(program, [x, np.array([2, 1]), mask])
    assert taken.v.tolist() == [4, 3] and not taken.e.any()
    assert kept.v.tolist() == np.where(mask, x, 0).tolist()
    assert index.v.tolist() == [3, 2] and not index.e.any()


def test_run_covers_many_chunks_constants_and_no_points() -> None:
    program = trace(lambda x: (x * 2, jnp.ones(3)), ((3,), "float64"))
    x = np.random.default_rng(0).normal(size=(3, 2 * CHUNK + 5))
    double, ones = Running("float64").run(program, [x])
    assert np.array_equal(double.v, 2 * x) and ones.v.shape == x.shape
    assert Running("float64").run(program, [x[:, :0]])[0].v.shape == (3, 0)


def test_what_has_no_rule_is_named() -> None:
    with pytest.raises(UnsupportedPrimitive, match="lgamma"):
        bound_of(lax.lgamma, [1.0])
    with pytest.raises(UsageError, match="float8"):
        Running("float8")


def test_a_program_evaluates_in_the_interpreter_too() -> None:
    program: Program = trace(jnp.tanh, ((), "float32"))
    system = Running("float32")
    out: Bounded = evaluate(program, system, system.lift(np.array([0.5])))[0]
    assert out.v == np.tanh(0.5) and 0 < out.e[0] < 1e-6


@pytest.mark.skipif(not EXTENDED, reason="np.longdouble is float64 here")
def test_sizes_outside_float64_are_never_taken_for_smaller() -> None:
    v = np.array([np.longdouble(2) ** -1100, 0, np.longdouble(2) ** 1100, -3, np.nan], dtype=np.longdouble)
    size = Bounded(v, np.zeros(5)).size
    assert size[:4].tolist() == [float(np.finfo(np.float64).tiny), 0.0, np.inf, 3.0] and np.isnan(size[4])


def test_inputs_may_come_with_their_own_error() -> None:
    program = trace(lambda x, y: x * y, ((), "float64"), ((), "float64"))
    x = Bounded(np.array([3.0, 3.0], dtype=Running("float64").wide), np.array([0.0, 1e-3]))
    (out,) = Running("float64", unit=2.0**-64).run(program, [x, np.array([2.0])])
    assert out.v.tolist() == [6.0, 6.0]
    assert out.e[0] < 1e-15 and 2e-3 <= out.e[1] < 2.001e-3


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    program = trace(lambda x: jnp.exp(x).sum() * jnp.tanh(x), ((3,), "float32"))
    x = np.linspace(-5, 5, 600).reshape(3, 200)
    (whole,) = Running("float32").run(program, [x])
    monkeypatch.setattr(bounds, "CHUNK", 64)
    (parts,) = Running("float32").run(program, [x])
    assert np.array_equal(whole.v, parts.v) and np.array_equal(whole.e, parts.e)
