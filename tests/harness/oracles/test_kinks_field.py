"""Right rules where a slope vanishes or diverges as a kink comes closer hold; wrong twins at these points do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.oracles.limits import Unsettled, limit
from backprove.harness.oracles.problem import Status
from tests.harness.oracles.problems import judge, vjp_problem

Map = Callable[..., Any]
WRONG = (Status.KINK_REFUTED, Status.REFUTED, Status.UNDEFINED)


class Case(NamedTuple):
    """A rule at one point: what it is of, the right one, wrong twins, inputs and cotangent."""

    forward: Map
    right: Map
    wrong: Sequence[Map]
    inputs: Sequence[Any]
    w: Any


def step(x: Any) -> Any:
    return jnp.where(x > 0, 1.0, 0.0)


def relu(x: Any) -> Any:
    return jnp.maximum(x, 0.0)


def parametric_relu(x: Any, v: Any) -> Any:
    return relu(x) + v * relu(-x)


def clip(x: Any) -> Any:
    return jnp.clip(x, -1.0, 1.0)


def bounds_included(x: Any) -> Any:
    return jnp.where((x >= -1) & (x <= 1), 1.0, 0.0)


def interpolate(a: Any, b: Any, c: Any, x: Any) -> Any:
    """The values a, b, c at 0, 1, 2, and lines between."""
    return jnp.where(x < 1, a + x * (b - a), b + (x - 1) * (c - b))


def root_cubed(x: Any) -> Any:
    return jnp.sqrt(x) ** 3


def log_or_zero(x: Any) -> Any:
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0)


def norm(x: Any) -> Any:
    return jnp.sqrt(jnp.sum(x * x))


def weighted_abs(w: Any, x: Any, g: Any) -> Any:
    return g * jnp.abs(x), g * w * jnp.sign(x)


def hinge_rule(t: Any, y: Any, g: Any) -> Any:
    return -g * y * step(1 - t * y), -g * t * step(1 - t * y)


VANISHING: dict[str, Case] = {
    "weight times abs": Case(
        lambda w, x: w * jnp.abs(x),
        weighted_abs,
        [
            lambda w, x, g: (g * jnp.abs(x) + 1e-9 * g, g * w * jnp.sign(x)),
            lambda w, x, g: (g * jnp.abs(x), g * (w + 2)),
        ],
        [[0.0], [0.0]],
        [0.375],
    ),
    "weight times abs, at one zero weight among others": Case(
        lambda w, x: w * jnp.abs(x),
        weighted_abs,
        [
            lambda w, x, g: (g * jnp.abs(x), 2 * g * w * jnp.where(x >= 0, 1.0, -1.0)),
            lambda w, x, g: (g * jnp.abs(x) + 1e-6, g * w * jnp.sign(x)),
        ],
        [[0.0, 3.0, 1e-200], [0.0, 0.0, 0.0]],
        [1.0, -0.5, 2.0],
    ),
    "abs times abs": Case(
        lambda x, y: jnp.abs(x) * jnp.abs(y),
        lambda x, y, g: (g * jnp.sign(x) * jnp.abs(y), g * jnp.abs(x) * jnp.sign(y)),
        [lambda x, y, g: (g * jnp.sign(x) * jnp.abs(y) + g, g * jnp.abs(x) * jnp.sign(y))],
        [[0.0, 0.0], [0.0, 2.0]],
        [1.0, 1.5],
    ),
    "three factors": Case(
        lambda x: x * jnp.abs(x) * relu(x),
        lambda x, g: g * 3 * x * x * step(x),
        [lambda x, g: g * (3 * x * x * step(x) + 1e-12)],
        [[0.0, 0.0]],
        [1.0, -1.0],
    ),
    "x abs x": Case(
        lambda x: x * jnp.abs(x),
        lambda x, g: 2 * g * jnp.abs(x),
        [lambda x, g: g * jnp.where(x == 0, 1.0, 2 * jnp.abs(x))],
        [[0.0, 1e-300]],
        [1.0, 1.0],
    ),
    "zero weight times the larger": Case(
        lambda w, x, y: w * jnp.maximum(x, y),
        lambda w, x, y, g: (g * jnp.maximum(x, y), g * w * (x >= y), g * w * (x < y)),
        [lambda w, x, y, g: (g * jnp.maximum(x, y), g * w * (x >= y), g * w * (x < y) + 0.5 * g)],
        [[0.0], [2.0], [2.0]],
        [1.0],
    ),
    "zero weight times the larger of zeros": Case(
        lambda w, x, y: w * jnp.maximum(x, y),
        lambda w, x, y, g: (g * jnp.maximum(x, y), g * w / 2, g * w / 2),
        [lambda w, x, y, g: (g * jnp.maximum(x, y) - g, g * w / 2, g * w / 2)],
        [[0.0], [0.0], [0.0]],
        [1.0],
    ),
    "clip with its bounds included, times a weight": Case(
        lambda w, x: w * clip(x),
        lambda w, x, g: (g * clip(x), g * w * bounds_included(x)),
        [
            lambda w, x, g: (g * clip(x), g * w * 2 * bounds_included(x)),
            lambda w, x, g: (g * clip(x), -g * w * bounds_included(x)),
        ],
        [[0.0, 2.0], [1.0, -1.0]],
        [1.0, 0.5],
    ),
    "what clip leaves over, times a weight": Case(
        lambda w, x: w * (x - clip(x)),
        lambda w, x, g: (g * (x - clip(x)), g * w * (1 - bounds_included(x))),
        [lambda w, x, g: (g * (x - clip(x)), g * w * (1 - 3 * bounds_included(x)))],
        [[0.0, 2.0], [1.0, -1.0]],
        [1.0, 0.5],
    ),
    "linear interpolation at a node": Case(
        interpolate,
        lambda a, b, c, x, g: (
            g * jnp.where(x < 1, 1 - x, 0.0),
            g * jnp.where(x < 1, x, 2 - x),
            g * jnp.where(x < 1, 0.0, x - 1),
            g * jnp.where(x < 1, b - a, c - b),
        ),
        [
            lambda a, b, c, x, g: (0.01 * g, 0.99 * g, 0.0 * g, g * (b - a)),
            lambda a, b, c, x, g: (0.0 * g, g, 0.0 * g, g * 2 * (c - b)),
        ],
        [0.5, 2.0, -1.0, 1.0],
        1.0,
    ),
    "many kinks with tiny factors": Case(
        lambda v, x: jnp.sum(v * jnp.abs(x)),
        lambda v, x, g: (g * jnp.abs(x), g * v * jnp.sign(x)),
        [
            lambda v, x, g: (g * jnp.abs(x), g * v * jnp.array([0.0, 1.0, 0.5, 1.5])),
            lambda v, x, g: (g * jnp.abs(x) + jnp.array([0.0, 0.0, 0.0, 1e-3]), g * v * jnp.sign(x)),
        ],
        [[0.0, 1e-280, 1e-20, 1.0], np.zeros(4)],
        1.0,
    ),
    "parametric relu with a minute slope": Case(
        parametric_relu,
        lambda x, v, g: (g * jnp.where(x > 0, 1.0, -v), g * relu(-x)),
        [
            lambda x, v, g: (g * 1.5, g * relu(-x)),
            lambda x, v, g: (-0.5 * g, g * relu(-x)),
            lambda x, v, g: (g * jnp.where(x > 0, 1.0, -v), g * relu(-x) + g),
        ],
        [[0.0], [1.9e-260]],
        [1.0],
    ),
    "parametric relu with slope 0": Case(
        parametric_relu,
        lambda x, v, g: (g * jnp.where(x >= 0, 1.0, -v), g * relu(-x)),
        [lambda x, v, g: (g * jnp.where(x >= 0, -1.0, -v), g * relu(-x))],
        [[0.0, 0.0], [0.0, 1e-300]],
        [-1.0, 1.0],
    ),
    "hinge whose weight is 0": Case(
        lambda a, t, y: a * relu(1 - t * y),
        lambda a, t, y, g: (g * relu(1 - t * y), *hinge_rule(t, y, g * a)),
        [
            lambda a, t, y, g: (g * relu(1 - t * y) + g, *hinge_rule(t, y, g * a)),
            lambda a, t, y, g: (g * relu(1 - t * y), g * y, g * t),
        ],
        [[0.0, 0.0], [1.0, 0.5], [1.0, 2.0]],
        [1.0, -1.0],
    ),
    "a power between 1 and 2 at 0": Case(
        lambda x, y: x**y,
        lambda x, y, g: (g * y * x ** (y - 1), g * log_or_zero(x) * x**y),
        [
            lambda x, y, g: (g * (y * x ** (y - 1) + 1e-6), g * log_or_zero(x) * x**y),
            lambda x, y, g: (g * y * x ** (y - 1), g * log_or_zero(x) * x**y + g * jnp.where(x == 0, 1.0, 0.0)),
        ],
        [[0.0, 0.0], [1.5, 1.8]],
        [1.0, 2.0],
    ),
    "norm cubed at 0": Case(
        lambda x: norm(x) ** 3,
        lambda x, g: 3 * g * norm(x) * x,
        [lambda x, g: 3 * g * norm(x) * x + 1e-6 * g],
        [np.zeros(3)],
        1.0,
    ),
    "zero weight times norm at 0": Case(
        lambda w, x: w * norm(x),
        lambda w, x, g: (g * norm(x), 0 * g * x),
        [lambda w, x, g: (g * norm(x) + g, 0 * g * x)],
        [0.0, np.zeros(3)],
        1.0,
    ),
    "soft threshold 0": Case(
        lambda x, t: jnp.sign(x) * relu(jnp.abs(x) - t),
        lambda x, t, g: (g * (jnp.abs(x) > t), -g * jnp.sign(x) * (jnp.abs(x) > t)),
        [lambda x, t, g: (g * 2.0 * (jnp.abs(x) >= t), -g * jnp.sign(x) * (jnp.abs(x) > t))],
        [[0.0, 1.0], [0.0, 1.0]],
        [1.0, 1.0],
    ),
    "square times logarithm at 0": Case(
        lambda x: x * x * log_or_zero(x),
        lambda x, g: g * x * (2 * log_or_zero(x) + step(x)),
        [lambda x, g: g * (x * (2 * log_or_zero(x) + 1) + 1)],
        [[0.0, 0.0]],
        [1.0, -1.0],
    ),
    "a root cubed at 0": Case(
        root_cubed,
        lambda x, g: g * 1.5 * jnp.sqrt(x),
        [lambda x, g: g * (1.5 * jnp.sqrt(x) + 0.5), lambda x, g: g * 1.5 / jnp.sqrt(x)],
        [[0.0, 4.0]],
        [1.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", VANISHING)
def test_slopes_that_vanish_at_the_kink_are_zero(name: str) -> None:
    case = VANISHING[name]
    outcome = judge(vjp_problem(case.forward, case.right, [np.shape(x) for x in case.inputs]), case.inputs, [case.w])
    assert outcome.status.accepted, outcome


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, case in VANISHING.items() for k in range(len(case.wrong))])
def test_a_wrong_twin_is_refused_where_slopes_vanish(name: str, k: int) -> None:
    case = VANISHING[name]
    problem = vjp_problem(case.forward, case.wrong[k], [np.shape(x) for x in case.inputs])
    assert judge(problem, case.inputs, [case.w]).status in WRONG


def cosine_back(x: Any, g: Any) -> Any:
    return -g / jnp.sqrt(1 - x * x)


ENDS = {
    "arccos": (jnp.arccos, cosine_back, [1.0, -1.0], [0.0, 0.0]),
    "arccos, one cotangent": (jnp.arccos, cosine_back, [1.0, -1.0, 0.5], [0.0, 1.0, 0.0]),
    "arccos, four ends": (jnp.arccos, cosine_back, [1.0, -1.0, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0]),
    "arcsin": (jnp.arcsin, lambda x, g: g / jnp.sqrt(1 - x * x), [-1.0, 1.0], [0.0, 0.0]),
    "arccosh": (jnp.arccosh, lambda x, g: g / jnp.sqrt(x * x - 1), [1.0, 1.0], [0.0, 0.0]),
    "root of what is left of 1": (
        lambda x: jnp.sqrt(1 - x * x),
        lambda x, g: -g * x / jnp.sqrt(1 - x * x),
        [1.0, -1.0],
        [0.0, 0.0],
    ),
    "cap of a ball": (
        lambda x: jnp.sqrt(1 - jnp.sum(x * x)),
        lambda x, g: -g * x / jnp.sqrt(1 - jnp.sum(x * x)),
        [0.0, -1.0, 0.0],
        0.0,
    ),
    "arccos, silent at its ends": (
        jnp.arccos,
        lambda x, g: jnp.where(x * x < 1, cosine_back(x, g), 0.0),
        [1.0, -1.0],
        [1.0, 2.0],
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_nothing_is_claimed_where_slopes_diverge_at_ends_of_the_domain(name: str) -> None:
    forward, rule, x, w = ENDS[name]
    assert judge(vjp_problem(forward, rule, [np.shape(x)]), [x], [w]).status is Status.SINGULAR


def test_a_missing_value_is_refused_where_slopes_at_ends_of_the_domain_are_bounded() -> None:
    x = [1.0, -1.0]
    forward = lambda x: jnp.sqrt(1 + x) ** 3 + jnp.sqrt(1 - x) ** 3  # noqa: E731
    right = lambda x, g: 1.5 * g * (jnp.sqrt(1 + x) - jnp.sqrt(1 - x))  # noqa: E731
    missing = lambda x, g: right(x, g) * (1 - x * x) / (1 - x * x)  # noqa: E731
    assert judge(vjp_problem(forward, right, [(2,)]), [x], [[0.0, 1.0]]).status is Status.KINK_AGREES
    assert judge(vjp_problem(forward, missing, [(2,)]), [x], [[0.0, 1.0]]).status is Status.UNDEFINED


def test_log1p_has_no_value_at_the_end_of_its_domain() -> None:
    problem = vjp_problem(jnp.log1p, lambda x, g: g / (1 + x), [(2,)])
    assert judge(problem, [[-1.0, 0.0]], [[0.0, 1.0]]).status is Status.OUTSIDE


def test_a_limit_is_what_stays_or_zero_for_what_vanishes() -> None:
    step = arb(2) ** -160
    limits, left = limit(np.array([3 + step, step, arb(0)]), np.array([3 + step**2, step**2, arb(0)]))
    assert [float(v) for v in limits] == [3.0, 0.0, 0.0]
    assert left.tolist() == [0.0, 2.0**-320, 0.0]
    minute = arb(0, 2.0**-1000) * arb(2) ** -600
    assert not limit(np.array([minute]), np.array([minute]))[1].any()
    for near, nearer in ((step, step / 2), (arb(1), arb(2)), (1 / step, 1 / step**2), (step, -step)):
        with pytest.raises(Unsettled):
            limit(np.array([near]), np.array([nearer]))


def array(**options: Any) -> Any:
    return bp.array("n", **options)


def slope_of_power(x: Any, y: Any, g: Any) -> Any:
    return g * y * x ** (y - 1), g * np.where(x > 0, np.log(np.where(x > 0, x, 1.0)) * x**y, 0.0)


RULES: dict[str, tuple[Map, Map, Map, dict[str, Any]]] = {
    "weight times abs": (
        lambda w, x: w * np.abs(x),
        lambda w, x, g: (g * np.abs(x), g * w * np.sign(x)),
        lambda w, x, g: (g * np.abs(x), g * w * np.where(x == 0, 2.0, np.sign(x))),
        {"w": array(), "x": array()},
    ),
    "a power": (
        lambda x, y: x**y,
        slope_of_power,
        lambda x, y, g: (slope_of_power(x, y, g)[0] + g * (x == 0), slope_of_power(x, y, g)[1]),
        {"x": array(low=0, high=5), "y": array(low=1.001, high=1.999)},
    ),
    "arccos": (
        np.arccos,
        lambda x, g: -g / np.sqrt(1 - x * x),
        lambda x, g: g / np.sqrt(1 - x * x),
        {"x": array(low=-1, high=1)},
    ),
    "parametric relu": (
        lambda x, v: np.maximum(x, 0) + v * np.maximum(-x, 0),
        lambda x, v, g: (g * np.where(x > 0, 1.0, -v), g * np.maximum(-x, 0)),
        lambda x, v, g: (g * np.where(x > 0, 1.0, np.where(x == 0, 1.5 + np.abs(v), -v)), g * np.maximum(-x, 0)),
        {"x": array(), "v": array()},
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RULES)
def test_the_right_rule_holds(name: str, seed: int) -> None:
    forward, right, _, inputs = RULES[name]
    report = bp.check(bp.Rule("right", forward=forward, vjp=right, inputs=inputs), points=100, seed=seed)
    assert report.verdict is Verdict.HOLDS, str(report)


@pytest.mark.parametrize("name", RULES)
def test_its_wrong_twin_is_falsified(name: str) -> None:
    forward, _, wrong, inputs = RULES[name]
    report = bp.check(bp.Rule("wrong", forward=forward, vjp=wrong, inputs=inputs), points=100)
    assert report.verdict is Verdict.FALSIFIED, str(report)
