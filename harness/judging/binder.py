"""A `Binder` binds one claim to sizes and a dtype: `binder.bind([(2, 3)], "float32")` is the claim there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import ctx

from backprove.harness.core.cache import Cache
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import TRUE_VALUE_PRECISION
from backprove.harness.frontends.function import Function
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.derivative_shape import DerivativeFunctions, DerivativeShell
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.judging.examination import ClaimAt, Unsupported
from backprove.harness.judging.positivity import PositivityAt
from backprove.harness.judging.spot_check import SpotCheck
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.joint_xla import JointXla, Member
from backprove.harness.oracles.vectors import finite
from backprove.harness.programs.program import Signature
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality, Positivity
from backprove.harness.statements.laws import Law, arrays_of, pairing
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
        users: the code is a user's; its traces are held against real calls.
        cache: keeps the traces from run to run.
        siblings: the binders of all claims of the theorem.
    """

    name: str
    claim: Claim | Law
    specs: Mapping[str, ArraySpec]
    batched: bool = False
    is_user_code: bool = False
    cache: Cache | None = None
    siblings: Sequence[Binder] = ()

    def __post_init__(self) -> None:
        self._specials: dict[tuple[Any, ...], tuple[float, ...]] = {}
        claim = self.claim
        if isinstance(claim, Derivative):
            self.derivative = DerivativeFunctions.of(claim, self.is_user_code, self.cache)
        elif isinstance(claim, Equality):
            self.sides = [self._function(claim.left, "left"), self._function(claim.right, "right")]
        elif isinstance(claim, Positivity):
            self.sides = [self._function(claim.value, "value")]
        else:
            self.forward = self._function(claim.forward, "forward")
            self._pairings: dict[int, list[Function]] = {}
        self.spot = SpotCheck(self.cache, f"spot {self.name}")

    def _function(self, call: Callable[..., Any], label: str) -> Function:
        key = f"{self.cache.name(call)} " if self.cache is not None else ""
        return Function(call, label, cache=self.cache, key=key, generic=not self.is_user_code)

    def specials(self, shapes: Shapes, dtype: str) -> tuple[float, ...]:
        """Constants of the programs of all claims of the theorem at these shapes: they meet the same points."""
        binders = self.siblings or (self,)
        return tuple(sorted({c for b in binders for c in b.own_specials(shapes, dtype)}))

    def own_specials(self, shapes: Shapes, dtype: str) -> tuple[float, ...]:
        """Constants of the programs of this claim; none where it cannot be evaluated."""
        key = (tuple(shapes), dtype)
        if key not in self._specials:
            try:
                self._specials[key] = tuple(self.bind(shapes, dtype).specials)
            except Unsupported:
                self._specials[key] = ()
        return self._specials[key]

    def leave_out_compiled(self) -> None:
        """Run no compiled program: another part of the same points does."""
        self.spot.left_out = True
        if isinstance(self.claim, Derivative):
            self.derivative.spot.left_out = True

    def compile_with(self, joint: JointXla) -> None:
        """Compile the functions of this claim as part of one program of several claims."""
        self.spot.joint = joint
        if isinstance(self.claim, Derivative):
            self.derivative.spot.joint = joint

    def compiled(self, shapes: Shapes, dtype: str) -> list[Member]:
        """The functions that are compiled at these shapes, with their signatures."""
        try:
            claim_at = self.bind(shapes, dtype)
        except Unsupported:
            return []
        if isinstance(claim_at, DerivativeAt):
            found = [(self.derivative.rule, claim_at.rule_signature)]
        elif isinstance(claim_at, EqualityAt) and claim_at.spot is not None:
            found = [(s.function, s.signature) for s in claim_at.sides]
        else:
            found = []
        return [(f.call, signature) for f, signature in found if f.front_end(signature).is_jax_code]

    def bind(self, shapes: Shapes, dtype: str) -> ClaimAt:
        """The claim at these shapes (one per input).

        Raises:
            Unsupported: where forward raises at these shapes.
        """
        specs = dict(self.specs)
        claim = self.claim
        if isinstance(claim, Derivative):
            return DerivativeAt(claim, self.derivative, specs, shapes, dtype, batched=self.batched)
        signature: Signature = tuple(
            (shape, dtype if s.dtype == "float" else s.dtype) for shape, s in zip(shapes, specs.values(), strict=True)
        )
        if isinstance(claim, Equality):
            claim_at = EqualityAt(self.sides, tuple(specs), signature, dtype)
            claim_at.spot = self.spot
            return claim_at
        if isinstance(claim, Positivity):
            return PositivityAt(self.sides[0], claim.nonzero, tuple(specs), signature, dtype)
        return self._law(claim, specs, signature, dtype)

    def _law(self, claim: Adjointness | Law, specs: dict[str, ArraySpec], signature: Signature, dtype: str) -> ClaimAt:
        """An equality of inputs, tangents and cotangents."""
        shell = DerivativeShell(
            Derivative(claim.forward, claim.forward, "vjp"),
            DerivativeFunctions(self.forward, self.forward, None),
            specs,
            [s for s, _ in signature],
            dtype,
        )
        n, m = len(signature), len(shell.wrt)
        law = _adjointness(claim, n, m) if isinstance(claim, Adjointness) else claim
        if m not in self._pairings:
            labels = ("<jvp(dx), g>", "<dx, vjp(g)>") if isinstance(claim, Adjointness) else ("left", "right")
            self._pairings[m] = [
                Function(f, label, cache=self.cache, key=f"{self.name} {label}", generic=not self.is_user_code)
                for f, label in zip((law.left, law.right), labels, strict=True)
            ]
        names, directions = [], []
        for k in range(law.tangents):
            which = "" if law.tangents == 1 else f" {k + 1}"
            names += [f"tangent{which} of {shell.input_names[i]}" for i in shell.wrt]
            directions += [signature[i] for i in shell.wrt]
        for k in range(law.cotangents):
            names += [name if law.cotangents == 1 else f"{name} ({k + 1})" for name in shell.direction_names]
            directions += list(shell.direction_signature)
        claim_at = EqualityAt(self._pairings[m], (*specs, *names), (*signature, *directions), dtype)
        claim_at.mode, claim_at.tangents = "pairing", law.tangents * m
        claim_at.input_names = tuple(specs)
        claim_at.direction_names = tuple(names)
        claim_at.direction_shapes = tuple(s for s, _ in directions)
        if isinstance(claim, Adjointness):
            claim_at.spot = self.spot
        else:
            claim_at.lenient = True
            claim_at.sides = [replace(s, batched=self.batched) for s in claim_at.sides]
            if law.smooth:
                claim_at.excused = _kinks_of([Function(f, "smooth") for f in law.smooth], signature)
        return claim_at


