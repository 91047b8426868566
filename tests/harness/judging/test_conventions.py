"""Conventions at kinks differ between frameworks: every member of the generalized derivative is right, no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict


def judged(rule: bp.Rule, points: int = 64) -> PropertyResult:
    result = subjects.run(rule, points=points, dtypes=["float64"]).properties[0]
    return result


def elementwise(forward: Callable[..., Any], derivative: Callable[[Any], Any], **options: Any) -> bp.Rule:
    return bp.Rule(
        "convention", forward=forward, vjp=lambda x, g: g * derivative(x), inputs={"x": bp.array("n")}, **options
    )


def at(point: float, value: float, elsewhere: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A derivative with `value` at `point`."""
    return lambda xp, x: xp.where(x == point, value, elsewhere(xp, x))


def sign(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, 1.0, -1.0)


def step(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, 1.0, 0.0)


def between(xp: Any, x: Any) -> Any:
    return xp.where((x > -1) & (x < 2), 1.0, 0.0)


KINKS = {
    "abs": (lambda xp, x: xp.abs(x), sign, 0.0, -1.0, 1.0),
    "relu": (lambda xp, x: xp.maximum(x, 0), step, 0.0, 0.0, 1.0),
    "relu by where": (lambda xp, x: xp.where(x > 0, x, 0.0), step, 0.0, 0.0, 1.0),
    "clip below": (lambda xp, x: xp.clip(x, -1, 2), between, -1.0, 0.0, 1.0),
    "clip above": (lambda xp, x: xp.clip(x, -1, 2), between, 2.0, 0.0, 1.0),
}
LIBRARIES = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


@LIBRARIES
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("kink", KINKS)
def test_every_member_is_accepted(kink: str, share: float, xp: Any) -> None:
    forward, slope, where, low, high = KINKS[kink]
    derivative = at(where, low + share * (high - low), slope)
    result = judged(elementwise(lambda x: forward(xp, x), lambda x: derivative(xp, x)))
    assert result.verdict is Verdict.HOLDS, result.counterexample
    assert result.counts.get("kink", 0) > 0


@LIBRARIES
@pytest.mark.parametrize("kink", KINKS)
@pytest.mark.parametrize("beyond", [-0.25, 1.25])
def test_what_lies_outside_is_refused(kink: str, beyond: float, xp: Any) -> None:
    forward, slope, where, low, high = KINKS[kink]
    derivative = at(where, low + beyond * (high - low), slope)
    result = judged(elementwise(lambda x: forward(xp, x), lambda x: derivative(xp, x)))
    assert result.verdict is Verdict.FALSIFIED
    assert result.counterexample is not None
    assert result.counterexample.region == "kink"
    low_, high_ = result.counterexample.expected
    assert low_ < high_


def test_a_declared_convention_leaves_one_value() -> None:
    def backward(value: float) -> Callable[..., Any]:
        return lambda x, g: g * at(0.0, value, step)(np, x)

    def rule(value: float, declared: float) -> bp.Rule:
        return bp.Rule(
            "relu",
            forward=lambda x: np.maximum(x, 0),
            vjp=backward(value),
            inputs={"x": bp.array("n")},
            convention=backward(declared),
        )

    assert judged(rule(0.0, 0.0)).verdict is Verdict.HOLDS
    assert judged(rule(0.5, 0.5)).verdict is Verdict.HOLDS
    assert judged(rule(0.5, 0.0)).verdict is Verdict.FALSIFIED


# -- max, sort and the norm --------------------------------------------------------------------------------------------


def even_share(x: Any) -> Any:
    ties = x == x.max()
    return ties / ties.sum()


def first_only(x: Any) -> Any:
    return (np.arange(x.shape[0]) == np.argmax(x)) * 1.0


def last_only(x: Any) -> Any:
    n = x.shape[0]
    return (np.arange(n) == n - 1 - np.argmax(x[::-1])) * 1.0


def uneven_share(x: Any) -> Any:
    weights = (x == x.max()) * (1.0 + np.arange(x.shape[0]))
    return weights / weights.sum()


def every_tie(x: Any) -> Any:
    return (x == x.max()) * 1.0


def half(x: Any) -> Any:
    return even_share(x) / 2


