"""`from_torch` makes a rule of a `torch.autograd.Function`, and holds it to what torch's users rely on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Unpack

import numpy as np

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.annotations import inputs_of
from backprove.harness.statements.claims import Claim, Derivative
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import Bound, Fixed, check_fixed, check_names
from backprove.harness.statements.stated_inputs import check_arrays, check_mapping
from backprove.harness.statements.torch_function import TorchFunction, on_tensors
from backprove.strategies.array import ArraySpec

Tensor = Any
"""A tensor of torch, which need not be installed."""

UNASKED = "second derivatives not judged: double_backward=True asks for them"
"""What a report says of a backward that torch differentiates again."""

HELD = (1.0, -0.5, 2.0, -1.5, 0.75)
"""Cotangents at which the backward is differentiated, over and over: of both signs, no two alike in a row."""


@worded("from_torch")
def from_torch(
    function: object,
    *,
    inputs: Mapping[str, ArraySpec] | None = None,
    name: str | None = None,
    fixed: Fixed | None = None,
    double_backward: bool = False,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a `torch.autograd.Function`.

    ```python
    import torch
    import backprove as bp

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    rule = bp.from_torch(Square, inputs={"x": bp.array("n")})
    ```

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
        double_backward: judge torch's second derivatives through the backward as well, in claims of their own
            (`double_backward` in its inputs, `double_backward_cotangents` in its cotangents). A backward that uses what
            forward computed unseen by torch is right once and wrong twice, without a word. They are not judged
            otherwise.
        further: other arguments of `Rule`, such as `surrogate`, `reference` and `examples`. Functions among them may be
            JAX's or NumPy's, or torch's, which are called with tensors.

    Raises:
        UsageError: when torch is not installed or `function` is not such a class; for `double_backward` of a backward
            that is `once_differentiable`, and of complex numbers.
    """
    try:
        import torch
    except ImportError:
        raise UsageError("from_torch needs torch, which is not installed: pip install 'backprove[torch]'") from None
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        hint = "judge torch's own derivative with bp.from_call(fn, example), or state a rule with bp.Rule(...)"
        raise UsageError(
            f"from_torch: expected a subclass of torch.autograd.Function, got {as_given(function)}; "
            + (hint if callable(function) else "give the class itself")
        )
    cls: Any = function
    label = name or str(function.__name__)
    who = f"from_torch({label})"
    taken: Any = cls.forward if _has_setup(torch, cls) else functools.partial(cls.forward, None)  # no ctx
    if inputs is not None:
        check_mapping(who, inputs)
    fixed = {} if fixed is None else fixed
    check_fixed(who, taken, fixed, tuple(inputs or ()))
    taken = Bound.of(taken, fixed)
    if inputs is None:
        inputs = inputs_of(taken, who)
    check_arrays(who, inputs, ": torch.autograd.Function takes tensors, each an argument of its own")
    check_names(who, taken, tuple(inputs))
    filled = taken.filled if isinstance(taken, Bound) else list
    called = TorchFunction(torch, lambda *tensors: cls.apply(*filled(tensors)), label, dict(inputs))
    more = bound_further(who, further, fixed, taken, tuple(inputs), lambda _, f: TensorsToo(f, called))
    more.setdefault("complex_convention", "torch")
    forward, backward = called.as_rule()
    base: Any = torch.autograd.Function
    jvp = None if cls.jvp is base.jvp else shown_as(called.as_jvp(), cls.jvp, 1, under_test=cls)
    has_backward = jvp is None or cls.backward is not base.backward or cls.vjp is not base.vjp
    vjp = shown_as(backward, cls.backward, 1, under_test=cls) if has_backward else None
    rule = Rule(label, forward=shown_as(forward, cls.forward), jvp=jvp, vjp=vjp, inputs=inputs, **more)
    if double_backward:
        object.__setattr__(rule, "further_claims", _of_second_order(who, cls, called, inputs))
    elif has_backward and not is_once_differentiable(cls.backward):
        object.__setattr__(rule, "unasked", UNASKED)
    return rule


