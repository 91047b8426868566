"""`DerivativeLayers` holds the layers of a derivative claim: each looks at a batch of points and enters what it saw.

Order of the layers: the float result against its running error bound; rule against JAX's derivative of the forward
map, both in the wide format; finite differences; and the exact layer for everything suspicious and everything asked.
Only the exact layer says that a formula is wrong; where it cannot run, differences that know their error decide.
"""

from __future__ import annotations

import contextlib
from functools import cached_property, partial

import numpy as np

from backprove.harness.core.amounts import few
from backprove.harness.core.arrays import Array, any_entry, at_points
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.coverage import DIFFERENCES_PER_BATCH
from backprove.harness.core.thresholds.large import DIFFERENCES_ENTRIES
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.calls import Called
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.derivative_shape import DerivativeShell
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_layers import (
    against_autodiff,
    against_bounds,
    against_differences,
)
from backprove.harness.judging.grading import grade
from backprove.harness.judging.opaque_code import CodeLayers
from backprove.harness.judging.real_calls import zeros
from backprove.harness.judging.real_calls.own_calls import exact_values
from backprove.harness.judging.real_calls.ties import broken_otherwise
from backprove.harness.judging.remarks import remark_gaps
from backprove.harness.judging.violations import DerivativeViolations
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.oracles.conditioning import has_slopes
from backprove.harness.oracles.exact import ExactLayer, has_no_value
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.oracles.mean_value import by_mean_value
from backprove.harness.oracles.problem import Status
from backprove.harness.oracles.vectors import dyadic


