"""Finite differences that know their error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backprove.harness.oracles.differences import Sampled, central, one_by_one, step_sizes


def along(f: Callable[[Any], Any], x: Any) -> Sampled:
    def values(t: Any) -> tuple[Any, Any]:
        with np.errstate(all="ignore"):
            v = f(x + t)
        return v, np.abs(v).astype(np.float64) * 2.0**-62

    return one_by_one(values)


@pytest.mark.parametrize(
    ("f", "slope"),
    [(np.exp, np.exp), (np.sin, np.cos), (lambda x: x**5, lambda x: 5 * x**4), (np.log, lambda x: 1 / x)],
)
def test_error_covers_the_truth_and_is_small(f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> None:
    x = np.linspace(0.1, 20, 200).astype(np.longdouble)
    found = central(along(f, x), step_sizes([x.astype(float)], [np.ones(200)]))
    off = np.abs(found.value - slope(x)).astype(float)
    assert (off <= found.error).all()
    assert np.median(found.error / np.abs(slope(x)).astype(float)) < 1e-4


def test_one_sided_at_the_edge_of_the_domain() -> None:
    x = np.array([1.0], dtype=np.longdouble)
    found = central(along(lambda y: np.where(y >= 1, y**2, np.nan), x), np.array([2.0**-10]))
    assert abs(float(found.value[0]) - 2) <= found.error[0] < 1e-3


def test_nothing_is_said_where_nothing_is_finite() -> None:
    x = np.array([-1.0], dtype=np.longdouble)
    assert np.isinf(central(along(np.log, x), np.array([2.0**-10])).error[0])


def test_the_step_does_not_cross_a_kink_at_zero() -> None:
    x = np.array([1e-5, -1e-12, 1e-300], dtype=np.longdouble)
    found = central(along(np.abs, x), step_sizes([x.astype(float)], [np.ones(3)]))
    assert (np.abs(found.value - np.sign(x)).astype(float) <= found.error).all()
    assert (found.error < 1e-9).all()


def test_steps_never_pass_a_share_of_any_entry() -> None:
    x, v = np.array([[1e-8, 5.0], [3.0, 0.0]]), np.array([[1.0, -2.0], [1.0, 1.0]])
    h = step_sizes([x], [v], 2.0**-10)
    assert (np.abs(h * v)[x != 0] <= 2.0**-10 * np.abs(x)[x != 0] * (1 + 1e-12)).all()
    assert step_sizes([np.zeros((2, 1))], [v[:, :1]]) > 0


@pytest.mark.parametrize("kink", [0.0, 0.01, 0.1, 0.2, 0.35, 0.5, 0.8])
def test_a_kink_within_the_step_is_in_the_error(kink: float) -> None:
    """Closer than a fifth of the step Richardson alone would not see it."""
    step = np.array([2.0**-10])
    x = np.array([1.0], dtype=np.longdouble)
    at = 1 + kink * 2.0**-10
    found = central(along(lambda y: 3 * y + np.maximum(y - at, 0), x), step)
    slopes = (3.0, 4.0) if kink == 0 else (3.0, 3.0)
    assert all(abs(float(found.value[0]) - s) <= found.error[0] for s in slopes)
