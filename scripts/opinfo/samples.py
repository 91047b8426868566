"""Samples of torch's list of operators (`op_db`, which needs the package `expecttest`) become rules here.

rule("nn.functional.softplus")

The tensors of a sample that require grad are the inputs; all else is given as it is. The sample is the first whose
inputs have two entries or more, none of them empty: of the others a check would have nothing to say. Of functions of
one variable it is a corner of 3 entries along each axis. As for torch's own gradient tests an operator of symmetric or
triangular matrices is given the symmetric or triangular part of its input.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scripts.opinfo.worker import NoSample

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule

CORNER = 3
"""Entries along each axis that a function of one variable is given: all others are treated alike."""

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


def rule(name: str) -> Rule:
    """The rule of the first telling sample of an entry, else of its first.

    Raises:
        NoSample: where no input requires grad.
    """
    import torch

    from backprove import from_call

    torch.set_num_threads(1)
    torch.manual_seed(0)
    op, found = operator(name), None
    entrywise = type(op).__name__ == "UnaryUfuncInfo"
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
        cut = _Cut(sample, CORNER if entrywise else None)
        found = found or cut
        if cut.is_telling:
            found = cut
            break
    if found is None or not found.moving:
        raise NoSample("no input requires grad")

    def call(*moving: Any) -> Any:
        arguments, keywords = found.back(moving)
        result = op.gradcheck_wrapper(op.op, *arguments, **keywords)
        return found.process(result) if found.process else result

    return from_call(call, tuple(found.moving), name=name)


class _Cut:
    """Takes the tensors that require grad out of the arguments of a sample, and puts others in their place."""

    def __init__(self, sample: Any, corner: int | None) -> None:
        self.moving: list[Any] = []
        self.corner = corner
        self.process = sample.output_process_fn_grad
        self.arguments = self.out((sample.input, *sample.args))
        self.keywords = self.out(dict(sample.kwargs))

    @property
    def is_telling(self) -> bool:
        """Whether the inputs have two entries or more, and none is empty."""
        sizes = [t.numel() for t in self.moving]
        return sum(sizes) > 1 and 0 not in sizes

    def out(self, value: Any) -> Any:
        """The arguments with places instead of tensors, which are kept in `moving`."""
        import torch

        if torch.is_tensor(value) and value.requires_grad:
            self.moving.append(value.detach()[(slice(self.corner),) * value.ndim].clone())
            return _Place(len(self.moving) - 1)
        if isinstance(value, dict):
            return {k: self.out(v) for k, v in value.items()}
        return type(value)(self.out(v) for v in value) if type(value) in (list, tuple) else value

    def back(self, moving: tuple[Any, ...]) -> tuple[Any, Any]:
        """Arguments and keywords with other tensors in the places."""
        return _filled(self.arguments, moving), _filled(self.keywords, moving)


def _filled(value: Any, moving: tuple[Any, ...]) -> Any:
    if isinstance(value, _Place):
        return moving[value.index]
    if isinstance(value, dict):
        return {k: _filled(v, moving) for k, v in value.items()}
    return type(value)(_filled(v, moving) for v in value) if type(value) in (list, tuple) else value


class _Place:
    def __init__(self, index: int) -> None:
        self.index = index
