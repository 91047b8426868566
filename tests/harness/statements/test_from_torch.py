"""Rules out of real `torch.autograd.Function`s: values, and the contract of backward."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.examination import Violation
from backprove.harness.judging.real_calls.contract import remarks
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.values import draw_points

torch = pytest.importorskip("torch")

X, Y, G = np.array([0.5, -1.0, 2.0]), np.array([3.0, 0.25, -2.0]), np.array([1.0, 2.0, -3.0])
XY = {"x": bp.array("n"), "y": bp.array("n")}


def found(rule: bp.Rule, sizes: dict[str, Any], dtype: str = "float64", points: int = 4) -> Violation | None:
    """The worst finding at a few points of one shape."""
    binder = binders_of(rule)[0]
    specs = dict(binder.specs)
    bound = binder.bind([s.shape(sizes) for s in specs.values()], dtype)
    at = draw_points(specs, sizes, dtype, points, 0, "torch", (), False)
    given = draw_directions(bound.direction_shapes, points, 0, "torch", dtype)
    seen = bound.examine(at.arrays, given, np.ones(points, dtype=bool))
    return min((f for f in seen.violations if f is not None), key=lambda f: f.verdict.rank, default=None)


class Product(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """`x * sin(y)`, in the old style."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return x * torch.sin(y)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * torch.sin(y), g * x * torch.cos(y)


