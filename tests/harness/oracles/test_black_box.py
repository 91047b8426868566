"""The differences that decide over black boxes: what they must refuse, accept, and leave undecided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backprove.harness.core.formats import FORMATS
from backprove.harness.oracles.black_box import entries, judge, rounding_noise
from backprove.harness.oracles.problem import Outcome, Status

X = np.array([[0.3, -1.7, 2.0, 0.0, 5.0], [1.1, 0.4, -2.5, 1.0, -0.25]])
G = np.array([[1.0, 2.0, -0.5, 1.0, 0.3], [0.5, -1.0, 1.0, 2.0, 1.0]])


def verdicts(
    forward: Callable[[Any], Any], derivative: Callable[[Any], Any], x: Any = X, mode: str = "vjp"
) -> list[Outcome]:
    """Outcomes for an elementwise map, for which VJP and JVP are the same product."""
    g = G[:, : x.shape[-1]]
    with np.errstate(all="ignore"):
        return judge(lambda a: [forward(a[0])], [x], [g], [g * derivative(x)], mode, (0,))


@pytest.mark.parametrize("mode", ["vjp", "jvp"])
def test_right_rule_agrees(mode: str) -> None:
    assert {o.status for o in verdicts(np.tanh, lambda x: 1 - np.tanh(x) ** 2, mode=mode)} == {Status.AGREES}


@pytest.mark.parametrize("mode", ["vjp", "jvp"])
@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1.01, 1.0001])
def test_wrong_factor_is_refused(mode: str, factor: float) -> None:
    found = verdicts(np.tanh, lambda x: factor * (1 - np.tanh(x) ** 2), mode=mode)
    assert Status.REFUTED in {o.status for o in found}
    assert Status.AGREES not in {o.status for o in found[:3]}


def test_refusal_names_the_entry_and_both_values() -> None:
    def wrong(x: Any) -> Any:
        out = 2 * x
        out[1] *= 3
        return out

    first = verdicts(lambda x: x * x, wrong, X[:, :1])[0]
    assert (first.status, first.argument, first.entry) == (Status.REFUTED, 0, (1,))
    assert first.got_value == pytest.approx(6 * 1.1 * 0.5)
    assert first.expected_value == pytest.approx(2 * 1.1 * 0.5, rel=1e-6)


def test_kink_is_left_undecided() -> None:
    x = np.array([[0.0], [0.0]])
    for slope in (0.0, 0.5, 1.0, 7.0):
        assert verdicts(lambda x: np.maximum(x, 0), lambda x, s=slope: s + 0 * x, x)[0].status is not Status.REFUTED


def test_kink_inside_the_step_is_not_a_refusal() -> None:
    c = 1.0 + 2.0**-30
    x = np.array([[1.0], [1.0]])
    found = verdicts(lambda x: np.abs(x - c), lambda x: np.sign(x - c), x)[0]
    assert found.status is Status.UNDECIDED


def test_cancellation_inside_a_right_rule_is_not_refused() -> None:
    """1 - 1/(1 + exp(x)) is 0 in floats at -40, where softplus is accurate and its slope 4e-18."""
    x = np.array([[-40.0, -38.0], [-36.9, -45.0]])
    found = verdicts(lambda x: np.log1p(np.exp(x)), lambda x: 1 - 1 / (1 + np.exp(x)), x)
    assert Status.REFUTED not in {o.status for o in found}


def test_noisy_forward_is_not_a_refusal() -> None:
    """A forward map computed in float32 inside: the noise is measured, and gross mistakes are still seen."""

    def forward(x: Any) -> Any:
        return np.sin(x.astype(np.float32)).astype(np.float64)

    assert Status.REFUTED not in {o.status for o in verdicts(forward, np.cos)}
    assert Status.REFUTED in {o.status for o in verdicts(forward, lambda x: 3 * np.cos(x))}


def test_measured_noise_of_exact_and_of_narrow_code() -> None:
    x = np.linspace(0.5, 2, 32)[None]
    exact = rounding_noise(lambda a: [np.sin(a[0])], [x])[0]
    narrow = rounding_noise(lambda a: [np.sin(a[0].astype(np.float32)).astype(float)], [x])[0]
    assert np.median(exact) < 1e-14
    assert 1e-9 < np.median(narrow) < 1e-5


def test_slope_without_limit_has_no_entry() -> None:
    value, error = entries(
        lambda a: [np.sqrt(np.abs(a[0]))], [np.zeros((1, 1))], [np.ones((1, 1))], [(1,)], "vjp", (0,)
    )
    assert value.shape == (1,) and np.isinf(error[0])


def test_zero_cotangent_agrees() -> None:
    zero = np.zeros((2, 3))
    assert {o.status for o in judge(lambda a: [np.exp(a[0])], [X[:, :3]], [zero], [zero], "vjp", (0,))} == {
        Status.AGREES
    }


def median(a: list[Any]) -> list[Any]:
    return [np.sort(a[0], axis=0)[2:3]]


def slope_of_median(x: Any, g: Any) -> Any:
    out = np.zeros(x.shape)
    place = np.argsort(x, axis=0, kind="stable")[2:3]
    np.put_along_axis(out, place, np.broadcast_to(g, place.shape), axis=0)
    return out


def test_a_near_tie_is_no_refusal() -> None:
    """Differences step past the two neighbours of an entry and see no slope on either side."""
    u = 2.0**-53
    x = np.array([[0.0, 0.0], [1 - u, 0.7], [1.0, 0.9], [1 - 3 * u, 0.4]])
    g = np.ones((1, 2))
    near, ordinary = judge(median, [x], [g], [slope_of_median(x, g)], "vjp", (0,))
    assert near.status is Status.UNDECIDED and ordinary.status is Status.AGREES
    near, ordinary = judge(median, [x], [g], [2 * slope_of_median(x, g)], "vjp", (0,))
    assert near.status is Status.UNDECIDED and ordinary.status is Status.REFUTED


@pytest.mark.parametrize("factor", [1.0, 1.1, 0.7])
@pytest.mark.parametrize(("function", "slope"), [(np.exp, np.exp), (np.sqrt, lambda x: 0.5 / np.sqrt(x))])
def test_a_wrong_factor_shows_at_many_points_of_code_that_gives_bfloat16(
    function: Callable[[Any], Any], slope: Callable[[Any], Any], factor: float
) -> None:
    rng, bfloat16 = np.random.default_rng(0), FORMATS["bfloat16"].round
    x, g = (bfloat16(rng.uniform(0.2, 4.0, (1, 80))) for _ in range(2))

    def rule(a: Any) -> Any:
        return [bfloat16(factor * a[1] * slope(a[0]))]

    noise = rounding_noise(rule, [x, g])
    found = judge(lambda a: [bfloat16(function(a[0]))], [x], [g], rule([x, g]), "vjp", (0,), noise=noise, rule=rule)
    assert any(o.status is Status.REFUTED for o in found) == (factor != 1.0)