def max_rule(weights: Callable[[Any], Any]) -> bp.Rule:
    return bp.Rule("max", forward=lambda x: x.max(), vjp=lambda x, g: g * weights(x), inputs={"x": bp.array("n")})


@pytest.mark.parametrize("weights", [even_share, first_only, last_only, uneven_share])
def test_max_may_share_among_ties_as_it_likes(weights: Callable[[Any], Any]) -> None:
    result = judged(max_rule(weights))
    assert result.verdict is Verdict.HOLDS, result.counterexample


@pytest.mark.parametrize("weights", [every_tie, half])
def test_weights_of_ties_sum_to_one(weights: Callable[[Any], Any]) -> None:
    assert judged(max_rule(weights)).verdict is Verdict.FALSIFIED


def sort_rule(order: Callable[[Any], Any]) -> bp.Rule:
    def backward(x: Any, g: Any) -> Any:
        out = np.empty_like(g)
        out[order(x)] = g
        return out

    return bp.Rule("sort", forward=np.sort, vjp=backward, inputs={"x": bp.array("n")})


@pytest.mark.parametrize(
    "order",
    [lambda x: np.argsort(x, kind="stable"), lambda x: x.shape[0] - 1 - np.argsort(x[::-1], kind="stable")],
    ids=["first tie first", "last tie first"],
)
def test_sort_may_order_ties_as_it_likes(order: Callable[[Any], Any]) -> None:
    result = judged(sort_rule(order))
    assert result.verdict is Verdict.HOLDS, result.counterexample


def test_sort_gives_every_cotangent_once() -> None:
    def everything_to_every_tie(x: Any, g: Any) -> Any:
        return ((np.sort(x)[:, None] == x[None, :]) * g[:, None]).sum(axis=0)

    rule = bp.Rule("sort", forward=np.sort, vjp=everything_to_every_tie, inputs={"x": bp.array("n")})
    assert judged(rule).verdict is Verdict.FALSIFIED


def norm_rule(xp: Any, at_zero: float) -> bp.Rule:
    def backward(x: Any, g: Any) -> Any:
        y = xp.sqrt((x * x).sum())
        return xp.where(y > 0, g * x / xp.where(y > 0, y, 1.0), g * at_zero * (xp.arange(x.shape[0]) == 0))

    return bp.Rule(
        "norm", forward=lambda x: xp.sqrt((x * x).sum()), vjp=backward, inputs={"x": bp.array("n", low=-4, high=4)}
    )


@LIBRARIES
@pytest.mark.parametrize("at_zero", [0.0, 0.5, -1.0])
def test_the_norm_at_zero_has_the_unit_ball(at_zero: float, xp: Any) -> None:
    result = judged(norm_rule(xp, at_zero))
    assert result.verdict is Verdict.HOLDS, result.counterexample


@pytest.mark.parametrize("n", [2, 4, 6])
def test_the_tip_of_the_unit_ball_is_reached(n: int) -> None:
    rule = norm_rule(np, -1.0)
    result = judged(bp.Rule("norm", forward=rule.forward, vjp=rule.vjp, inputs={"x": bp.array(str(n), low=-4, high=4)}))
    assert result.verdict is Verdict.HOLDS, result.counterexample


@LIBRARIES
def test_beyond_the_unit_ball_is_refused(xp: Any) -> None:
    assert judged(norm_rule(xp, 2.0)).verdict is Verdict.FALSIFIED


# -- several kinks at once ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signs", [(1.0, 1.0), (1.0, -1.0), (0.0, 0.0), (0.5, -0.25)])
def test_two_kinks_at_once_with_opposite_weights(signs: tuple[float, float]) -> None:
    """abs(x0) - abs(x1): no interval of one-sided slopes tells the members of its generalized derivative."""

    def backward(x: Any, g: Any) -> Any:
        s = np.where(x == 0, np.array(signs), np.sign(x))
        return g * s * np.array([1.0, -1.0])

    rule = bp.Rule(
        "difference of sizes",
        forward=lambda x: np.abs(x[0]) - np.abs(x[1]),
        vjp=backward,
        inputs={"x": bp.array("2")},
    )
    result = judged(rule)
    assert result.verdict is Verdict.HOLDS, result.counterexample
