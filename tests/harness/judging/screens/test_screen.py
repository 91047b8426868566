"""The screen lets right rules pass, names the points where a rule is wrong, and never passes what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.screens.screen import ClaimPrograms, Screen, Screened
from backprove.harness.oracles.autodiff import derivative_program
from scripts.bench.rules import RULES, BenchRule

Formula = Callable[..., Any]
POINTS = 700


def programs(
    forward: Formula,
    jvp: Formula | None,
    vjp: Formula | None,
    inputs: list[tuple[tuple[int, ...], str]],
    output: tuple[int, ...],
    moving: tuple[int, ...] | None = None,
) -> ClaimPrograms:
    moving = tuple(range(len(inputs))) if moving is None else moving
    x, traced = tuple(inputs), trace(forward, *inputs)
    v, g = tuple(inputs[i] for i in moving), ((output, inputs[moving[0]][1]),)
    jax_jvp = derivative_program(traced, "jvp", moving)
    jax_vjp = derivative_program(traced, "vjp", moving)
    assert jax_jvp is not None and jax_vjp is not None
    return ClaimPrograms(
        traced,
        None if jvp is None else trace(jvp, *x, *v),
        None if vjp is None else trace(vjp, *x, *g),
        jax_jvp,
        jax_vjp,
        moving,
    )


def of_rule(rule: BenchRule, dtype: str, jvp: Formula | None, vjp: Formula | None) -> ClaimPrograms:
    return programs(rule.forward, jvp, vjp, [(s, dtype) for s in rule.shapes], rule.output)


def drawn(rule: BenchRule, dtype: str = "float64", points: int = POINTS) -> list[list[np.ndarray[Any, Any]]]:
    inputs, tangents, cotangent = rule.draw(points, seed=3)
    parts = (inputs, tangents, [cotangent])
    return [[np.moveaxis(a, 0, -1).astype(dtype) for a in part] for part in parts]


def screened(rule: BenchRule, dtype: str, jvp: Formula | None, vjp: Formula | None) -> Screened:
    points = 64 if "1000" in rule.name else POINTS
    return Screen(of_rule(rule, dtype, jvp, vjp), dtype).run(*drawn(rule, dtype, points))


SMALL = next(r for r in RULES if r.name == "log-softmax 8")
NETWORK = next(r for r in RULES if r.name.startswith("MLP"))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_right_rules_pass_at_nearly_all_points_and_differences_can_tell(rule: BenchRule) -> None:
    seen = screened(rule, "float64", rule.jvp, rule.vjp)
    assert seen.suspicious.mean() < 0.01 and seen.told.mean() > 0.97


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_right_rules_pass_in_float32(rule: BenchRule) -> None:
    seen = screened(rule, "float32", rule.jvp, rule.vjp)
    assert seen.suspicious.mean() < 0.02 and not seen.told.any()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_relative_error_of_1e_11_in_one_mode_is_seen_everywhere(rule: BenchRule) -> None:
    def jvp(*a: Any) -> Any:
        return rule.jvp(*a) * (1 + 1e-11)

    def vjp(*a: Any) -> Any:
        return tuple(c * (1 + 1e-11) for c in rule.vjp(*a))

    assert screened(rule, "float64", jvp, rule.vjp).suspicious.all()
    assert screened(rule, "float64", rule.jvp, vjp).suspicious.all()


def test_one_mode_alone_is_screened() -> None:
    for jvp, vjp in ((SMALL.jvp, None), (None, SMALL.vjp)):
        seen = screened(SMALL, "float64", jvp, vjp)
        assert not seen.suspicious.any() and seen.told.all()
    seen = screened(SMALL, "float64", None, lambda z, g: (g - jnp.exp(z) * g.sum(),))
    assert seen.suspicious.all() and seen.autodiff == POINTS and seen.adjointness == POINTS


@pytest.mark.parametrize("mode", ["jvp", "vjp"])
@pytest.mark.parametrize("linked", [True, False])
def test_differences_alone_see_a_mistake_that_jax_shares(mode: str, linked: bool) -> None:
    """One mode alone, as a claim has it; its rule and JAX's derivative (of a wrong custom rule) are the same."""
    shape = ((3,), "float64")
    x, d = np.random.default_rng(0).standard_normal((2, 3, 400))
    for factor, share in ((1.0, 0.0), (1 + 1e-4, 1.0)):
        rule = trace(lambda x, d, c=factor: c * d * jnp.cos(x), shape, shape)
        pair = {mode: rule, f"jax_{mode}": rule}
        modes = {name: pair.get(name) for name in ("jvp", "vjp", "jax_jvp", "jax_vjp")}
        screen = Screen(ClaimPrograms(trace(jnp.sin, shape), **modes, moving=(0,)), "float64", 400, linked=linked)
        seen = screen.run([x], [d], [np.roll(d, 1, axis=0)])
        assert seen.told.mean() > 0.9 and seen.autodiff == seen.adjointness == 0
        assert (seen.suspicious[seen.told].mean() > 0.9) == bool(share)
        assert seen.suspicious.sum() == seen.differences and (share or not seen.differences)


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("share", [1e-4, 0.0], ids=["nearly a pole", "ordinary"])
def test_differences_say_nothing_where_their_step_is_longer_than_the_way_to_a_pole(share: float, linked: bool) -> None:
    """1/x at 1e-9 beside ordinary entries: the values move by 1000 at both ends of the step, the slope is 1e18."""
    shape = ((3,), "float64")
    x, v, g = np.random.default_rng(0).uniform(1, 2, (3, 3, 400))
    if share:
        x[0] = share * 1e-5
    pair = {"jvp": trace(lambda x, v: -v / x**2, shape, shape), "vjp": None}
    other = {"jax_jvp": trace(lambda x, v: -v * (1 / x) ** 2, shape, shape), "jax_vjp": None}
    screen = Screen(
        ClaimPrograms(trace(lambda x: 1 / x, shape), **pair, **other, moving=(0,)), "float64", linked=linked
    )
    seen = screen.run([x], [v], [g])
    assert not seen.suspicious.any() and (seen.told.any() if not share else not seen.told.any())


