"""Functions of torch are judged exactly where they can be traced; others are called, and the report says why."""

from __future__ import annotations

from typing import Any

import pytest

import backprove as bp
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function

torch = pytest.importorskip("torch")


def check(function: Any, inputs: dict[str, Any], **options: Any) -> bp.Report:
    return bp.check(bp.from_torch(function, inputs=inputs, **options), points=200, dtypes=("float64",))


def front_end(function: Any, inputs: dict[str, Any], shape: tuple[int, ...]) -> tuple[str, list[str]]:
    made = Function(bp.from_torch(function, inputs=inputs).forward, "forward")
    signature = tuple((shape, "float64") for _ in inputs)
    return made.front_end(signature).name, made.notes


def scaled(base: Any, factor: float) -> Any:
    """The same Function with a backward that is wrong by a factor."""

    def backward(ctx: Any, *g: Any) -> Any:
        found = base.backward(ctx, *g)
        many = found if isinstance(found, tuple) else (found,)
        return tuple(None if f is None else f * factor for f in many)

    return type(f"Wrong{base.__name__}", (base,), {"backward": staticmethod(backward)})


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * s * (1 + x * (1 - s))


class Affine(torch.autograd.Function):
    """`setup_context`, a tensor that is not needed, and gradients by `needs_input_grad`."""

    @staticmethod
    def forward(x: Any, w: Any) -> Any:
        return x @ w.T

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return (g @ w if ctx.needs_input_grad[0] else None), (g.T @ x if ctx.needs_input_grad[1] else None)


class Pair(torch.autograd.Function):
    """Two outputs and an integer one; the backward writes through a view."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        order = x.detach().argsort()
        ctx.mark_non_differentiable(order)
        return x.sin(), x * x, order

    @staticmethod
    def backward(ctx: Any, a: Any, b: Any, _: Any) -> Any:
        (x,) = ctx.saved_tensors
        out = a * x.cos()
        out.view(-1).add_(2 * b * x)
        return out


class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        x.exp_()
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * y


class ForwardMode(torch.autograd.Function):
    """Both modes; without a backward the jvp stands alone."""

    @staticmethod
    def forward(x: Any, w: Any) -> Any:
        return x * w.exp()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx: Any, t: Any, s: Any) -> Any:
        x, w = ctx.saved_tensors
        return t * w.exp() + s * x * w.exp()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g * w.exp(), g * x * w.exp()


class ForgetsOneTangent(ForwardMode):
    @staticmethod
    def jvp(ctx: Any, t: Any, s: Any) -> Any:
        x, w = ctx.saved_tensors
        return t * w.exp() + s * x * w.exp() * (1 - 1e-9)


def test_a_jvp_is_a_claim_beside_the_backward() -> None:
    two = {"x": bp.array("n", low=-8, high=8), "w": bp.array("n", low=-8, high=8)}
    right, wrong = check(ForwardMode, two), check(ForgetsOneTangent, two)
    assert [p.name for p in right.properties][:3] == ["jvp", "vjp", "adjointness"]
    assert right.verdict == Verdict.HOLDS, str(right)
    assert {p.name: p.verdict for p in wrong.properties}["jvp"] == Verdict.FALSIFIED
    assert {p.name: p.verdict for p in wrong.properties}["vjp"] == Verdict.HOLDS


class KthSmallest(torch.autograd.Function):
    """Its kernel need not take the first of equal entries."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        values, ctx.places = x.kthvalue(2, dim=-1)
        ctx.like = x
        return values

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return torch.zeros_like(ctx.like).scatter(-1, ctx.places[..., None], g[..., None])


def test_ties_may_be_broken_in_any_way() -> None:
    inputs = {"x": bp.array("m 5")}
    right, wrong = check(KthSmallest, inputs), check(scaled(KthSmallest, 1 + 1e-9), inputs)
    assert right.verdict == Verdict.HOLDS, str(right)
    assert wrong.verdict == Verdict.FALSIFIED


class Branching(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x if x.sum() > 0 else x * x * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * g * x


RIGHT = {
    "swish": (Swish, {"x": bp.array("n")}),
    "affine": (Affine, {"x": bp.array("m k"), "w": bp.array("n k")}),
    "pair": (Pair, {"x": bp.array("n", distinct=True)}),
    "in place": (InPlace, {"x": bp.array("n")}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_function_holds_and_one_off_by_1e_9_is_refused(name: str) -> None:
    function, inputs = RIGHT[name]
    right = check(function, inputs)
    assert right.verdict == Verdict.HOLDS, str(right)
    assert right.properties[0].layers["exact"].agreed > 100
    wrong = check(scaled(function, 1 + 1e-9), inputs)
    assert wrong.verdict == Verdict.FALSIFIED, str(wrong)
    assert wrong.counterexamples[0].oracle != "differences"


def test_code_that_looks_at_values_is_called_and_the_report_says_why() -> None:
    name, notes = front_end(Branching, {"x": bp.array("n")}, (3,))
    assert name in ("objects", "black box")
    why = "what it does depends on the values of a tensor (a branch, a loop, .item())"
    assert notes == [f"forward: no torch trace, because {why}"]
    report = check(Branching, {"x": bp.array("n")})
    assert report.verdict == Verdict.HOLDS, str(report)
    assert any("depends on the values of a tensor" in note for note in report.properties[0].notes)


def test_what_traces_untruly_is_called() -> None:
    class Untrue(Swish):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x) * (1 if type(x) is torch.Tensor else 2)

    report = check(Untrue, {"x": bp.array("n")})
    assert report.verdict == Verdict.HOLDS, str(report)
    assert any("differs from real calls" in note for note in report.properties[0].notes)


class Square(torch.autograd.Function):
    """The square of a complex number; torch's cotangent is multiplied by the conjugate of the slope."""

    @staticmethod
    def forward(ctx: Any, z: Any) -> Any:
        ctx.save_for_backward(z)
        return z * z

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (z,) = ctx.saved_tensors
        return 2 * g * z.conj()


class NotConjugate(Square):
    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (z,) = ctx.saved_tensors
        return 2 * g * z


@pytest.mark.parametrize(("function", "verdict"), [(Square, "holds"), (NotConjugate, "falsified")])
def test_complex_numbers_are_traced_as_their_parts(function: Any, verdict: str) -> None:
    rule = bp.from_torch(function, inputs={"z": bp.array("n", dtype="complex", low=-9, high=9)})
    (found,) = bp.check(rule, points=60, dtypes=("float64",)).properties
    exact = found.layers["exact"]
    assert str(found.verdict) == verdict and exact.agreed + exact.refuted > 0
