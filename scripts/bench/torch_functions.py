"""Four of the benchmark's maps as functions of torch with a backward written by hand."""

from __future__ import annotations

from typing import Any

from scripts.bench.rules import EPSILON, GELU_C, GELU_K


def functions() -> dict[str, Any]:
    """Classes by the name of the benchmark's rule.

    Raises:
        ImportError: where torch is not installed.
    """
    import torch

    class LogSoftmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            y = torch.log_softmax(z, 0)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (y,) = ctx.saved_tensors
            return g - torch.exp(y) * g.sum()

    class Gelu(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return 0.5 * x * (1 + torch.tanh(GELU_C * (x + GELU_K * x**3)))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            t = torch.tanh(GELU_C * (x + GELU_K * x**3))
            return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_C * (1 + 3 * GELU_K * x**2))

    class Softplus(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.clamp(x, min=0) + torch.log1p(torch.exp(-torch.abs(x)))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            e = torch.exp(-torch.abs(x))
            return g * torch.where(x >= 0, 1 / (1 + e), e / (1 + e))

    class LayerNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, gamma: Any, beta: Any) -> Any:
            centred = x - x.mean(1, keepdim=True)
            root = torch.sqrt((centred * centred).mean(1, keepdim=True) + EPSILON)
            n = centred / root
            ctx.save_for_backward(n, root, gamma)
            return n * gamma + beta

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            n, root, gamma = ctx.saved_tensors
            d = g * gamma
            through = (d - d.mean(1, keepdim=True) - n * (n * d).mean(1, keepdim=True)) / root
            return through, (g * n).sum(0), g.sum(0)

    return {"log-softmax 8": LogSoftmax, "tanh-GELU 16": Gelu, "softplus 16": Softplus, "layer norm 4x16": LayerNorm}