class TwoOutputs(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """`x * y` and `x + y`, with `setup_context` and a backward that cannot be differentiated."""

    @staticmethod
    def forward(x: Any, y: Any) -> Any:
        return x * y, x + y

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * y + h, g * x + h


class Largest(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """The largest entry of each row, where it stands, and a float copy of that which has no derivative."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        value, index = torch.max(x, dim=-1)
        flag = index.to(x.dtype)
        ctx.save_for_backward(index)
        ctx.shape = x.shape
        ctx.mark_non_differentiable(index, flag)
        return flag, value, index

    @staticmethod
    def backward(ctx: Any, _f: Any, g: Any, _i: Any) -> Any:
        (index,) = ctx.saved_tensors
        return torch.zeros(ctx.shape, dtype=g.dtype).scatter_(-1, index.unsqueeze(-1), g.unsqueeze(-1))


class Rows(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """Embedding: rows of a table by index."""

    @staticmethod
    def forward(ctx: Any, table: Any, index: Any) -> Any:
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        return torch.zeros(ctx.shape, dtype=g.dtype).index_add_(0, index, g), None


class Doubled(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """`2 x`, written into its input, which it says."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 2 * g


def product(backward: Any) -> bp.Rule:
    """`x * y` with this backward."""

    class Rule(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return x * y

    Rule.backward = staticmethod(backward)
    return bp.from_torch(Rule, inputs=XY, name="product")


def right(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    return g * y if ctx.needs_input_grad[0] else None, g * x if ctx.needs_input_grad[1] else None


def test_an_old_style_function_is_called_and_differentiated() -> None:
    rule = bp.from_torch(Product, inputs=XY)
    assert rule.name == "Product" and rule.vjp is not None and "ctx.saved_tensors" in rule.code
    np.testing.assert_allclose(rule.forward(X, Y), X * np.sin(Y))
    dx, dy = rule.vjp(X, Y, G)
    np.testing.assert_allclose(dx, G * np.sin(Y))
    np.testing.assert_allclose(dy, G * X * np.cos(Y))
    assert found(rule, {"n": 2}) is None


def test_setup_context_once_differentiable_and_two_outputs() -> None:
    rule = bp.from_torch(TwoOutputs, inputs=XY)
    assert rule.vjp is not None
    dx, dy = rule.vjp(X, Y, G, X)
    np.testing.assert_allclose(dx, G * Y + X)
    np.testing.assert_allclose(dy, G * X + X)
    assert found(rule, {"n": 2}) is None


def test_outputs_without_derivative_are_left_out() -> None:
    rule = bp.from_torch(Largest, inputs={"x": bp.array("m n", distinct=True)})
    assert rule.vjp is not None
    np.testing.assert_array_equal(rule.forward(np.array([[1.0, 3.0], [5.0, 4.0]])), [3.0, 5.0])
    np.testing.assert_array_equal(rule.vjp(np.array([[1.0, 3.0]]), np.array([2.0])), [[0.0, 2.0]])
    assert found(rule, {"m": 2, "n": 2}) is None


def test_integer_inputs_have_no_cotangent() -> None:
    inputs = {"table": bp.array("v d"), "index": bp.array("k", kind="index", high="v")}
    rule = bp.from_torch(Rows, inputs=inputs)
    assert found(rule, {"v": 2, "d": 1, "k": 3}) is None


def test_an_input_that_forward_marks_as_dirty_is_its_own_to_write() -> None:
    rule = bp.from_torch(Doubled, inputs={"x": bp.array("n")})
    assert rule.vjp is not None
    x = X.copy()
    np.testing.assert_array_equal(rule.forward(x), 2 * X)
    np.testing.assert_array_equal(rule.vjp(x, G), 2 * G)
    np.testing.assert_array_equal(x, X)
    assert found(rule, {"n": 2}) is None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_short_formats_are_kept(dtype: str) -> None:
    rule = bp.from_torch(Product, inputs=XY)
    assert rule.vjp is not None
    form = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32}[dtype]
    x, y, g = (a.astype(form) for a in (X, Y, G))
    results = [rule.forward(x, y), *rule.vjp(x, y, g)]
    assert [r.dtype for r in results] == [np.dtype(form)] * 3
    np.testing.assert_allclose(results[0].astype(float), X * np.sin(Y), rtol=2.0**-7)
    assert found(rule, {"n": 2}, dtype) is None


def test_a_scalar_without_axes() -> None:
    rule = bp.from_torch(Product, inputs={"x": bp.array(""), "y": bp.array("")})
    assert found(rule, {}) is None


def test_none_counts_as_zero() -> None:
    rule = product(lambda ctx, g: (g * ctx.saved_tensors[1], None))
    assert rule.vjp is not None
    np.testing.assert_array_equal(rule.vjp(X, Y, G)[1], np.zeros(3))
    finding = found(rule, {"n": 2})
    assert finding is not None and finding.verdict is Verdict.FALSIFIED and finding.argument == "y"


def only_when_both(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    return g * y, g * x if ctx.needs_input_grad[0] else None


def twice_when_alone(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    return g * y * (1 if ctx.needs_input_grad[1] else 2), g * x


def raises_when_alone(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    dx = g * y if ctx.needs_input_grad[0] else None
    return dx, g * x + 0 * dx


def overwrites(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    dx = g * y
    return dx, g.mul_(x)


def remembers(ctx: Any, g: Any) -> Any:
    x, y = ctx.saved_tensors
    ctx.calls = getattr(ctx, "calls", 0) + 1
    return ctx.calls * g * y, ctx.calls * g * x


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (only_when_both, r"another cotangent where only y requires grad .*\[0, 0\] for y instead of"),
        (twice_when_alone, "another cotangent where only x requires grad"),
        (raises_when_alone, "raised TypeError: .*where only y requires grad"),
        (overwrites, "changed its cotangent in place"),
        (remembers, "another result when it is called again on the same graph"),
        (lambda ctx, g: (g * ctx.nothing, g), "AttributeError"),
        (lambda ctx, g: g, r"incorrect number of gradients \(expected 2, got 1\)"),
        (lambda ctx, g: (g.sum()[None], g), "an invalid gradient at index 0 - got \\[1\\]"),
        (lambda ctx, g: ("one", g), "expected Variable or None"),
    ],
)
def test_a_broken_contract_is_an_error_in_words(backward: Any, message: str) -> None:
    finding = found(product(backward), {"n": 2})
    assert finding is not None and finding.verdict is Verdict.ERROR
    assert re.search(message, finding.what), finding.what


def test_what_only_the_contract_shows_is_pasted_as_a_whole_check() -> None:
    """A backward that raises for a subset of the inputs does not raise when the rule is called."""
    (result, *_) = subjects.run(product(raises_when_alone), points=30, dtypes=["float64"]).properties
    assert result.counterexample is not None and " raised " in result.reason
    assert "bp.assert_rule(" in result.counterexample.test and "rule.vjp(" not in result.counterexample.test


def test_needs_input_grad_may_leave_out_what_nobody_wants() -> None:
    assert found(product(right), {"n": 2}) is None


def test_a_cotangent_that_is_left_out_counts_as_zero() -> None:
    class Careless(TwoOutputs):
        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.set_materialize_grads(False)

    finding = found(bp.from_torch(Careless, inputs=XY), {"n": 2})
    assert finding is not None and finding.verdict is Verdict.ERROR
    assert "where only output 0 is used (the other cotangents are left out)" in finding.what


def test_an_argument_changed_in_silence_is_named() -> None:
    class Silent(Product):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x.clone(), y)
            out = x * torch.sin(y)
            x.mul_(2)
            return out

    finding = found(bp.from_torch(Silent, inputs=XY), {"n": 2})
    assert finding is not None and "forward changed its argument x without ctx.mark_dirty" in finding.what


def test_a_backward_in_a_narrower_dtype_is_worth_knowing() -> None:
    def narrow(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return (g.float() * y.float()), g * x

    rule = product(narrow)
    assert rule.vjp is not None
    results = dict.fromkeys(XY, np.float64)
    [said] = remarks(Function(rule.vjp, "vjp"), [X, Y, G], ["x", "y", "cotangent"], results)
    assert said.startswith("vjp gives float32 numbers for x where float64 was given")


def test_a_reference_can_be_named_afterwards() -> None:
    import jax.numpy as jnp

    rule = dataclasses.replace(bp.from_torch(Product, inputs=XY), reference=lambda x, y: x * jnp.sin(y))
    assert rule.source[0] == __file__ and "ctx.saved_tensors" in rule.code
    assert found(rule, {"n": 2}) is None


def test_what_from_torch_cannot_take_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a subclass of torch\.autograd\.Function, got the class int"):
        bp.from_torch(int, inputs=XY)
    with pytest.raises(UsageError, match=r"input 'x' is .*each an argument of its own"):
        bp.from_torch(Product, inputs={"x": {"a": bp.array("n")}, "y": bp.array("n")})
    with pytest.raises(UsageError, match=r"parameter 'x' is annotated .*Any"):
        bp.from_torch(Product)
