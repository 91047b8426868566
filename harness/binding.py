"""From claims to what can be examined: one `Binder` per claim, one `Bound` per sizes and dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backprove.harness.bound_derivative import BoundDerivative, DerivativeFunctions
from backprove.harness.bound_identity import BoundEquality
from backprove.harness.bound_positivity import BoundPositivity
from backprove.harness.claims import Adjointness, Claim, Derivative, Equality, Positivity
from backprove.harness.examination import Bound
from backprove.harness.function import Function, Signature
from backprove.strategies.array import ArraySpec

Shapes = Sequence[tuple[int, ...]]


@dataclass
class Binder:
    """Binds one claim to shapes and a dtype; the functions, and with them their traces, are shared.

    Attributes:
        name: the property's name in reports.
        claim: what is claimed.
        specs: the inputs, in order.
        batched: the functions accept one extra leading axis of points.
    """

    name: str
    claim: Claim
    specs: Mapping[str, ArraySpec]
    batched: bool = False

    def __post_init__(self) -> None:
        claim = self.claim
        if isinstance(claim, Derivative):
            self.derivative = DerivativeFunctions.of(claim)
        elif isinstance(claim, Equality):
            self.sides = [Function(claim.left, "left"), Function(claim.right, "right")]
        elif isinstance(claim, Positivity):
            self.sides = [Function(claim.value, "value")]
        else:
            self.forward = Function(claim.forward, "forward")
            self._pairings: dict[int, list[Function]] = {}

    def bind(self, shapes: Shapes, dtype: str) -> Bound:
        """The claim at these shapes (one per input).

        Raises:
            Unsupported: where forward raises at these shapes.
        """
        specs = dict(self.specs)
        claim = self.claim
        if isinstance(claim, Derivative):
            return BoundDerivative(claim, self.derivative, specs, shapes, dtype, batched=self.batched)
        signature: Signature = tuple(
            (shape, dtype if s.dtype == "float" else s.dtype) for shape, s in zip(shapes, specs.values(), strict=True)
        )
        if isinstance(claim, Equality):
            return BoundEquality(self.sides, tuple(specs), signature, dtype)
        if isinstance(claim, Positivity):
            return BoundPositivity(self.sides[0], claim.nonzero, tuple(specs), signature, dtype)
        return self._pairing(claim, specs, signature, dtype)

    def _pairing(self, claim: Adjointness, specs: dict[str, ArraySpec], signature: Signature, dtype: str) -> Bound:
        """`<jvp(dx), g> = <dx, vjp(g)>` as an equality of inputs, tangents and cotangents."""
        shell = BoundDerivative(
            Derivative(claim.forward, claim.vjp, "vjp"),
            DerivativeFunctions(self.forward, Function(claim.vjp, "vjp"), None),
            specs,
            [s for s, _ in signature],
            dtype,
        )
        n, m = len(signature), len(shell.wrt)
        if m not in self._pairings:
            self._pairings[m] = [
                Function(_left(claim.jvp, n, m), "<jvp(dx), g>"),
                Function(_right(claim.vjp, n, m), "<dx, vjp(g)>"),
            ]
        tangents = [f"tangent of {shell.input_names[i]}" for i in shell.wrt]
        directions = [(signature[i][0], dtype) for i in shell.wrt] + [(s, dtype) for s in shell.output_shapes]
        names = (*specs, *tangents, *shell.direction_names)
        bound = BoundEquality(self._pairings[m], names, (*signature, *directions), dtype)
        bound.mode = "pairing"
        bound.input_names = tuple(specs)
        bound.direction_names = (*tangents, *shell.direction_names)
        bound.direction_shapes = tuple(s for s, _ in directions)
        return bound


def _parts(result: Any) -> list[Any]:
    return [r for r in result if r is not None] if isinstance(result, (tuple, list)) else [result]


def _pair(a: Sequence[Any], b: Sequence[Any]) -> Any:
    total: Any = 0.0
    for p, q in zip(a, b, strict=True):
        total = total + (p * q).sum()
    return total


def _left(jvp: Callable[..., Any], n: int, m: int) -> Callable[..., Any]:
    return lambda *a: _pair(_parts(jvp(*a[: n + m])), a[n + m :])


def _right(vjp: Callable[..., Any], n: int, m: int) -> Callable[..., Any]:
    return lambda *a: _pair(a[n : n + m], _parts(vjp(*a[:n], *a[n + m :])))