class DerivativeLayers(DerivativeShell):
    """The layers, one method each.

    Attributes:
        kink_budget: kinks still to be examined at these sizes.
    """

    kink_budget: int

    @cached_property
    def code(self) -> CodeLayers:
        """The layers that need no program."""
        slack, approximates = self.slack, self.claim.approximates
        return CodeLayers(self.forward, self.rule, self.result_names, self.wrt, self.mode, slack, approximates)

    @property
    def _violations(self) -> DerivativeViolations:
        names = (*self.input_names, *self.direction_names)
        shapes = self.result_shapes
        convention = self.claim.convention is not None
        program = self.forward_program
        return DerivativeViolations(
            self.mode,
            names,
            self.result_names,
            shapes,
            convention,
            self.derived.problem,
            program,
            self._bounds_at,
            self.format,
            self.forward.label,
            self.claim.approximates,
        )

    def _bounds_at(self, arrays: list[Array]) -> list[Bounded] | None:
        """Running error bounds of the rule at one point."""
        if self.rule_program is not None:
            return self.rule.bounds(arrays)
        bounds, run = self.code.bounds(arrays, [0])
        return bounds if run[0] else None

    def _rounding(self, x: list[Array], d: list[Array], result: list[Array], exact: Array, seen: Examination) -> Array:
        """Float results beyond twice the running error bound of the rule's own operations."""
        n = seen.outside.size
        run = np.ones(n, dtype=bool)
        if self.rule_program is not None:
            try:
                bounds = self.rule.bounds([*x, *d])
            except UnsupportedPrimitive as why:
                seen.note(f"rounding bound skipped: {why}")
                return np.zeros(n, dtype=bool)
            if self.rule.front_end.called:
                run &= ~broken_otherwise(self.rule, [*x, *d], result, bounds)
        else:
            bounds, run = self.code.bounds([*x, *d], self.code.bounded_points(exact, seen.outside))
            if not run.any():
                return np.zeros(n, dtype=bool)
        return against_bounds(result, bounds, self.dtype, seen, run)

    def _compare(
        self, x: list[Array], d: list[Array], exact: Array, seen: Examination, compared: Array | None
    ) -> Array:
        """Points where rule and JAX's derivative, or rule and differences, are apart, among those of `compared`."""
        if self.forward_program is None or self.rule_program is None:
            suspicious = self.code.compare(x, d, seen)
            return suspicious | self.code.complex_steps(x, d, np.flatnonzero(exact & ~seen.outside), seen)
        try:
            if compared is None:
                return self._against_autodiff(x, d, seen) | self._differences(x, d, seen)
            index, out = np.flatnonzero(compared), np.zeros(compared.size, dtype=bool)
            if index.size:
                here, given, part = [a[..., index] for a in x], [a[..., index] for a in d], seen.part(index)
                out[index] = self._against_autodiff(here, given, part) | self._differences(here, given, part)
                left = ~part.agreed & ~part.outside  # what the screen left and nothing cleared
                out[index] |= left
                part.doubt("screen", left)
                seen.enter_part(part, index)
            return out
        except UnsupportedPrimitive as why:
            seen.note(f"screens skipped: {why}")
            return self.code.compare(x, d, seen)

    def _against_autodiff(self, x: list[Array], d: list[Array], seen: Examination) -> Array:
        """Rule against JAX's derivative, both in the wide format."""
        if self.rule_program is None or self.autodiff is None:
            return np.zeros(seen.outside.size, dtype=bool)
        return against_autodiff(self.rule_program, self.autodiff, [*x, *d], self.dtype, seen, self.slack)

    def _differences(self, x: list[Array], d: list[Array], seen: Examination) -> Array:
        """Finite differences of the forward map on a share of the points."""
        forward, rule = self.forward_program, self.rule_program
        entries = sum(a.size for a in (*x, *d)) // seen.outside.size
        index = np.flatnonzero(~seen.outside)[: few(DIFFERENCES_PER_BATCH, entries, DIFFERENCES_ENTRIES)]
        if forward is None or rule is None or not index.size:
            return np.zeros(seen.outside.size, dtype=bool)
        here, given = [a[..., index] for a in x], [a[..., index] for a in d]
        rng = np.random.Generator(np.random.Philox(key=[3, 5]))
        other = [np.repeat(dyadic(rng, (*s, 1)), index.size, axis=-1) for s in self.result_shapes]
        pairing = (other, given, other) if self.mode == "vjp" else (given, other, other)
        slack = self.slack
        return against_differences(forward, rule, here, given, self.wrt, pairing, self.dtype, seen, index, slack)

    def _arbitrate(
        self,
        x: list[Array],
        d: list[Array],
        result: list[Array],
        index: Array,
        broken: Array,
        beyond: Array,
        suspicious: Array,
        seen: Examination,
    ) -> Array:
        """Ask the exact layer; the points that it cannot run are returned."""
        if self.problem is None:
            return index
        layer = ExactLayer(kinks=at_kink, second=by_mean_value, kink_budget=self.kink_budget)
        try:
            outcomes = layer.derivative(self.problem, [a[..., index] for a in x], [a[..., index] for a in d])
        except UnsupportedPrimitive as why:
            self.functions.unsupported = True
            seen.note(f"exact layer skipped: {why}")
            return index
        self.kink_budget = layer.kink_budget
        tally, left = seen.layer("exact"), []
        for i, o in zip(index.tolist(), outcomes, strict=True):
            if o.stopped or (o.status is Status.OUTSIDE and self.forward_program is None):
                left.append(i)  # floats have a value of forward: exact scalars met something else than its code
                continue
            seen.outcomes[i] = o
            tally.enter(o.status.accepted, o.status.refused, bool(suspicious[i]))
            if seen.violations[i] is None:
                point = [a[..., i : i + 1] for a in x], [a[..., i : i + 1] for a in d]
                here = [r[..., i] for r in result]
                seen.violations[i] = self._violations.of_outcome(o, *point, here, bool(broken[i]), bool(beyond[i]))
        if self.claim.approximates is None:  # else the evidence says how near the rule came
            remark_gaps(seen, outcomes, "rule and derivative", self.problem.gap_unit)
        self.functions.tell_runnable(len(outcomes) - len(left), len(left), self.signature, self.rule_signature)
        return np.array(left, dtype=np.int64)

    def _zeros(self, x: list[Array], d: list[Array], index: Array, seen: Examination) -> None:
        """Points with a zero input that met the exact layer: the rule with all zeros of one sign, and of the other."""
        moving = [x[i] for i in self.wrt]
        zero = any_entry([a == 0 for a in moving], seen.outside.size)
        found = [seen.violations[i] for i in index.tolist()]
        free = [
            v is None or v.verdict is Verdict.FALSIFIED for v in found
        ]  # a call at -0 may have been refused as such
        index = np.array([i for i, f in zip(index.tolist(), free, strict=True) if zero[i] and f], dtype=np.int64)
        if not index.size:
            return
        here, given = [a[..., index] for a in x], [a[..., index] for a in d]
        results = []
        for sign in (0.0, -0.0):
            signed = [np.where(a == 0, sign, a) if i in self.wrt else a for i, a in enumerate(here)]
            result = self._result(signed, given, Examination.empty(index.size))
            if result is None:
                return
            results.append(result)
        plus, minus = results
        with np.errstate(all="ignore"):
            differ = any_entry(
                [~((p == m) | (np.isnan(p) & np.isnan(m))) for p, m in zip(plus, minus, strict=True)], index.size
            )
        for k in np.flatnonzero(differ).tolist():
            point = [a[..., k : k + 1] for a in here], [a[..., k : k + 1] for a in given]
            i, pair = int(index[k]), ([p[..., k] for p in plus], [m[..., k] for m in minus])
            seen.violations[i] = self._sign_of_zero(*point, pair) or seen.violations[i]

    def _sign_of_zero(self, x: list[Array], d: list[Array], pair: tuple[list[Array], list[Array]]) -> Violation | None:
        """What is wrong with one of two results, which differ, with all zeros of one sign and of the other."""
        problem = self.derived.problem
        if problem is not None:
            with contextlib.suppress(UnsupportedPrimitive):
                told, found = zeros.by_balls(problem, x, d, pair, self.result_names, self.format)
                if told:
                    return found
        if self.code.forward_tells_zeros_apart(x):
            return None
        return zeros.by_differences([self.code.judge_signed(x, d, sign) for sign in (0.0, -0.0)], self.result_names)

    def _grade(self, x: list[Array], d: list[Array], result: list[Array], index: Array, seen: Examination) -> None:
        if self.problem is not None:
            grade(self.problem, x, d, result, index, self.format, seen)

    def _compiled(self, x: list[Array], d: list[Array], seen: Examination) -> None:
        """The rule compiled by XLA, once per dtype."""
        rule, program = self.rule, self.rule_program
        if program is not None and rule.front_end.is_jax_code:
            call, spot = rule.function.call, self.functions.spot
            names, to = self.result_names, rule.narrows_to
            spot.enter(call, rule.signature, program, [*x, *d], self.dtype, seen, names, narrows_to=to)
        if self.functions.is_user_code:
            self._own_calls(x, d, seen)

    def _own_calls(self, x: list[Array], d: list[Array], seen: Examination) -> None:
        """The user's functions, called as they are, beside what was evaluated in their place."""

        def derivative(i: int) -> list[Array] | None:
            return self._violations.truth([at_points(a, [i]) for a in x], [at_points(a, [i]) for a in d])

        own, outputs = self.functions.own, tuple(f"output {k}" for k in range(len(self.output_shapes)))
        maps = self.maps if self.claim.approximates is None else [f for f in self.maps if f is not self.forward]
        for function in maps:
            own.enter(function, x, outputs, partial(exact_values, function.exact, x), seen)
        own.enter(self.rule, [*x, *d], self.result_names, derivative, seen)

    def _called(self, function: FunctionAt, arrays: list[Array], seen: Examination) -> Called:
        called = function.floats(arrays, seen.outside)
        if self.functions.is_user_code:
            seen.called("plain", called.made)
        for note in called.notes:
            seen.note(note)
        return called

    def _result(self, x: list[Array], d: list[Array], seen: Examination) -> list[Array] | None:
        """The rule's float results; violations of verdict `error` where it raises or returns a wrong shape."""
        wrong = self._wrong_program()
        if wrong is not None:
            for i in np.flatnonzero(~seen.outside).tolist():
                seen.violations[i] = wrong
            return None
        called = self._called(self.rule, [*x, *d], seen)
        for i, t in called.troubles.items():
            if t.singular and self._is_singular(x, d, i):
                seen.outside[i] = True
            else:
                seen.violations[i] = self._violations.of_trouble(t)
        return None if seen.violations and all(v is not None for v in seen.violations) else called.values

    def _is_singular(self, x: list[Array], d: list[Array], i: int) -> bool:
        """Whether forward has no value at a point, or floats tell none: a matrix that the rule inverts is singular."""
        if self.forward_program is None:
            return self.code.is_singular(x, d, i)
        if not has_no_value(self.forward_program, x, i, self.dtype):
            return False
        return not has_slopes(self.code.forward64.values, [at_points(a, [i]) for a in x], self.wrt)

    def _wrong_program(self) -> Violation | None:
        """What is wrong with the results at all points, as traces tell."""
        if self.mismatch:
            return Violation(Verdict.ERROR, self.mismatch)
        program = self.rule_program
        if program is None:
            return None
        whole = next((v.dtype for v in program.outputs if v.dtype not in FORMATS), "")
        if whole:
            return self._violations.wrong_dtype(whole)
        shapes = tuple(v.shape for v in program.outputs)
        if self.rule.is_its_program and shapes != self.result_shapes:
            return self._violations.wrong_shape(shapes)
        return None
