"""A rule with complex inputs or outputs becomes a rule of their real and imaginary parts, which the engine judges.

A complex cotangent is a pair of reals in one of two conventions, for outputs and inputs alike. With w the cotangents of
the parts, JAX's is `w_re - i w_im` (so that Re(c dz) = Re(g dy)), and torch's `w_re + i w_im` (Re(conj(c) dz)).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.first_outputs import first_outputs
from backprove.strategies.array import ArraySpec

SIGNS = {"jax": -1, "torch": 1}
"""Conventions: the sign of the imaginary part in a cotangent."""

COMPLEX = "complex"


def is_complex(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    if str(dtype).startswith("torch."):
        return "complex" in str(dtype)
    return np.dtype(dtype if dtype is not None else type(value)).kind == "c"


def joined(re: Any, im: Any) -> Any:
    """re + i im, without arithmetic on the parts where they are ordinary arrays or JAX's."""
    if isinstance(re, (np.ndarray, np.generic, float)):
        out = np.empty(np.shape(re), np.result_type(np.asarray(re).dtype, 1j))
        out.real, out.imag = re, im
        return out
    if type(re).__module__.startswith("jax"):
        from jax import lax

        return lax.complex(re, im)
    if type(re).__module__.startswith("torch"):
        import torch

        return torch.complex(re, im)
    return re + 1j * im


