"""`DerivativeAt` is a derivative claim at fixed sizes and one dtype: all its layers look at a batch of points."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np

from backprove.harness.core.arrays import Array, any_entry
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.kinks import KINKS_PER_SHAPE
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.branches import is_alike_in_calls
from backprove.harness.frontends.front_end import FrontEnd
from backprove.harness.frontends.function import Function, ProgramFunction
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.frontends.trust import distrust
from backprove.harness.judging.derivative_functions import DerivativeFunctions
from backprove.harness.judging.derivative_layers import DerivativeLayers
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_contract import blamed, unexplained
from backprove.harness.judging.objections import in_rounds, undecided
from backprove.harness.judging.real_calls.contract import Watch
from backprove.harness.judging.real_calls.jit_and_vmap import differs_transformed
from backprove.harness.judging.screens.claims import ClaimScreen, DerivativeScreen
from backprove.harness.judging.screens.valued import ValuedScreen
from backprove.harness.programs.program import Program, Signature
from backprove.harness.statements.claims import Derivative
from backprove.strategies.array import ArraySpec


class DerivativeAt(DerivativeLayers):
    """See the module's text; the interface is `examination.ClaimAt`."""

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
        super().__init__(claim, functions, specs, shapes, dtype, batched=batched)
        self.kink_budget = KINKS_PER_SHAPE  # still to be examined at this shape
        self.contract_settled = False
        self._known = self._front()
        self._contract = Watch()

    def _front(self) -> tuple[FrontEnd, ...]:
        return tuple(f.only for f in (*self.functions.maps, self.functions.rule))

    # -- examination -----------------------------------------------------------------------------------------------

    def examine(
        self,
        inputs: Sequence[Array],
        directions: Sequence[Array],
        exact: Array,
        *,
        cap: int = 256,
        compared: Array | None = None,
    ) -> Examination:
        n = len(exact)
        seen = Examination.empty(n)
        if self.claim.approximates is not None:
            seen.approximated = self.claim.approximates, "the derivative of the reference"
        x, d = list(inputs), self._as_given(directions)
        self._trust(x, d, seen)
        forward = self._forward(x, seen)
        result = self._result(x, d, seen)
        if result is None:
            return seen
        look = self.functions.is_user_code and not self.contract_settled
        if look and self._violates_contract(x, d, seen):
            return seen
        broken = any_entry([~np.isfinite(r) for r in result], n) & ~seen.outside
        programs = self.forward_program, self.rule_program, self.autodiff
        broken = unexplained(programs, x, d, result, broken, self.dtype)
        beyond = self._rounding(x, d, result, exact, seen)
        suspicious = blamed(programs, x, d, result, broken, self.dtype)
        seen.doubt("rounding", suspicious & ~seen.outside, assumed=None in programs)
        suspicious = suspicious | beyond
        if cap:  # else the screens, which only point to the exact layer, are left out
            suspicious |= self._compare(x, d, exact, seen, compared)
        suspicious &= ~seen.outside
        for index in in_rounds(exact & ~seen.outside, suspicious, cap, seen.outcomes):
            left = self._arbitrate(x, d, result, index, broken, beyond, suspicious, seen)
            left = np.union1d(left, undecided(seen.outcomes, index, suspicious))
            if left.size:
                self.code.decide(x, d, forward, result, left, broken, seen)
            self._zeros(x, d, index, seen)
        if any(v is not None and v.verdict in (Verdict.ERROR, Verdict.FALSIFIED) for v in seen.violations):
            return seen  # what follows compiles the code, and could tell nothing worse
        if look and differs_transformed(self._with_arguments(x, d), seen):
            return seen
        if not self.contract_settled:
            self._compiled(x, d, seen)
        self._grade(x, d, result, np.flatnonzero(exact & ~seen.outside), seen)
        return seen

    def _as_given(self, directions: Sequence[Array]) -> list[Array]:
        """Directions as the rule gets them: in the dtype of forward's outputs, which may be narrower than the run's."""
        given = zip(directions, self.direction_signature, strict=True)
        return [FORMATS[dt].round(a) if dt in FORMATS and dt != self.dtype else a for a, (_, dt) in given]

    def _trust(self, x: list[Array], d: list[Array], seen: Examination) -> None:
        """Hold the traces against real calls; what was learnt from an untrue one is forgotten."""
        f = self.functions
        for function, signature, arrays in self._with_arguments(x, d):
            distrust(function, signature, arrays, self.dtype, f.is_user_code)
        for function in (*f.maps, f.rule):
            for note in function.notes:
                seen.note(note)
        if self._front() != self._known:
            self._known = self._front()
            self.derived = self._derive()

    def _with_arguments(self, x: list[Array], d: list[Array]) -> list[tuple[Function, Signature, list[Array]]]:
        """Every function with its signature and its arguments, the rule last."""
        f = self.functions
        return [*((g, self.signature, x) for g in f.maps), (f.rule, self.rule_signature, [*x, *d])]

    def _violates_contract(self, x: list[Array], d: list[Array], seen: Examination) -> bool:
        """Whether the user's code breaks its contract, which no trace shows."""
        f = self.functions
        pairs = self._with_arguments(x, d)
        names, results = (*self.input_names, *self.direction_names), dict.fromkeys(self.result_names, self.format.numpy)
        # JAX code is slow to call at every new shape, and does the same at all of them
        once = f"contract {self.dtype}" if all(g.front_end(s).is_its_program for g, s, _ in pairs) else ""
        alike = once and self.dtype != "float64" and all(is_alike_in_calls(g.call) for g, _, _ in pairs)
        if once in f.compared or alike:
            return False
        bad = self._contract.violated(pairs, names, results, seen)
        f.compared |= {once} if once and self._contract.kept else set()
        called = [p for p in pairs if not p[0].front_end(p[1]).is_jax_code]
        return bad or (bool(called) and f.layouts.violated(called, names, seen))

    def _forward(self, x: list[Array], seen: Examination) -> list[Array]:
        """Values of the map whose derivative is claimed; where they or those of forward are not finite is outside."""
        for function in self.maps:
            called = self._called(function, x, seen)
            for i, t in called.troubles.items():
                if t.ends or t.kind in ("changed", "two answers"):
                    seen.violations[i] = self._violations.of_trouble(t)
            seen.outside |= any_entry([~np.isfinite(v) for v in called.values], seen.outside.size)
        return called.values

    def raised_at(self, x: Sequence[Array], d: Sequence[Array]) -> Violation | None:
        """What the rule raises at one point where forward has a value; None where it does not."""
        seen = Examination.empty(1)
        self._forward(list(x), seen)
        if not seen.outside[0] and seen.violations[0] is None:
            self._result(list(x), list(d), seen)
        found = seen.violations[0]
        return found if found is not None and found.raised else None

    # -- layers ----------------------------------------------------------------------------------------------------

    # -- what the claim is to others -------------------------------------------------------------------------------

    @property
    def compiled(self) -> Sequence[FunctionAt]:
        return [self.rule]

    @property
    def is_its_program(self) -> bool:
        return all(f.is_its_program for f in (*self.maps, self.rule))

    @property
    def traced(self) -> Sequence[Program | None]:
        return [f.program for f in (*self.maps, self.rule)]

    @property
    def programs(self) -> Sequence[Program | None]:
        return [self.rule_program]

    def with_programs(self, other: Mapping[int, Program]) -> DerivativeAt:
        f = self.functions
        rule = ProgramFunction(other[0], self.mode)
        functions = DerivativeFunctions(f.forward, rule, f.convention, valued=f.valued)
        return type(self)(self.claim, functions, self.specs, self.shapes, self.dtype, batched=self.batched)

    def screen(self, *, further_dtype: bool = False) -> ClaimScreen | None:
        with contextlib.suppress(UnsupportedPrimitive, ValueError):
            screen = DerivativeScreen(
                self.forward_program,
                self.rule_program,
                self.autodiff,
                dtype=self.dtype,
                mode=self.mode,
                moving=self.wrt,
                shapes=self.result_shapes,
                further_dtype=further_dtype,
                slack=self.slack,
            )
            return screen if self.valued is None else ValuedScreen(screen, self.valued.program)
        return None
