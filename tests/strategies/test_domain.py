"""Bounds, neighbours and special values."""

from __future__ import annotations

import numpy as np
import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.domain import float_domain, from_ordinal, neighbours, special_values, to_ordinal


def test_ordinals_count_the_normal_numbers(dtype: str) -> None:
    fmt = FORMATS[dtype]
    v = np.array([0.0, -0.0, fmt.tiny, -fmt.tiny, 1.0, 1 + 2 * fmt.u, 1 - fmt.u, fmt.max])
    o = to_ordinal(v, fmt)
    assert o[:4].tolist() == [0, 0, 1, -1]
    assert o[5] - o[4] == 1 and o[4] - o[6] == 1
    assert np.array_equal(from_ordinal(o, fmt), v)


def test_bounds_are_rounded_inward(dtype: str) -> None:
    domain = float_domain(array("n", low=0.1, high=0.7), dtype)
    u = FORMATS[dtype].u
    assert 0.1 <= domain.low <= 0.1 * (1 + 2 * u)
    assert 0.7 * (1 - 2 * u) <= domain.high <= 0.7
    assert domain.contains(np.array([domain.low, domain.high])).all()


@pytest.mark.parametrize(
    ("spec", "name", "low", "high"),
    [
        (array(""), "float64", -1e4, 1e4),
        (array(""), "float16", -256.0, 256.0),
        (array("", low=0), "float32", 0.0, 1e4),
        (array("", low=5000), "float32", 5000.0, 5e4),
        (array("", high=-2000), "float64", -2e4, -2000.0),
        (array("", low=3000), "float16", 3000.0, 30000.0),
        (array("", low=-1e5), "float16", -65504.0, 256.0),
        (array("", extreme=True), "float16", -256.0, 256.0),
    ],
)
def test_an_open_side_reaches_to_its_default(spec: ArraySpec, name: str, low: float, high: float) -> None:
    domain = float_domain(spec, name)
    assert (domain.low, domain.high) == (low, high)


def test_extreme_reaches_to_the_largest_number(dtype: str) -> None:
    domain = float_domain(array("", low=1), dtype, extreme=True)
    assert (domain.low, domain.high) == (1.0, FORMATS[dtype].max)


def test_zero_of_either_sign_survives_a_bound_of_zero() -> None:
    for spec in (array("n", low=0), array("n", high=0), array("n")):
        admitted = float_domain(spec, "float32").admit(np.array([0.0, -0.0]))
        assert np.signbit(admitted).tolist() == [False, True]


def test_subnormals_are_flushed_and_zero_leaves_a_nonzero_domain() -> None:
    tiny = FORMATS["float32"].tiny
    assert float_domain(array("n"), "float32").admit(np.array([tiny / 2])).tolist() == [0.0]
    assert float_domain(array("n", nonzero=True), "float32").admit(np.array([0.0, -0.0])).tolist() == [1.0, 1.0]
    assert float_domain(array("n", high=0, nonzero=True), "float32").high == -tiny


@pytest.mark.parametrize(
    "spec", [array("", low=0.1, high=0.1), array("", low=1e39), array("", low=0, high=1e-50, nonzero=True)]
)
def test_an_empty_domain_is_refused(spec: ArraySpec) -> None:
    with pytest.raises(UsageError, match=r"no (nonzero )?float32 number lies between.*widen"):
        float_domain(spec, "float32")


def test_separate_moves_equal_numbers_by_single_steps(dtype: str) -> None:
    domain = float_domain(array("n", low=-1, high=1, nonzero=True), dtype)
    x = np.array([[1.0, 0.5], [1.0, 0.25], [-1.0, 0.5], [1.0, 0.75]])
    y = domain.separate(x)
    assert domain.contains(y).all()
    assert all(len(set(column)) == 4 for column in y.T.tolist())
    assert np.abs(y - x).max() <= 4 * FORMATS[dtype].u
    with pytest.raises(UsageError, match="distinct=True needs 200 different"):
        float_domain(array("n", low=1, high=1.25), "bfloat16").separate(np.ones((200, 1)))


def test_spread_moves_equal_numbers_to_short_ones() -> None:
    assert float_domain(array("n"), "float32").spread(np.zeros(3)).tolist() == [0.0, 1.0, 2.0]
    assert len(set(float_domain(array("n", low=0, high=1), "float32").spread(np.ones(5)).tolist())) == 5


def test_special_values_contain_both_sides_of_each_constant(dtype: str) -> None:
    domain = float_domain(array("n", low=-4, high=6), dtype)
    table = special_values(domain, (3.0, 0.1)).tolist()
    for c in (3.0, 0.1):
        assert set(neighbours(c, FORMATS[dtype])) <= set(table)
        assert min(table, key=lambda v: abs(v - c)) in table
        assert any(v < c for v in table) and any(v > c for v in table)
    assert {1.5, 6.0, -3.0, 1.0, -1.0, -4.0, 0.5, 2.0} <= set(table)
    assert [np.signbit(v) for v in table if v == 0] == [False, True]
    assert domain.contains(np.array(table)).all()
