"""A `Binder` binds one claim to sizes and a dtype: `binder.bind([(2, 3)], "float32")` is the claim there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from flint import ctx

from backprove.harness.core.cache import Cache
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import TRUE_VALUE_PRECISION
from backprove.harness.frontends.function import Function
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.derivative_functions import DerivativeFunctions
from backprove.harness.judging.derivative_shape import DerivativeShell
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.judging.examination import ClaimAt, Unsupported
from backprove.harness.judging.planting.code_constants import CodeConstants, code_constants
from backprove.harness.judging.planting.statistics import derived
from backprove.harness.judging.positivity import PositivityAt
from backprove.harness.judging.real_calls.functions import Functions
from backprove.harness.judging.real_calls.layouts import Layouts
from backprove.harness.judging.real_calls.spot_check import SpotCheck
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.joint_xla import JointXla, Member
from backprove.harness.oracles.vectors import finite
from backprove.harness.programs.program import Signature
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality, Positivity
from backprove.harness.statements.laws import Law, arrays_of, pairing
from backprove.strategies.array import ArraySpec
from backprove.strategies.inside import Inside

Shapes = Sequence[tuple[int, ...]]
Code = Callable[..., Any]


@dataclass
class Binder(ABC):
    """Binds one claim to shapes and a dtype; the functions, and with them their traces, are shared.

    There is a subclass for each kind of claim; `binder_of` chooses it.

    Attributes:
        name: the property's name in reports.
        specs: the inputs, in order.
        batched: the functions accept one extra leading axis of points.
        is_user_code: the code is a user's; its traces are held against real calls.
        cache: keeps the traces from run to run.
        shared: makes the functions, those that several claims of the subject have but once.
        siblings: the binders of all claims of the theorem.
        where: domain condition over several inputs.
    """

    name: str
    specs: Mapping[str, ArraySpec]
    batched: bool = False
    is_user_code: bool = False
    cache: Cache | None = None
    shared: Functions = field(kw_only=True, repr=False)
    siblings: Sequence[Binder] = field(default=(), kw_only=True)
    where: Code | None = field(default=None, kw_only=True)
    kind: ClassVar[str]
    """What sort of statement it is: "derivative", "equality", "positivity" or "law"."""
    _specials: dict[tuple[Any, ...], tuple[float, ...]] = field(default_factory=dict, kw_only=True, repr=False)
    _constants: CodeConstants | None = field(default=None, kw_only=True, repr=False)

    @property
    def is_aside(self) -> bool:
        """Whether the claim is a law beside those of its subject, which may be impossible to evaluate."""
        return False

    @property
    @abstractmethod
    def stated(self) -> list[Code]:
        """The functions of the claim as they were given."""

    @property
    def constants(self) -> CodeConstants:
        """Numbers in the code of all claims of the rule; none of the catalogue, whose programs tell them."""
        if self._constants is None:
            binders = self.siblings or (self,)
            stated = [f for b in binders for f in b.stated] if self.is_user_code else []
            self._constants = code_constants(stated)
        return self._constants

    @property
    @abstractmethod
    def spots(self) -> list[SpotCheck]:
        """The compiled checks of this claim."""

    @abstractmethod
    def bind(self, shapes: Shapes, dtype: str) -> ClaimAt:
        """The claim at these shapes (one per input).

        Raises:
            Unsupported: where forward raises at these shapes.
        """

    def specials(self, shapes: Shapes, dtype: str) -> tuple[float, ...]:
        """Constants of the programs of all claims of the theorem at these shapes: they meet the same points."""
        binders = self.siblings or (self,)
        return tuple(sorted({c for b in binders for c in b.own_specials(shapes, dtype)}))

    def own_specials(self, shapes: Shapes, dtype: str) -> tuple[float, ...]:
        """Constants of the programs of this claim, and of code without one; none where it cannot be evaluated."""
        key = (tuple(shapes), dtype)
        if key not in self._specials:
            try:
                claim_at = self.bind(shapes, dtype)
                untraced = self.constants.numbers if None in claim_at.traced else ()
                self._specials[key] = (*claim_at.specials, *untraced, *derived(untraced))
            except Unsupported:
                self._specials[key] = ()
        return self._specials[key]

    def leave_out_compiled(self) -> None:
        """Run no compiled program: another part of the same points does."""
        for spot in self.spots:
            spot.left_out = True

    def compile_with(self, joint: JointXla) -> None:
        """Compile the functions of this claim as part of one program of several claims."""
        for spot in self.spots:
            spot.joint = joint

    def compiled(self, shapes: Shapes, dtype: str) -> list[Member]:
        """The functions that are compiled at these shapes, with their signatures."""
        try:
            functions = self.bind(shapes, dtype).compiled
        except Unsupported:
            return []
        return [(f.function.call, f.signature) for f in functions if f.front_end.is_jax_code]

    def signature(self, shapes: Shapes, dtype: str) -> Signature:
        """Shape and dtype of every input."""
        specs = self.specs.values()
        return tuple((shape, dtype if s.dtype == "float" else s.dtype) for shape, s in zip(shapes, specs, strict=True))


@dataclass
class DerivativeBinder(Binder):
    """Binds a derivative claim."""

    kind = "derivative"
    claim: Derivative = field(kw_only=True)

    def __post_init__(self) -> None:
        self.functions = DerivativeFunctions.of(self.claim, self.shared)

    @property
    def stated(self) -> list[Code]:
        c = self.claim
        return [f for f in (c.forward, c.rule, c.reference, c.surrogate, c.convention) if f is not None]

    @property
    def spots(self) -> list[SpotCheck]:
        return [self.functions.spot]

    def bind(self, shapes: Shapes, dtype: str) -> DerivativeAt:
        return DerivativeAt(self.claim, self.functions, dict(self.specs), shapes, dtype, batched=self.batched)


@dataclass
class EqualityBinder(Binder):
    """Binds an identity."""

    kind = "equality"
    claim: Equality = field(kw_only=True)

    def __post_init__(self) -> None:
        functions = (self.claim.left, self.claim.right)
        self.sides = [self.shared.of(f, label) for f, label in zip(functions, self.claim.labels, strict=True)]
        self.spot = SpotCheck(self.cache, f"spot {self.name}")
        self.layouts = Layouts()

    @property
    def stated(self) -> list[Code]:
        return [self.claim.left, self.claim.right]

    @property
    def spots(self) -> list[SpotCheck]:
        return [self.spot]

    def bind(self, shapes: Shapes, dtype: str) -> EqualityAt:
        claim_at = EqualityAt(self.sides, tuple(self.specs), self.signature(shapes, dtype), dtype)
        claim_at.spot, claim_at.approximates = self.spot, self.claim.approximates
        if self.is_user_code:
            claim_at.own, claim_at.layouts = self.shared.own, self.layouts
        return claim_at


@dataclass
class PositivityBinder(Binder):
    """Binds the positivity of a value."""

    kind = "positivity"
    claim: Positivity = field(kw_only=True)

    def __post_init__(self) -> None:
        self.value = self.shared.of(self.claim.value, "value")

    @property
    def stated(self) -> list[Code]:
        return [self.claim.value]

    @property
    def spots(self) -> list[SpotCheck]:
        return []

    def bind(self, shapes: Shapes, dtype: str) -> PositivityAt:
        return PositivityAt(self.value, self.claim.nonzero, tuple(self.specs), self.signature(shapes, dtype), dtype)


@dataclass
class LawBinder(Binder):
    """Binds a law, an equality of functions of inputs, tangents and cotangents.

    Attributes:
        law: from the numbers of inputs and of differentiable ones.
        labels: how messages name its sides.
        is_claimed: a subject claims it, so that the floats of both sides are judged too; else it must hold over the
            reals, and what it computes in floats is nobody's code.
        approximates: see `Equality`.
    """

    kind = "law"
    forward: Code = field(kw_only=True)
    law: Callable[[int, int], Law] = field(kw_only=True)
    labels: tuple[str, str] = field(kw_only=True)
    is_claimed: bool = field(kw_only=True)
    approximates: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.map = self.shared.of(self.forward, "forward")
        self.spot = SpotCheck(self.cache, f"spot {self.name}")
        self._sides: dict[int, list[Function]] = {}

    @property
    def stated(self) -> list[Code]:
        return [self.forward]

    @property
    def is_aside(self) -> bool:
        return not self.is_claimed

    @property
    def spots(self) -> list[SpotCheck]:
        return [self.spot]

    def bind(self, shapes: Shapes, dtype: str) -> EqualityAt:
        signature, specs = self.signature(shapes, dtype), dict(self.specs)
        functions = DerivativeFunctions(self.map, self.map, None)
        shell = DerivativeShell(Derivative(self.forward, self.forward, "vjp"), functions, specs, shapes, dtype)
        n, m = len(signature), len(shell.wrt)
        law = self.law(n, m)
        if m not in self._sides:
            self._sides[m] = [
                self.shared.of(f, label, f"{self.name} {label}")
                for f, label in zip((law.left, law.right), self.labels, strict=True)
            ]
        names, directions = [], []
        for k in range(law.tangents):
            which = "" if law.tangents == 1 else f" {k + 1}"
            names += [f"tangent{which} of {shell.input_names[i]}" for i in shell.wrt]
            directions += [signature[i] for i in shell.wrt]
        for k in range(law.cotangents):
            names += [name if law.cotangents == 1 else f"{name} ({k + 1})" for name in shell.direction_names]
            directions += list(shell.direction_signature)
        claim_at = EqualityAt(self._sides[m], (*specs, *names), (*signature, *directions), dtype)
        claim_at.mode, claim_at.tangents = "pairing", law.tangents * m
        claim_at.input_names = tuple(specs)
        claim_at.direction_names = tuple(names)
        claim_at.direction_shapes = tuple(s for s, _ in directions)
        claim_at.approximates = self.approximates
        claim_at.sides = [replace(s, is_composed=self.is_user_code) for s in claim_at.sides]
        if self.is_claimed:  # what a user's sides are composed of is compiled for the claims of derivatives
            claim_at.spot = None if self.is_user_code else self.spot
        else:
            claim_at.lenient = True
            claim_at.sides = [replace(s, batched=self.batched) for s in claim_at.sides]
            if law.smooth:
                claim_at.excused = _kinks_of([Function(f, "smooth") for f in law.smooth], signature)
        return claim_at


def binder_of(
    name: str,
    claim: Claim | Law,
    specs: Mapping[str, ArraySpec],
    batched: bool = False,
    *,
    is_user_code: bool = False,
    cache: Cache | None = None,
    where: Code | None = None,
    shared: Functions | None = None,
) -> Binder:
    """The binder of a claim: the one place that knows which kind is bound how.

    Args:
        name, specs, batched, is_user_code, cache, where, shared: see `Binder`; functions of its own without `shared`.
    """
    common = (name, specs, batched, is_user_code, cache)
    shared = shared or Functions(is_user_code, cache, Inside(specs, where))
    match claim:
        case Derivative():
            return DerivativeBinder(*common, where=where, shared=shared, claim=claim)
        case Equality():
            return EqualityBinder(*common, where=where, shared=shared, claim=claim)
        case Positivity():
            return PositivityBinder(*common, where=where, shared=shared, claim=claim)
        case Adjointness():
            law = partial(_adjointness, claim)
            labels = ("<jvp(dx), g>", "<dx, vjp(g)>")
            units = None if claim.approximates is None else 2 * claim.approximates
            return LawBinder(
                *common,
                where=where,
                shared=shared,
                forward=claim.forward,
                law=law,
                labels=labels,
                is_claimed=True,
                approximates=units,
            )
        case Law():
            sides = ("left", "right")
            return LawBinder(
                *common,
                where=where,
                shared=shared,
                forward=claim.forward,
                law=lambda n, m: claim,
                labels=sides,
                is_claimed=False,
            )


def _adjointness(claim: Adjointness, n: int, m: int) -> Law:
    """`<jvp(dx), g> = <dx, vjp(g)>`."""

    def left(*a: Any) -> Any:
        return pairing(arrays_of(claim.jvp(*a[: n + m])), a[n + m :])

    def right(*a: Any) -> Any:
        return pairing(a[n : n + m], arrays_of(claim.vjp(*a[:n], *a[n + m :])))

    return Law(claim.forward, left, right, tangents=1, cotangents=1)


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
