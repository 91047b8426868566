"""Every column of every elementary function against the others: one table, one test per column.

Each check takes a row, so that the same checks are shown to refuse rows with one wrong column.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
from flint import arb, ctx
from jax import lax

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.objects.scalar import ExactScalar
from backprove.harness.numbers.bounds.constants import rounding_constant
from backprove.harness.numbers.elementary.gamma import float_polygamma
from backprove.harness.numbers.elementary.powers import at_zero
from backprove.harness.numbers.elementary.row import FLAT, NOT_IN_NUMPY, Chain, Elementary, Interval
from backprove.harness.numbers.elementary.steps import at_halves
from backprove.harness.numbers.elementary.table import BY_NUMPY_NAME, ROWS, having, matrix
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.further_primitives import further_primitives
from tests.harness.numbers.floats.linked_run import run_linked

SPANS = {"tan": (-1.5, 1.5), "digamma": (0.05, 9.0), "lgamma": (0.05, 9.0), "gamma": (0.05, 9.0)}
"""Where a function is looked at, if not from -4 to 4 or in its domain: between poles."""

UNMEASURED_K = 64.0
"""Units of u of NumPy's value, or of its argument, where no rounding constant is measured."""


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 300
    yield
    ctx.prec = before


def span(row: Elementary) -> tuple[float, float]:
    low, high = row.domain.low, row.domain.high
    if row.name in SPANS:
        return SPANS[row.name]
    if np.isfinite(low):
        return low + 0.05, high - 0.05 if np.isfinite(high) else low + 9
    return -4.0, 4.0


