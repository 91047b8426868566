"""The error that the conditioning of a problem forces."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx
from jax import lax

from backprove.harness.core.formats import FORMATS
from backprove.harness.oracles.conditioning import floats, forced_error
from backprove.harness.oracles.exact import ExactLayer
from tests.harness.oracles.problems import vjp_problem

FORM = FORMATS["float64"]


def sigmoid_slope(x: float) -> float:
    e = np.exp(-abs(x))
    return float(e / (1 + e) ** 2)


@pytest.mark.parametrize("x", [40.0, -40.0, 3.0, 0.7])
def test_forced_error_of_the_sigmoid(x: float) -> None:
    problem = vjp_problem(lax.logistic, lambda x, w: w * lax.logistic(x) * lax.logistic(-x), [()])
    graded = forced_error(problem, [np.array([x])], [np.array([1.0])], FORM)
    assert graded is not None
    ((value, error),) = graded
    f1 = sigmoid_slope(x)
    f2 = f1 * np.tanh(-x / 2)
    # u (|w f'| for the cotangent + |x f''| for the input)
    assert value[0] == pytest.approx(f1, rel=1e-14)
    assert error[0] == pytest.approx(FORM.u * (f1 + abs(x * f2)), rel=0.05)


def test_the_textbook_formula_is_lost_where_the_stable_one_is_not() -> None:
    problem = vjp_problem(lax.logistic, lambda x, w: w * lax.logistic(x) * lax.logistic(-x), [()])
    x = np.array([40.0])
    graded = forced_error(problem, [x], [np.ones(1)], FORM)
    assert graded is not None
    ((value, error),) = graded
    s = 1 / (1 + np.exp(-x))
    textbook, stable = s * (1 - s), s * (1 / (1 + np.exp(x)))
    assert abs(textbook - value)[0] > 1e10 * error[0]
    assert abs(textbook - value)[0] >= abs(value)[0]
    assert abs(stable - value)[0] <= 16 * error[0]


def test_every_entry_and_point_has_its_own_error() -> None:
    problem = vjp_problem(lambda x, y: jnp.sum(x * y), lambda x, y, w: (w * y, w * x), [(2,), (2,)])
    x = np.array([[1.0, 4.0], [2.0, 0.0]])
    y = np.array([[3.0, 8.0], [-1.0, 5.0]])
    graded = forced_error(problem, [x, y], [np.array([1.0, 2.0])], FORM)
    assert graded is not None
    (dx, ex), (dy, ey) = graded
    w = np.array([1.0, 2.0])
    assert np.array_equal(dx, w * y)
    assert np.array_equal(dy, w * x)
    # both factors move by one rounding
    assert np.allclose(ex, 2 * FORM.u * np.abs(dx), rtol=1e-6)
    assert np.allclose(ey, 2 * FORM.u * np.abs(dy), rtol=1e-6)


def test_an_unbounded_hull_is_infinite_and_a_kink_is_undecided_or_wide() -> None:
    problem = vjp_problem(jnp.log, lambda x, w: w / x, [()])
    graded = forced_error(problem, [np.array([5e-324, 2.0])], [np.ones(2)], FORMATS["float64"])
    assert graded is not None
    assert np.isfinite(graded[0][1][1])
    sort = vjp_problem(lambda x: jnp.sort(x)[1], lambda x, w: w * jnp.array([0.0, 1.0]), [(2,)])
    # the two entries lie within one rounding of each other: their order is not decided in the hull
    near = np.array([[1.0], [1.0 + 2.0**-52]])
    assert forced_error(sort, [near], [np.ones(1)], FORM) is None


def test_values_that_are_known_are_taken_and_the_others_computed() -> None:
    problem = vjp_problem(jnp.exp, lambda x, w: w * jnp.exp(x), [()])
    x, d = [np.array([0.0, 1.0])], [np.ones(2)]
    graded = forced_error(problem, x, d, FORM, [np.array([7.0, np.nan])])
    assert graded is not None
    assert graded[0][0].tolist() == [7.0, np.exp(1.0)]
    plain = forced_error(problem, x, d, FORM)
    assert plain is not None
    assert np.array_equal(graded[0][1], plain[0][1])


def test_the_exact_layer_hands_on_the_value_of_a_rule_that_agrees() -> None:
    problem = vjp_problem(jnp.exp, lambda x, w: w * jnp.exp(x), [(2,)])
    x = np.array([[0.5], [-1.0]])
    (outcome,) = ExactLayer().derivative(problem, [x], [np.ones((2, 1))])
    assert outcome.rule is not None
    assert floats(outcome.rule[0]).tolist() == np.exp([0.5, -1.0]).tolist()
    ctx.prec = 64
    assert np.isnan(floats(np.array([arb(1) / 3, arb(0, 1)], dtype=object))).all()
    wrong = vjp_problem(jnp.exp, lambda x, w: w * x, [(2,)])
    assert ExactLayer().derivative(wrong, [x], [np.ones((2, 1))])[0].rule is None
