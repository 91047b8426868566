"""`DerivativeFunctions` holds the functions of a derivative claim with their traces, for all sizes and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backprove.harness.core.arrays import Array
from backprove.harness.core.cache import Cache
from backprove.harness.core.formats import Mode
from backprove.harness.core.thresholds.called_code import ENOUGH_STOPPED
from backprove.harness.frontends.function import Function, one_point
from backprove.harness.frontends.same_in_all_formats import FormatGenericTrace
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
    """Functions and dtypes whose JAX trace was held against real calls."""
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
            return derivative_program(program, mode, wrt, self.forward.library_rules(given))

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
        is_user_code: bool = False,
        cache: Cache | None = None,
        inside: Callable[[Signature], Iterable[list[Array]]] = one_point,
    ) -> DerivativeFunctions:
        rule = claim.rule

        def key(call: Callable[..., Any] | None) -> str:
            return "" if cache is None or call is None else cache.name(call)

        rule_key = f"{key(rule)}{' as a gradient' if claim.unit_cotangent else ''}"
        if claim.unit_cotangent:
            gradient = claim.rule

            def rule(*arguments: Any) -> Any:
                return gradient(*arguments[:-1])

        made = partial(Function, cache=cache, generic=not is_user_code, called_first=is_user_code, inside=inside)
        both = f"{key(claim.forward)} {key(claim.reference)}"
        computed = made(claim.forward, "forward", stand_in=claim.reference, key=both)
        surrogate = convention = None
        if claim.surrogate is not None:
            surrogate = made(claim.surrogate, claim.in_place, key=key(claim.surrogate))
        if claim.convention is not None:
            convention = made(claim.convention, "convention", key=key(claim.convention))
        return DerivativeFunctions(
            surrogate or computed,
            made(rule, claim.mode, key=rule_key),
            convention,
            SpotCheck(cache, f"spot {rule_key}"),
            is_user_code=is_user_code,
            valued=None if surrogate is None else computed,
        )