def _of_second_order(
    who: str, cls: Any, called: TorchFunction, inputs: Mapping[str, ArraySpec]
) -> tuple[tuple[str, Claim], ...]:
    if is_once_differentiable(cls.backward):
        raise UsageError(
            f"{who}: double_backward=True, but the backward is once_differentiable: torch raises where it is "
            "differentiated; leave one of the two out"
        )
    if any(spec.dtype == "complex" for spec in inputs.values()):
        raise UsageError(f"{who}: double_backward=True is judged of real inputs alone")
    return tuple(second_order(called))


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
            return self._as_arrays(self.__wrapped__(*map(self.tensors.tensor, arguments)))

    def _as_arrays(self, found: Any) -> Any:
        if isinstance(found, (tuple, list)):
            return tuple(self._as_arrays(f) for f in found)
        return self.tensors.array(found) if isinstance(found, self.tensors.torch.Tensor) else found


def second_order(called: TorchFunction) -> list[tuple[str, Claim]]:
    """Claims by name: torch's second derivatives, taken through a written backward, are those of its values.

    A backward maps inputs and cotangents to gradients, and torch differentiates it again as it does any code. In its
    inputs that is a VJP, here at cotangents that are held; in its cotangents it is forward's JVP, since gradients are
    linear in them.
    """
    torch = called.torch
    wrt = tuple(called.names[i] for i in called.moving)

    def followed(tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        outs, leaves = called.followed(tensors[: len(called.names)])
        return outs, [leaves[i] for i in called.moving], [held(o).requires_grad_() for o in outs]

    def held(out: Tensor) -> Tensor:
        values = [HELD[k % len(HELD)] for k in range(out.numel())]
        return torch.tensor(values, dtype=out.dtype).reshape(out.shape)

    def gradients(outs: Sequence[Tensor], by: Sequence[Tensor], g: Sequence[Tensor], again: bool) -> list[Tensor]:
        """Gradients of those outputs that can be differentiated; zeros where there is none."""
        pairs = [(o, c) for o, c in zip(outs, g, strict=True) if o.requires_grad]
        if not pairs:
            return [torch.zeros_like(b) for b in by]
        ends, cotangents = [o for o, _ in pairs], [c for _, c in pairs]
        found = torch.autograd.grad(ends, by, cotangents, allow_unused=True, create_graph=again)
        return [torch.zeros_like(b) if f is None else f for b, f in zip(by, found, strict=True)]

    def backward(*tensors: Tensor) -> list[Tensor]:
        outs, moved, g = followed(tensors)
        return [f.detach() for f in gradients(outs, moved, g, again=False)]

    def pulled_back(*tensors: Tensor) -> list[Tensor]:
        outs, moved, g = followed(tensors)
        return gradients(gradients(outs, moved, g, again=True), moved, tensors[len(called.names) :], again=False)

    def pushed_forward(*tensors: Tensor) -> list[Tensor]:
        outs, moved, g = followed(tensors)
        return gradients(gradients(outs, moved, g, again=True), g, tensors[len(called.names) :], again=False)

    first, _ = called.as_rule()
    in_inputs = Derivative(_on_arrays(called, backward), _on_arrays(called, pulled_back), "vjp", wrt)
    in_cotangents = Derivative(first, _on_arrays(called, pushed_forward), "jvp", wrt)
    return [("double_backward", in_inputs), ("double_backward_cotangents", in_cotangents)]


def _on_arrays(called: TorchFunction, code: Callable[..., list[Tensor]]) -> Code:
    """A function of tensors as one of arrays, which knows what it does on tensors."""

    def function(*arrays: Array) -> Array | tuple[Array, ...]:
        found = [called.array(t) for t in code(*map(called.tensor, arrays))]
        return found[0] if len(found) == 1 else tuple(found)

    on_tensors(function, code)
    return function


def is_once_differentiable(backward: object) -> bool:
    """Whether a backward says that torch cannot differentiate it (`once_differentiable`)."""
    from torch.autograd.function import once_differentiable

    def nothing(ctx: object) -> None: ...

    made: Any = once_differentiable(nothing)
    return getattr(backward, "__code__", None) is made.__code__
