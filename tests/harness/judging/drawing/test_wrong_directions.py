"""Rules that are wrong only for directions of some magnitude, or beside a constant of their own, are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict


def _clipped_by_norm(x: Any, g: Any) -> Any:
    return g * np.minimum(1.0, 1000 / np.maximum(np.sqrt((g * g).sum()), 1e-300)) * np.cos(x)


def _branching(x: Any, g: Any) -> Any:
    """Code that no tracer follows."""
    return np.array([float(b) * np.cos(float(a)) if abs(float(b)) < 777 else 0.0 for a, b in zip(x, g, strict=True)])


def _plain(x: Any, g: Any) -> Any:
    return np.array([float(b) * np.cos(float(a)) for a, b in zip(x, g, strict=True)])


WRONG: dict[str, Callable[..., Any]] = {
    "clip at 10": lambda x, g: np.clip(g, -10, 10) * np.cos(x),
    "clip at 4.5": lambda x, g: np.clip(g, -4.5, 4.5) * np.cos(x),
    "clip at 1e6": lambda x, g: np.clip(g, -1e6, 1e6) * np.cos(x),
    "large ones dropped": lambda x, g: np.where(abs(g) > 1e3, 0, g) * np.cos(x),
    "small ones dropped": lambda x, g: np.where(abs(g) < 1e-9, 0, g) * np.cos(x),
    "clipped by norm": _clipped_by_norm,
    "a little more beyond 777": lambda x, g: g * (1 + 1e-3 * (g > 777)) * np.cos(x),
    "a little more in a narrow band": lambda x, g: g * (1 + 1e-3 * ((g > 50) & (g < 50.001))) * np.cos(x),
    "a branch at 777": _branching,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_for_some_cotangents_is_refused(name: str) -> None:
    rule = bp.Rule(name, forward=np.sin, vjp=WRONG[name], inputs={"x": bp.array("n")})
    report = bp.check(rule, points=300, dtypes=["float64"])
    assert report.properties[0].verdict is Verdict.FALSIFIED


def test_a_wrong_rule_for_some_tangents_is_refused() -> None:
    def jvp(x: Any, t: Any) -> Any:
        return jnp.clip(t, -1e6, 1e6) * jnp.cos(x)

    rule = bp.Rule("clipped", forward=jnp.sin, jvp=jvp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64"]).properties[0].verdict is Verdict.FALSIFIED


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max())
    return e / e.sum()


RIGHT: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "exp": (np.exp, lambda x, g: g * np.exp(x)),
    "square": (lambda x: x * x, lambda x, g: 2 * g * x),
    "softmax": (_softmax, lambda x, g: _softmax(x) * (g - (g * _softmax(x)).sum())),
    "a loop": (lambda x: np.array([np.sin(float(v)) for v in x]), _plain),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_holds_although_its_result_overflows(name: str) -> None:
    forward, vjp = RIGHT[name]
    rule = bp.Rule(name, forward=forward, vjp=vjp, inputs={"x": bp.array("n")})
    assert bp.check(rule, points=300, dtypes=["float64", "float32"]).ok
