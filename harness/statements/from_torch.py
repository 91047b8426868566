"""`from_torch` makes a rule of a `torch.autograd.Function`, and holds it to what torch's users rely on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Unpack

import numpy as np

from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.annotations import inputs_of
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import Bound, Fixed, check_fixed, check_names
from backprove.harness.statements.torch_function import TorchFunction
from backprove.strategies.array import ArraySpec

Tensor = Any
"""A tensor of torch, which need not be installed."""


def from_torch(
    function: object,
    *,
    inputs: Mapping[str, ArraySpec] | None = None,
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a `torch.autograd.Function`.

    Forward is `Function.apply` on copies of the inputs; the pullback is `torch.autograd.grad` through it. A gradient
    that is None counts as zero, as it does for torch's users. Outputs marked as non-differentiable, integers and masks
    among them, are left out. Beside its values the backward is held to torch's contract (`TorchFunction.contract`).

    A static method `jvp` is judged as well, and held to be adjoint to backward.

    Forward and backward are traced to graphs of torch's core operations, which are judged exactly and held against real
    calls. Code that cannot be traced is called as a black box, and the report says why: it branches on values, draws
    random numbers, or uses an operation that the tracer does not know. Then `dataclasses.replace(rule, reference=f)`
    names a JAX function of the same map, and `replace(rule, batched=True)` says that forward and backward accept one
    extra leading axis of points, which makes a check several times faster.

    Args:
        function: the subclass of `torch.autograd.Function`.
        inputs: argument name -> `array(...)`, in the order of forward's parameters after `ctx`; None reads them from
            the jaxtyping annotations of `function.forward`.
        name: defaults to the class's name.
        fixed: arguments that are no inputs, by name or by position after `ctx`; they are given to `apply` as they are.
        further: other arguments of `Rule`, such as `surrogate`, `reference` and `examples`. Functions among them may be
            JAX's or NumPy's, or torch's, which are called with tensors.

    Raises:
        UsageError: when torch is not installed or `function` is not such a class.
    """
    try:
        import torch
    except ImportError:
        raise UsageError("from_torch needs torch, which is not installed: pip install 'backprove[torch]'") from None
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        raise UsageError(f"from_torch: expected a subclass of torch.autograd.Function, got {function!r}")
    cls: Any = function
    label = name or str(function.__name__)
    who = f"from_torch({label})"
    taken: Any = cls.forward if _has_setup(torch, cls) else functools.partial(cls.forward, None)  # no ctx
    fixed = {} if fixed is None else fixed
    check_fixed(who, taken, fixed, tuple(inputs or ()))
    taken = Bound.of(taken, fixed)
    if inputs is None:
        inputs = inputs_of(taken, who)
    for key, spec in inputs.items():
        if not isinstance(spec, ArraySpec):
            raise UsageError(
                f"{who}: input {key!r} is {spec!r}; expected bp.array(...): "
                "torch.autograd.Function takes tensors, each an argument of its own"
            )
    check_names(who, taken, tuple(inputs))
    filled = taken.filled if isinstance(taken, Bound) else list
    called = TorchFunction(torch, lambda *tensors: cls.apply(*filled(tensors)), label, dict(inputs))
    more = bound_further(who, further, fixed, taken, tuple(inputs), lambda _, f: TensorsToo(f, called))
    more.setdefault("complex_convention", "torch")
    forward, backward = called.as_rule()
    base: Any = torch.autograd.Function
    jvp = None if cls.jvp is base.jvp else shown_as(called.as_jvp(), cls.jvp, 1)
    has_backward = jvp is None or cls.backward is not base.backward or cls.vjp is not base.vjp
    vjp = shown_as(backward, cls.backward, 1) if has_backward else None
    return Rule(label, forward=shown_as(forward, cls.forward), jvp=jvp, vjp=vjp, inputs=inputs, **more)


def _has_setup(torch: ModuleType, cls: Any) -> bool:
    """Whether forward takes no ctx: the class has a `setup_context` of its own."""
    return cls.setup_context is not torch.autograd.Function.setup_context


class TensorsToo:
    """A function beside a torch forward that takes arrays, or tensors where it cannot take arrays.

    Args:
        call: JAX or NumPy code, which front ends trace; or torch code, which is called.
        tensors: makes tensors of arrays, and arrays of tensors.
    """

    def __init__(self, call: Code, tensors: TorchFunction) -> None:
        self.__wrapped__, self.tensors = call, tensors

    def __call__(self, *arguments: Any) -> Any:
        if not all(isinstance(a, np.ndarray) for a in arguments):
            return self.__wrapped__(*arguments)
        try:
            return self._as_arrays(self.__wrapped__(*arguments))
        except (TypeError, AttributeError):
            return self._as_arrays(self.__wrapped__(*map(self.tensors._tensor, arguments)))

    def _as_arrays(self, found: Any) -> Any:
        if isinstance(found, (tuple, list)):
            return tuple(self._as_arrays(f) for f in found)
        return self.tensors._array(found) if isinstance(found, self.tensors.torch.Tensor) else found
