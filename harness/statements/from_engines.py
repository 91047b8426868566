"""Rules of the NumPy engines autograd and mygrad are made here of what the engines keep, so that their code is traced.

bp.check(bp.from_autograd(autograd.numpy.logaddexp, inputs={"x": bp.array("n"), "y": bp.array("n")}))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Unpack

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import Bound, Fixed, check_keywords
from backprove.harness.statements.stated_inputs import check_arrays
from backprove.strategies.array import ArraySpec


@worded("from_autograd")
def from_autograd(
    primitive: Code,
    *,
    inputs: Mapping[str, ArraySpec],
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a primitive of autograd: its VJPs as registered with `defvjp`.

    ```python
    import autograd.numpy
    import backprove as bp

    rule = bp.from_autograd(autograd.numpy.logaddexp, inputs={"x": bp.array("n"), "y": bp.array("n")})
    ```

    Args:
        primitive: a function decorated with `autograd.extend.primitive`, such as those of `autograd.numpy`.
        inputs: argument name -> `array(...)`, in the order of the arguments.
        name: defaults to the primitive's own.
        fixed: further arguments, by name (as keywords) or position.
        further: other arguments of `Rule`.

    Raises:
        UsageError: when autograd is not installed, or `primitive` has no VJP there.
    """
    try:
        primitive_vjps: Any = import_module("autograd.core").primitive_vjps
    except ImportError:
        raise UsageError("from_autograd needs autograd, which is not installed: pip install autograd") from None
    label = name or str(getattr(primitive, "__name__", "primitive"))
    known: Any = primitive
    if not callable(known) or known not in primitive_vjps:
        raise UsageError(
            f"from_autograd({label}): expected a primitive of autograd with a VJP (autograd.extend.defvjp), "
            f"got {as_given(primitive)}"
        )
    check_arrays(f"from_autograd({label})", inputs)
    check_keywords(f"from_autograd({label})", fixed)
    filled, keywords = _given(fixed)
    names = list(inputs)
    moving = [i for i, n in enumerate(names) if inputs[n].differentiable]
    raw: Code = known.fun
    places = tuple(_place(filled, len(names), i) for i in moving)

    def forward(*arrays: Array) -> Any:
        return raw(*filled(arrays), **keywords)

    def vjp(*arguments: Array) -> Any:
        arrays = arguments[: len(names)]
        given = tuple(filled(arrays))
        pullback = primitive_vjps[primitive](places, raw(*given, **keywords), given, keywords)
        found = tuple(pullback(arguments[len(names)]))
        return found[0] if len(found) == 1 else found

    more = bound_further(f"from_autograd({label})", further, {}, forward, tuple(names))
    return Rule(label, forward=shown_as(forward, raw), vjp=vjp, inputs=inputs, **more)


@worded("from_mygrad")
def from_mygrad(
    operation: type,
    *,
    inputs: Mapping[str, ArraySpec],
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of an operation of mygrad: its `backward_var` for every differentiable input.

    ```python
    from mygrad.math.exp_log.ops import Exp
    import backprove as bp

    rule = bp.from_mygrad(Exp, inputs={"x": bp.array("n", high=9)})
    ```

    Args:
        operation: a subclass of `mygrad.operation_base.Operation`.
        inputs: argument name -> `array(...)`, in the order of the tensors that the operation takes.
        name: defaults to the operation's own.
        fixed: further arguments, by name (as keywords) or position.
        further: other arguments of `Rule`.

    Raises:
        UsageError: when mygrad is not installed, or `operation` is no such class.
    """
    try:
        base: Any = import_module("mygrad.operation_base")
    except ImportError:
        raise UsageError("from_mygrad needs mygrad, which is not installed: pip install mygrad") from None
    given: Any = operation
    if not (isinstance(given, type) and issubclass(given, base.Operation)):
        raise UsageError(f"from_mygrad: expected a subclass of mygrad's Operation, got {as_given(operation)}")
    label = name or operation.__name__
    check_arrays(f"from_mygrad({label})", inputs)
    check_keywords(f"from_mygrad({label})", fixed)
    filled, keywords = _given(fixed)
    names = list(inputs)
    moving = [i for i, n in enumerate(names) if inputs[n].differentiable]

    def run(arrays: Sequence[Array]) -> tuple[Any, Any]:
        done: Any = operation()
        return done, done(*(_Variable(a) for a in filled(arrays)), **keywords)

    def forward(*arrays: Array) -> Any:
        return run(arrays)[1]

    def vjp(*arguments: Array) -> Any:
        arrays = arguments[: len(names)]
        done, _ = run(arrays)
        found = []
        for i in moving:
            try:
                cotangent = done.backward_var(arguments[len(names)], i)
                found.append(done.grad_post_process_fn(cotangent, arrays[i].shape))
            except base.SkipGradient:
                found.append(arrays[i] * 0)
        return found[0] if len(found) == 1 else tuple(found)

    more = bound_further(f"from_mygrad({label})", further, {}, forward, tuple(names))
    return Rule(label, forward=shown_as(forward, operation), vjp=vjp, inputs=inputs, **more)


class _Variable:
    """What an operation sees of a tensor: its data, which may be an array that is being traced."""

    def __init__(self, data: Any) -> None:
        self.data, self.constant, self._constant = data, False, False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype


def _given(fixed: Fixed | None) -> tuple[Callable[[Sequence[Any]], list[Any]], dict[str, Any]]:
    """Makes all positional arguments of the inputs; and the keywords."""
    positions = {k: v for k, v in (fixed or {}).items() if isinstance(k, int)}
    keywords = {k: v for k, v in (fixed or {}).items() if isinstance(k, str)}
    return (Bound(_nothing, positions, {}).filled if positions else list), keywords


def _place(filled: Callable[[Sequence[Any]], list[Any]], count: int, i: int) -> int:
    """Position of an input among all positional arguments."""
    marks = [object() for _ in range(count)]
    return next(k for k, v in enumerate(filled(marks)) if v is marks[i])


def _nothing(*_: object) -> None:
    """A function whose arguments are only put in order."""
