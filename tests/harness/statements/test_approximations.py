"""Approximations: values and rule are held against a reference and its derivative, up to so many units."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.rule import Rule

FEW = {"points": 60, "dtypes": ["float64"]}
X = {"x": bp.array("n", low=0.25, high=4)}


def verdicts(rule, **options):
    return {p.name: str(p.verdict) for p in bp.check(rule, **{**FEW, **options}).properties}


def newton(x):
    y = 1 + 0 * x
    for _ in range(7):
        y = 0.5 * (y + x / y)
    return y


def root(forward=1.0, rule=1.0, **further):
    return Rule(
        "root",
        forward=lambda x: forward * newton(x),
        vjp=lambda x, g: rule * g * 0.5 / newton(x),
        inputs=X,
        **{"reference": jnp.sqrt, "approximates": 4, **further},
    )


def rotation(w, x, taylor=1.0):
    """Rodrigues' formula with a Taylor branch."""
    t2 = (w * w).sum()
    near = t2 < 1e-4
    t = np.sqrt(np.where(near, 1.0, t2))
    a = np.where(near, 1 - taylor * t2 / 6 + t2**2 / 120 - t2**3 / 5040, np.sin(t) / t)
    b = np.where(near, 0.5 - t2 / 24 + t2**2 / 720 - t2**3 / 40320, (1 - np.cos(t)) / t**2)
    c = np.cross(w, x)
    return x + a * c + b * np.cross(w, c)


def rotation_reference(w, x):
    t = jnp.sqrt((w * w).sum())
    c = jnp.cross(w, x)
    return x + jnp.sin(t) / t * c + (1 - jnp.cos(t)) / t**2 * jnp.cross(w, c)


def rotation_jvp(w, x, dw, dx, taylor=1.0):
    t2, dt2 = (w * w).sum(), 2 * (w * dw).sum()
    near = t2 < 1e-4
    t = np.sqrt(np.where(near, 1.0, t2))
    a = np.where(near, 1 - t2 / 6 + t2**2 / 120 - t2**3 / 5040, np.sin(t) / t)
    b = np.where(near, 0.5 - t2 / 24 + t2**2 / 720 - t2**3 / 40320, (1 - np.cos(t)) / t**2)
    slope_a = np.where(near, -taylor / 6 + t2 / 60 - t2**2 / 1680, (t * np.cos(t) - np.sin(t)) / (2 * t**3))
    slope_b = np.where(near, -1 / 24 + t2 / 360 - t2**2 / 13440, (t * np.sin(t) / 2 - 1 + np.cos(t)) / t**4)
    c, dc = np.cross(w, x), np.cross(dw, x) + np.cross(w, dx)
    turned = slope_a * c + slope_b * np.cross(w, c)
    return dx + dt2 * turned + a * dc + b * (np.cross(dw, c) + np.cross(w, dc))


def rodrigues(values=1.0, rule=1.0):
    return Rule(
        "rodrigues",
        forward=lambda w, x: rotation(w, x, values),
        jvp=lambda w, x, dw, dx: rotation_jvp(w, x, dw, dx, rule),
        reference=rotation_reference,
        approximates=4,
        inputs={"w": bp.array("3", low=-3, high=3), "x": bp.array("3", low=-9, high=9)},
    )


def test_a_newton_loop_holds_and_values_and_rule_are_refused_each_by_itself():
    report = bp.check(root(), **FEW)
    assert report.ok
    assert "within 4 units of the derivative of the reference (" in str(report)
    assert "within 4 units of the reference (" in str(report)
    assert verdicts(root(rule=1 + 1e-6)) == {"vjp": "falsified", "reference": "holds"}
    report = bp.check(root(forward=1 + 1e-13), **FEW)
    assert {p.name: str(p.verdict) for p in report.properties} == {"vjp": "holds", "reference": "falsified"}
    assert "forward is not within 4 units of the reference. It gives" in report.counterexamples[0].message


def test_a_taylor_branch_holds_and_is_refused_where_it_alone_is_wrong():
    assert bp.check(rodrigues(), **FEW).ok
    assert verdicts(rodrigues(rule=1 + 1e-6)) == {"jvp": "falsified", "reference": "holds"}
    assert verdicts(rodrigues(values=1 + 1e-6)) == {"jvp": "holds", "reference": "falsified"}


@pytest.mark.parametrize(("units", "held"), [(64, True), (8, False)])
def test_so_many_units_are_granted_and_no_more(units, held):
    off = 1 + 24 * 2.0**-52
    report = bp.check(root(forward=off, rule=off, approximates=units), **FEW)
    assert all((p.verdict == "holds") is held for p in report.properties)
    if held:
        worst = [p.evidence.approximation.worst for p in report.properties]
        assert all(10 < w < 40 for w in worst)


def test_a_table_of_float32_holds_in_units_of_float32_and_one_of_four_decimals_does_not():
    knots = np.linspace(0.0, 4.0, 4097)

    def rule(table):
        def interpolated(x):
            k = np.clip(np.floor(x * 1024), 0, 4095).astype(int)
            s = x * 1024 - k
            return (table[k] * (1 - s) + table[k + 1] * s).astype(x.dtype)

        return Rule(
            "table",
            forward=interpolated,
            vjp=lambda x, g: -g * np.exp(-x),
            reference=lambda x: jnp.exp(-x),
            approximates=16,
            inputs=X,
        )

    exact = np.exp(-knots)
    short = {"dtypes": ["float32"]}
    assert verdicts(rule(exact.astype(np.float32)), **short) == {"vjp": "holds", "reference": "holds"}
    assert verdicts(rule(np.round(exact, 4).astype(np.float32)), **short) == {"vjp": "holds", "reference": "falsified"}


def test_the_other_ways_to_state_a_rule_take_it_too():
    @jax.custom_vjp
    def f(x):
        return newton(x)

    f.defvjp(lambda x: (f(x), f(x)), lambda y, g: (0.5 * g / y,))
    stated = {"reference": jnp.sqrt, "approximates": 4, "inputs": X}
    assert verdicts(bp.from_jax(f, **stated)) == {"vjp": "holds", "primal": "holds", "reference": "holds"}
    pair = bp.from_fwd_bwd(lambda x: (newton(x), newton(x)), lambda y, g: 0.5001 * g / y, name="root", **stated)
    assert verdicts(pair) == {"vjp": "falsified", "reference": "holds"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reference": None}, "needs a reference"),
        ({"approximates": 0}, "positive"),
        ({"approximates": -4}, "positive"),
        ({"approximates": float("nan")}, "positive"),
        ({"approximates": float("inf")}, "finite"),
        ({"approximates": "4"}, "a number of units"),
        ({"approximates": True}, "a number of units"),
        ({"surrogate": jnp.sqrt}, "one of the two"),
    ],
)
def test_wrong_use_says_what_to_give(given, said):
    with pytest.raises(UsageError, match=said):
        root(**given)
