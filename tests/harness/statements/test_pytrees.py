"""Rules whose inputs and outputs are pytrees."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import ContractError, UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.evaluate_again import replay
from backprove.harness.explaining.replay import Payload, decode_id
from backprove.harness.judging.binders import binders_of
from backprove.harness.statements.from_pairs import from_fwd_bwd
from backprove.harness.statements.pytrees import flat_inputs

W, B, X, G = np.array([[1.0, 2.0, 0.5]]), np.array([0.25]), np.array([1.0, -1.0, 2.0]), np.array([3.0])
INPUTS = {"params": {"W": bp.array("m n"), "b": bp.array("m")}, "x": bp.array("n")}


def forward(params: Any, x: Any) -> Any:
    return params["W"] @ x + params["b"]


def vjp(params: Any, x: Any, g: Any) -> Any:
    return {"W": np.outer(g, x), "b": g}, params["W"].T @ g


def jvp(params: Any, x: Any, dparams: Any, dx: Any) -> Any:
    return dparams["W"] @ x + params["W"] @ dx + dparams["b"]


def dense(**changes: Any) -> bp.Rule:
    given: dict[str, Any] = {"forward": forward, "vjp": vjp, "inputs": INPUTS}
    return bp.Rule("dense", **(given | changes))


def test_a_rule_keeps_its_structure_and_has_a_flat_view() -> None:
    rule = dense(jvp=jvp, where=lambda params, x: bool(np.all(params["b"] > 0)))
    assert rule.forward is forward and rule.inputs == INPUTS
    assert rule.differentiable == ("params.W", "params.b", "x")
    flat = rule.flat
    assert list(flat.inputs) == ["params.W", "params.b", "x"] and flat.flat is flat and rule.flat is flat
    assert (flat.name, flat.source, flat.code) == (rule.name, rule.source, rule.code)
    assert flat.vjp is not None and flat.jvp is not None and flat.where is not None
    np.testing.assert_array_equal(flat.forward(W, B, X), forward({"W": W, "b": B}, X))
    dw, db, dx = flat.vjp(W, B, X, G)
    np.testing.assert_array_equal(dw, np.outer(G, X))
    np.testing.assert_array_equal(db, G)
    np.testing.assert_array_equal(dx, W.T @ G)
    np.testing.assert_array_equal(flat.jvp(W, B, X, W, B, X), [2 * (W @ X) + B][0])
    assert flat.where(W, B, X) and not flat.where(W, -B, X)


def test_a_rule_of_arrays_is_its_own_flat_view() -> None:
    rule = bp.Rule("two", forward=lambda x: (x, 2 * x), vjp=lambda x, g, h: g + 2 * h, inputs={"x": bp.array("n")})
    assert rule.flat is rule


def test_right_and_wrong_rules_of_structures() -> None:
    assert bp.check(dense(jvp=jvp), points=50, dtypes=("float64",)).ok

    def wrong(params: Any, x: Any, g: Any) -> Any:
        (d, dx) = vjp(params, x, g)
        return {"W": d["W"], "b": 2 * d["b"]}, dx

    report = bp.check(dense(vjp=wrong), points=50, dtypes=("float64",))
    assert report.verdict is Verdict.FALSIFIED
    [point] = report.counterexamples
    assert point.argument == "params.b" and set(point.inputs) == {"params.W", "params.b", "x"}
    assert report.diagnosis is not None and "params.b: the result is twice the derivative" in report.diagnosis
    assert "rule.flat" in point.test and "params_W = " in point.test
    compile(point.test, "test", "exec")
    assert decode_id(point.id).inputs["params.b"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            lambda g: ({"W": np.outer(g, X), "c": g}, X),
            r"the vjp returned \({W: array\[1, 3\], c: array\[1\]}, array\[3\]\) "
            r"where \({W: array\[1, 3\], b: array\[1\]}, array\[3\]\) was expected, the structure of params and x",
        ),
        (lambda g: (np.outer(g, X), g, X), r"returned \(array\[1, 3\], array\[1\], array\[3\]\) where"),
        (lambda g: {"W": np.outer(g, X), "b": g}, r"returned {W: array\[1, 3\], b: array\[1\]} where"),
        (lambda g: ({"W": (np.outer(g, X),), "b": g}, X), r"{W: \(array\[1, 3\],\), b"),
        (lambda g: ({"W": None, "b": g}, X), "W: None"),
        (lambda g: None, "returned None where"),
        (lambda g: ("x", {1, 2}), "an object of type str, an object of type set"),
    ],
)
def test_another_structure_is_named(returned: Any, message: str) -> None:
    rule = dense(vjp=lambda params, x, g: returned(g))
    assert rule.flat.vjp is not None
    with pytest.raises(ContractError, match=message):
        rule.flat.vjp(W, B, X, G)


def test_another_structure_is_an_error() -> None:
    report = bp.check(dense(vjp=lambda params, x, g: (g, g)), points=20, dtypes=("float64",))
    assert report.verdict is Verdict.ERROR
    assert "the vjp returned (array[" in report.properties[0].reason
    assert report.properties[0].counterexample is not None
    binders = binders_of(dense())
    assert binders[0].name == "vjp"


def test_outputs_that_are_structures() -> None:
    def both(x: Any, y: Any) -> Any:
        return {"sum": x + y, "product": {"xy": x * y}}

    def right(x: Any, y: Any, g: Any) -> Any:
        return g["sum"] + g["product"]["xy"] * y, g["sum"] + g["product"]["xy"] * x

    def tangent(x: Any, y: Any, dx: Any, dy: Any) -> Any:
        return {"sum": dx + dy, "product": {"xy": dx * y + x * dy}}

    inputs = {"x": bp.array("n"), "y": bp.array("n")}
    rule = bp.Rule("both", forward=both, vjp=right, jvp=tangent, inputs=inputs)
    assert rule.flat is not rule
    assert bp.check(rule, points=30, dtypes=("float64",)).ok
    broken = bp.Rule("both", forward=both, jvp=lambda x, y, dx, dy: {"sum": dx + dy}, inputs=inputs)
    assert broken.flat.jvp is not None
    message = r"the jvp returned {sum: array\[1\]} where {sum: array\[1\], product: {xy: array\[1\]}} was expected"
    with pytest.raises(ContractError, match=message):
        broken.flat.jvp(B, B, B, B)


def test_a_tuple_of_structures_has_one_cotangent_each_and_integers_none() -> None:
    def several(x: Any) -> Any:
        return {"a": 2 * x, "k": np.arange(3)}, np.arange(2), (x,)

    def right(x: Any, g: Any, h: Any) -> Any:
        assert g["k"] is None
        return 2 * g["a"] + h[0]

    rule = bp.Rule("several", forward=several, vjp=right, inputs={"x": bp.array("n")})
    assert rule.flat.vjp is not None
    np.testing.assert_array_equal(rule.flat.vjp(X, X, X), 3 * X)
    assert bp.check(rule, points=20, dtypes=("float64",)).ok


class State(NamedTuple):
    position: Any
    index: Any


def test_leaves_that_do_not_move() -> None:
    inputs = {"state": State(bp.array("n"), bp.array("", kind="index", high="n"))}

    def take(state: Any) -> Any:
        return state.position[state.index]

    def back(state: Any, g: Any) -> Any:
        out = np.zeros_like(state.position)
        out[state.index] = g
        return State(out, None)

    rule = bp.Rule("take", forward=take, vjp=back, inputs=inputs)
    assert rule.differentiable == ("state.position",)
    assert list(rule.flat.inputs) == ["state.position", "state.index"]
    assert bp.check(rule, points=30, dtypes=("float64",)).ok
    wrapped = bp.Rule("take", forward=take, vjp=lambda state, g: (back(state, g),), inputs=inputs)
    assert wrapped.flat.vjp is not None
    np.testing.assert_array_equal(wrapped.flat.vjp(X, np.int64(1), 2.0), [0, 2, 0])


def test_residual_style_with_structures() -> None:
    def fwd(params: Any, x: Any) -> Any:
        return forward(params, x), (params, x)

    rule = from_fwd_bwd(fwd, lambda r, g: vjp(*r, g), inputs=INPUTS, name="dense")
    assert bp.check(rule, points=20, dtypes=("float64",)).ok


def test_jax_code_with_structures_is_traced() -> None:
    def f(params: Any, x: Any) -> Any:
        return {"y": jnp.tanh(params["W"] @ x + params["b"])}

    def back(params: Any, x: Any, g: Any) -> Any:
        h = g["y"] * (1 - f(params, x)["y"] ** 2)
        return {"W": jnp.outer(h, x), "b": h}, params["W"].T @ h

    report = bp.check(bp.Rule("dense", forward=f, vjp=back, inputs=INPUTS), points=30, dtypes=("float64",))
    assert report.ok and report.subject.front_end == {"forward": "jax", "vjp": "jax"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"params": {"W": "m n"}}, r"input 'params.W' is 'm n'; write bp.array\('m n'\)"),
        ({"params": {}}, "input 'params' is {}, which holds no bp.array"),
        ({"params": {"W": None}}, "input 'params.W' is None"),
        ({"params": {"k": bp.array("n", dtype="int64")}}, "no input is differentiable .params.k."),
        ({"params": {"i": bp.array("n", kind="index", high="q"), "x": bp.array("n")}}, "'params.i' has high='q'"),
        ({"params": {1: bp.array("n"), "b": bp.array("n")}}, "dense"),
    ],
)
def test_malformed_structures_are_refused(inputs: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bp.Rule("dense", forward=lambda params: params, vjp=lambda params, g: g, inputs=inputs)


def test_a_structured_point_is_replayed(tmp_path: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nimport backprove as bp\n"
        "rule = bp.Rule('scale', forward=lambda p: p['a'] * p['b'], "
        "vjp=lambda p, g: {'a': g * p['b'], 'b': -g * p['a']}, "
        "inputs={'p': {'a': bp.array('n'), 'b': bp.array('n')}})\n",
        encoding="utf-8",
    )
    inputs = {"p.a": ["0x1.0p+0"], "p.b": ["0x1.0p+1"]}
    payload = Payload("rule", "scale", str(file), "vjp", "float64", inputs, {}, {"cotangent": [1.0]})
    assert "The rule gives -1.0 for p.b[0]; 1.0 is right" in replay(payload)


def test_jax_rules_of_structures() -> None:
    @jax.custom_vjp
    def f(params: Any, x: Any) -> Any:
        return {"y": params["W"] @ x + params["b"], "k": jnp.arange(2)}

    def fwd(params: Any, x: Any) -> Any:
        return f(params, x), (params, x)

    def bwd(residuals: Any, g: Any) -> Any:
        (params, x), h = residuals, g["y"]
        return {"W": jnp.outer(h, x), "b": h}, params["W"].T @ h

    f.defvjp(fwd, bwd)
    rule = bp.from_jax(f, inputs=INPUTS)
    assert list(rule.inputs) == ["params.W", "params.b", "x"]
    assert bp.check(rule, points=20, dtypes=("float64",)).ok


def test_a_jax_rule_with_an_integer_output() -> None:
    @jax.custom_jvp
    def f(x: Any) -> Any:
        return 2 * x, jnp.argmax(x)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        out = f(*primals)
        return out, (2 * tangents[0], np.zeros((), jax.dtypes.float0))

    stated = bp.from_jax(f, inputs={"x": bp.array("3")})
    assert bp.check(stated, points=20, dtypes=("float64",)).ok


def test_two_leaves_of_one_dotted_name_are_refused() -> None:
    inputs = {"a": {"b": bp.array("n")}, "a.b": bp.array("n")}
    with pytest.raises(UsageError, match=r"two inputs are called 'a\.b'"):
        flat_inputs(inputs)
    with pytest.raises(UsageError, match=r"two inputs are called 'a\.b'"):
        bp.Rule("clash", forward=lambda *x: x[0]["b"], vjp=lambda *x: x, inputs=inputs)