def test_differences_see_a_derivative_that_is_zero_where_values_move() -> None:
    """Of a custom rule that forgets everything, and that JAX repeats: nothing has a size there, except the values."""
    shape = ((3,), "float64")
    zero = trace(lambda x, v: 0 * v, shape, shape)
    programs = ClaimPrograms(trace(jnp.sin, shape), jvp=zero, vjp=None, jax_jvp=zero, jax_vjp=None, moving=(0,))
    x, v, g = np.random.default_rng(0).uniform(0.5, 1, (3, 3, 400))
    seen = Screen(programs, "float64").run([x], [v], [g])
    assert seen.differences == seen.suspicious.sum() == 400


def test_a_mistake_in_a_window_is_found_at_its_points_alone() -> None:
    def forward(x: Any) -> Any:
        return jnp.tanh(x)

    def vjp(x: Any, g: Any) -> Any:
        slope = 1 - jnp.tanh(x) ** 2
        return g * jnp.where((x > 1) & (x < 1.05), slope * (1 + 1e-9), slope)

    screen = Screen(programs(forward, None, vjp, [((), "float64")], ()), "float64")
    rng = np.random.default_rng(0)
    x, v, g = rng.standard_normal((3, 5000))
    g[:50] = 0
    found = screen.run([x], [v], [g]).suspicious
    assert np.array_equal(found, (x > 1) & (x < 1.05) & (g != 0)) and found.sum() > 20


def test_a_wrong_entry_of_one_argument_is_seen_in_a_network() -> None:
    def vjp(*a: Any) -> Any:
        x, w1, b1, w2, b2 = NETWORK.vjp(*a)
        return x, w1.at[2, 1].set(0.0), b1, w2, b2

    assert screened(NETWORK, "float64", NETWORK.jvp, vjp).suspicious.mean() > 0.99


