"""A derivative claim at fixed sizes and one dtype: all layers look at a batch of points.

Order of the layers: the float result against its running error bound; rule against JAX's derivative of the forward
map, both in the wide format; finite differences; and the exact layer for everything suspicious and everything asked.
Only the exact layer says that a formula is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from flint import ctx
from numpy.typing import NDArray

from backprove.harness.claims import Derivative
from backprove.harness.dtypes import FORMATS
from backprove.harness.examination import Examination, Finding, Unsupported
from backprove.harness.function import JAX, Function, Signature, cast
from backprove.harness.oracles.autodiff import derivative_program
from backprove.harness.oracles.conditioning import forced_error
from backprove.harness.oracles.differences import central, step_sizes
from backprove.harness.oracles.exact import DerivativeProblem, ExactLayer, Outcome, Status, dyadic, vector
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.program import Program
from backprove.harness.rounding import WIDE_UNIT, accurate, any_entry, exceeds, largest, run_floats, ulps
from backprove.harness.systems.balls import Undecided, lift
from backprove.harness.systems.running import Running
from backprove.harness.verdict import Verdict
from backprove.strategies.array import ArraySpec

Array = NDArray[Any]

DIFFERENCES_PER_BATCH = 256
GRADED_ENTRIES = 256
"""Derivative entries that are graded in one batch."""
KINKS_PER_SHAPE = 24
LARGE_POINT = 64
"""Points with more differentiated entries than this are not graded (one dual pass per entry)."""


@dataclass
class DerivativeFunctions:
    """The functions of a derivative claim with their traces, shared by all sizes and dtypes."""

    forward: Function
    rule: Function
    convention: Function | None

    @staticmethod
    def of(claim: Derivative) -> DerivativeFunctions:
        rule = claim.rule
        if claim.unit_cotangent:
            gradient = claim.rule

            def rule(*arguments: Any) -> Any:
                return gradient(*arguments[:-1])

        return DerivativeFunctions(
            Function(claim.forward, "forward"),
            Function(rule, claim.mode),
            Function(claim.convention, "convention") if claim.convention else None,
        )


class BoundDerivative:
    """See the module's text; the interface is `examination.Bound`."""

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
        self.batched = batched
        self.unit = claim.unit_cotangent
        self.kink_budget = KINKS_PER_SHAPE
        """Kinks still to be examined at this shape."""
        self.input_names = tuple(specs)
        named = claim.wrt if claim.wrt is not None else tuple(n for n, s in specs.items() if s.differentiable)
        self.wrt = tuple(i for i, n in enumerate(self.input_names) if n in named)
        self.signature: Signature = tuple(
            (shape, dtype if spec.dtype == "float" else spec.dtype) for shape, spec in zip(shapes, specs.values(), strict=True)
        )
        self.output_shapes = self._output_shapes()
        if self.mode == "vjp":
            self.direction_shapes = self.output_shapes
            n = len(self.output_shapes)
            self.direction_names = tuple("cotangent" if n == 1 else f"cotangent {k}" for k in range(n))
            self.result_names = tuple(self.input_names[i] for i in self.wrt)
            self.result_shapes = tuple(self.signature[i][0] for i in self.wrt)
        else:
            self.direction_shapes = tuple(self.signature[i][0] for i in self.wrt)
            self.direction_names = tuple(self.input_names[i] for i in self.wrt)
            n = len(self.output_shapes)
            self.result_names = tuple("output" if n == 1 else f"output {k}" for k in range(n))
            self.result_shapes = self.output_shapes
        self.rule_signature: Signature = (*self.signature, *((s, dtype) for s in self.direction_shapes))

    def _output_shapes(self) -> tuple[tuple[int, ...], ...]:
        program = self.functions.forward.program(self.signature)
        if program is not None:
            return tuple(v.shape for v in program.outputs if v.dtype in FORMATS)
        probe = [np.ones(s, dtype=FORMATS[d].numpy if d in FORMATS else d) for s, d in self.signature]
        try:
            return tuple(a.shape for a in self.functions.forward.at(*probe) if a.dtype.kind not in "iub")
        except Exception as why:
            raise Unsupported(f"forward raises at {self.signature}: {type(why).__name__}: {why}") from why

    # -- programs --------------------------------------------------------------------------------------------------

    @cached_property
    def forward_program(self) -> Program | None:
        return self.functions.forward.program(self.signature)

    @cached_property
    def rule_program(self) -> Program | None:
        return self.functions.rule.program(self.rule_signature)

    @cached_property
    def autodiff(self) -> Program | None:
        """JAX's derivative of the forward map, as a program of the rule's arguments; None where it has none."""
        traceable = self.functions.forward.traceable(self.signature)
        if traceable is None:
            return None
        return derivative_program(traceable, self.mode, self.wrt, self.rule_signature, len(self.signature))

    @property
    def front_ends(self) -> dict[str, str]:
        return {
            "forward": self.functions.forward.front_end(self.signature),
            self.mode: self.functions.rule.front_end(self.rule_signature),
        }

    @property
    def specials(self) -> list[float]:
        found = []
        for p in (self.forward_program, self.rule_program):
            if p is not None:
                found += p.literals()
        return sorted(set(found))

    @cached_property
    def problem(self) -> DerivativeProblem | None:
        forward = self.functions.forward.exact(self.signature)
        rule = self.functions.rule.exact(self.rule_signature)
        if forward is None or rule is None:
            return None
        convention = self.functions.convention
        return DerivativeProblem(
            forward,
            rule,
            self.mode,
            self.wrt,
            self.format.u,
            None if convention is None else convention.exact(self.rule_signature),
        )

    # -- examination -----------------------------------------------------------------------------------------------

    def examine(self, inputs: Sequence[Array], directions: Sequence[Array], exact: Array, *, cap: int = 256) -> Examination:
        n = len(exact)
        seen = Examination.empty(n)
        x, d = list(inputs), list(directions)
        forward = self._forward(x, seen)
        seen.outside = any_entry([~np.isfinite(f) for f in forward], n)
        result = self._result(x, d, seen)
        if result is None:
            return seen
        broken = any_entry([~np.isfinite(r) for r in result], n) & ~seen.outside
        beyond = self._rounding(x, d, result, seen)
        suspicious = self._screen(x, d, seen) | beyond | broken
        suspicious |= self._differences(x, d, seen)
        suspicious &= ~seen.outside
        asked = exact & ~seen.outside
        extra = np.flatnonzero(suspicious & ~asked)[:cap]
        asked[extra] = True
        self._arbitrate(x, d, result, np.flatnonzero(asked), broken, beyond, suspicious, seen)
        self._grade(x, d, result, np.flatnonzero(exact & ~seen.outside), seen)
        return seen

    def _forward(self, x: list[Array], seen: Examination) -> list[Array]:
        if self.forward_program is not None and self.functions.forward.front_end(self.signature) == JAX:
            out = run_floats(self.forward_program, x)
            return [o for o, v in zip(out, self.forward_program.outputs, strict=True) if v.dtype in FORMATS]
        return self._call(self.functions.forward, x, self.signature, self.output_shapes, seen, raises_outside=True)

    def _result(self, x: list[Array], d: list[Array], seen: Examination) -> list[Array] | None:
        """The rule's float results; findings of verdict `error` where it raises or returns a wrong shape."""
        program = self.rule_program
        if program is not None and self.functions.rule.front_end(self.rule_signature) == JAX:
            shapes = tuple(v.shape for v in program.outputs)
            if shapes != self.result_shapes:
                self._wrong_shape(shapes, seen)
                return None
            return run_floats(program, [*x, *d])
        out = self._call(self.functions.rule, [*x, *d], self.rule_signature, self.result_shapes, seen)
        return None if all(f is not None for f in seen.findings) and seen.findings else out

    def _wrong_shape(self, shapes: Sequence[tuple[int, ...]], seen: Examination) -> None:
        kind = "cotangent" if self.mode == "vjp" else "tangent"
        wanted = ", ".join(f"{n}: {list(s)}" for n, s in zip(self.result_names, self.result_shapes, strict=True))
        what = (
            f"the {self.mode} returned {kind}s of shapes {[list(s) for s in shapes]} where {wanted} "
            f"{'was' if len(self.result_shapes) == 1 else 'were'} expected"
        )
        for i in np.flatnonzero(~seen.outside):
            seen.findings[int(i)] = Finding(Verdict.ERROR, what, argument=self.result_names[0] if self.result_names else "")

    def _call(
        self,
        function: Function,
        arguments: list[Array],
        signature: Signature,
        shapes: Sequence[tuple[int, ...]],
        seen: Examination,
        raises_outside: bool = False,
    ) -> list[Array]:
        """Call code as it is, point by point, on arrays of the real dtype; NaN where it cannot be evaluated."""
        n = seen.outside.size
        out = [np.full((*s, n), np.nan) for s in shapes]
        for i in range(n):
            if seen.outside[i]:
                continue
            args = [cast(a[..., i if a.shape[-1] > 1 else 0], dt) for a, (_, dt) in zip(arguments, signature, strict=True)]
            before = [a.copy() for a in args]
            try:
                got = function.at(*args)
            except Exception as why:
                if not raises_outside:
                    seen.findings[i] = Finding(Verdict.ERROR, f"{function.label} raised {type(why).__name__}: {why}")
                continue
            if raises_outside:
                got = [g for g in got if g.dtype.kind not in "iub"]
            if tuple(g.shape for g in got) != tuple(shapes):
                if not raises_outside:
                    one = Examination.empty(1)
                    self._wrong_shape([g.shape for g in got], one)
                    seen.findings[i] = one.findings[0]
                continue
            if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(args, before, strict=True)):
                name = next(k for k, (a, b) in enumerate(zip(args, before, strict=True)) if not np.array_equal(a, b))
                names = [*self.input_names, *self.direction_names]
                seen.findings[i] = Finding(Verdict.ERROR, f"{function.label} changed its argument {names[name]}", argument=names[name])
                continue
            for o, g in zip(out, got, strict=True):
                o[..., i] = self.format.round(g)
        return out

    def _rounding(self, x: list[Array], d: list[Array], result: list[Array], seen: Examination) -> Array:
        """Float results beyond twice the running error bound of the rule's own operations."""
        n = seen.outside.size
        if self.rule_program is None:
            seen.note("rounding bound: not available for code that cannot be traced")
            return np.zeros(n, dtype=bool)
        bounds = Running(self.dtype).run(self.rule_program, [*x, *d])
        beyond = any_entry([exceeds(r, b.v, b.e, self.dtype) for r, b in zip(result, bounds, strict=True)], n)
        seen.balls_only = any_entry([~np.isfinite(b.e) for b in bounds], n) & ~seen.outside
        measured = [
            np.where(np.isfinite(b.e) & np.isfinite(r), ulps(r, b.v, self.dtype), 0.0)
            for r, b in zip(result, bounds, strict=True)
        ]
        seen.ulps = np.where(seen.outside | seen.balls_only, np.nan, largest(measured, n))
        tally = seen.layer("rounding")
        judged = ~seen.outside & ~seen.balls_only
        tally.checked += int(judged.sum())
        tally.suspicious += int((beyond & judged).sum())
        tally.agreed += int((judged & ~beyond).sum())
        finite = seen.ulps[np.isfinite(seen.ulps)]
        tally.worst = float(finite.max()) if finite.size else None
        return beyond & ~seen.outside

    def _screen(self, x: list[Array], d: list[Array], seen: Examination) -> Array:
        """Rule against JAX's derivative, both in the wide format with the wide format's own error bounds."""
        n = seen.outside.size
        if self.rule_program is None or self.autodiff is None:
            return np.zeros(n, dtype=bool)
        wide = Running(self.dtype, unit=WIDE_UNIT[self.dtype])
        mine, theirs = wide.run(self.rule_program, [*x, *d]), wide.run(self.autodiff, [*x, *d])
        apart, known = [], np.ones(n, dtype=bool)
        for a, b in zip(mine, theirs, strict=True):
            with np.errstate(all="ignore"):
                off = np.abs(a.v - b.v)
                ok = np.isfinite(a.e) & np.isfinite(b.e) & np.isfinite(off)
                apart.append(ok & ~(off <= a.e + b.e + 4 * self.format.tiny * 2.0**-40))
                known &= ~any_entry([~ok], n)
        suspicious = any_entry(apart, n) & ~seen.outside
        judged = known & ~seen.outside
        tally = seen.layer("autodiff")
        tally.checked += int(judged.sum())
        tally.suspicious += int((suspicious & judged).sum())
        tally.agreed += int((judged & ~suspicious).sum())
        return suspicious

    def _differences(self, x: list[Array], d: list[Array], seen: Examination) -> Array:
        """Finite differences of the forward map on a share of the points; they never decide, they only point."""
        n = seen.outside.size
        suspicious = np.zeros(n, dtype=bool)
        forward, rule = self.forward_program, self.rule_program
        index = np.flatnonzero(~seen.outside)[:DIFFERENCES_PER_BATCH]
        if forward is None or rule is None or not index.size:
            return suspicious
        wide = Running(self.dtype, unit=WIDE_UNIT[self.dtype])
        x, d = [a[..., index] for a in x], [a[..., index] for a in d]
        m = index.size
        rng = np.random.Generator(np.random.Philox(key=[3, 5]))
        other_shapes = [self.signature[i][0] for i in self.wrt] if self.mode == "vjp" else self.output_shapes
        other = [np.repeat(dyadic(rng, (*s, 1)), m, axis=-1) for s in other_shapes]
        tangents, weights = (other, d) if self.mode == "vjp" else (d, other)

        def along(t: Array) -> tuple[Array, Array]:
            moved = [a.astype(np.longdouble) if a.dtype.kind == "f" else a for a in x]
            for i, v in zip(self.wrt, tangents, strict=True):
                moved[i] = moved[i] + v * t
            out = [o for o in wide.run(forward, moved) if hasattr(o, "e")]
            return _pair(out, weights, m)

        bounds = wide.run(rule, [*x, *d])
        value, error = _pair(bounds, tangents if self.mode == "vjp" else weights, m)
        difference = central(along, step_sizes([x[i] for i in self.wrt], tangents))
        with np.errstate(all="ignore"):
            off = np.abs(value - difference.value).astype(np.float64)
            size = np.maximum(np.abs(value), np.abs(difference.value)).astype(np.float64)
            agree = off <= difference.error + error
            told = np.isfinite(difference.error) & np.isfinite(error) & (difference.error <= 1e-3 * size + self.format.tiny)
        tally = seen.layer("differences")
        tally.checked += m
        tally.agreed += int((told & agree).sum())
        tally.suspicious += int((told & ~agree).sum())
        tally.undecided += int((~told).sum())
        suspicious[index[told & ~agree]] = True
        return suspicious

    # -- the exact layer -------------------------------------------------------------------------------------------

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
    ) -> None:
        if not index.size:
            return
        if self.problem is None:
            seen.note("exact layer: not available for a black box")
            return
        layer = ExactLayer(kinks=at_kink, kink_budget=self.kink_budget)
        try:
            outcomes = layer.derivative(self.problem, [a[..., index] for a in x], [a[..., index] for a in d])
        except Exception as why:
            seen.note(f"exact layer skipped: {why}")
            return
        self.kink_budget = layer.kink_budget
        tally = seen.layer("exact")
        for i, o in zip(index.tolist(), outcomes, strict=True):
            seen.outcomes[i] = o
            tally.checked += 1
            tally.agreed += o.status.accepted
            tally.refuted += o.status.refused
            tally.cleared += bool(o.status.accepted and suspicious[i])
            tally.undecided += not (o.status.accepted or o.status.refused)
            if seen.findings[i] is None:
                seen.findings[i] = self._finding(i, o, x, d, result, bool(broken[i]), bool(beyond[i]))

    def _finding(
        self, i: int, o: Outcome, x: list[Array], d: list[Array], result: list[Array], broken: bool, beyond: bool
    ) -> Finding | None:
        if o.status.refused and o.argument is not None and o.entry is not None:
            at_kink = o.status is Status.KINK_REFUTED
            what = (
                "the value lies outside the generalized (Clarke) derivative at this kink"
                if at_kink and self.claim.convention is None
                else "the value is not the declared convention at this kink"
                if at_kink
                else f"the {self.mode} is not the derivative of forward"
            )
            oracle = "smooth pieces that meet at the point, in ball arithmetic" if at_kink else "dual balls"
            return Finding(Verdict.FALSIFIED, what, self.result_names[o.argument], o.entry, o.got_value, o.expected_value, oracle)
        unclear = (Status.SINGULAR, Status.OUTSIDE, Status.UNDECIDED, Status.UNEXAMINED)
        if not (broken or beyond) or o.status in unclear:
            return None
        x1, d1 = [a[..., i : i + 1] for a in x], [a[..., i : i + 1] for a in d]
        if broken and o.status is Status.UNDEFINED and o.argument is not None and o.entry is not None:
            what = "the formula has no value here (a division of zero by zero), where the derivatives around are bounded"
            name, got = self.result_names[o.argument], float(result[o.argument][(*o.entry, i)])
            return Finding(Verdict.FALSIFIED, what, name, o.entry, got, o.expected_value, "smooth pieces around the point")
        if broken:
            return self._not_finite(o, x1, d1, [r[..., i] for r in result])
        if o.status is not Status.AGREES:
            return None
        return self._too_far(x1, d1, [r[..., i] for r in result])

    def _not_finite(self, o: Outcome, x: list[Array], d: list[Array], result: list[Array]) -> Finding | None:
        """NaN or infinity where the forward map is finite in all its steps and the derivative can be represented."""
        truth = self._truth(x, d)
        if truth is None or (self.forward_program is not None and not accurate(self.forward_program, x, self.dtype)[0]):
            return None
        for k, (r, t) in enumerate(zip(result, truth, strict=True)):
            for j in np.ndindex(r.shape):
                if not np.isfinite(r[j]) and abs(t[j]) < self.format.max and self._representable(x, d):
                    undefined = o.status is Status.UNDEFINED
                    what = (
                        "the formula has no value here (a division of zero by zero), where the derivative has one"
                        if undefined
                        else "the result overflows or is not a number, where forward is finite and the derivative is representable"
                    )
                    verdict = Verdict.FALSIFIED if undefined else Verdict.INACCURATE
                    return Finding(verdict, what, self.result_names[k], tuple(j), float(r[j]), float(t[j]), "dual balls")
        return None

    def _too_far(self, x: list[Array], d: list[Array], result: list[Array]) -> Finding | None:
        """The worst entry beyond the error bound; None if the entry turns out right after all."""
        assert self.rule_program is not None
        bounds = Running(self.dtype).run(self.rule_program, [*x, *d])
        worst: tuple[float, Finding] | None = None
        zero = any(np.any((a == 0) & np.signbit(a)) for a in [*x, *d] if a.dtype.kind == "f")
        for k, (r, b) in enumerate(zip(result, bounds, strict=True)):
            over = exceeds(r[..., None], b.v, b.e, self.dtype)[..., 0]
            for j in np.ndindex(r.shape):
                if over[j]:
                    value = float(b.v[(*j, 0)])
                    far = abs(float(r[j]) - value) / max(abs(value), self.format.tiny)
                    what = (
                        "another result at -0 than at +0, where the derivative has one value"
                        if zero
                        else "the float result is further from the exact one than the rule's own operations can cause"
                    )
                    if worst is None or far > worst[0]:
                        worst = (far, Finding(Verdict.INACCURATE, what, self.result_names[k], tuple(j), float(r[j]), value, "running error bound"))
        return worst[1] if worst else None

    def _truth(self, x: list[Array], d: list[Array]) -> list[Array] | None:
        """Exact entries of the derivative at one point as floats; None where the exact layer cannot tell."""
        if self.problem is None:
            return None
        ctx.prec = 256
        try:
            exact = vector(self.problem, [lift(a) if a.dtype.kind == "f" else a for a in x], [lift(a) for a in d])
        except Undecided:
            return None
        return [np.vectorize(lambda v: float(v.mid()) if v.is_finite() else np.nan, otypes=[float])(e[..., 0]) for e in exact]

    def _representable(self, x: list[Array], d: list[Array]) -> bool:
        """Whether every entry of the Jacobian, and its product with the direction, is a representable number."""
        assert self.problem is not None
        for k, direction in enumerate(d):
            for j in np.ndindex(direction.shape[:-1]):
                unit = [np.zeros_like(a) for a in d]
                unit[k][(*j, 0)] = 1.0
                column = self._truth(x, unit)
                if column is None:
                    return False
                size = max((float(np.abs(c).max()) for c in column if c.size), default=0.0)
                if not size * max(1.0, abs(float(direction[(*j, 0)]))) < self.format.max:
                    return False
        return True

    def _grade(self, x: list[Array], d: list[Array], result: list[Array], index: Array, seen: Examination) -> None:
        """Error in multiples of what the conditioning forces, at points where the formula is right."""
        entries = sum(int(np.prod(s)) for s in self.result_shapes)
        if self.problem is None or not 0 < entries <= LARGE_POINT:
            return
        good = [i for i in index.tolist() if (o := seen.outcomes[i]) is not None and o.status is Status.AGREES]
        good = good[: max(1, GRADED_ENTRIES // entries)]
        if not good:
            return
        graded = forced_error(self.problem, [a[..., good] for a in x], [a[..., good] for a in d], self.format)
        if graded is None:
            return
        worst, lost = np.zeros(len(good)), np.zeros(len(good), dtype=bool)
        for r, (value, forced) in zip(result, graded, strict=True):
            with np.errstate(all="ignore"):
                off = np.abs(r[..., good] - value)
                judged = np.isfinite(off) & (np.abs(value) >= self.format.tiny) & np.isfinite(forced)
                factor = np.where(judged, off / np.maximum(forced, self.format.u * np.abs(value)), 0.0)
            worst = np.maximum(worst, largest([factor], len(good)))
            lost |= any_entry([judged & (off >= np.abs(value)) & (factor > 16)], len(good))
        seen.factor[good], seen.lost[good] = worst, lost


def _pair(values: Sequence[Any], weights: Sequence[Array], points: int) -> tuple[Array, Array]:
    """Per point: the sum of products of bounded values with exact weights, and its error bound."""
    total, error = np.zeros(points, dtype=np.longdouble), np.zeros(points)
    with np.errstate(all="ignore"):
        for b, w in zip(values, weights, strict=True):
            total = total + np.broadcast_to(b.v * w, (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            error = error + np.broadcast_to(b.e * np.abs(w), (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            size = np.broadcast_to(np.abs(b.v * w), (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
            error = error + (w.size // max(points, 1) + 1) * 2.0**-63 * size.astype(np.float64)
    return total, error


