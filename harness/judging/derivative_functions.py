"""`DerivativeFunctions` holds the functions of a derivative claim with their traces, for all sizes and dtypes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backprove.harness.core.formats import Mode
from backprove.harness.core.thresholds.called_code import ENOUGH_STOPPED
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.same_in_all_formats import FormatGenericTrace
from backprove.harness.judging.real_calls.functions import Functions
from backprove.harness.judging.real_calls.layouts import Layouts
from backprove.harness.judging.real_calls.own_calls import OwnCalls
from backprove.harness.judging.real_calls.spot_check import SpotCheck
from backprove.harness.oracles.autodiff import derivative_program
from backprove.harness.programs.program import Program, Signature
from backprove.harness.statements.claims import Derivative


@dataclass
class DerivativeFunctions:
    """The functions of a derivative claim with their traces, shared by all sizes and dtypes.

    Attributes:
        forward: the map whose derivative is claimed; a surrogate, or the reference that forward approximates, where the
            claim has one.
        valued: forward itself, where a surrogate has its place.
        spot: the compiled check, run once per dtype.
        own: calls of a user's code beside what the layers evaluate.
        layouts: calls of a user's code with arguments in every layout of memory.
        users: the code is a user's, so that traces are held against real calls too.
    """

    forward: Function
    rule: Function
    convention: Function | None
    valued: Function | None = field(default=None, kw_only=True)
    spot: SpotCheck = field(default_factory=SpotCheck)
    own: OwnCalls = field(default_factory=OwnCalls)
    layouts: Layouts = field(default_factory=Layouts)
    is_user_code: bool = False
    compared: set[str] = field(default_factory=set)
    """Dtypes at which the contract of JAX code was looked at."""
    unsupported: bool = False
    """The exact layer lacks a primitive of the code."""
    _derivatives: dict[tuple[str, tuple[int, ...], int], FormatGenericTrace] = field(default_factory=dict)
    ran: int = 0
    stopped: int = 0
    """Points at which the exact layer could, and could not, run the code on exact scalars."""

    @property
    def maps(self) -> list[Function]:
        """The functions of the inputs alone: forward, and the surrogate that has its place where there is one."""
        return [f for f in (self.valued, self.forward) if f is not None]

    def derivatives(self, mode: Mode, wrt: tuple[int, ...], inputs: int) -> FormatGenericTrace:
        """JAX's derivatives of the forward map, a function of `inputs` inputs, by the signature of the rule."""

        def at(signature: Signature) -> Program | None:
            given = signature[:inputs]
            program = self.forward.program(given)
            if program is None:
                return None
            rules = self.forward.library_rules(given)
            found = derivative_program(program, mode, wrt, rules)
            return derivative_program(program, mode, wrt) if found is None and rules is not None else found

        if self.is_user_code:
            return FormatGenericTrace(at)
        return self._derivatives.setdefault((mode, wrt, inputs), FormatGenericTrace(at))

    def tell_runnable(self, ran: int, stopped: int, signature: Signature, rule_signature: Signature) -> None:
        """Code that hardly ever runs on exact scalars is a black box; trying again at every point is slow."""
        self.ran += ran
        self.stopped += stopped
        if self.stopped < ENOUGH_STOPPED or self.stopped < ENOUGH_STOPPED * self.ran:
            return
        for function, given in ((self.forward, signature), (self.rule, rule_signature)):
            function.give_up_exact(given)

    @staticmethod
    def of(
        claim: Derivative,
        functions: Functions,
    ) -> DerivativeFunctions:
        """The functions of a claim, those among them that other claims of the subject share."""
        rule, name = claim.rule, functions.name
        rule_key = f"{name(rule)}{' as a gradient' if claim.unit_cotangent else ''}"
        if claim.unit_cotangent:
            gradient = claim.rule

            def rule(*arguments: Any) -> Any:
                return gradient(*arguments[:-1])

        both = f"{name(claim.forward)} {name(claim.reference)}"
        computed = functions.of(claim.forward, "forward", both, claim.reference)
        surrogate = convention = None
        if claim.surrogate is not None:
            surrogate = functions.of(claim.surrogate, claim.in_place)
        if claim.convention is not None:
            convention = functions.of(claim.convention, "convention")
        return DerivativeFunctions(
            surrogate or computed,
            functions.of(rule, claim.mode, rule_key),
            convention,
            SpotCheck(functions.cache, f"spot {rule_key}"),
            functions.own,
            is_user_code=functions.is_user_code,
            valued=None if surrogate is None else computed,
        )
