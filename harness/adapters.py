"""Rules out of what frameworks call a custom derivative: JAX, torch, and forward/backward pairs with residuals."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from backprove.harness.errors import UsageError
from backprove.harness.rule import Rule
from backprove.strategies.array import ArraySpec


def from_jax(fn: Any, *, inputs: Mapping[str, ArraySpec], name: str | None = None) -> Rule:
    """The rule of a `jax.custom_jvp` or `jax.custom_vjp` function, checked against the undecorated function.

    The rule is applied through `jax.jvp` or `jax.vjp`, so that `nondiff_argnums` and JAX's own checks of structure
    work as they do for its users. Outputs that are pytrees are flattened to tuples of arrays.

    Args:
        fn: the decorated function, or a `functools.partial` of one.
        inputs: argument name -> `array(...)`; arguments in `nondiff_argnums` are bound with `functools.partial`, left
            to their defaults, or integers.
        name: defaults to the function's own name.

    Raises:
        UsageError: when `fn` has no custom rule, when the rule is not defined yet, or when an input of floats is in
            `nondiff_argnums`.
    """
    import jax

    decorated: Any = fn.func if isinstance(fn, functools.partial) else fn
    forward_mode = isinstance(decorated, jax.custom_jvp)
    if not forward_mode and not isinstance(decorated, jax.custom_vjp):
        raise UsageError(
            f"from_jax: expected a function decorated with jax.custom_jvp or jax.custom_vjp, got {fn!r}; "
            "state another rule with bp.Rule(...)"
        )
    label = name or str(getattr(decorated, "__name__", "jax rule"))
    if getattr(decorated, "jvp" if forward_mode else "bwd", None) is None:
        how = "@f.defjvp" if forward_mode else "f.defvjp(fwd, bwd)"
        raise UsageError(f"from_jax: {label} has no derivative rule yet; define it with {how} before from_jax")
    undecorated: Callable[..., Any] = decorated.fun
    if isinstance(fn, functools.partial):
        undecorated = functools.partial(undecorated, *fn.args, **fn.keywords)
    _refuse_nondiff(label, fn, decorated, inputs)
    places = [i for i, spec in enumerate(inputs.values()) if spec.differentiable]

    def flat(values: Any) -> Any:
        leaves = jax.tree_util.tree_leaves(values)
        return leaves[0] if len(leaves) == 1 and leaves[0] is values else tuple(leaves)

    def of_differentiable(primals: tuple[Any, ...]) -> tuple[Callable[..., Any], list[Any]]:
        def restricted(*moved: Any) -> Any:
            full = list(primals)
            for i, x in zip(places, moved, strict=True):
                full[i] = x
            return fn(*full)

        return restricted, [jax.numpy.asarray(primals[i]) for i in places]

    def forward(*primals: Any) -> Any:
        return flat(undecorated(*primals))

    def jvp(*arguments: Any) -> Any:
        f, moved = of_differentiable(arguments[: len(inputs)])
        return flat(jax.jvp(f, moved, [jax.numpy.asarray(t) for t in arguments[len(inputs) :]])[1])

    def vjp(*arguments: Any) -> Any:
        f, moved = of_differentiable(arguments[: len(inputs)])
        out, pullback = jax.vjp(f, *moved)
        cotangents = [jax.numpy.asarray(g) for g in arguments[len(inputs) :]]
        found = pullback(jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(out), cotangents))
        return found[0] if len(found) == 1 else tuple(found)

    shown = functools.wraps(undecorated)(forward)
    if forward_mode:
        return Rule(label, forward=shown, jvp=_shown_as(jvp, decorated.jvp), inputs=inputs)
    return Rule(label, forward=shown, vjp=_shown_as(vjp, decorated.bwd), inputs=inputs)


def _refuse_nondiff(name: str, fn: Any, decorated: Any, inputs: Mapping[str, ArraySpec]) -> None:
    bound = len(fn.args) if isinstance(fn, functools.partial) else 0
    specs = list(inputs.items())
    for position in decorated.nondiff_argnums:
        k = position - bound
        if 0 <= k < len(specs) and specs[k][1].differentiable:
            raise UsageError(
                f"from_jax: input {specs[k][0]!r} of {name} is in nondiff_argnums and has no derivative; "
                f"leave it out of inputs and bind it, as in functools.partial({name}, {specs[k][0]}=...)"
            )


def from_fwd_bwd(
    fwd: Callable[..., Any], bwd: Callable[..., Any], *, inputs: Mapping[str, ArraySpec], name: str | None = None
) -> Rule:
    """The rule of a forward that keeps residuals and a backward that uses them.

    Args:
        fwd: `fwd(*inputs) -> (out, residuals)`.
        bwd: `bwd(residuals, cotangent)` -> cotangent of the one differentiable input or a tuple, one per
            differentiable input; with several outputs `cotangent` is a tuple.
        inputs: argument name -> `array(...)`.
        name: defaults to fwd's own name.

    Raises:
        UsageError: as `Rule`; and when the rule runs and `fwd` does not return a pair.
    """
    for label, function in (("fwd", fwd), ("bwd", bwd)):
        if not callable(function):
            raise UsageError(f"from_fwd_bwd: {label} must be a function, got {function!r}")
    label = name or str(getattr(fwd, "__name__", "rule"))

    def pair(*primals: Any) -> tuple[Any, Any]:
        result = fwd(*primals)
        if not isinstance(result, tuple) or len(result) != 2:
            raise UsageError(f"from_fwd_bwd: fwd of {label} must return (out, residuals), got {type(result).__name__}")
        return result

    @functools.wraps(fwd)
    def forward(*primals: Any) -> Any:
        return pair(*primals)[0]

    def vjp(*arguments: Any) -> Any:
        _, residuals = pair(*arguments[: len(inputs)])
        cotangents = arguments[len(inputs) :]
        found = bwd(residuals, cotangents[0] if len(cotangents) == 1 else tuple(cotangents))
        return found[0] if isinstance(found, tuple) and len(found) == 1 else found

    return Rule(label, forward=forward, vjp=_shown_as(vjp, bwd), inputs=inputs)


def _shown_as(function: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its own signature, whose text in the report is that of `original`."""
    function.__signature__ = inspect.signature(function)
    function.__wrapped__ = original
    return function  # type: ignore[no-any-return]


