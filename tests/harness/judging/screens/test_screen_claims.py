"""Claims of all kinds either get a screen that lets right ones pass and names the points of wrong ones, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.examination import ClaimAt
from backprove.harness.judging.screens.screen import Screened
from backprove.harness.statements.claims import Claim, Derivative, Equality, Positivity
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.values import draw_points
from tests.mutants.rules import PROBLEMS

Formula = Callable[..., Any]
SIZES = {"m": 2, "n": 3, "k": 2}
EVERY = list(FORMATS)


def claim_at_of(claim: Claim, inputs: dict[str, Any], dtype: str = "float64") -> ClaimAt:
    return binder_of("claim", claim, inputs).bind([s.shape(SIZES) for s in inputs.values()], dtype)


def screened(claim_at: ClaimAt, arrays: list[Any], directions: list[Any]) -> Screened:
    screen = claim_at.screen()
    assert screen is not None
    return screen.look(arrays, directions, np.random.default_rng(0))


def ordinary(dtype: str, *shape: int) -> Any:
    return FORMATS[dtype].round(np.random.default_rng(1).standard_normal(shape))


@pytest.mark.parametrize("dtype", EVERY)
@pytest.mark.parametrize("name", ["softmax", "mse", "cross_entropy", "mlp", "layer_norm", "attention", "linear"])
def test_few_drawn_points_of_right_rules_are_suspicious(name: str, dtype: str) -> None:
    problem = PROBLEMS[name]
    inputs = dict(problem.inputs)
    claim_at = claim_at_of(Derivative(problem.forward, problem.forms["stable"], mode="vjp"), inputs, dtype)
    points = draw_points(inputs, SIZES, dtype, 1000, 0, "screen", claim_at.specials, False)
    directions = draw_directions(claim_at.direction_shapes, 1000, 0, "screen", dtype)
    seen = screened(claim_at, list(points.arrays), list(directions))
    # such points are wild: cancellation and saturation are for the layers with error bounds
    assert (seen.suspicious & ~seen.outside).mean() < (0.2 if dtype == "float64" else 0.5)


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-9])
def test_differences_can_be_left_out(factor: float) -> None:
    """As at further formats; JAX's derivative is still there."""
    claim = Derivative(jnp.sin, lambda x, g: factor * g * jnp.cos(x), mode="vjp")
    screen = claim_at_of(claim, {"x": bp.array("n")}).screen(further_dtype=True)
    assert screen is not None
    seen = screen.look([ordinary("float64", 3, 300)], [ordinary("float64", 3, 300)], np.random.default_rng(0))
    assert not seen.told.any() and not seen.differences
    assert seen.suspicious.all() if factor > 1 else not seen.suspicious.any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("roundings", "further_dtype", "named"), [(2**-3, True, 1), (2**-9, True, 0), (2**-9, False, 1)]
)
def test_at_further_formats_a_formula_may_be_off_by_a_64th_of_a_rounding(
    dtype: str, roundings: float, further_dtype: bool, named: int
) -> None:
    off = roundings * FORMATS[dtype].u
    x, y = (ordinary(dtype, 3, 300) for _ in range(2))
    rule = Derivative(jnp.sin, lambda x, g: g * jnp.cos(x) + off * (g * jnp.cos(x)), mode="vjp")
    identity = Equality(lambda x, y: x * y, lambda x, y: x * y + off * (x * y))
    for claim, inputs, given in ((rule, ("x",), ([x], [y])), (identity, ("x", "y"), ([x, y], []))):
        screen = claim_at_of(claim, {k: bp.array("n") for k in inputs}, dtype).screen(further_dtype=further_dtype)
        assert screen is not None
        assert screen.look(*given, np.random.default_rng(0)).formula.mean() == named


@pytest.mark.parametrize("dtype", EVERY)
@pytest.mark.parametrize("mode", ["jvp", "vjp"])
def test_a_wrong_rule_of_either_mode_is_named_in_every_format(mode: Any, dtype: str) -> None:
    """A relative error far below the roundings of short formats too: they are evaluated in float64."""
    small = 2.0**-14 if dtype == "float16" else 2.0**-30

    def wrong(x: Any, d: Any) -> Any:
        y = jnp.tanh(x)
        return d * (1 - y * y) + small * (d * y)

    def right(x: Any, d: Any) -> Any:
        y = jnp.tanh(x)
        return d * (1 - y * y)

    x, d = ordinary(dtype, 2, 3, 500)
    for rule, share in ((right, 0.0), (wrong, 1.0)):
        seen = screened(claim_at_of(Derivative(jnp.tanh, rule, mode=mode), {"x": bp.array("n")}, dtype), [x], [d])
        named = seen.suspicious if share else seen.suspicious & (seen.autodiff + seen.differences > 0)
        assert named.mean() == share


