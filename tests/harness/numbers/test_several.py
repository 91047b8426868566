"""Every function of several variables: its value, its slope in every argument, and what it does outside its domain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary import incomplete
from backprove.harness.numbers.elementary.gamma import polygamma_of
from backprove.harness.numbers.elementary.several import Several
from backprove.harness.numbers.elementary.table import SEVERAL

WHOLE = {"polygamma": 0}
"""Arguments that are whole numbers."""

LOW = {"zeta": (1.1, 0.1)}
HIGH = {"regularized_incomplete_beta": (9.0, 9.0, 0.98)}
"""Where the arguments are drawn, if not from 0.1 to 9."""


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 300
    yield
    ctx.prec = before


def sample(row: Several, n: int) -> list[Array]:
    rng = np.random.default_rng([7, len(row.name)])
    arity = len(row.slopes)
    low, high = LOW.get(row.name, (0.1,) * arity), HIGH.get(row.name, (9.0,) * arity)
    drawn = [rng.uniform(a, b, n) for a, b in zip(low, high, strict=True)]
    return [np.round(x) if WHOLE.get(row.name) == k else x for k, x in enumerate(drawn)]


def balls(point: tuple[float, ...]) -> list[arb]:
    return [arb(float(v)) for v in point]


def check_value(row: Several) -> None:
    places = sample(row, 60)
    for point, value in zip(zip(*places, strict=True), row.numpy(*places), strict=True):
        y = row.ball(*balls(point))
        assert y.is_finite() and y.rel_accuracy_bits() > 200, (row.name, point, y)
        assert abs(y - float(value)) <= abs(y) * 2e-12, (row.name, point, value, y)


def check_slope(row: Several, argument: int) -> None:
    """The mean-value form: a difference quotient lies in the hull of the slopes between its points."""
    slope = row.slopes[argument]
    assert slope is not None
    for point in zip(*sample(row, 25), strict=True):
        here = balls(point)
        there = list(here)
        there[argument] = here[argument] + arb(2) ** -70
        between = list(here)
        between[argument] = here[argument].union(there[argument])
        quotient = (row.ball(*there) - row.ball(*here)) * arb(2) ** 70
        claimed = slope(*between)
        assert claimed.is_finite() and claimed.rel_accuracy_bits() > 40, (row.name, point, claimed)
        assert quotient.overlaps(claimed), (row.name, point, quotient, claimed)


def check_enclosure(row: Several) -> None:
    """On a wide ball the result overlaps that at numbers inside."""
    for point in zip(*sample(row, 20), strict=True):
        wide = [v if WHOLE.get(row.name) == k else v + arb(0, 2.0**-8) for k, v in enumerate(balls(point))]
        for shift in (-(2.0**-9), 0.0, 2.0**-9):
            inner = [v if WHOLE.get(row.name) == k else v + shift for k, v in enumerate(balls(point))]
            assert row.ball(*wide).overlaps(row.ball(*inner)), (row.name, point)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_ball_is_the_value_of_floats(name: str) -> None:
    check_value(SEVERAL[name])


@pytest.mark.parametrize("name", SEVERAL)
def test_wide_balls_enclose_all_values(name: str) -> None:
    check_enclosure(SEVERAL[name])


@pytest.mark.parametrize(
    ("name", "argument"), [(n, k) for n, r in SEVERAL.items() for k, s in enumerate(r.slopes) if s]
)
def test_every_slope_has_the_mean_value_property(name: str, argument: int) -> None:
    check_slope(SEVERAL[name], argument)


def test_rows_with_a_wrong_column_are_refused() -> None:
    row = SEVERAL["igamma"]
    with pytest.raises(AssertionError):
        check_value(dataclasses.replace(row, ball=lambda a, x: row.ball(a, x) * (1 + arb(2) ** -36)))
    for k in range(2):
        slopes = tuple(lambda a, x, s=s: s(a, x) * (1 + arb(2) ** -40) for s in row.slopes if s)
        with pytest.raises(AssertionError):
            check_slope(dataclasses.replace(row, slopes=slopes), k)
    with pytest.raises(AssertionError):
        check_enclosure(dataclasses.replace(row, ball=lambda a, x: row.ball(a.mid(), x.mid())))


@pytest.mark.parametrize("order", [1.0, 300.0, 1000.0, 10_000.0])
def test_incomplete_gamma_keeps_its_bits_near_its_order(order: float) -> None:
    """python-flint's lower function alone is infinite or a second slow there."""
    for share in (0.9, 0.999, 1.0, 1.001, 1.1):
        a, x = arb(order), arb(order * share)
        lower, upper = SEVERAL["igamma"].ball(a, x), SEVERAL["igammac"].ball(a, x)
        assert min(lower.rel_accuracy_bits(), upper.rel_accuracy_bits()) > 200
        assert (lower + upper).overlaps(arb(1))
        slope = SEVERAL["igamma_grad_a"].ball(a, x)
        assert slope < 0 and slope.rel_accuracy_bits() > 200


def test_the_slope_in_the_order_is_bounded_far_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for a, x in ((0.5, 30), (300, 610), (20, 650)):
        for term in (1, 2):
            monkeypatch.setattr(incomplete, "FAR", 10_000)
            slope = incomplete.of_order(arb(a), arb(x), term)
            monkeypatch.setattr(incomplete, "FAR", 0)
            bound = incomplete.of_order(arb(a), arb(x), term)
            assert bound.contains(slope) and bound.rad() < 100 * abs(slope) and bound.rad() < 1e-10
    assert SEVERAL["igamma_grad_a"].ball(arb(1), arb(1e300)).rad() < 1e-300


def test_zeta_far_below_zero_ends() -> None:
    """SciPy's takes a turn for each whole number, python-flint's none that ends."""
    with np.errstate(all="ignore"):
        assert np.isnan(SEVERAL["zeta"].numpy(np.array([2.0]), np.array([-1e300]))).all()
    assert (
        abs(polygamma_of(1, arb(-1e15) - 0.5) - arb.pi() ** 2) < 1e-14 and not polygamma_of(2, arb(-1e15)).is_finite()
    )


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("igamma", (-0.5, 1.0)),
        ("igammac", (1.0, -0.5)),
        ("regularized_incomplete_beta", (1.0, 2.0, 1.5)),
        ("zeta", (2.5, -0.5)),
        ("zeta", (0.5, 2.0)),
        ("polygamma", (1.5, 2.0)),
        ("polygamma", (-1.0, 2.0)),
    ],
)
def test_outside_its_domain_a_function_has_no_value(name: str, point: tuple[float, ...]) -> None:
    assert not SEVERAL[name].ball(*balls(point)).is_finite()


def test_left_of_zero_derivatives_of_digamma_obey_the_reflection() -> None:
    x = arb("-0.3")
    reflected = (arb.pi() / x.sin_pi()) ** 2 - arb(2).zeta(1 - x)
    assert SEVERAL["polygamma"].ball(arb(1), x).overlaps(reflected)
    assert SEVERAL["zeta"].ball(arb(2), x).overlaps(reflected)
    assert SEVERAL["zeta"].ball(arb(3), x).overlaps(-SEVERAL["polygamma"].ball(arb(2), x) / 2)