def _adjointness(claim: Adjointness, n: int, m: int) -> Law:
    """`<jvp(dx), g> = <dx, vjp(g)>`."""

    def left(*a: Any) -> Any:
        return pairing(arrays_of(claim.jvp(*a[: n + m])), a[n + m :])

    def right(*a: Any) -> Any:
        return pairing(a[n : n + m], arrays_of(claim.vjp(*a[:n], *a[n + m :])))

    return Law(claim.forward, left, right, n, m, tangents=1, cotangents=1)


def _kinks_of(functions: Sequence[Function], signature: Signature) -> Callable[[list[Any]], bool]:
    """Whether one of the functions touches a kink, a tie or an undecided branch at a point, or cannot tell."""

    def touches(x: list[Any]) -> bool:
        inputs = x[: len(signature)]
        balls = lift_floats(inputs)
        moving = [lift(np.ones(a.shape)) if a.dtype.kind == "f" else None for a in inputs]
        for function in functions:
            exact = function.exact(signature)
            if exact is None:
                return True
            try:
                with ctx.workprec(TRUE_VALUE_PRECISION):
                    values, tangents, touched = exact.duals(balls, moving)
            except (Undecided, UnsupportedPrimitive):
                return True
            if touched.any() or not all(finite([a], 1)[0] for a in (*values, *tangents)):
                return True
        return False

    return touches
