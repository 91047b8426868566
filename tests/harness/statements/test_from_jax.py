"""Rules out of JAX's and torch's custom derivatives, and out of forward/backward pairs."""

from __future__ import annotations

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove import check
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.from_jax import from_jax
from backprove.harness.statements.from_pairs import from_fwd_bwd
from backprove.harness.statements.from_torch import from_torch
from backprove.strategies.array import array

X = np.array([0.5, -1.0, 2.0])
G = np.array([1.0, 2.0, -3.0])


@jax.custom_jvp
def wrong_sin(x: Any) -> Any:
    return jnp.sin(x)


@wrong_sin.defjvp
def wrong_sin_jvp(primals: Any, tangents: Any) -> Any:
    return wrong_sin(primals[0]), 2 * jnp.cos(primals[0]) * tangents[0]


def scaled_product() -> Any:
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def product(factor: float, x: Any, y: Any) -> Any:
        return factor * x * y, x

    def fwd(factor: float, x: Any, y: Any) -> Any:
        return product(factor, x, y), (x, y)

    def bwd(factor: float, residuals: Any, cotangents: Any) -> Any:
        x, y = residuals
        g, h = cotangents
        return factor * g * y + h, factor * g * x

    product.defvjp(fwd, bwd)
    return product


def test_a_custom_jvp_is_the_rule_and_the_undecorated_function_the_map() -> None:
    rule = from_jax(wrong_sin, inputs={"x": array("n")})
    assert rule.name == "wrong_sin" and rule.vjp is None and rule.jvp is not None
    np.testing.assert_allclose(rule.jvp(X, G), 2 * np.cos(X) * G, rtol=1e-5)
    true = jax.jvp(rule.forward, (jnp.asarray(X),), (jnp.asarray(G),))[1]
    np.testing.assert_allclose(true, np.cos(X) * G, rtol=1e-5)
    assert "2 * jnp.cos" in rule.code


def test_a_custom_vjp_with_a_bound_argument_and_two_outputs() -> None:
    rule = from_jax(functools.partial(scaled_product(), 3.0), inputs={"x": array("n"), "y": array("n")})
    assert rule.jvp is None and rule.vjp is not None
    out, x = rule.forward(X, G)
    np.testing.assert_allclose(out, 3 * X * G, rtol=1e-6)
    np.testing.assert_allclose(x, X)
    dx, dy = rule.vjp(X, G, G, X)
    np.testing.assert_allclose(dx, 3 * G * G + X, rtol=1e-6)
    np.testing.assert_allclose(dy, 3 * G * X, rtol=1e-6)


def square_plus(scale: float, forward_mode: bool) -> Any:
    """`x^2 + x` whose rule computes `scale` times the value, and rounds otherwise."""

    def value(x: Any) -> Any:
        return scale * (x * (x + 1))

    if forward_mode:
        f: Any = jax.custom_jvp(lambda x: x * x + x)
        f.defjvp(lambda primals, tangents: (value(*primals), (2 * primals[0] + 1) * tangents[0]))
        return f
    f = jax.custom_vjp(lambda x: x * x + x)
    f.defvjp(lambda x: (value(x), x), lambda x, g: (g * (2 * x + 1),))
    return f


@pytest.mark.parametrize("forward_mode", [True, False])
@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "holds"), (2.0, "falsified")])
def test_the_primal_of_a_jax_rule_equals_the_undecorated_function(
    forward_mode: bool, scale: float, verdict: str
) -> None:
    rule = from_jax(square_plus(scale, forward_mode), inputs={"x": array("n", low=-9, high=9)}, name="square plus")
    report = check(rule, points=50, dtypes=["float32"])
    verdicts = {p.name: str(p.verdict) for p in report.properties}
    assert verdicts.pop("primal") == verdict
    assert set(verdicts.values()) == {"holds"}


def test_the_primal_of_a_jax_rule_of_pytrees_equals_the_undecorated_function() -> None:
    @jax.custom_vjp
    def halves(p: Any) -> Any:
        return {"sum": p["a"] + p["b"], "count": p["k"]}

    halves.defvjp(
        lambda p: ({"sum": p["b"] - p["a"], "count": p["k"]}, None),
        lambda _, g: ({"a": g["sum"], "b": g["sum"], "k": None},),
    )
    inputs = {"p": {"a": array("n"), "b": array("n"), "k": array("", dtype="int32")}}
    report = check(from_jax(halves, inputs=inputs), points=50, dtypes=["float64"])
    assert {p.name: str(p.verdict) for p in report.properties} == {"vjp": "holds", "primal": "falsified"}


def test_an_integer_input_of_a_jax_rule_has_no_cotangent() -> None:
    @jax.custom_vjp
    def take(x: Any, i: Any) -> Any:
        return x[i]

    take.defvjp(lambda x, i: (x[i], (x, i)), lambda r, g: (jnp.zeros_like(r[0]).at[r[1]].set(g), None))
    rule = from_jax(take, inputs={"x": array("n"), "i": array("", kind="index", high="n")})
    assert rule.vjp is not None
    np.testing.assert_allclose(rule.vjp(X, np.int64(1), np.float64(5.0)), [0, 5, 0])


def test_what_is_no_jax_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a function decorated with"):
        from_jax(jnp.sin, inputs={"x": array("n")})
    with pytest.raises(UsageError, match="has no derivative rule yet"):
        from_jax(jax.custom_vjp(lambda x: x), inputs={"x": array("n")})
    with pytest.raises(UsageError, match="'factor' of product is in nondiff_argnums"):
        from_jax(scaled_product(), inputs={"factor": array(""), "x": array("n"), "y": array("n")})


def test_a_forward_and_backward_pair() -> None:
    def fwd(x: Any) -> Any:
        return np.exp(x), np.exp(x)

    def bwd(residuals: Any, g: Any) -> Any:
        return (residuals * g,)

    rule = from_fwd_bwd(fwd, bwd, inputs={"x": array("n")}, name="exp")
    assert rule.vjp is not None and rule.name == "exp"
    np.testing.assert_array_equal(rule.forward(X), np.exp(X))
    np.testing.assert_array_equal(rule.vjp(X, G), np.exp(X) * G)
    assert "return (residuals * g,)" in rule.code


def test_a_pair_whose_forward_keeps_no_residuals_is_refused_when_it_runs() -> None:
    rule = from_fwd_bwd(np.exp, lambda r, g: r * g, inputs={"x": array("n")})
    with pytest.raises(UsageError, match=r"must return \(out, residuals\), got ndarray"):
        rule.forward(X)
    with pytest.raises(UsageError, match="bwd must be a function"):
        from_fwd_bwd(lambda x: (x, x), None, inputs={"x": array("n")})  # type: ignore[arg-type]


def test_torch_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match="needs torch, which is not installed"):
        from_torch(object, inputs={"x": array("n")})


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (1.001, "falsified")])
def test_a_ufunc_of_a_decorated_function_is_a_rule(factor: float, verdict: str) -> None:
    @jax.custom_jvp
    def bell(x: Any) -> Any:
        return jnp.exp(-x * x)

    bell.defjvp(lambda primals, tangents: (bell(*primals), -2 * factor * primals[0] * bell(*primals) * tangents[0]))
    rule = from_jax(jnp.frompyfunc(bell, 1, 1), inputs={"x": array("m n", low=-3, high=3)})
    report = check(rule, points=60, dtypes=("float64",))
    assert (rule.name, str(report.verdict)) == ("bell", verdict)