def sample(row: Elementary, n: int, seed: int) -> Array:
    """Points of the domain: ordinary ones, small and large ones, and its ends where they belong to it."""
    rng = np.random.default_rng([seed, len(row.name)])
    low, high = span(row)
    ends = [x for x in (row.domain.low, row.domain.high) if np.isfinite(x)]
    near = [end + s * 10.0**-k for end in (*ends, 0.0) for k in range(2, 12, 3) for s in (-1, 1)]
    x = np.concatenate([rng.uniform(low, high, n), rng.normal(0, 8, n // 4), ends, near])
    return x[row.domain.contains(x)]


def exact(row: Elementary, x: Array) -> list[arb]:
    return [row.enclosure(arb(float(v))) for v in x]


def wide_ball(x: np.floating[Any]) -> arb:
    """The exact ball of a number of up to 80 bits."""
    head = float(x)
    return arb(head) + arb(float(x - type(x)(head)))


# ---------------------------------------------------------------- the checks: one per column


def check_value(row: Elementary, dtype: str, got: Callable[[Array], Array]) -> None:
    """The computed value lies within its rounding bound of the ball."""
    fmt = FORMATS[dtype]
    x = np.unique(fmt.round(sample(row, 250, 1)))
    x = x[row.domain.contains(x) & ((np.abs(x) >= fmt.tiny) | (x == 0))]
    values = got(x)
    constant = rounding_constant(dtype, row.name)
    with np.errstate(all="ignore"):
        shift = np.zeros(x.shape) if row.growth is None else row.growth(x, constant.kappa * fmt.u * np.abs(x))
    for at, value, moved, y in zip(x, values, shift, exact(row, x), strict=True):
        if not y.is_finite() or abs(y) >= fmt.max:  # a pole, or a branch that the enclosures do not know
            continue
        if row.exact:
            allowed = arb(0)
        elif row.growth is not None:
            allowed = abs(y) * (1.2 * constant.k * fmt.u) + float(moved) + 4 * fmt.tiny
        else:
            slope = abs(row.slope(arb(float(at)), y)) if row.slope is not None else arb(0)
            allowed = (abs(y) + abs(float(at)) * slope) * UNMEASURED_K * fmt.u + 4 * fmt.tiny
        assert abs(arb(float(value)) - y) <= allowed or not allowed.is_finite(), (row.name, at, value, y)


def check_enclosure(row: Elementary, function: Callable[[arb], arb]) -> None:
    """On a wide ball the result overlaps that at every number inside, and is not exact where they differ."""
    rng = np.random.default_rng(2)
    for a, b in np.sort(rng.uniform(*span(row), (30, 2))):
        image = function(arb((a + b) / 2, (b - a) / 2))
        inner = [function(arb(float(x))) for x in np.linspace(a, b, 5)[1:-1]]
        assert all(image.overlaps(y) for y in inner), (row.name, a, b)


def check_slope(row: Elementary) -> None:
    """The mean-value form: a difference quotient lies in the hull of the slopes between its points."""
    assert row.slope is not None
    rng = np.random.default_rng(3)
    for x, width in zip(rng.uniform(*span(row), 40), np.resize([2.0**-70, 2.0**-6], 40), strict=True):
        a, b = arb(float(x)), arb(float(x)) + arb(float(width))
        between = a.union(b)
        quotient = (row.enclosure(b) - row.enclosure(a)) / (b - a)
        assert quotient.overlaps(row.slope(between, row.enclosure(between))), (row.name, x, width)


def check_kink(row: Elementary) -> None:
    """Where a ball has no kink, the function is linear in it; where the slopes at its ends differ, it has one."""
    assert row.kink is not None
    rng = np.random.default_rng(4)
    for a, b in np.sort(rng.uniform(-3, 3, (200, 2)) * rng.choice([0.1, 1.0], (200, 1))):
        ends = arb(float(a)), arb(float(b))
        jump = row.enclosure(ends[1]) - row.enclosure(ends[0])
        if not row.kink(ends[0].union(ends[1])):
            slope = arb(0) if row.slope is None else row.slope(ends[0], row.enclosure(ends[0]))
            assert jump.overlaps(slope * (ends[1] - ends[0])), (row.name, a, b)


def check_growth(row: Elementary) -> None:
    """No number of the domain within `e` has a value further away than `growth`; small errors are not overrated."""
    assert row.growth is not None
    rng = np.random.default_rng(5)
    v = np.repeat(sample(row, 60, 5), 4)
    e = np.abs(v) * 10 ** rng.uniform(-17, 0.5, v.size) + 10 ** rng.uniform(-20, 0, v.size)
    with np.errstate(all="ignore"):
        growth = row.growth(v.astype(np.longdouble), e)
    tight = 0
    for at, size, bound in zip(v, e, growth, strict=True):
        if not np.isfinite(bound):
            continue
        middle = arb(float(at))
        y = row.enclosure(middle)
        worst = arb(0)
        for share in (-1.0, -0.37, 0.61, 1.0):
            x = middle + share * arb(float(size))
            if row.domain.closed and not row.domain.low <= float(x) <= row.domain.high:
                x = arb(row.domain.low if x < middle else row.domain.high)
            distance = abs(row.enclosure(x) - y)
            if distance.is_finite():  # else x is no point of the domain
                worst = worst.max(distance)
        assert worst.lower() <= float(bound) * (1 + 1e-12) + 1e-300, (row.name, at, size, bound, worst)
        tight += bool(bound == 0 or worst * 64 > float(bound))
    assert tight > len(v) / 2 or row.kink is not None, f"{row.name}: the bound is more than 64 times too large"


def check_wide(row: Elementary, wide: type[np.floating[Any]]) -> None:
    """The value in the wide format errs by at most `wide_k`."""
    u = 2.0 ** -(np.finfo(wide).nmant + 1)
    x = sample(row, 150, 6).astype(wide)
    x *= 1 + wide(u) * np.random.default_rng(6).integers(-9, 10, x.shape)  # numbers that float64 lacks
    x = x[row.domain.contains(x)]
    with np.errstate(all="ignore"):
        got = row.in_wide(x)
    assert got.dtype == wide
    for at, value in zip(x, got, strict=True):
        y = row.enclosure(wide_ball(at))
        if y.is_finite():
            error = abs(wide_ball(value) - y)
            assert error <= abs(y) * (0.0 if row.exact else row.wide_k * u) + 1e-300, (row.name, at, value, y)


def check_domain(row: Elementary) -> None:
    """In the domain there is a value, outside of it the ball is undecided and NumPy has none."""
    low, high = row.domain.low, row.domain.high
    outside = np.array([x for x in (low - 1e-9, low - 2.0, high + 1e-9, high + 2.0) if np.isfinite(x)])
    open_ends = np.array([] if row.domain.closed else [x for x in (low, high) if np.isfinite(x)])
    for x in (*outside, *open_ends):
        assert not row.domain.contains(np.array([x]))[0], (row.name, x)
        assert not row.enclosure(arb(float(x))).is_finite(), (row.name, x)
    if row.numpy is not None:
        with np.errstate(all="ignore"):
            assert np.isnan(row.numpy(outside)).all() and not np.isfinite(row.numpy(open_ends)).any(), row.name
    inner = np.array([*np.random.default_rng(7).uniform(*span(row), 20), *([low, high] if row.domain.closed else [])])
    for x in inner[np.isfinite(inner)]:
        assert row.domain.contains(np.array([x]))[0] and row.enclosure(arb(float(x))).is_finite(), (row.name, x)


# ---------------------------------------------------------------- every row


def by_numpy(row: Elementary, dtype: str) -> Callable[[Array], Array]:
    program = trace(lax_function(row), ((), dtype))
    return lambda x: Floats().run(program, [x])[0]


def by_xla(row: Elementary, dtype: str) -> Callable[[Array], Array]:
    def run(x: Array) -> Array:
        with jax.enable_x64(True):
            return np.asarray(jax.jit(lax_function(row))(x.astype(FORMATS[dtype].numpy))).astype(np.float64)

    return run


def lax_function(row: Elementary) -> Callable[[Any], Any]:
    if row.name in ("round", "round_even"):
        return lambda x: lax.round(x, lax.RoundingMethod(int(row.name == "round_even")))
    further = further_primitives()
    function: Callable[[Any], Any] = further[row.name].bind if row.name in further else getattr(lax, row.name)
    return function


IN_JAX = [name for name in having("numpy") if name != "trunc"]


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", IN_JAX)
def test_the_value_of_floats_lies_in_the_ball_within_its_rounding_bound(name: str, dtype: str) -> None:
    check_value(ROWS[name], dtype, by_numpy(ROWS[name], dtype))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", [name for name in IN_JAX if "growth" not in ROWS[name].holes])
def test_the_rounding_bound_holds_for_xla(name: str, dtype: str) -> None:
    check_value(ROWS[name], dtype, by_xla(ROWS[name], dtype))


@pytest.mark.parametrize("name", ROWS)
def test_wide_balls_enclose_all_values_and_slopes(name: str) -> None:
    row = ROWS[name]
    check_enclosure(row, row.enclosure)
    slope = row.slope
    if slope is not None:
        check_enclosure(row, lambda x: slope(x, row.enclosure(x)))


@pytest.mark.parametrize("name", having("slope"))
def test_every_slope_has_the_mean_value_property(name: str) -> None:
    check_slope(ROWS[name])


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.kink is not None and row.exact])
def test_without_a_kink_a_piecewise_function_is_linear(name: str) -> None:
    check_kink(ROWS[name])


@pytest.mark.parametrize("name", having("growth"))
def test_every_growth_bounds_the_change_of_the_value(name: str) -> None:
    check_growth(ROWS[name])


@pytest.mark.parametrize("wide", [np.float64, np.longdouble])
@pytest.mark.parametrize("name", having("growth"))
def test_every_wide_value_is_as_accurate_as_the_row_says(name: str, wide: type[np.floating[Any]]) -> None:
    check_wide(ROWS[name], wide)


@pytest.mark.parametrize("name", ROWS)
def test_outside_its_domain_a_function_has_no_value(name: str) -> None:
    check_domain(ROWS[name])


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.exact])
def test_an_exact_function_gives_numbers_of_the_format(name: str) -> None:
    x = np.random.default_rng(8).normal(0, 8, 500)
    for fmt in FORMATS.values():
        value = ROWS[name].numpy(fmt.round(x))  # type: ignore[misc]
        assert np.array_equal(fmt.round(value), value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", IN_JAX)
def test_linked_calls_give_the_bits_of_floats(name: str, dtype: str) -> None:
    program = trace(lax_function(ROWS[name]), ((), dtype))
    x = [FORMATS[dtype].round(np.concatenate([sample(ROWS[name], 100, 9), [0.0, -0.0, np.inf, np.nan]]))]
    assert run_linked(program, x)[0].tobytes() == Floats().run(program, x)[0].tobytes()


def test_numpys_names_are_those_of_the_same_functions() -> None:
    for name, row in BY_NUMPY_NAME.items():
        assert hasattr(ExactScalar, name) and row.growth is not None and (row.slope or row.kink)
        x = sample(row, 50, 10)
        with np.errstate(all="ignore"):
            assert np.array_equal(getattr(np, name)(x), row.numpy(x), equal_nan=True)  # type: ignore[misc]


# ---------------------------------------------------------------- wrong rows, and holes

WRONG: dict[str, tuple[Elementary, Callable[[Elementary], None]]] = {
    "a ball off by 2**-40": (
        dataclasses.replace(ROWS["tanh"], ball=lambda x: x.tanh() * (1 + arb(2) ** -40)),
        lambda row: check_value(row, "float64", np.tanh),
    ),
    "a value off by 16 units": (
        ROWS["exp"],
        lambda row: check_value(row, "float64", lambda x: np.exp(x) * (1 + 2.0**-49)),
    ),
    "a rounding constant of another format": (
        ROWS["log"],
        lambda row: check_value(row, "float32", lambda x: FORMATS["bfloat16"].round(np.log(x))),
    ),
    "a ball of the midpoint": (
        dataclasses.replace(ROWS["sinh"], ball=lambda x: x.mid().sinh()),
        lambda row: check_enclosure(row, row.enclosure),
    ),
    "a slope off by 2**-40": (
        dataclasses.replace(ROWS["erf"], slope=lambda x, y: ROWS["erf"].slope(x, y) * (1 + arb(2) ** -40)),  # type: ignore[misc]
        check_slope,
    ),
    "a slope of another function": (dataclasses.replace(ROWS["cosh"], slope=ROWS["sinh"].slope), check_slope),
    "a kink at the wrong place": (dataclasses.replace(ROWS["floor"], kink=at_halves), check_kink),
    "one kink of many": (dataclasses.replace(ROWS["ceil"], kink=at_zero), check_kink),
    "a growth from the slope at the middle": (
        dataclasses.replace(ROWS["exp"], growth=lambda v, e: np.exp(v.astype(np.float64)) * e),
        check_growth,
    ),
    "a growth that forgets the end of the domain": (
        dataclasses.replace(ROWS["sqrt"], growth=lambda v, e: e / (2 * np.sqrt(v.astype(np.float64)))),
        check_growth,
    ),
    "a growth that claims nothing": (
        dataclasses.replace(ROWS["sin"], growth=lambda v, e: 1e3 * e),
        check_growth,
    ),
    "a wide value in float64": (
        dataclasses.replace(ROWS["cos"], wide=lambda v: np.cos(v.astype(np.float64)).astype(v.dtype)),
        lambda row: check_wide(row, np.longdouble),
    ),
    "a domain too large": (dataclasses.replace(ROWS["log1p"], domain=Interval(-1.5)), check_domain),
    "a domain too small": (dataclasses.replace(ROWS["asin"], domain=Interval(-0.5, 0.5)), check_domain),
    "a domain without its ends": (dataclasses.replace(ROWS["acosh"], domain=Interval(1.0)), check_domain),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_row_with_a_wrong_column_is_refused(what: str) -> None:
    row, check = WRONG[what]
    with pytest.raises(AssertionError):
        check(row)


def test_a_hole_needs_a_reason_and_a_reason_a_hole() -> None:
    with pytest.raises(ValueError, match="growth"):
        Elementary(name="f", ball="exp", numpy=np.exp, slope=lambda x, y: y, numpy_name="exp")
    with pytest.raises(ValueError, match="slope"):
        dataclasses.replace(ROWS["exp"], holes={"slope": FLAT})
    assert all(reason for row in ROWS.values() for reason in row.holes.values())


def test_the_matrix_shows_every_function_and_the_reason_of_every_hole() -> None:
    text = matrix()
    assert all(name in text for name in ROWS)
    assert f"numpy_name: {NOT_IN_NUMPY} (logistic, rsqrt" in text


def test_an_interval_knows_its_ends_and_its_room() -> None:
    open_, closed = Interval(0.0, 2.0), Interval(0.0, 2.0, closed=True)
    x = np.array([-1.0, 0.0, 1.0, 2.0, np.nan, np.inf])
    assert open_.contains(x).tolist() == [False, False, True, False, False, False]
    assert closed.contains(x).tolist() == [False, True, True, True, False, False]
    assert Interval(0.0).inside(np.array([1.0, 1.0, np.inf]), np.array([0.5, 1.0, 1.0])).tolist() == [True, False, True]


def test_a_chain_gives_the_same_in_a_buffer() -> None:
    chain = Chain(np.negative, np.exp, (np.add, 1), (np.divide, 1))
    x = np.linspace(-3, 3, 7)
    out = np.empty_like(x)
    for ufunc, arguments in chain.calls(x, out):
        ufunc(*arguments)
    assert np.array_equal(out, chain(x)) and np.array_equal(out, 1 / (1 + np.exp(-x)))


def test_floats_need_no_python_flint() -> None:
    code = "import sys, backprove.harness.numbers.floats.linked; print('flint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_polygamma_far_below_zero_is_near_at_once() -> None:
    m, x = np.array([1.0, 2.0, 4.0, 2.0]), np.array([-1234.75, -1234.75, -1e12 - 0.25, -1e300])
    expected = [19.738399249500810, -124.02510737657478, 24481.574782822520, -np.inf]  # by mpmath at 40 digits
    np.testing.assert_allclose(float_polygamma(m, x), expected, rtol=1e-13)