def test_a_forward_map_that_jax_differentiates_wrongly_is_caught_by_differences() -> None:
    # the programs of JAX's derivatives are those of another map here, and the rule agrees with them
    other = programs(jnp.cos, lambda x, v: -jnp.sin(x) * v, lambda x, g: -jnp.sin(x) * g, [((4,), "float64")], (4,))
    wrong = ClaimPrograms(trace(jnp.sin, ((4,), "float64")), other.jvp, other.vjp, other.jax_jvp, other.jax_vjp, (0,))
    rng = np.random.default_rng(0)
    seen = Screen(wrong, "float64").run(*([a] for a in rng.standard_normal((3, 4, 300))))
    assert seen.autodiff == 0 and seen.adjointness == 0 and seen.differences > 290


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_points_where_forward_is_not_finite_lie_outside(value: float) -> None:
    def forward(x: Any) -> Any:
        return jnp.exp(x) * x

    def vjp(x: Any, g: Any) -> Any:
        return g * (jnp.exp(x) * x + jnp.exp(x))

    x, v, g = np.ones((3, 2, 10))
    x[1, 4] = value
    seen = Screen(programs(forward, None, vjp, [((2,), "float64")], (2,)), "float64").run([x], [v], [g])
    assert list(np.flatnonzero(seen.outside)) == [4] and not seen.suspicious.any()


def test_a_derivative_that_is_not_finite_where_forward_is_never_passes() -> None:
    def vjp(x: Any, g: Any) -> Any:
        return g * jnp.exp(x) / (1 + jnp.exp(x))  # not a number beyond 709

    x, v, g = np.ones((3, 2, 10))
    x[1, 4], x[0, 7] = 800.0, -800.0
    p = programs(jax.nn.softplus, None, vjp, [((2,), "float64")], (2,))
    seen = Screen(p, "float64").run([x], [v], [g])
    assert not seen.outside.any() and list(np.flatnonzero(seen.suspicious)) == [4]


def test_values_beyond_the_root_of_the_range_lie_inside() -> None:
    def forward(x: Any) -> Any:
        return x * 1e200

    x, v, g = np.ones((3, 2, 10))
    p = programs(forward, None, lambda x, g: g * 1e200, [((2,), "float64")], (2,))
    seen = Screen(p, "float64").run([x], [v], [g])
    assert not seen.outside.any() and seen.autodiff == 0


def test_numbers_whose_squares_leave_the_range_are_compared_all_the_same() -> None:
    def forward(x: Any) -> Any:
        return x * 2

    def wrong(x: Any, g: Any) -> Any:
        return g * (2 + 1e-9)

    for size in (1e-200, 1e-150):
        x, v, g = np.ones((3, 2, 5)) * size
        right = Screen(programs(forward, None, lambda x, g: g * 2, [((2,), "float64")], (2,)), "float64")
        assert right.run([x], [v], [g]).autodiff == 0
        assert (
            Screen(programs(forward, None, wrong, [((2,), "float64")], (2,)), "float64").run([x], [v], [g]).autodiff
            == 5
        )


def test_other_inputs_stand_still() -> None:
    def forward(x: Any, k: Any) -> Any:
        return x * jnp.where(k > 0, 3.0, -1.0)

    def vjp(x: Any, k: Any, g: Any) -> Any:
        return g * jnp.where(k > 0, 3.0, -1.0)

    p = programs(forward, None, vjp, [((3,), "float64"), ((3,), "int64")], (3,), (0,))
    rng = np.random.default_rng(0)
    x, v, g = rng.standard_normal((3, 3, 2500))
    k = rng.integers(-2, 3, (3, 2500))
    seen = Screen(p, "float64").run([x, k], [v], [g])
    assert not seen.suspicious.any() and seen.told.mean() > 0.95


def test_the_result_does_not_depend_on_the_chunk() -> None:
    parts = drawn(NETWORK)
    p = of_rule(NETWORK, "float64", NETWORK.jvp, NETWORK.vjp)
    found = [Screen(p, "float64", size).run(*parts) for size in (1, 64, 333, 1024)]
    assert all(np.array_equal(f.suspicious, found[0].suspicious) for f in found)
    assert all(np.array_equal(f.told, found[0].told) for f in found)


def test_what_the_screen_cannot_do_it_says() -> None:
    with pytest.raises(UnsupportedPrimitive, match="bfloat16"):
        Screen(of_rule(SMALL, "float64", SMALL.jvp, None), "bfloat16")

    def looped(x: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda i, y: y * 1.5, x)

    with pytest.raises(UnsupportedPrimitive, match="without floats"):
        Screen(programs(jnp.tanh, None, None, [((0,), "float64")], (0,)), "float64")
    p = programs(looped, None, None, [((3,), "float64")], (3,))
    with pytest.raises(UnsupportedPrimitive, match="scan"):
        Screen(p, "float64")
