"""Violations are worded here from what the layers saw at one point: which verdict, which entry, in which words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FloatFormat, Mode
from backprove.harness.core.thresholds.exact import PRECISIONS, TRUE_VALUE_PRECISION
from backprove.harness.core.thresholds.rounding import CANCELLED_ROUNDINGS
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.calls import Trouble
from backprove.harness.judging.examination import Violation
from backprove.harness.judging.float_contract import accurate, exceeds, near_max
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status
from backprove.harness.oracles.vectors import vector
from backprove.harness.programs.program import Program

NOT_FINITE = "the result overflows or is not a number, where forward is finite and the derivative is representable"
UNCLEAR = (Status.SINGULAR, Status.OUTSIDE, Status.UNDECIDED, Status.UNEXAMINED, Status.APART)


def not_derivative(mode: Mode, of: str, within: float | None = None) -> str:
    """What a refused formula is, in words.

    Args:
        of: "forward", or what stands in its place, such as "surrogate".
        within: units by which the rule may be off.
    """
    named = of if of == "forward" else f"the {of}"
    if within is not None:
        return f"the {mode} is not within {within:g} units of the derivative of {named}"
    return f"the {mode} is not the derivative of {named}"


@dataclass(frozen=True)
class DerivativeViolations:
    """Words for the violations of one derivative claim at fixed sizes and dtype.

    Attributes:
        mode: "vjp" or "jvp".
        names: of the arguments (inputs and directions) of the rule.
        result_names, result_shapes: of what the rule returns.
        has_convention: whether kinks are judged by a convention.
        problem: the claim in balls; None where it cannot run there.
        forward_program: the traced forward map, or None.
        bounds: running error bounds of the rule at one point (arguments with a points axis of size 1); None where there
            are none.
        format: the format under test.
        of: what the rule must be the derivative of, "forward", "surrogate" or "reference".
        within: units by which the rule may be off.
    """

    mode: Mode
    names: tuple[str, ...]
    result_names: tuple[str, ...]
    result_shapes: tuple[tuple[int, ...], ...]
    has_convention: bool
    problem: DerivativeProblem | None
    forward_program: Program | None
    bounds: Callable[[list[Array]], list[Bounded] | None]
    format: FloatFormat
    of: str = "forward"
    within: float | None = None

    def of_trouble(self, trouble: Trouble) -> Violation:
        """What the rule's call did wrong, as an error."""
        if trouble.kind == "shape":
            return self.wrong_shape(trouble.shapes)
        if trouble.kind == "changed":
            name = self.names[trouble.argument]
            return Violation(Verdict.ERROR, f"{trouble.text} {name}", argument=name)
        return Violation(Verdict.ERROR, trouble.text, raised=trouble.kind == "raised")

    def wrong_dtype(self, dtype: str) -> Violation:
        kind = "cotangents" if self.mode == "vjp" else "tangents"
        return Violation(Verdict.ERROR, f"the {self.mode} returned {kind} of dtype {dtype} where floats were expected")

    def wrong_shape(self, shapes: Sequence[tuple[int, ...]]) -> Violation:
        kind = "cotangent" if self.mode == "vjp" else "tangent"
        wanted = ", ".join(f"{n}: {list(s)}" for n, s in zip(self.result_names, self.result_shapes, strict=True))
        found = f"{kind}s of shapes {[list(s) for s in shapes]}"
        if not shapes:
            found, wanted = f"no {kind} (nothing, or None)", f"the shape {wanted}"
        verb = "was" if len(self.result_shapes) == 1 else "were"
        what = f"the {self.mode} returned {found} where {wanted} {verb} expected"
        return Violation(Verdict.ERROR, what, argument=self.result_names[0] if self.result_names else "")

    def of_outcome(
        self, o: Outcome, x: list[Array], d: list[Array], result: list[Array], broken: bool, beyond: bool
    ) -> Violation | None:
        """The finding at one point.

        Args:
            o: what the exact layer said.
            x, d: the point, points axis of size 1.
            result: the rule's float results, without a points axis.
            broken: the result is not finite.
            beyond: the result is beyond its running error bound.
        """
        if o.status.refused and o.argument is not None and o.entry is not None:
            return self._refused(o)
        if o.status is Status.UNDEFINED and not broken:
            return self._undefined(x, d, result)
        if broken and o.status is Status.UNDECIDED:
            return self._not_finite(o, x, d, result)
        if not (broken or beyond) or o.status in UNCLEAR:
            return None
        if broken and o.status is Status.UNDEFINED and o.argument is not None and o.entry is not None:
            what = (
                "the formula has no value here (a division of zero by zero), where the derivatives around are bounded"
            )
            name, got = self.result_names[o.argument], float(result[o.argument][o.entry])
            return Violation(
                Verdict.FALSIFIED, what, name, o.entry, got, o.expected_value, "smooth pieces around the point"
            )
        if broken:
            return self._not_finite(o, x, d, result)
        if o.status is not Status.AGREES:
            return None
        return self.too_far(x, d, result)

    def _undefined(self, x: list[Array], d: list[Array], result: list[Array]) -> Violation | None:
        """The formula has no value over the reals and its floats are finite: refused where they are wrong.

        `1/(1 + 1/0)` is 0 in floats, and may be right; what is off by more than 2**-8 is no rounding, unless it is
        within roundings of the largest entries.
        """
        truth = self.truth(x, d)
        if truth is None:
            return None
        for name, r, t in zip(self.result_names, result, truth, strict=True):
            with np.errstate(all="ignore"):
                size = np.maximum(np.abs(r), np.abs(t))
                noise = CANCELLED_ROUNDINGS * self.format.u * np.max(size, initial=0.0, where=np.isfinite(size))
                far = np.abs(r - t) > 2.0**-8 * size + noise + self.format.tiny
            for j in np.ndindex(r.shape):
                if far[j] and np.isfinite(t[j]):
                    what = "the formula has no value here (a division by zero), where the derivative has one"
                    return Violation(Verdict.FALSIFIED, what, name, tuple(j), float(r[j]), float(t[j]), "dual balls")
        return None

    def _refused(self, o: Outcome) -> Violation:
        assert o.argument is not None and o.entry is not None
        at_kink = o.status is Status.KINK_REFUTED
        what = not_derivative(self.mode, self.of, self.within)
        if at_kink:
            what = (
                "the value is not the declared convention at this kink"
                if self.has_convention
                else "the value lies outside the generalized (Clarke) derivative at this kink"
            )
        oracle = "smooth pieces that meet at the point, in ball arithmetic" if at_kink else o.oracle
        return Violation(
            Verdict.FALSIFIED, what, self.result_names[o.argument], o.entry, o.got_value, o.expected_value, oracle
        )

    def _not_finite(self, o: Outcome, x: list[Array], d: list[Array], result: list[Array]) -> Violation | None:
        """NaN or infinity where the forward map is finite in all its steps and the derivative can be represented."""
        truth = self.truth(x, d)
        if truth is None or (
            self.forward_program is not None and not accurate(self.forward_program, x, self.format.name)[0]
        ):
            return None
        for k, (r, t) in enumerate(zip(result, truth, strict=True)):
            for j in np.ndindex(r.shape):
                if not np.isfinite(r[j]) and abs(t[j]) < near_max(self.format) and self._representable(x, d):
                    undefined = o.status is Status.UNDEFINED
                    what = (
                        "the formula has no value here (a division of zero by zero), where the derivative has one"
                        if undefined
                        else NOT_FINITE
                    )
                    verdict = Verdict.FALSIFIED if undefined else Verdict.INACCURATE
                    return Violation(
                        verdict, what, self.result_names[k], tuple(j), float(r[j]), float(t[j]), "dual balls"
                    )
        return None

    def too_far(self, x: list[Array], d: list[Array], result: list[Array]) -> Violation | None:
        """The worst entry beyond the error bound; None if every entry turns out right after all."""
        bounds = self.bounds([*x, *d])
        if bounds is None:
            return None
        worst: tuple[float, Violation] | None = None
        zero = any(np.any((a == 0) & np.signbit(a)) for a in [*x, *d] if a.dtype.kind == "f")
        for k, (r, b) in enumerate(zip(result, bounds, strict=True)):
            over = exceeds(r[..., None], b.v, b.e, self.format.name)[..., 0]
            for j in np.ndindex(r.shape):
                if not over[j]:
                    continue
                value = float(b.v[(*j, 0)])
                far = abs(float(r[j]) - value) / max(abs(value), self.format.tiny)
                what = (
                    "another result at -0 than at +0, where the derivative has one value"
                    if zero
                    else "the float result is further from the exact one than the rule's own operations can cause"
                )
                if worst is None or far > worst[0]:
                    name = self.result_names[k]
                    worst = (
                        far,
                        Violation(Verdict.INACCURATE, what, name, tuple(j), float(r[j]), value, "running error bound"),
                    )
        return worst[1] if worst else None

    def truth(self, x: list[Array], d: list[Array]) -> list[Array] | None:
        """Exact entries of the derivative at one point as floats; None where the exact layer cannot tell.

        An entry is NaN where its enclosure is wide; one around zero may be as wide as the smallest normal number.
        """
        if self.problem is None:
            return None
        tiny, share = arb(self.format.tiny), arb(self.format.u)

        def value(v: arb) -> float:
            told = v.is_finite() and (v.rad() <= tiny or v.rad() <= share * abs(v.mid()))
            return float(v.mid()) if told else np.nan

        read, found = np.vectorize(value, otypes=[float]), None
        for precision in (TRUE_VALUE_PRECISION, PRECISIONS[-1]):
            try:
                with ctx.workprec(precision):
                    found = [read(e[..., 0]) for e in vector(self.problem, lift_floats(x), [lift(a) for a in d])]
            except (Undecided, UnsupportedPrimitive):
                continue
            if all(np.isfinite(f).all() for f in found):
                break
        return found

    def _representable(self, x: list[Array], d: list[Array]) -> bool:
        """Whether every entry of the Jacobian, and its product with the direction, is a representable number."""
        for k, direction in enumerate(d):
            for j in np.ndindex(direction.shape[:-1]):
                unit = [np.zeros_like(a) for a in d]
                unit[k][(*j, 0)] = 1.0
                column = self.truth(x, unit)
                if column is None:
                    return False
                size = max((float(np.abs(c).max()) for c in column if c.size), default=0.0)
                if not size * max(1.0, abs(float(direction[(*j, 0)]))) < self.format.max:
                    return False
        return True
