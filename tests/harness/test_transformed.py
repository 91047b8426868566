"""JAX code must give under jit and vmap what it gives plainly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_batching import custom_vmap

import backprove as bp
from backprove.harness.transformed import disagreement, usual_points
from backprove.harness.verdict import Verdict

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
