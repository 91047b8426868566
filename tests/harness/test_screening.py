"""Claims of all kinds either get a screen that lets right rules pass, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.binding import Binder
from backprove.harness.bound_derivative import BoundDerivative
from backprove.harness.claims import Derivative
from backprove.harness.screening import screen_of, screen_points
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.values import draw_points
from tests.mutants.rules import PROBLEMS

Formula = Callable[..., Any]


def bound_of(claim: Derivative, inputs: dict[str, Any], dtype: str = "float64") -> BoundDerivative:
    sizes = {"m": 2, "n": 3, "k": 2}
    found = Binder("claim", claim, inputs).bind([s.shape(sizes) for s in inputs.values()], dtype)
    assert isinstance(found, BoundDerivative)
    return found


@pytest.mark.parametrize("name", ["softmax", "mse", "cross_entropy", "mlp", "layer_norm", "attention", "linear"])
def test_few_drawn_points_of_right_rules_are_suspicious(name: str) -> None:
    problem = PROBLEMS[name]
    inputs = dict(problem.inputs)
    bound = bound_of(Derivative(problem.forward, problem.forms["stable"], mode="vjp"), inputs)
    screen = screen_of(bound)
    assert screen is not None
    points = draw_points(inputs, {"m": 2, "n": 3, "k": 2}, "float64", 2000, 0, "screen", bound.specials, False)
    directions = draw_directions(bound.direction_shapes, 2000, 0, "screen", "float64")
    seen = screen_points(bound, screen, points.arrays, directions, np.random.default_rng(0))
    # such points are wild: cancellation and saturation are for the layers with error bounds
    assert seen.suspicious.mean() < 0.2


def test_a_wrong_rule_of_either_mode_is_named() -> None:
    inputs = {"x": bp.array("n")}
    for mode in ("jvp", "vjp"):
        for factor, share in ((1.0, 0.0), (1 + 1e-9, 1.0)):
            claim = Derivative(jnp.tanh, lambda x, d, c=factor: c * d * (1 - jnp.tanh(x) ** 2), mode=mode)
            bound = bound_of(claim, inputs)
            screen = screen_of(bound)
            assert screen is not None
            x, d = np.random.default_rng(1).standard_normal((2, 3, 500))
            seen = screen_points(bound, screen, [x], [d], np.random.default_rng(0))
            assert seen.suspicious.mean() == share


def _looped(x: Any) -> Any:
    return jax.lax.fori_loop(0, 2, lambda i, y: y * 2.0, x)


def _untraceable(x: Any) -> Any:
    return np.array([float(v) * 2 for v in x])


@pytest.mark.parametrize(
    ("forward", "rule", "dtype"),
    [
        (jnp.tanh, lambda x, d: d * (1 - jnp.tanh(x) ** 2), "bfloat16"),
        (_looped, lambda x, d: d * 4.0, "float64"),
        (_untraceable, lambda x, d: d * 2.0, "float64"),
        (jnp.tanh, lambda x, d: (d * x).sum(), "float64"),
    ],
    ids=["short format", "control flow", "black box", "wrong shape"],
)
def test_where_there_is_no_screen(forward: Formula, rule: Formula, dtype: str) -> None:
    assert screen_of(bound_of(Derivative(forward, rule, mode="vjp"), {"x": bp.array("n")}, dtype)) is None
