"""A rule that is wrong only at -0 is inaccurate; where both signs may answer differently, it holds."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict


def entry_by_entry(f: Any) -> Any:
    """Code that nothing can trace."""
    return lambda *a: np.array([f(*(float(q[i]) for q in a)) for i in range(len(a[0]))]).reshape(a[0].shape)


def verdict(forward: Any, vjp: Any) -> tuple[Verdict, str]:
    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs={"x": bp.array("n", low=-40, high=40)})
    report = bp.check(rule, points=100, dtypes=("float64",))
    return report.verdict, str(report)


def minus(x: Any) -> Any:
    return (x == 0) & np.signbit(x)


@pytest.mark.parametrize(
    ("forward", "wrong"),
    [
        (np.sin, lambda x, g: g * np.where(minus(x), 2.0, np.cos(x))),
        (jnp.sin, lambda x, g: g * jnp.where((x == 0) & jnp.signbit(x), 2.0, jnp.cos(x))),
        (np.sin, lambda x, g: g * np.where(np.arctan2(x, -1.0) == -np.pi, 2.0, np.cos(x))),
        (lambda x: x * np.abs(x), lambda x, g: g * np.where(minus(x), 1.0, 2 * np.abs(x))),  # a removable kink
        (lambda x: np.maximum(x, 0), lambda x, g: g * np.where(minus(x), -1.0, (x > 0) * 1.0)),  # outside [0, 1]
        (entry_by_entry(math.sin), lambda x, g: g * np.where(minus(x), 2.0, np.cos(x))),
    ],
)
def test_wrong_at_minus_zero_alone(forward: Any, wrong: Any) -> None:
    found, said = verdict(forward, wrong)
    assert found is Verdict.INACCURATE and "another result at -0 than at +0" in said


@pytest.mark.parametrize(
    ("forward", "right"),
    [
        (np.abs, lambda x, g: g * np.where(np.signbit(x), -1.0, 1.0)),
        (entry_by_entry(abs), lambda x, g: g * np.where(np.signbit(x), -1.0, 1.0)),
        (lambda x: np.maximum(x, 0), lambda x, g: g * np.where(np.signbit(x), 0.0, 1.0)),
        (lambda x: x * np.abs(x), lambda x, g: g * 2 * np.abs(x)),
        (np.sin, lambda x, g: np.copysign(1.0, x) * np.cos(x) * g * np.copysign(1.0, x)),
    ],
)
def test_right_at_both_zeros(forward: Any, right: Any) -> None:
    found, said = verdict(forward, right)
    assert found is Verdict.HOLDS, said


def smooth_step(xp: Any) -> Any:
    """exp(-1/x) above zero, and 0 below."""

    def forward(x: Any) -> Any:
        s = xp.where(x > 0, x, 1.0)
        return xp.where(x > 0, xp.exp(-1 / s), 0.0)

    return forward


def slope(xp: Any, squared: bool) -> Any:
    def vjp(x: Any, g: Any) -> Any:
        s = xp.where(x > 0, x, 1.0)
        e = xp.exp(-1 / s)
        return g * xp.where(x > 0, e / (s * s) if squared else e / s / s, 0.0)

    return vjp


CALLED = entry_by_entry(lambda v: math.exp(-1 / v) if v > 0 else 0.0)
FORWARDS = [(smooth_step(np), np), (smooth_step(jnp), jnp), (CALLED, np)]


@pytest.mark.parametrize(("forward", "xp"), FORWARDS)
@pytest.mark.parametrize("squared", [True, False])
def test_a_quotient_of_two_underflows_is_inaccurate_traced_or_called(forward: Any, xp: Any, squared: bool) -> None:
    """exp(-1e200) / (1e-200)**2 is 0/0 in floats; divided twice by 1e-200 it is 0, which is right."""
    rule = bp.Rule("rule", forward=forward, vjp=slope(xp, squared), inputs={"x": bp.array("n")})
    report = bp.check(rule, points=200, dtypes=("float64",))
    assert report.verdict is (Verdict.INACCURATE if squared else Verdict.HOLDS), str(report)


def test_a_forward_that_tells_zeros_apart_has_no_one_derivative_there() -> None:
    def forward(x: Any, w: Any) -> Any:
        return np.array([math.copysign(a, b) for a, b in zip(x, w, strict=True)])

    def vjp(x: Any, w: Any, g: Any) -> Any:
        return g * np.copysign(1, x) * np.copysign(1, w), 0 * g

    rule = bp.Rule("copysign", forward=forward, vjp=vjp, inputs={"x": bp.array("n", low=1), "w": bp.array("n")})
    report = bp.check(rule, points=100, dtypes=("float64",))
    assert report.verdict is Verdict.HOLDS, str(report)
