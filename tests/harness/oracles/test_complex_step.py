"""The complex step: accurate where code is analytic, silent where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backprove.harness.oracles.complex_step import complex_step

X = np.array([0.3, -1.2, 2.5])
V = np.array([1.0, 0.5, -2.0])


@pytest.mark.parametrize(
    ("forward", "derivative"),
    [
        (np.exp, np.exp),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (lambda x: x**3, lambda x: 3 * x * x),
        (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (2 + 2 * np.cosh(x))),
    ],
)
def test_analytic_code_to_the_last_digits(forward: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> None:
    found = complex_step(forward, [X], [V])
    assert found is not None
    np.testing.assert_allclose(found[0], derivative(X) * V, rtol=1e-14)


def test_several_arguments_outputs_and_a_fixed_input() -> None:
    def forward(a: Any, k: Any) -> Any:
        return a[k], (a * a).sum()

    found = complex_step(forward, [X, np.array([2, 0])], [V, None])
    assert found is not None
    np.testing.assert_allclose(found[0], V[[2, 0]])
    np.testing.assert_allclose(found[1], 2 * (X * V).sum())


@pytest.mark.parametrize(
    "forward",
    [
        np.abs,
        lambda x: np.abs(x) ** 2,
        lambda x: np.maximum(x, 0) * x,
        lambda x: x.astype(np.float64) ** 2,
        lambda x: np.real(x) ** 2,
        lambda x: np.conj(x) * x,
        lambda x: np.array([float(v) ** 2 for v in x]),
        lambda x: np.where(x == np.real(x), x * x, 3 * x * x),
        lambda x: np.sqrt(x - 1),
    ],
)
def test_code_that_is_not_analytic_gives_nothing_or_the_truth(forward: Callable[[Any], Any]) -> None:
    found = complex_step(forward, [X], [V])
    if found is None:
        return
    h = 1e-6
    np.testing.assert_allclose(found[0], (forward(X + h * V) - forward(X - h * V)) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("forward", [np.abs, lambda x: np.real(x) ** 2, lambda x: np.conj(x) * x])
def test_lost_imaginary_parts_are_noticed(forward: Callable[[Any], Any]) -> None:
    assert complex_step(forward, [X], [V]) is None
