"""`from_call` makes a rule of any callable of JAX or torch: the framework's own derivative is what is checked.

bp.check(bp.from_call(torch.nn.functional.softplus, torch.randn(3)))
bp.check(bp.from_call(jnp.linalg.norm, jnp.ones((2, 3)), fixed={"axis": -1}))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import POSITIONAL, Fixed, check_keywords, signature_of
from backprove.harness.statements.stated_inputs import check_arrays
from backprove.harness.statements.torch_function import TorchFunction
from backprove.strategies.array import ArraySpec, array

FLOATS = ("float64", "float32", "float16", "bfloat16")

Leaf = Any
"""A tensor of torch, an array of JAX or NumPy, or anything that a call is given beside them."""


@worded("from_call")
def from_call(
    fn: Code,
    example: object,
    *,
    fixed: Fixed | None = None,
    inputs: Mapping[str, ArraySpec] | None = None,
    name: str | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a callable of JAX or torch whose derivative is the framework's own.

    ```python
    import jax.numpy as jnp
    import backprove as bp

    rule = bp.from_call(jnp.linalg.norm, jnp.ones((2, 3)), fixed={"axis": -1})
    ```

    Args:
        fn: takes and returns arrays of JAX or tensors of torch, also in lists, tuples and dicts.
        example: one call's arguments: a tuple of them, a dict by name, or the only one. Its arrays of floats are the
            inputs, with their shapes; all else (integers, masks, numbers, texts, None) is given as it is. The point is
            judged first.
        fixed: further arguments, by name.
        inputs: `array(...)` for inputs by name, in the place of the example's shape and of the usual range. Inputs have
            the names of fn's parameters; those inside a list have its name and their position, as in `tensors_0`.
        name: defaults to fn's own.
        further: other arguments of `Rule`, such as `where` and `convention`.

    Raises:
        UsageError: for an example without an array of floats, for arguments that are given twice, and for names in
            `inputs` that no input has.
    """
    if not callable(fn):
        raise UsageError(f"from_call: expected a function of JAX or torch, got {as_given(fn)}")
    label = name or str(getattr(fn, "__name__", type(fn).__name__))
    who = f"from_call({label})"
    if inputs is not None:
        check_arrays(who, inputs)
    check_keywords(who, fixed)
    given = _Given.of(who, fn, example, dict(fixed or {}))
    specs = {
        n: array(" ".join(map(str, np.shape(_array(v)))), dtype="complex" if _is_complex(v) else "float")
        for n, v in given.moving.items()
    }
    for key, spec in (inputs or {}).items():
        if key not in specs:
            raise UsageError(f"{who}: inputs names {key!r}; the example gives the inputs {', '.join(specs)}")
        specs[key] = spec
    if not inputs:
        here = {n: _array(v) for n, v in given.moving.items()}
        shown = all(np.isfinite(a).all() and not np.iscomplexobj(a) for a in here.values())
        further.setdefault("examples", [{n: a.astype(np.float64) for n, a in here.items()}] if shown else [])
    more = bound_further(who, further, {}, fn, tuple(specs))
    more.setdefault("complex_convention", "torch" if given.in_torch else "jax")
    if given.in_torch:
        import torch

        called = TorchFunction(torch, lambda *moved: _tensors(torch, given.call(moved)), label, specs)
        forward, backward = called.as_rule()
        return Rule(
            label, forward=shown_as(forward, fn), vjp=shown_as(backward, fn, under_test=fn), inputs=specs, **more
        )
    return Rule(label, forward=shown_as(_forward(given), fn), vjp=_vjp(given), inputs=specs, **more)