def split_inputs(inputs: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    """Each complex input as two: bounds are those of the parts, and a real part is enough to be no zero."""
    found: dict[str, ArraySpec] = {}
    for name, spec in inputs.items():
        if spec.dtype != COMPLEX:
            found[name] = spec
            continue
        part = dataclasses.replace(spec, dtype="float")
        found[f"{name}.real"] = part
        found[f"{name}.imag"] = dataclasses.replace(part, nonzero=False, distinct=False)
    return found


@dataclass
class Parts:
    """Between calls of parts and the user's functions.

    Attributes:
        inputs: the rule's inputs, one array each.
        forward: the user's forward map.
        sign: of the imaginary part in cotangents; see `SIGNS`.
        outputs: for each output whether it is complex; known after the first call of forward.
    """

    inputs: Mapping[str, ArraySpec]
    forward: Code
    sign: int = 1
    outputs: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        specs = list(self.inputs.values())
        self.whole = [s.dtype == COMPLEX for s in specs]
        self.moving = [s.dtype == COMPLEX for s in specs if s.dtype == COMPLEX or s.differentiable]
        self.size = sum(1 + w for w in self.whole)

    def called(self, function: Code) -> Code:
        """A function of the inputs alone, such as a condition."""
        return lambda *leaves: function(*_joined(leaves, self.whole))

    def values(self, function: Code) -> Code:
        """Forward, or another function of the same map: the parts of its outputs."""

        def call(*leaves: Any) -> Any:
            found = function(*_joined(leaves, self.whole))
            return _as_result([p for v in _several(found) for p in _parts(v, is_complex(v), 1)])

        return call

    def _known(self, arguments: Sequence[Any]) -> tuple[bool, ...]:
        if self.outputs is None:
            given = any(type(a).__module__.startswith("torch") for a in arguments)
            forward = getattr(self.forward, "on_tensors", self.forward) if given else self.forward
            self.outputs = tuple(is_complex(v) for v in _several(forward(*arguments)))
        return self.outputs

    def jvp(self, function: Code) -> Code:
        def call(*leaves: Any) -> Any:
            arguments = _joined(leaves[: self.size], self.whole)
            found = _several(function(*arguments, *_joined(leaves[self.size :], self.moving)))
            known = self._known(arguments)
            if len(found) != len(known):
                return found
            return _as_result([p for v, w in zip(found, known, strict=True) for p in _parts(v, w, 1)])

        return call

    def vjp(self, function: Code) -> Code:
        def call(*leaves: Any) -> Any:
            arguments = _joined(leaves[: self.size], self.whole)
            cotangents = _joined(leaves[self.size :], self._known(arguments), self.sign)
            found = _several(function(*arguments, *cotangents))
            if len(found) == len(self.whole) != len(self.moving):
                found = [v for v, s in zip(found, self.inputs.values(), strict=True) if _moves(s)]
            if len(found) != len(self.moving):
                return tuple(found)
            return _as_result([p for v, w in zip(found, self.moving, strict=True) for p in _parts(v, w, self.sign)])

        return call


def _moves(spec: ArraySpec) -> bool:
    return spec.dtype == COMPLEX or spec.differentiable


def _several(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (tuple, list)) else [values]


def _as_result(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


def _joined(leaves: Sequence[Any], whole: Sequence[bool], sign: int = 1) -> list[Any]:
    rest = iter(leaves)
    found = []
    for pair in whole:
        re = next(rest)
        if not pair:
            found.append(re)
            continue
        im = next(rest)
        found.append(joined(re, im if sign > 0 else -im))
    return [*found, *rest]


def _parts(value: Any, whole: bool, sign: int) -> list[Any]:
    """A value as it is, or its parts; a real one in the place of a complex one has no imaginary part."""
    if not whole or not hasattr(value, "dtype"):
        return [value]
    if not is_complex(value):
        return [value, 0 * value]
    return [value.real, value.imag if sign > 0 else -value.imag]


def has_complex_outputs(inputs: Mapping[str, ArraySpec], forward: Callable[..., Any]) -> bool:
    """Whether forward returns complex numbers, tried at one small point; False where it cannot be called."""
    whole = Parts(inputs, forward).whole
    found = next(iter(first_outputs(split_inputs(inputs), lambda *leaves: forward(*_joined(leaves, whole)))), None)
    return any(is_complex(v) for v in _several(found) if hasattr(v, "dtype"))


def check_convention(
    who: str, convention: object, inputs: Mapping[str, Any], vjp: Code | None, examples: Sequence[object]
) -> None:
    """Refuse an unknown convention, and complex inputs whose cotangents would have several meanings.

    Raises:
        UsageError: with what was expected.
    """
    if convention is not None and convention not in SIGNS:
        raise UsageError(f'{who}: complex_convention must be "jax" or "torch", got {convention!r}')
    complex_ones = [n for n, spec in inputs.items() if isinstance(spec, ArraySpec) and spec.dtype == COMPLEX]
    if not complex_ones:
        nested = [s for v in inputs.values() if not isinstance(v, ArraySpec) for s in _leaves(v)]
        if any(s.dtype == COMPLEX for s in nested):
            raise UsageError(f"{who}: complex arrays inside of a pytree are not judged; give each an input of its own")
        return
    if vjp is not None and convention is None:
        raise UsageError(
            f"{who}: input {complex_ones[0]!r} is complex; say what a complex cotangent means: "
            'complex_convention="jax" (c = w_re - i w_im) or "torch" (c = w_re + i w_im)'
        )
    if examples:
        raise UsageError(f"{who}: examples of complex inputs are not supported; leave them out")


def _leaves(value: Any) -> list[ArraySpec]:
    if isinstance(value, ArraySpec):
        return [value]
    if isinstance(value, Mapping):
        return [s for v in value.values() for s in _leaves(v)]
    return [s for v in value for s in _leaves(v)] if isinstance(value, (tuple, list)) else []


def of_parts(rule: Any) -> Any:
    """The rule itself, or that of real and imaginary parts where it has complex inputs, or a convention and outputs."""
    complex_inputs = any(s.dtype == COMPLEX for s in rule.inputs.values())
    stated = rule.complex_convention
    if not complex_inputs and (stated is None or not has_complex_outputs(rule.inputs, rule.forward)):
        return rule
    parts = Parts(rule.inputs, rule.forward, SIGNS[stated or "torch"])
    changes: dict[str, Any] = {"inputs": split_inputs(rule.inputs)}
    wrappers = {"forward": parts.values, "reference": parts.values, "primal": parts.values, "surrogate": parts.values}
    wrappers |= {"jvp": parts.jvp, "vjp": parts.vjp, "where": parts.called}
    wrappers["convention"] = parts.vjp if rule.vjp is not None else parts.jvp
    for label, wrap in wrappers.items():
        function = getattr(rule, label)
        if callable(function):
            changes[label] = _on_tensors_too(wrap, function)
    other = copy.copy(rule)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    other.__dict__["flat"] = other
    return other


def _on_tensors_too(wrap: Callable[[Code], Code], function: Code) -> Code:
    """A function of parts, which is one of parts on tensors where the function says what it does on them."""
    of_parts: Any = wrap(function)
    on_tensors = getattr(function, "on_tensors", None)
    if on_tensors is not None:
        wrapped = wrap(on_tensors)
        of_parts.on_tensors = lambda *tensors: _several(wrapped(*tensors))
    return of_parts  # type: ignore[no-any-return]
