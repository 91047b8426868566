"""Functions on wide balls enclose the image of every number inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flint import arb, ctx

from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.elementary import exponential, powers, steps


@pytest.fixture(autouse=True)
def precision() -> object:
    before, ctx.prec = ctx.prec, 128
    yield None
    ctx.prec = before


def check(function: Callable[[arb], arb], low: float, high: float, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(30):
        a, b = np.sort(rng.uniform(low, high, 2))
        ball = arb(float(a + b) / 2, float(b - a) / 2)
        image = function(ball)
        for x in np.linspace(a, b, 5)[1:-1]:
            assert image.overlaps(function(arb(float(x)))), (a, b, x)
        assert not image.is_exact() or a == b or image == function(arb(float(a)))


@pytest.mark.parametrize("n", [-3, -2, -1, 0, 1, 2, 3, 6])
def test_integer_powers_of_wide_balls(n: int) -> None:
    check(lambda x: bf.integer_pow(x, n), *((0.1, 4.0) if n < 0 else (-4.0, 4.0)))
    if n % 2 == 0 and n > 0:
        assert bf.integer_pow(arb(0, 1), n) >= 0


@pytest.mark.parametrize("name", ["max", "min", "pow", "atan2", "logaddexp"])
def test_functions_of_two_wide_balls(name: str) -> None:
    function = bf.logaddexp if name == "logaddexp" else bf.BINARY[name]
    low = 0.1 if name == "pow" else -3.0
    rng = np.random.default_rng(1)
    for _ in range(30):
        (a, b), (c, d) = np.sort(rng.uniform(low, 3.0, (2, 2)))
        image = function(arb((a + b) / 2, (b - a) / 2), arb((c + d) / 2, (d - c) / 2))
        for s, t in rng.uniform(0.01, 0.99, (5, 2)):
            assert image.overlaps(function(arb(a + s * (b - a)), arb(c + t * (d - c))))


def test_rounding_at_ties() -> None:
    halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    assert [int(steps.round_half_even(arb(h)).unique_fmpz()) for h in halves] == [-2, -2, 0, 0, 2, 2]
    assert [int(steps.round_half_away(arb(h)).unique_fmpz()) for h in halves] == [-3, -2, -1, 1, 2, 3]
    assert [int(steps.trunc(arb(h)).unique_fmpz()) for h in halves] == [-2, -1, 0, 0, 1, 2]
    undecided = steps.round_half_even(arb(0.5, 0.25))
    assert undecided.contains(arb(0))
    assert undecided.contains(arb(1))


@pytest.mark.parametrize(("x", "y"), [(7.0, 3.0), (-7.0, 3.0), (7.0, -3.0), (-7.5, -2.0), (1e300, 3.0)])
def test_the_remainder_has_the_sign_of_the_dividend(x: float, y: float) -> None:
    ctx.prec = 1200
    assert bf.rem(arb(x), arb(y)).overlaps(arb(float(np.fmod(x, y))))


def test_saturated_tails_keep_their_digits() -> None:
    for x in (40.0, 700.0, 5000.0, -5000.0):
        slope = exponential.logistic_slope(arb(x))
        assert slope > 0
        assert slope.rel_accuracy_bits() > 100
        assert exponential.logistic(arb(x)).rel_accuracy_bits() > 100
    assert powers.cbrt(arb(0)) == 0
    assert powers.cbrt(arb(-8)).overlaps(arb(-2))
    assert bf.power(arb(-2), arb(3)) == -8
    assert not bf.power(arb(-2), arb(0.5)).is_finite()


def test_powers_of_zero_have_slopes_where_the_exponent_is_positive() -> None:
    assert bf.power_slope_in_exponent(arb(0), arb(1.5)) == 0
    assert bf.power_slope_in_base(arb(0), arb(1 + 2**-51)) == 0
    assert not bf.power_slope_in_exponent(arb(0), arb(-1.5)).is_finite()
    assert not bf.power_slope_in_exponent(arb(0, 1e-3), arb(1.5)).is_finite()
