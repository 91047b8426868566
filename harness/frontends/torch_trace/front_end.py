"""This front end takes torch code, of which the code under test knows a function of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backprove.harness.frontends.front_end import ClaimedCode, FrontEnd
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class TorchCode(FrontEnd):
    """See the module's text. Code is torch's where the callable has an attribute `on_tensors`: the same on tensors."""

    def trace(self, code: ClaimedCode, signature: Signature) -> Program:
        on_tensors = getattr(code.call, "on_tensors", None)
        if on_tensors is None:
            raise TypeError("the code is not torch's")
        from backprove.harness.frontends.torch_trace.reading import as_jax
        from backprove.harness.frontends.torch_trace.recording import graph_of

        return trace(as_jax(graph_of(on_tensors, example(signature))), *signature)

    def stopped(self, code: ClaimedCode, why: Exception) -> str:
        return str(why) if hasattr(code.call, "on_tensors") else ""


def example(signature: Signature) -> Sequence[Any]:
    """Tensors of these shapes and dtypes, whose values nothing looks at."""
    import torch

    return [torch.ones(shape, dtype=getattr(torch, dtype)) for shape, dtype in signature]


TORCH = TorchCode("torch", "torch trace", same_in_all_formats=True, points_compared=16, called=32)