@dataclass(frozen=True)
class _Given:
    """What an example gives to a call.

    Attributes:
        fn: the callable.
        moving: the arrays of floats, by name.
        arguments, keywords: all that it is called with; arrays of floats in place.
        in_torch: whether they are tensors of torch.
    """

    fn: Code
    moving: dict[str, Leaf]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    in_torch: bool

    @staticmethod
    def of(who: str, fn: Code, example: object, fixed: dict[str | int, Any]) -> _Given:
        arguments: tuple[Any, ...] = ()
        keywords: dict[str, Any] = {}
        if isinstance(example, dict):
            keywords = dict(example)
        else:
            arguments = tuple(example) if isinstance(example, tuple) else (example,)
        names = _names(fn, len(arguments))
        for key, value in fixed.items():
            if not isinstance(key, str) or key in keywords or key in names:
                raise UsageError(
                    f"{who}: fixed gives {key!r}, which the example gives too or which is no name of an argument; "
                    "arguments by position stand in the example"
                )
            keywords[key] = value
        moving: dict[str, Leaf] = {}
        named = [*zip(names, arguments, strict=True), *keywords.items()]
        for key, value in named:
            moving |= _floats(key, value)
        if not moving:
            raise UsageError(
                f"{who}: the example holds no array of floats, whose derivative could be checked: {as_given(example)}; "
                "give arrays of JAX, NumPy or torch, such as np.array([1.0, 2.0])"
            )
        kinds = {type(v).__module__.partition(".")[0] == "torch" for v in moving.values()}
        if len(kinds) > 1:
            raise UsageError(f"{who}: the example mixes tensors of torch with other arrays")
        return _Given(fn, moving, arguments, keywords, kinds.pop())

    def call(self, values: Sequence[Leaf]) -> Any:
        """The call with other arrays of floats, in the order of `moving`."""
        rest = iter(values)
        arguments = [_replaced(a, rest) for a in self.arguments]
        return self.fn(*arguments, **{k: _replaced(v, rest) for k, v in self.keywords.items()})


def _names(fn: Code, count: int) -> list[str]:
    signature = signature_of(fn)
    parameters = [] if signature is None else list(signature.parameters.values())
    names = [p.name for p in parameters if p.kind in POSITIONAL][:count]
    variadic = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), "x")
    more = count - len(names)
    return names + ([variadic] if more == 1 and not names else [f"{variadic}_{i}" for i in range(more)])


def _is_float(value: Leaf) -> bool:
    """Whether a value is an array of floats; Python's own numbers are none."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return False
    return _dtype(value) in FLOATS or _is_complex(value)


def _is_complex(value: Leaf) -> bool:
    return _dtype(value) in ("complex64", "complex128")


def _dtype(value: Leaf) -> str:
    return str(value.dtype).removeprefix("torch.")


def _floats(name: str, value: Any) -> dict[str, Leaf]:
    """The arrays of floats in an argument, by name, in the order in which `_replaced` meets them."""
    if _is_float(value):
        return {name: value}
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in _floats(f"{name}_{key}", part).items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, part in enumerate(value) for k, v in _floats(f"{name}_{i}", part).items()}
    return {}


def _replaced(value: Any, rest: Any) -> Any:
    if _is_float(value):
        return next(rest)
    if isinstance(value, Mapping):
        return {key: _replaced(part, rest) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_replaced(part, rest) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _array(value: Leaf) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value if value.is_complex() else value.double()).resolve_conj().numpy()
    return np.asarray(value)


def _tensors(torch: Any, found: Any) -> tuple[Any, ...]:
    """All tensors of a result, in order."""
    if torch.is_tensor(found):
        return (found,)
    parts = found.values() if isinstance(found, Mapping) else found if isinstance(found, (list, tuple)) else ()
    return tuple(t for part in parts for t in _tensors(torch, part))


def _forward(given: _Given) -> Callable[..., Any]:
    def forward(*arrays: Array) -> Any:
        import jax

        leaves = [leaf for leaf in jax.tree.leaves(given.call(arrays)) if _is_float(leaf)]
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    return forward


def _vjp(given: _Given) -> Callable[..., Any]:
    forward, count = _forward(given), len(given.moving)

    def vjp(*arguments: Array) -> Any:
        import jax
        import jax.numpy as jnp

        out, pullback = jax.vjp(forward, *map(jnp.asarray, arguments[:count]))
        cotangents = tuple(map(jnp.asarray, arguments[count:]))
        found = pullback(cotangents if isinstance(out, tuple) else cotangents[0])
        return found[0] if count == 1 else found

    vjp.__dict__["under_test"] = given.fn
    return vjp
