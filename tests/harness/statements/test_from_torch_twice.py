from __future__ import annotations

from typing import Any

import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError

torch = pytest.importorskip("torch")
from torch.autograd.function import once_differentiable  # noqa: E402

FEW: dict[str, Any] = {"points": 60, "dtypes": ("float64",)}
INPUTS = {"x": bp.array("n", low=-3, high=3), "w": bp.array("n", low=-3, high=3)}


class Recomputed(torch.autograd.Function):
    """Its backward is made of operations that torch sees."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        return torch.sin(x) * w * w

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g * torch.cos(x) * w * w, 2 * g * torch.sin(x) * w


class Saved(Recomputed):
    """It saves a cosine that forward computed, which torch takes for a constant."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(torch.cos(x), x, w)
        return torch.sin(x) * w * w

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        c, x, w = ctx.saved_tensors
        return g * c * w * w, 2 * g * torch.sin(x) * w


class Detached(Recomputed):
    """Its backward hides the cotangent from torch."""

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g.detach() * torch.cos(x) * w * w, 2 * g * torch.sin(x) * w


class Once(Recomputed):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g * torch.cos(x) * w * w, 2 * g * torch.sin(x) * w


def verdicts(function: Any, **options: Any) -> dict[str, str]:
    report = bp.check(bp.from_torch(function, inputs=INPUTS, **options), **FEW)
    return {p.name: str(p.verdict) for p in report.properties}


@pytest.mark.parametrize(
    ("function", "in_inputs", "in_cotangents"),
    [(Recomputed, "holds", "holds"), (Saved, "falsified", "holds"), (Detached, "holds", "falsified")],
)
def test_second_derivatives_are_judged_where_they_are_asked_for(
    function: Any, in_inputs: str, in_cotangents: str
) -> None:
    assert verdicts(function, double_backward=True) == {
        "vjp": "holds",
        "double_backward": in_inputs,
        "double_backward_cotangents": in_cotangents,
    }


def test_they_are_not_judged_otherwise_and_the_report_says_so() -> None:
    report = bp.check(bp.from_torch(Saved, inputs=INPUTS), **FEW)
    assert [(p.name, str(p.verdict)) for p in report.properties] == [("vjp", "holds")]
    assert "second derivatives not judged: double_backward=True asks for them" in str(report)


def test_a_backward_that_is_once_differentiable_has_none() -> None:
    report = bp.check(bp.from_torch(Once, inputs=INPUTS), **FEW)
    assert report.ok and "second derivatives" not in str(report)
    with pytest.raises(UsageError, match="once_differentiable"):
        bp.from_torch(Once, inputs=INPUTS, double_backward=True)