def from_torch(function: Any, *, inputs: Mapping[str, ArraySpec], name: str | None = None) -> Rule:
    """The rule of a `torch.autograd.Function`.

    Forward is `Function.apply` on copies of the inputs; the pullback is `torch.autograd.grad` through it. A gradient
    that is None counts as zero, as it does for torch's users.

    Args:
        function: the subclass of `torch.autograd.Function`.
        inputs: argument name -> `array(...)`, in the order of forward's parameters after `ctx`.
        name: defaults to the class's name.

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
    specs = list(inputs.values())

    def tensors(arrays: tuple[Any, ...], requires_grad: bool) -> list[Any]:
        out = [_to_tensor(torch, a) for a in arrays]
        for t, spec in zip(out, specs, strict=True):
            if spec.differentiable:
                t.requires_grad_(requires_grad)
        return out

    def forward(*arrays: Any) -> Any:
        with torch.no_grad():
            out = cls.apply(*tensors(arrays, requires_grad=False))
        return tuple(_to_numpy(torch, o) for o in out) if isinstance(out, tuple) else _to_numpy(torch, out)

    def vjp(*arguments: Any) -> Any:
        primals = tensors(arguments[: len(specs)], requires_grad=True)
        out = cls.apply(*primals)
        outs = out if isinstance(out, tuple) else (out,)
        cotangents = [_to_tensor(torch, g) for g in arguments[len(specs) :]]
        # Outputs marked as non-differentiable (indices, masks) take no cotangent.
        pairs = [(o, g) for o, g in zip(outs, cotangents, strict=True) if o.requires_grad]
        moved = [p for p, spec in zip(primals, specs, strict=True) if spec.differentiable]
        grads = torch.autograd.grad([o for o, _ in pairs], moved, [g for _, g in pairs], allow_unused=True)
        found = [_to_numpy(torch, torch.zeros_like(p) if g is None else g) for p, g in zip(moved, grads, strict=True)]
        return found[0] if len(found) == 1 else tuple(found)

    return Rule(name or str(function.__name__), forward=forward, vjp=_shown_as(vjp, cls.backward), inputs=inputs)


def _to_tensor(torch: Any, array: Any) -> Any:
    """A tensor with a copy of `array`; torch reads no bfloat16 of NumPy, float32 carries it exactly."""
    import numpy as np

    a = np.array(array)
    if str(a.dtype) == "bfloat16":
        return torch.from_numpy(a.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(a)


def _to_numpy(torch: Any, tensor: Any) -> Any:
    t = tensor.detach().cpu()
    return (t.to(torch.float32) if t.dtype == torch.bfloat16 else t).numpy()