@pytest.mark.parametrize(("dtype", "inside"), [("float32", jnp.bfloat16), ("float64", jnp.float32)])
def test_code_that_narrows_inside_is_named(dtype: str, inside: Any) -> None:
    def rule(x: Any, d: Any) -> Any:
        return d * jnp.cos(x).astype(inside).astype(x.dtype)

    x, d = ordinary(dtype, 2, 3, 500)
    seen = screened(claim_at_of(Derivative(jnp.sin, rule, mode="vjp"), {"x": bp.array("n")}, dtype), [x], [d])
    assert seen.suspicious.mean() > 0.95
    assert dtype == "float64" or seen.rounding > 475


@pytest.mark.parametrize("dtype", EVERY)
def test_overflow_of_the_rule_alone_is_named_and_of_forward_is_outside(dtype: str) -> None:
    top = np.log(FORMATS[dtype].max)
    x = FORMATS[dtype].round(np.array([[0.5 * top, 0.9 * top, 1.1 * top]]))

    def rule(x: Any, d: Any) -> Any:
        return d * jnp.exp(2 * x) / jnp.exp(x)

    seen = screened(
        claim_at_of(Derivative(jnp.exp, rule, mode="vjp"), {"x": bp.array("n")}, dtype), [x[None, 0]], [x * 0 + 1]
    )
    assert seen.outside.tolist() == [False, False, True]
    assert seen.suspicious[1]


@pytest.mark.parametrize("dtype", EVERY)
def test_a_wrong_identity_is_named(dtype: str) -> None:
    x = ordinary(dtype, 3, 400)
    for factor, share in ((1.0, 0.0), (1 + 2.0**-20, 1.0)):
        claim = Equality(jnp.exp, lambda x, c=factor: 1 / jnp.exp(-x) + (c - 1) * x)
        seen = screened(claim_at_of(claim, {"x": bp.array("n")}, dtype), [x], [])
        assert seen.suspicious.mean() == share


def test_a_side_that_narrows_is_named() -> None:
    x = ordinary("float32", 3, 400)
    claim = Equality(jnp.exp, lambda x: jnp.exp(x.astype(jnp.bfloat16)).astype(x.dtype))
    assert screened(claim_at_of(claim, {"x": bp.array("n")}, "float32"), [x], []).suspicious.mean() > 0.95


def test_what_is_not_positive_in_floats_is_named() -> None:
    x = np.array([[-800.0, -1.0, 0.0, 3.0, 800.0]])
    for nonzero, named in ((False, [True, False, False, False, True]), (True, [True, False, False, False, True])):
        claim_at = claim_at_of(Positivity(lambda x: jnp.exp(x).sum(), nonzero), {"x": bp.array("n")})
        assert screened(claim_at, [x], []).suspicious.tolist() == named


def test_more_runs_give_the_same_bits_as_the_first() -> None:
    """The first runs are evaluated directly, further ones on linked buffers."""
    problem = PROBLEMS["layer_norm"]
    inputs = dict(problem.inputs)
    for dtype in ("float64", "float32", "bfloat16"):
        claim_at = claim_at_of(Derivative(problem.forward, problem.forms["stable"], mode="vjp"), inputs, dtype)
        points = draw_points(inputs, SIZES, dtype, 600, 0, "screen", claim_at.specials, False)
        directions = draw_directions(claim_at.direction_shapes, 600, 0, "screen", dtype)
        screen = claim_at.screen()
        assert screen is not None
        found = [screen.look(points.arrays, directions, np.random.default_rng(0)) for _ in range(6)]
        assert all(np.array_equal(f.suspicious, found[0].suspicious) for f in found)


def _looped(x: Any) -> Any:
    return jax.lax.fori_loop(0, 2, lambda i, y: y * 2.0, x)


def _untraceable(x: Any) -> Any:
    return np.array([float(v) * 2 for v in x])


@pytest.mark.parametrize(
    ("forward", "rule"),
    [
        (_looped, lambda x, d: d * 4.0),
        (_untraceable, lambda x, d: d * 2.0),
        (jnp.tanh, lambda x, d: (d * x).sum()),
        (jnp.tanh, lambda x, d: jax.lax.reduce_precision(d, 8, 7)),
    ],
    ids=["control flow", "black box", "wrong shape", "depends on the format"],
)
def test_where_there_is_no_screen(forward: Formula, rule: Formula) -> None:
    dtype = "float32"
    assert claim_at_of(Derivative(forward, rule, mode="vjp"), {"x": bp.array("n")}, dtype).screen() is None


def test_numpy_code_is_told_from_jax_code() -> None:
    inputs = {"x": bp.array("n")}
    assert claim_at_of(Derivative(jnp.tanh, lambda x, d: d, mode="vjp"), inputs).is_its_program
    assert not claim_at_of(Derivative(np.tanh, lambda x, d: np.multiply(d, x), mode="vjp"), inputs).is_its_program
