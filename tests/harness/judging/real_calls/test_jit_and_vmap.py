"""JAX code must give under jit and vmap what it gives plainly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_batching import custom_vmap

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.real_calls.jit_and_vmap import disagreement, usual_points

ARRAYS = [np.array([[0.5, 2.0, -1.0], [1.5, -3.0, 4.0]]), np.array([[1.0, 0.5, 2.0], [-1.0, 3.0, 0.25]])]
SIGNATURE = (((2,), "float64"), ((2,), "float64"))


def callback(host: Any, method: str) -> Any:
    def rule(x: Any, g: Any) -> Any:
        return jax.pure_callback(host, jax.ShapeDtypeStruct(x.shape, x.dtype), x, g, vmap_method=method)

    return rule


def batched_by_hand(batched: Any) -> Any:
    @custom_vmap
    def rule(x: Any, g: Any) -> Any:
        return jnp.cos(x) * g

    @rule.def_vmap
    def _(size: Any, which: Any, x: Any, g: Any) -> Any:
        return batched(x) * g, True

    return rule


def asks_whether_traced(x: Any, g: Any) -> Any:
    return jnp.cos(x) * g * (2.0 if isinstance(x, jax.core.Tracer) else 1.0)


def branches(x: Any, g: Any) -> Any:
    return jnp.cos(x) * g if float(x[0]) > 0 else g * jnp.cos(x)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (asks_whether_traced, "another result under jax.jit than when it is called plainly"),
        (callback(lambda x, g: g * np.cos(x) / x.shape[0], "expand_dims"), "another result under jax.vmap"),
        (batched_by_hand(jnp.sin), "another result under jax.vmap"),
    ],
)
def test_another_result_under_a_transformation_is_seen(rule: Any, message: str) -> None:
    said, remark = disagreement(rule, SIGNATURE, ARRAYS, [0, 1, 2])
    assert message in said and not remark


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, g: g * jnp.cos(x),
        lambda x, g: (g * jnp.cos(x), jnp.argmax(x)),
        lambda x, g: g * jnp.cos(x) / x.shape[0],
        lambda x, g: jnp.full(x.shape, jnp.nan),
        lambda x, g: {"x": g},
        callback(lambda x, g: g * np.cos(x) / x.shape[-1], "expand_dims"),
        callback(lambda x, g: g * np.cos(x) / x.shape[0], "sequential"),
        batched_by_hand(jnp.cos),
        lambda x, g: np.cos(x) * g,
        lambda x, g: 1 // 0,
    ],
)
def test_what_agrees_and_what_is_no_jax_code_is_accepted(rule: Any) -> None:
    assert disagreement(rule, SIGNATURE, ARRAYS, [0, 2]) == ("", "")


def test_code_that_cannot_be_jitted_is_a_remark() -> None:
    said, remark = disagreement(branches, SIGNATURE, ARRAYS, [0])
    assert not said and "cannot be jitted and vmapped: ConcretizationTypeError" in remark
    assert "\n" not in remark


def test_only_moderate_points_are_compared() -> None:
    x = np.array([[1.0, 1e5, 0.0, 3.0, 2.0]])
    usable = np.array([True, True, True, True, False])
    assert usual_points([x, np.arange(5)[None]], usable) == [0, 3]


def test_a_rule_that_differs_under_jit_is_an_error_with_one_point() -> None:
    rule = bp.Rule("sin", forward=jnp.sin, vjp=asks_whether_traced, inputs={"x": bp.array("n")})
    report = bp.check(rule, points=20, dtypes=("float64",))
    assert report.verdict is Verdict.ERROR
    assert report.properties[0].reason.startswith("vjp gives another result under jax.jit")
    assert report.counterexamples


def test_a_rule_that_cannot_be_jitted_holds_and_says_so() -> None:
    rule = bp.Rule("sin", forward=jnp.sin, vjp=branches, inputs={"x": bp.array("2")})
    report = bp.check(rule, points=20, dtypes=("float64",))
    assert report.ok and "cannot be jitted" in str(report)


def test_results_that_cancel_may_differ_by_their_rounding() -> None:
    """All entries of these results are rounding errors, which no order of operations shares with another."""

    def gelu(x: Any, g: Any) -> Any:  # the textbook slope; its tail cancels
        t = jnp.tanh(0.7978845608028654 * (x + 0.044715 * x**3))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x))

    rule = bp.Rule(
        "gelu", forward=lambda x: jnp.sum(jax.nn.gelu(x)), vjp=gelu, inputs={"x": bp.array("", low=-9, high=-5)}
    )
    assert bp.check(rule, points=200, dtypes=["float64"], seed=3).verdict == "holds"

    def differs(x: Any, g: Any) -> Any:
        """Zero over the reals; under a trace another rounding error."""
        left = x * 1e8 - x * 99999999 - x
        return g * (left + (3e-9 * x if isinstance(x, jax.core.Tracer) else 0))

    zero = bp.Rule("zero", forward=lambda x: x * 0.0, vjp=differs, inputs={"x": bp.array("n", low=1, high=9)})
    found = bp.check(zero, points=50, dtypes=["float64"])
    assert "another result" not in str(found)
