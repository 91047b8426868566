"""Samples of torch's list of operators (`op_db`, which needs the package `expecttest`) become rules here.

rule(operator("nn.functional.softplus"))

The tensors of a sample that require grad are the inputs; all else is given as it is. As for torch's own gradient tests
an operator of symmetric or triangular matrices is given the symmetric or triangular part of its input.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule

Operator = Any
"""An entry of torch's list (`OpInfo`)."""


def operators(only: str = "*") -> Iterator[Operator]:
    """The entries of torch's list that have a derivative in float64, by a glob of their names."""
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db:
        differentiable = op.supports_autograd and torch.float64 in op.supported_dtypes("cpu")
        if differentiable and fnmatch.fnmatchcase(name_of(op), only):
            yield op


def operator(name: str) -> Operator:
    """The entry of that name."""
    return next(op for op in operators() if name_of(op) == name)


def name_of(op: Operator) -> str:
    """The name of an entry, with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def rule(op: Operator) -> Rule | None:
    """The rule of the first sample of an entry; None where it has none, or no input that requires grad."""
    import torch

    from backprove import from_call

    torch.manual_seed(0)
    sample = next(iter(op.sample_inputs("cpu", torch.float64, requires_grad=True)), None)
    if sample is None:
        return None
    cut = _Cut()
    arguments = cut.out((sample.input, *sample.args))
    keywords = cut.out(dict(sample.kwargs))

    def call(*moving: Any) -> Any:
        found = op.gradcheck_wrapper(op.op, *cut.back(arguments, moving), **cut.back(keywords, moving))
        return sample.output_process_fn_grad(found) if sample.output_process_fn_grad else found

    return from_call(call, tuple(cut.moving), name=name_of(op)) if cut.moving else None


class _Cut:
    """Takes the tensors that require grad out of the arguments of a sample, and puts others in their place."""

    def __init__(self) -> None:
        self.moving: list[Any] = []

    def out(self, value: Any) -> Any:
        """The arguments with places instead of tensors, which are kept in `moving`."""
        import torch

        if torch.is_tensor(value) and value.requires_grad:
            self.moving.append(value.detach().clone())
            return _Place(len(self.moving) - 1)
        if isinstance(value, dict):
            return {k: self.out(v) for k, v in value.items()}
        return type(value)(self.out(v) for v in value) if type(value) in (list, tuple) else value

    def back(self, value: Any, moving: tuple[Any, ...]) -> Any:
        """The arguments with other tensors in the places."""
        if isinstance(value, _Place):
            return moving[value.index]
        if isinstance(value, dict):
            return {k: self.back(v, moving) for k, v in value.items()}
        return type(value)(self.back(v, moving) for v in value) if type(value) in (list, tuple) else value


class _Place:
    def __init__(self, index: int) -> None:
        self.index = index
