"""A derivative claim has its functions, traces, shapes and names settled here, before any point is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backprove.harness.core.formats import FORMATS, Mode
from backprove.harness.frontends.function import Function, shapes_of
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.derivative_functions import DerivativeFunctions
from backprove.harness.judging.examination import Unsupported
from backprove.harness.oracles.problem import DerivativeProblem
from backprove.harness.programs.program import Program, Signature
from backprove.harness.statements.claims import Derivative
from backprove.strategies.array import ArraySpec


@dataclass(frozen=True, eq=False)
class Derived:
    """What follows from the functions of a claim as they are traced now, each made when it is first asked for.

    Nothing here is ever dropped or changed: other functions, or traces found untrue, need another `Derived`.

    Attributes:
        signature, rule_signature: of the inputs, and of inputs and directions.
        wrt: positions of the differentiated inputs.
        unit: unit roundoff of the dtype under test.
        approximates: see `Derivative`.
    """

    functions: DerivativeFunctions
    signature: Signature
    rule_signature: Signature
    mode: Mode
    wrt: tuple[int, ...]
    unit: float
    approximates: float | None = None

    @cached_property
    def autodiff(self) -> Program | None:
        """JAX's derivative of the forward map, as a program of the rule's arguments; None where it has none."""
        forward, n = self.functions.forward, len(self.signature)
        if forward.program(self.signature) is None:
            return None
        key = ("autodiff", forward.key, self.mode, self.wrt, self.rule_signature, n)
        kept = forward.cache.get(key) if forward.cache is not None else None
        if kept is None:
            kept = (self.functions.derivatives(self.mode, self.wrt, n)(self.rule_signature),)
            if forward.cache is not None:
                forward.cache.put(key, kept)
        found: Program | None = kept[0]
        return found

    @cached_property
    def problem(self) -> DerivativeProblem | None:
        """The claim in balls; None for black boxes."""
        forward = self.functions.forward.exact(self.signature)
        rule = self.functions.rule.exact(self.rule_signature)
        if forward is None or rule is None:
            return None
        convention = self.functions.convention
        exact = None if convention is None else convention.exact(self.rule_signature)
        stated = (forward, rule, self.mode, self.wrt, self.unit, exact)
        return DerivativeProblem(*stated, gap_unit=lambda: self.gap_unit, approximates=self.approximates)

    @cached_property
    def gap_unit(self) -> float:
        """Unit roundoff of float64; of the format under test where forward is another approximation there.

        An approximation that is stated as one is made for its format.
        """
        if self.approximates is not None:
            return self.unit
        (dtype,) = (name for name, form in FORMATS.items() if form.u == self.unit)
        return FunctionAt(self.functions.forward, self.signature, dtype).gap_unit


class DerivativeShell:
    """A derivative claim at fixed sizes and one dtype: names, shapes, programs, and the claim in balls.

    Attributes:
        signature: shapes and dtypes of the inputs.
        direction_signature: those of the cotangents (in the dtype of forward's outputs) or tangents.
        rule_signature: both.
        wrt: positions of the differentiated inputs.
        forward, rule: the two functions there; forward is the map whose derivative is claimed.
        valued: forward itself, where a surrogate has its place; else None.
        maps: the functions of the inputs alone, forward itself first.
        mismatch: how the outputs of a surrogate differ from those of forward, in words; "" where they do not.
        derived: JAX's derivative and the claim in balls, of the traces as they are now.
    """

    def __init__(
        self,
        claim: Derivative,
        functions: DerivativeFunctions,
        specs: dict[str, ArraySpec],
        shapes: Sequence[tuple[int, ...]],
        dtype: str,
        *,
        batched: bool = False,
    ) -> None:
        self.claim, self.functions, self.dtype, self.mode = claim, functions, dtype, claim.mode
        self.format = FORMATS[dtype]
        self.specs, self.shapes = specs, tuple(shapes)
        self.batched = batched
        self.unit = claim.unit_cotangent
        self.input_names = tuple(specs)
        named = claim.wrt if claim.wrt is not None else tuple(n for n, s in specs.items() if s.differentiable)
        self.wrt = tuple(i for i, n in enumerate(self.input_names) if n in named)
        self.signature: Signature = tuple(
            (shape, dtype if s.dtype == "float" else s.dtype) for shape, s in zip(shapes, specs.values(), strict=True)
        )
        outputs = self._outputs(functions.forward)
        self.mismatch = ""
        if functions.valued is not None:
            outputs, self.mismatch = self._held_to(outputs, self._outputs(functions.valued, every=True), claim.in_place)
        self.output_shapes = tuple(shape for shape, _ in outputs)
        self.direction_signature: Signature
        n = len(outputs)
        if self.mode == "vjp":
            self.direction_signature = outputs
            self.direction_names = tuple("cotangent" if n == 1 else f"cotangent {k}" for k in range(n))
            self.result_names = tuple(self.input_names[i] for i in self.wrt)
            self.result_shapes = tuple(self.signature[i][0] for i in self.wrt)
        else:
            self.direction_signature = tuple(self.signature[i] for i in self.wrt)
            self.direction_names = tuple(self.input_names[i] for i in self.wrt)
            self.result_names = tuple("output" if n == 1 else f"output {k}" for k in range(n))
            self.result_shapes = self.output_shapes
        self.direction_shapes = tuple(shape for shape, _ in self.direction_signature)
        self.tangents = len(self.direction_signature) if self.mode == "jvp" else 0
        self.rule_signature: Signature = (*self.signature, *self.direction_signature)
        self.forward = FunctionAt(
            functions.forward, self.signature, dtype, self.output_shapes, batched=batched, floats_only=True
        )
        self.rule = FunctionAt(functions.rule, self.rule_signature, dtype, self.result_shapes, batched=batched)
        self.valued: FunctionAt | None = None
        if functions.valued is not None:
            self.valued = FunctionAt(functions.valued, self.signature, dtype, batched=batched)
        self.maps = [f for f in (self.valued, self.forward) if f is not None]
        self.rule.narrows_as = self.maps
        self.derived = self._derive()

    def _derive(self) -> Derived:
        unit, approximates = self.format.u, self.claim.approximates
        return Derived(self.functions, self.signature, self.rule_signature, self.mode, self.wrt, unit, approximates)

    @property
    def slack(self) -> float:
        """Share of a result by which it may be off in any case, since forward approximates a reference."""
        return 2 * self.format.u * (self.claim.approximates or 0.0)

    def _outputs(self, function: Function, every: bool = False) -> Signature:
        """Shape and dtype of the floating-point outputs of forward or its surrogate.

        Args:
            every: outputs of integers and truth values too.

        Raises:
            Unsupported: where the function raises, or returns complex numbers.
        """
        program, left_out = function.program(self.signature), "" if every else "iub"
        if program is not None:
            return tuple((v.shape, v.dtype) for v in program.outputs if every or v.dtype in FORMATS)
        try:
            found = [a for a in function.called_inside(self.signature) if a.dtype.kind not in left_out]
        except Exception as why:
            raise Unsupported.raising(function.label, self.signature, why) from why
        if any(a.dtype.kind == "c" for a in found):
            raise Unsupported(
                f"{function.label} returns complex numbers at shapes {shapes_of(self.signature)}, whose "
                'cotangents have two meanings; say complex_convention="jax" or "torch", or let it return their parts',
                f"{function.label} returns complex numbers",
            )
        return tuple(
            (a.shape, str(a.dtype) if str(a.dtype) in FORMATS or a.dtype.kind in "iub" else self.dtype) for a in found
        )

    @staticmethod
    def _held_to(surrogate: Signature, forward: Signature, label: str) -> tuple[Signature, str]:
        """The outputs of a surrogate in the dtypes of forward's floats, and what is wrong with their shapes, if it is.

        A forward may return integers or truth values (a spike) where its surrogate returns floats.
        """
        floats = tuple(o for o in forward if o[1] in FORMATS)
        same = floats if len(floats) == len(surrogate) else forward
        if [shape for shape, _ in same] != [shape for shape, _ in surrogate]:
            theirs, ours = ([list(shape) for shape, _ in outputs] for outputs in (surrogate, forward))
            return surrogate, f"the {label} returns outputs of shapes {theirs} where forward returns {ours}"
        named = zip(surrogate, same, strict=True)
        return tuple((shape, f if f in FORMATS else s) for (shape, s), (_, f) in named), ""

    # -- programs --------------------------------------------------------------------------------------------------

    @property
    def forward_program(self) -> Program | None:
        return self.forward.program

    @property
    def rule_program(self) -> Program | None:
        return self.rule.program

    @property
    def autodiff(self) -> Program | None:
        """JAX's derivative of the forward map, as a program of the rule's arguments; None where it has none."""
        return self.derived.autodiff

    @property
    def front_ends(self) -> dict[str, str]:
        found = [f for f in (self.valued, self.forward, self.rule) if f is not None]
        return {f.label: f.front_end.name for f in found}

    @property
    def in_jax(self) -> dict[str, Callable[..., Any]]:
        """The functions of the claim that have a program, as JAX functions."""
        return {f.label: f.function.in_jax for f in (self.forward, self.rule) if f.program is not None}

    @property
    def specials(self) -> list[float]:
        found = []
        for p in (self.forward_program, self.rule_program):
            if p is not None:
                found += p.literals()
        return sorted(set(found))

    @property
    def problem(self) -> DerivativeProblem | None:
        """The claim in balls; None for black boxes and code with primitives that balls lack."""
        return None if self.functions.unsupported else self.derived.problem
