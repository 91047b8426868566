"""A rule that raises or answers otherwise by the layout of its arguments is an error that names the layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.real_calls.layouts import LAYOUTS, _noise


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 4)])
def test_layouts_hold_the_same_numbers(shape: tuple[int, ...]) -> None:
    a = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    for name, (make, axes) in LAYOUTS.items():
        if a.ndim >= axes:
            other = make(a)
            assert other.shape == shape and not np.shares_memory(other, a)
            assert np.array_equal(other, np.full(shape, a.max()) if name.startswith("expanded") else a)
            assert other.strides != a.strides or not other.flags.writeable


def report(forward: Any, vjp: Any, dims: str = "m n") -> bp.Report:
    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs={"x": bp.array(dims, low=-3, high=3)})
    return bp.check(rule, points=40, dtypes=("float64",))


def from_buffer(a: Any) -> Any:
    return np.frombuffer(a.data, dtype=a.dtype).reshape(a.shape)


def into_itself(x: Any, g: Any) -> Any:
    return np.multiply(g, np.cos(x), out=g)


@pytest.mark.parametrize(
    ("vjp", "dims", "said"),
    [
        (lambda x, g: (g.ravel() * np.cos(x.ravel("K"))).reshape(x.shape), "m n", "other values for a transposed x"),
        (lambda x, g: (g.ravel("K") * np.cos(x.ravel())).reshape(x.shape), "m n", "for a transposed cotangent"),
        (lambda x, g: g * np.cos(from_buffer(x)), "n", "vjp raises BufferError for a strided x"),
        (lambda x, g: g * np.cos(x) * (1 if g.flags.c_contiguous else 2), "n", "for a strided cotangent"),
        (lambda x, g: g * np.cos(x) * (1 if g.strides[0] >= 0 else 2), "n", "for a reversed cotangent"),
        (lambda x, g: g * np.cos(x) * (1 if g.strides[0] else 2), "n", "for an expanded (stride 0) cotangent"),
        (lambda x, g: g * np.cos(x) * (1 if x.flags.writeable else 2), "n", "for an expanded (stride 0) x"),
        (into_itself, "n", "vjp changed its argument cotangent"),
    ],
)
def test_code_that_depends_on_the_layout_is_an_error(vjp: Any, dims: str, said: str) -> None:
    found = report(np.sin, vjp, dims)
    assert found.verdict is Verdict.ERROR and said in str(found)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize(
    ("forward", "vjp"),
    [
        (np.sin, lambda x, g: g * np.cos(x)),
        # forward asks for contiguous inputs too
        (lambda x: np.sin(from_buffer(x)), lambda x, g: from_buffer(g) * np.cos(from_buffer(x))),
        # the order of sums depends on the layout
        (softmax, lambda x, g: softmax(x) * (g - (g * softmax(x)).sum())),
    ],
)
def test_right_code_holds(forward: Any, vjp: Any) -> None:
    found = report(forward, vjp)
    assert found.ok, str(found)


def torch_function(forward: Any, backward: Any) -> Any:
    torch = pytest.importorskip("torch")

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return forward(torch, x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(torch, *ctx.saved_tensors, g)

    return bp.from_torch(Function, inputs={"x": bp.array("m n", low=-3, high=3)})


@pytest.mark.parametrize(
    ("backward", "said"),
    [
        (lambda t, x, g: g * t.cos(x) * (1 if g.is_contiguous() else 2), "cotangent"),
        (lambda t, x, g: g * t.cos(x) * (1 if x.is_contiguous() else 2), "x"),
        (lambda t, x, g: g * t.cos(x) * (1 if g.stride(0) and g.stride(1) else 2), "an expanded (stride 0) cotangent"),
        (lambda t, x, g: (g.view(-1) * t.cos(x).reshape(-1)).view(x.shape), "RuntimeError for a transposed cotangent"),
    ],
)
def test_torch_code_that_depends_on_the_layout_is_an_error(backward: Any, said: str) -> None:
    found = bp.check(torch_function(lambda t, x: t.sin(x), backward), points=40, dtypes=("float64",))
    assert found.verdict is Verdict.ERROR and said in str(found)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda t, x: t.sin(x), lambda t, x, g: g * t.cos(x)),
        # what forward asks of x, backward may ask of it
        (
            lambda t, x: t.sin(x.view(-1)).view(x.shape),
            lambda t, x, g: (g.reshape(-1) * t.cos(x.view(-1))).view(x.shape),
        ),
    ],
)
def test_right_torch_code_holds(forward: Any, backward: Any) -> None:
    found = bp.check(torch_function(forward, backward), points=40, dtypes=("float64",))
    assert found.ok, str(found)


def test_the_cotangent_of_torch_code_may_not_have_to_be_contiguous_although_forward_wants_that_of_x() -> None:
    rule = torch_function(
        lambda t, x: t.sin(x.view(-1)).view(x.shape),
        lambda t, x, g: (g.view(-1) * t.cos(x.view(-1))).view(x.shape),
    )
    found = bp.check(rule, points=40, dtypes=("float64",))
    assert found.verdict is Verdict.ERROR and "for a transposed cotangent" in str(found)


def test_tensors_have_the_strides_of_the_arrays() -> None:
    """Expanded ones too; torch has no negative strides."""
    torch = pytest.importorskip("torch")
    from backprove.harness.statements.torch_function import TorchFunction

    tensors = TorchFunction(torch, object, "object", {})
    a = np.arange(1.0, 7).reshape(2, 3)
    for make, _ in LAYOUTS.values():
        other = make(a)
        made = tensors.tensor(other)
        assert np.array_equal(made.numpy(), other)
        if min(other.strides) >= 0:
            assert [8 * s for s in made.stride()] == list(other.strides)
        made.requires_grad_(True)


def test_equal_entries_at_which_forward_has_no_value_tell_nothing_of_a_layout() -> None:
    def vjp(x: Any, g: Any) -> Any:
        slope = g / (x[0] - x[1]) * (0.0 if x.strides == (0,) else 1.0)
        return np.array([slope, -slope])

    assert report(lambda x: np.log(np.abs(x[0] - x[1])), vjp, "2").ok


def test_every_entry_is_moved_where_the_noise_of_results_is_asked() -> None:
    """Also one that a rounding brings back to where it was each time."""
    for value in (5.596239972526284, 8.881640064966652, 2.7, 7.1, 15.9, 1.3, 3.3):
        (noise,) = _noise(Function(lambda x: x - x.mean(), "forward"), [np.full((5, 5, 5), value)])
        assert (noise > 0).all(), value
