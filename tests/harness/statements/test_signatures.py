"""Names of inputs are held against forward's parameters; arguments that are no inputs are bound."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest

from backprove import check
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.from_jax import from_jax
from backprove.harness.statements.from_pairs import from_fwd_bwd
from backprove.harness.statements.rule import Rule
from backprove.harness.statements.signatures import Bound, check_names, check_order
from backprove.strategies.array import array

X = np.array([[0.5, -1.0, 2.0], [1.0, 3.0, 0.0]])
FEW: dict[str, Any] = {"points": 50, "dtypes": ["float64"]}


# -- names -----------------------------------------------------------------------------------------------------------


def product(x: Any, w: Any, scale: float = 1.0) -> Any:
    return x @ w * scale


class Layer:
    def forward(self, x: Any, w: Any) -> Any:
        return x @ w


@pytest.mark.parametrize(
    "forward",
    [product, lambda x, w: x, Layer().forward, functools.partial(lambda k, x, w: x, 2)],
    ids=["function", "lambda", "method", "partial"],
)
def test_inputs_in_another_order_or_under_another_name_are_wrong_use(forward: Any) -> None:
    check_names("it", forward, ["x", "w"])
    with pytest.raises(UsageError, match=r"it: forward takes x, w; inputs gives them in another order: w, x\."):
        check_names("it", forward, ["w", "x"])
    with pytest.raises(UsageError, match=r"forward takes x, w; inputs gives them under other names: x, weight\."):
        check_names("it", forward, ["x", "weight"])


def positional_only(a: Any, b: Any, /) -> Any:
    return a + b


@pytest.mark.parametrize(
    "forward",
    [
        np.add,
        max,
        lambda *arrays: arrays,
        lambda a, *arrays: arrays,
        positional_only,
        functools.partial(product, scale=2.0),
        functools.wraps(product)(lambda a, b: product(b, a)),
        jax.jit(product),
    ],
    ids=["ufunc", "builtin", "*args", "one and *args", "positional", "partial with keywords", "wrapper", "jit"],
)
def test_names_that_cannot_be_known_are_not_compared(forward: Any) -> None:
    check_names("it", forward, ["p", "q"])


def product_vjp(x: Any, w: Any, g: Any) -> Any:
    return g @ w.T, x.T @ g


def test_every_way_to_state_a_rule_compares_the_names() -> None:
    right = {"x": array("m n"), "w": array("n k")}
    wrong = {"w": array("m n"), "x": array("n k")}

    def fwd(x: Any, w: Any) -> Any:
        return x @ w, (x, w)

    decorated: Any = jax.custom_vjp(product)
    decorated.defvjp(lambda x, w, scale: (x @ w, (x, w)), lambda r, g: (*product_vjp(*r, g), None))
    for state in (
        lambda inputs: Rule("product", forward=product, vjp=product_vjp, inputs=inputs),
        lambda inputs: from_fwd_bwd(fwd, lambda r, g: product_vjp(*r, g), inputs=inputs),
        lambda inputs: from_jax(decorated, inputs=inputs),
    ):
        assert list(state(right).inputs) == ["x", "w"]
        with pytest.raises(UsageError, match="forward takes x, w; inputs gives them in another order: w, x"):
            state(wrong)


def test_torch_functions_compare_the_names_after_ctx() -> None:
    torch = pytest.importorskip("torch")
    from backprove.harness.statements.from_torch import from_torch

    class Scaled(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, k: int, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            ctx.k = k
            return k * x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * ctx.k * y, None, g * ctx.k * x

    def stated(fixed: Any, *names: str) -> Rule:
        return from_torch(Scaled, inputs={name: array("n") for name in names}, fixed=fixed)

    for fixed in ({"k": 3}, {1: 3}):
        rule = stated(fixed, "x", "y")
        assert rule.vjp is not None
        np.testing.assert_array_equal(rule.forward(X[0], X[1]), 3 * X[0] * X[1])
        np.testing.assert_array_equal(rule.vjp(X[0], X[1], X[0])[1], 3 * X[0] * X[0])
    with pytest.raises(UsageError, match="forward takes x, y; inputs gives them in another order: y, x"):
        stated({"k": 3}, "y", "x")
    with pytest.raises(UsageError, match="forward has no parameter 'ctx'"):
        stated({"ctx": 3}, "x", "y")


# -- fixed arguments -------------------------------------------------------------------------------------------------


def softmax(x: Any, dim: int, mask: Any = None) -> Any:
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def softmax_vjp(x: Any, g: Any, dim: int, factor: float = 1.0) -> Any:
    s = softmax(x, dim)
    return factor * s * (g - (s * g).sum(axis=dim, keepdims=True))


def stated(vjp: Any = softmax_vjp, fixed: Any = None, **more: Any) -> Rule:
    inputs = {"x": array("m n", low=-9, high=9)}
    return Rule("softmax", forward=softmax, vjp=vjp, inputs=inputs, fixed=fixed or {"dim": 0, "mask": None}, **more)


def test_fixed_arguments_reach_forward_and_the_rule() -> None:
    assert check(stated(), **FEW).ok
    assert check(stated(lambda x, g, dim: softmax_vjp(x, g, 1 - dim)), **FEW).verdict == "falsified"


@pytest.mark.parametrize("fixed", [{"dim": 0}, {1: 0}, {1: 0, "mask": None}, {1: 0, 2: None}])
def test_names_and_positions_of_forward_mean_the_same(fixed: Any) -> None:
    rule = stated(fixed=fixed)
    assert rule.vjp is not None
    np.testing.assert_array_equal(rule.forward(X), softmax(X, 0))
    np.testing.assert_array_equal(rule.vjp(X, X), softmax_vjp(X, X, 0))


def test_a_position_is_the_same_everywhere_where_forward_tells_no_names() -> None:
    inputs = {"x": array("m n", low=-9, high=9)}

    def scaled(*a: Any) -> Any:
        return a[0] * a[1]

    rule = Rule("scaled", forward=scaled, vjp=lambda x, k, g: k * g, inputs=inputs, fixed={1: 3.0})
    assert rule.vjp is not None
    np.testing.assert_array_equal(rule.forward(X), 3 * X)
    np.testing.assert_array_equal(rule.vjp(X, X), 3 * X)


def test_a_rule_that_needs_no_fixed_argument_gets_none() -> None:
    right = stated(lambda x, g: softmax_vjp(x, g, 0))
    assert right.vjp is not None and not isinstance(right.vjp, Bound)


def test_an_argument_before_a_fixed_one_keeps_its_default() -> None:
    bound = Bound.of(lambda x, scale=2.0, shift=0.0: scale * x + shift, {"shift": 1.0})
    assert bound(3.0) == 7.0 and bound(3.0, 1.0) == 4.0
    keyword = Bound.of(lambda x, *, shift: x + shift, {"shift": 1.0})
    assert keyword(3.0) == 4.0


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"axis": 0}, r"forward has no parameter 'axis', which fixed gives; forward takes \(x: .*dim"),
        ({3: 0}, "forward has no parameter 3"),
        ({-1: 0}, "forward has no parameter -1"),
        ({"x": 0}, "'x' is in inputs and in fixed"),
        ({"dim": 0, 1: 0}, "gives the parameter at position 1 by name and by position"),
        ({True: 0}, "names or positions of parameters, got True"),
        ([0], r"fixed must map names or positions to values, such as \{.axis.: -1\}"),
        ({"mask": None}, "forward.*wrong number of parameters"),
    ],
)
def test_fixed_arguments_that_forward_does_not_take_are_wrong_use(fixed: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"softmax.*{message}"):
        stated(fixed=fixed)


def test_a_rule_with_fixed_arguments_can_be_replaced() -> None:
    rule = dataclasses.replace(stated(), reference="jax.nn.softmax", fixed={"dim": 1})
    np.testing.assert_array_equal(rule.forward(X), softmax(X, 1))
    assert "def softmax_vjp(" in rule.code and "def softmax(" in rule.code


def test_fixed_arguments_of_a_jax_rule_may_stand_anywhere() -> None:
    @functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
    def power(x: Any, k: int, y: Any) -> Any:
        return x**k * y

    power.defvjp(lambda x, k, y: (power(x, k, y), (x, y)), lambda k, r, g: (g * k * r[0] ** (k - 1) * r[1], g * r[0]))
    inputs = {"x": array("n", low=1, high=3), "y": array("n")}
    assert check(from_jax(power, inputs=inputs, fixed={"k": 1}), **FEW).ok
    assert check(from_jax(power, inputs=inputs, fixed={"k": 2}), **FEW).verdict == "falsified"  # g * x is not g * x^k
    with pytest.raises(UsageError, match="forward has no parameter 'n'"):
        from_jax(power, inputs=inputs, fixed={"n": 1})


def test_fixed_arguments_of_a_pair_reach_bwd_under_their_names() -> None:
    def stated(bwd: Any) -> Rule:
        return from_fwd_bwd(lambda x, c: (c * x, None), bwd, inputs={"x": array("n")}, fixed={"c": 2.0})

    assert check(stated(lambda r, g, c: c * g), **FEW).ok
    assert check(stated(lambda r, g: g), **FEW).verdict == "falsified"


# -- the order of parameters beside forward ----------------------------------------------------------------------------


class Pulled:
    def right(self, x: Any, w: Any, g: Any) -> Any:
        return g, g

    def wrong(self, w: Any, x: Any, g: Any) -> Any:
        return g, g

    def __call__(self, w: Any, x: Any, g: Any) -> Any:
        return g, g


@pytest.mark.parametrize(
    "function",
    [
        None,
        lambda x, w, g: g,
        lambda a, b, c: c,
        lambda *arguments: arguments,
        lambda x, *rest: x,
        lambda x, w, g=None: g,
        Pulled().right,
        Pulled(),
        functools.partial(lambda w, x, y, g: g, 1.0),
        jax.jit(lambda w, x, g: g),
        functools.wraps(product)(lambda w, x, g: g),
        np.multiply,
        max,
    ],
)
def test_names_beside_forward_that_say_nothing_of_another_order_are_allowed(function: Any) -> None:
    check_order("it", "vjp", function, ["x", "w"] if function is not None else [])


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (lambda w, x, g: g, "w, x, g"),
        (lambda g, x, w: g, "g, x, w"),
        (lambda a, x, g: g, "a, x, g"),
        (Pulled().wrong, "w, x, g"),
        (functools.partial(lambda k, w, x, g: g, 1.0), "w, x, g"),
    ],
)
def test_an_input_under_the_name_of_another_is_wrong_use(function: Any, takes: str) -> None:
    with pytest.raises(UsageError, match=f"it: vjp takes {takes} but is called with x, w first"):
        check_order("it", "vjp", function, ["x", "w"])


def test_a_cotangent_may_have_any_name() -> None:
    check_order("it", "vjp", lambda x, w, g: g, ["x", "g"])


@pytest.mark.parametrize("which", ["jvp", "vjp", "where", "reference"])
def test_every_function_of_a_rule_is_held_to_the_order(which: str) -> None:
    def state(*names: str) -> Rule:
        more = ("g",) if which == "vjp" else ("dx", "dw") if which == "jvp" else ()
        function = eval(f"lambda {', '.join((*names, *more))}: x")
        given = {"vjp": product_vjp, which: function}
        return Rule("product", forward=product, inputs={"x": array("m n"), "w": array("n k")}, **given)

    state("x", "w")
    with pytest.raises(UsageError, match=f"{which} takes w, x"):
        state("w", "x")
