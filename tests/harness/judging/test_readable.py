"""Counterexamples have numbers that people can follow, and directions and entries that show something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.results import Counterexample
from backprove.harness.judging.readable import simpler

SIMPLE = {0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5}


def shown(rule: bp.Rule) -> Counterexample:
    (found,) = bp.check(rule, points=300, dtypes=["float64"]).counterexamples
    return found


def numbers(found: Counterexample) -> list[float]:
    arrays = [*found.inputs.values(), *found.cotangents.values()]
    return [float(v) for a in arrays for v in np.ravel(a)]


def stated(forward: Callable[..., Any], vjp: Callable[..., Any], dims: str = "n", **bounds: Any) -> bp.Rule:
    return bp.Rule("stated", forward=forward, vjp=vjp, inputs={"x": bp.array(dims, **bounds)})


def _softmax(s: Any) -> Any:
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _attention_backward(q: Any, k: Any, v: Any, g: Any) -> Any:
    p = _softmax(q @ k.T)
    dp = g @ v.T
    ds = p * (dp - dp.sum(axis=-1, keepdims=True))  # p is missing in the sum
    return ds @ k, ds.T @ q, p.T @ g


def test_attention_is_refused_at_zeros_and_ones() -> None:
    inputs = {"q": bp.array("m d"), "k": bp.array("n d"), "v": bp.array("n e")}
    rule = bp.Rule("a", forward=lambda q, k, v: _softmax(q @ k.T) @ v, vjp=_attention_backward, inputs=inputs)
    found = shown(rule)
    assert set(numbers(found)) <= SIMPLE and len(numbers(found)) <= 8


WRONG: dict[str, bp.Rule] = {
    "a quotient of zeros": stated(np.sin, lambda x, g: g * np.cos(x) * (x / x)),
    "a norm": stated(lambda x: np.sqrt((x * x).sum()), lambda x, g: g * x / (x * x).sum()),
    "a factor": stated(lambda x: x**3 / 3, lambda x, g: 0.3 * g * x**2),
    "a sign": stated(lambda x: np.log(x / (1 - x)), lambda x, g: g / (x * (1 + x)), low=0.01, high=0.99),
    "four axes": stated(np.sin, lambda x, g: g * np.cos(x) * (1.5 if x.ndim > 3 else 1), "*batch n"),
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_are_small_and_directions_are_not_zero(name: str) -> None:
    found = shown(WRONG[name])
    assert set(numbers(found)) <= SIMPLE and len(numbers(found)) <= 4
    assert np.any(found.cotangents["cotangent"]) and all(np.size(a) for a in found.inputs.values())


def test_numbers_that_matter_stay() -> None:
    found = shown(stated(np.sin, lambda x, g: g * np.cos(x) * np.where(x > 777, 2, 1)))
    (x,) = found.inputs["x"]
    assert 777 < x <= 778


@pytest.mark.parametrize("dims", ["n", "m n"])
def test_a_softmax_without_its_rank_one_term_is_shown_at_two_entries(dims: str) -> None:
    inputs = {"s": bp.array(dims)}
    found = shown(bp.Rule("stated", forward=_softmax, vjp=lambda s, g: g * _softmax(s), inputs=inputs))
    assert np.shape(found.inputs["s"])[-1] == 2 and np.size(found.inputs["s"]) == 2
    assert set(numbers(found)) <= SIMPLE and np.any(found.cotangents["cotangent"])


def test_simpler_numbers_come_in_order() -> None:
    assert list(simpler(2.0)) == [0.0, 1.0, -1.0]
    assert list(simpler(0.0)) == [] and next(simpler(-0.0)) == 0.0
    assert 9.0 in simpler(8.999999999999998) and 2.24 in simpler(2.236067977499815)
    assert next(simpler(2.2e-308)) == 0.0
