"""`from_module` makes a rule of an object with `forward` and `backward`, such as a layer in NumPy.

class Linear:
    def __init__(self, m, n):
        self.W, self.b = np.zeros((m, n)), np.zeros(n)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, g):
        self.dW, self.db = self.x.T @ g, g.sum(0)
        return g @ self.W.T

A = bp.array
bp.check(bp.from_module(Linear(2, 3), inputs={"x": A("k m"), "W": A("m n"), "b": A("n")}))
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Unpack

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import POSITIONAL, Fixed, check_keywords, signature_of
from backprove.harness.statements.stated_inputs import check_arrays
from backprove.strategies.array import ArraySpec

STORES = ("params", "parameters", "weights", "_parameters")
"""Attributes in which objects keep parameters by name."""
GRADIENTS = ("grads", "gradients", "dparams", "_gradients")
"""Attributes in which they keep gradients by the names of the parameters."""
SPELLINGS = ("d{0}", "d_{0}", "{0}_grad", "grad_{0}", "g{0}", "{0}grad")
"""How attributes with the gradient of one parameter are called."""
FIELDS = (("data", "grad"), ("value", "grad"), ("val", "grad"))
"""Fields of parameters that are objects: their value and their gradient."""


@worded("from_module")
def from_module(
    obj: object,
    *,
    inputs: Mapping[str, ArraySpec],
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of an object with `forward` and `backward`; its parameters are inputs, its gradients results.

    ```python
    import numpy as np
    import backprove as bp

    class Scale:
        def __init__(self):
            self.w = np.ones(3)

        def forward(self, x):
            self.x = x
            return self.w * x

        def backward(self, g):
            self.dw = g * self.x
            return g * self.w

    rule = bp.from_module(Scale(), inputs={"x": bp.array("3"), "w": bp.array("3")})
    ```

    Every call is made on a deep copy of the object, so that nothing that it keeps is carried over.

    Args:
        obj: `forward(*arrays)` returns an array; `backward(cotangent)` returns the cotangent of forward's argument, or
            a tuple of them, and leaves the gradients of the parameters in the object.
        inputs: argument name -> `array(...)`: first the arguments of forward, then parameters of the object, which are
            attributes or entries of a dict such as `params`. The gradient of `W` is looked for as `grads["W"]`, `dW`,
            `W.grad` and the like.
        name: defaults to the name of the object's class.
        fixed: further arguments of forward, by name.
        further: other arguments of `Rule`.

    Raises:
        UsageError: for an object without these methods, and for an input that is neither an argument of forward nor a
            parameter.
    """
    label = name or type(obj).__name__
    who = f"from_module({label})"
    for method in ("forward", "backward"):
        if not callable(getattr(obj, method, None)):
            raise UsageError(
                f"{who}: expected an object with forward and backward, got {as_given(obj)} without {method}"
            )
    if isinstance(obj, type):
        raise UsageError(f"{who}: expected an object, got {as_given(obj)}: give one of it, as in {obj.__name__}(...)")
    check_arrays(who, inputs)
    check_keywords(who, fixed)
    module: Any = obj
    arguments = _arguments(module.forward, tuple(inputs), fixed or {})
    parameters = tuple(n for n in inputs if n not in arguments)
    for key in parameters:
        if _holder(module, key) is None:
            raise UsageError(
                f"{who}: {key!r} is no argument of forward and no parameter of the object: neither an attribute nor "
                f"an entry of {', '.join(STORES)}"
            )
    keywords = {k: v for k, v in (fixed or {}).items() if isinstance(k, str)}

    def run(arrays: Mapping[str, Array]) -> tuple[Any, Any]:
        fresh = copy.deepcopy(module)
        for key in parameters:
            _set(fresh, key, arrays[key])
        return fresh, fresh.forward(*(arrays[n] for n in arguments), **keywords)

    def forward(*arrays: Array) -> Any:
        return run(dict(zip(inputs, arrays, strict=True)))[1]

    def vjp(*given: Array) -> Any:
        arrays = dict(zip(inputs, given[: len(inputs)], strict=True))
        fresh, _ = run(arrays)
        cotangents = given[len(inputs) :]
        returned = fresh.backward(*cotangents)
        many = returned if isinstance(returned, (tuple, list)) else (returned,)
        moving = [n for n in arguments if inputs[n].differentiable]
        found = dict(zip(moving, many, strict=False))
        for key in parameters:
            if inputs[key].differentiable:
                found[key] = _gradient(fresh, key, label)
        ordered = tuple(found.get(n) for n in inputs if inputs[n].differentiable)
        return ordered[0] if len(ordered) == 1 else ordered

    more = bound_further(who, further, {}, forward, tuple(inputs))
    shown = shown_as(forward, module.forward), shown_as(vjp, module.backward)
    return Rule(label, forward=shown[0], vjp=shown[1], inputs=inputs, **more)


def _arguments(forward: Callable[..., Any], names: tuple[str, ...], fixed: Fixed) -> tuple[str, ...]:
    """The inputs that forward takes, in its order; those before the first parameter where it tells no names."""
    signature = signature_of(forward)
    if signature is None:
        return names[:1]
    kinds = (*POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
    taken = [p.name for p in signature.parameters.values() if p.kind in kinds and p.name not in fixed]
    return tuple(n for n in taken if n in names)


def _holder(module: Any, key: str) -> tuple[Any, str] | None:
    """What holds a parameter: the object or a dict in it, and the name there."""
    if hasattr(module, key):
        return module, key
    for store in STORES:
        held = getattr(module, store, None)
        if isinstance(held, MutableMapping) and key in held:
            return held, key
    return None


def _read(holder: Any, key: str) -> Any:
    return holder[key] if isinstance(holder, MutableMapping) else getattr(holder, key)


def _set(module: Any, key: str, value: Array) -> None:
    """Give a parameter its value, where it is an array or an object that holds one."""
    found = _holder(module, key)
    assert found is not None
    held = _read(*found)
    for data, _ in FIELDS:
        if not hasattr(held, "__array__") and hasattr(held, data):
            setattr(held, data, value)
            return
    if isinstance(found[0], MutableMapping):
        found[0][key] = value
    else:
        setattr(module, key, value)


def _gradient(module: Any, key: str, label: str) -> Any:
    """The gradient of a parameter after `backward`.

    Raises:
        AttributeError: where there is none.
    """
    found = _holder(module, key)
    assert found is not None
    held = _read(*found)
    for _, grad in FIELDS:
        if not hasattr(held, "__array__") and hasattr(held, grad):
            return getattr(held, grad)
    for store in GRADIENTS:
        gradients = getattr(module, store, None)
        if isinstance(gradients, Mapping):
            for name in (key, *(s.format(key) for s in SPELLINGS)):
                if name in gradients:
                    return gradients[name]
    for spelling in SPELLINGS:
        if hasattr(module, spelling.format(key)):
            return getattr(module, spelling.format(key))
    places = ", ".join([*(f"{g}[{key!r}]" for g in GRADIENTS[:2]), *(s.format(key) for s in SPELLINGS[:4])])
    raise AttributeError(f"{label} has no gradient of {key} after backward; looked for {places} and {key}.grad")
