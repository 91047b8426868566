"""These layers judge derivative claims whose code has no traced program: they call it, or run it on exact scalars.

NumPy code that runs on object arrays gets its rounding bounds point by point; of a black box only values are known.
Finite differences in float64 screen all points, and decide where no number system can run the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, at_point, at_points, largest
from backprove.harness.core.formats import FORMATS, Mode
from backprove.harness.core.thresholds.called_code import (
    ASSUMED_ULPS,
    COMPLEX_AGREES,
    LOW_MARGIN,
    MODERATE,
    SCREEN_MARGIN,
)
from backprove.harness.core.thresholds.coverage import BULK_BOUNDED, COMPLEX_POINTS
from backprove.harness.core.thresholds.differences import TOLD
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.calls import arguments_at
from backprove.harness.frontends.function_at import FunctionAt, Shapes
from backprove.harness.frontends.objects.run import run_on_bounded
from backprove.harness.frontends.objects.scalar import NotRunnable
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_layers import held_against
from backprove.harness.judging.real_calls.beside_float64 import enter_against_float64
from backprove.harness.judging.violations import NOT_FINITE, not_derivative
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.oracles.black_box import (
    APART,
    BESIDE,
    FLAT_HERE,
    HALF_TELLS,
    LIKE_A_KINK,
    NOTHING,
    TOO_INACCURATE,
    entries,
    judge,
    place,
    rounding_noise,
)
from backprove.harness.oracles.called_kinks import outside_of_pieces
from backprove.harness.oracles.complex_step import complex_step
from backprove.harness.oracles.conditioning import has_lost_all_digits, has_slopes
from backprove.harness.oracles.differences import central, one_by_one, step_sizes
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.vectors import dyadic

KINKS = 32
"""Points of a batch, of which differences tell nothing, at which a kink is looked for."""
HALF = (
    "forward rounds to half precision inside, whose values tell a derivative to a few percent at best: smaller "
    "mistakes go unseen; let it compute in the format of its input while it is checked"
)


@dataclass
class CodeLayers:
    """The layers of one derivative claim at fixed sizes and dtype that need no traced program.

    Attributes:
        forward, rule: in the dtype under test; of forward the floating-point outputs alone.
        result_names: of what the rule returns.
        wrt: positions of the differentiated inputs.
        slack: share of every entry of the result by which the rule may be off.
        approximates: see `Derivative`.
    """

    forward: FunctionAt
    rule: FunctionAt
    result_names: tuple[str, ...]
    wrt: tuple[int, ...]
    mode: Mode
    slack: float = 0.0
    approximates: float | None = None
    bulk_bounded: int = field(default=BULK_BOUNDED)

    @property
    def dtype(self) -> str:
        return self.rule.dtype

    @property
    def result_shapes(self) -> Shapes:
        return self.rule.shapes

    @cached_property
    def forward64(self) -> FunctionAt:
        return self.forward.in_float64()

    @cached_property
    def rule64(self) -> FunctionAt:
        return self.rule.in_float64()

    # -- the rounding bound of code on exact scalars -----------------------------------------------------------------

    def bounds(self, arrays: Sequence[Array], index: Sequence[int]) -> tuple[list[Bounded], Array]:
        """Running error bounds of the rule's code, and at which points there are any.

        Bounds are infinite elsewhere.
        """
        n = max((a.shape[-1] for a in arrays), default=1)
        v = [np.zeros((*s, n), dtype=np.longdouble) for s in self.result_shapes]
        e = [np.full((*s, n), np.inf) for s in self.result_shapes]
        run = np.zeros(n, dtype=bool)
        for i in index:
            here = [np.array(at_point(a, i)) for a in arrays]
            try:
                found = run_on_bounded(self.rule.function.call, here, self.dtype)
            except (NotRunnable, Undecided):
                continue
            if tuple(b[0].shape for b in found) != self.result_shapes:
                continue
            for k, (value, bound) in enumerate(found):
                v[k][..., i], e[k][..., i] = value, bound
            run[i] = True
        return [Bounded(a, b) for a, b in zip(v, e, strict=True)], run

    def bounded_points(self, exact: Array, outside: Array) -> list[int]:
        """Points whose rounding bound is worth its price: the exact layer's, and some in bulk."""
        chosen = np.flatnonzero(exact & ~outside)
        bulk = np.flatnonzero(~exact & ~outside)[: self.bulk_bounded]
        self.bulk_bounded -= bulk.size
        return np.concatenate([chosen, bulk]).tolist()  # type: ignore[no-any-return]

    # -- screens -----------------------------------------------------------------------------------------------------

    def compare(self, x: list[Array], d: list[Array], seen: Examination) -> Array:
        """Points where central differences of forward in float64 and the rule are apart."""
        n = seen.outside.size
        suspicious = np.zeros(n, dtype=bool)
        index = np.flatnonzero(~seen.outside)
        if not index.size:
            return suspicious
        x, d = [_take(a, index) for a in x], [_take(a, index) for a in d]
        rng = np.random.Generator(np.random.Philox(key=[3, 5]))
        shapes = self.result_shapes
        other = [np.repeat(dyadic(rng, (*s, 1)), index.size, axis=-1) for s in shapes]
        tangents, weights = (other, d) if self.mode == "vjp" else (d, other)
        result = self.rule64.values([*x, *d])

        def along(t: Array) -> tuple[Array, Array]:
            moved = list(x)
            for i, v in zip(self.wrt, tangents, strict=True):
                moved[i] = x[i] + v * t
            values = self.forward64.values(moved)
            return _pair(values, weights, index.size), ASSUMED_ULPS * 2.0**-53 * _pair(
                values, weights, index.size, True
            )

        value = _pair(result, other, index.size)
        step = step_sizes([x[i] for i in self.wrt], tangents)
        with np.errstate(all="ignore"):
            error = (2.0**-50 + self.slack) * _pair(result, other, index.size, True)
            error = np.where(np.isfinite(value), error, np.inf)
        difference = central(one_by_one(along), step, np.float64)
        agree, told = held_against(difference, value, SCREEN_MARGIN * error, FORMATS[self.dtype].tiny)
        tally = seen.layer("differences")
        tally.checked += index.size
        tally.agreed += int((told & agree).sum())
        tally.suspicious += int((told & ~agree).sum())
        tally.undecided += int((~told).sum())
        suspicious[index[told & ~agree]] = True
        seen.agreed[index[told & agree]] = True
        seen.doubt("differences", suspicious, assumed=True)
        return suspicious

    def complex_steps(self, x: list[Array], d: list[Array], index: Array, seen: Examination) -> Array:
        """Points where the complex step of forward and the rule are apart."""
        suspicious = np.zeros(seen.outside.size, dtype=bool)
        if self.forward.front_end.is_jax_code:
            return suspicious
        tally = seen.layer("complex step")
        rng = np.random.Generator(np.random.Philox(key=[41, 43]))
        signature = self.forward64.signature
        for i in index[:COMPLEX_POINTS].tolist():
            here = arguments_at(x, signature, i)
            given = [np.array(_take(a, [i])[..., 0]) for a in d]
            moving: list[Array | None] = [None] * len(here)
            for k, w in enumerate(self.wrt):
                size = np.where(here[w] == 0, 1.0, np.abs(here[w]))
                moving[w] = given[k] if self.mode == "jvp" else dyadic(rng, here[w].shape) * size
            slopes = complex_step(self.forward.function.call, here, moving)
            result = [r[..., 0] for r in self.rule64.values([*(_take(a, [i]) for a in x), *(_take(a, [i]) for a in d)])]
            if slopes is None or tuple(s.shape for s in slopes) != self.forward.shapes:
                tally.undecided += 1
            else:
                near = self._complex_near(slopes, result, given, moving, rng)
                tally.agreed += near
                tally.suspicious += not near
                suspicious[i] = not near
            tally.checked += 1
        seen.doubt("complex step", suspicious, assumed=True)
        return suspicious

    def _complex_near(
        self,
        slopes: list[Array],
        result: list[Array],
        given: list[Array],
        moving: list[Array | None],
        rng: np.random.Generator,
    ) -> bool:
        if self.mode == "jvp":
            pairs = list(zip(slopes, result, strict=True))
            off = max((float(np.abs(s - r).max(initial=0.0)) for s, r in pairs), default=0.0)
            size = max((float(np.abs(s).max(initial=0.0)) for s, _ in pairs), default=0.0)
            return off <= (COMPLEX_AGREES + self.slack) * size
        terms = [w * s for w, s in zip(given, slopes, strict=True)]
        mine = [r * v for r, v in zip(result, [moving[w] for w in self.wrt], strict=True) if v is not None]
        left, right = sum(float(m.sum()) for m in mine), sum(float(t.sum()) for t in terms)
        size = sum(float(np.abs(a).sum()) for a in [*mine, *terms])
        return abs(left - right) <= (COMPLEX_AGREES + self.slack) * size or not np.isfinite(size)

    # -- the verdict of a black box ------------------------------------------------------------------------------------

    def judge(self, x: list[Array], d: list[Array], index: Array, seen: Examination) -> list[Outcome]:
        """Differences that know their error decide; one outcome per point of `index`."""
        seen.note("black box: judged by finite differences")
        x, d = [_take(a, index) for a in x], [_take(a, index) for a in d]
        result = self.rule64.values([*x, *d])
        noise = rounding_noise(self.rule64.values, [*x, *d])
        if self.slack:
            noise = [n + self.slack * np.abs(r) for n, r in zip(noise, result, strict=True)]
        outcomes = judge(self.forward64.values, x, d, result, self.mode, self.wrt, noise=noise, rule=self.rule64.values)
        outcomes = self._at_kinks(x, d, result, outcomes)
        if any(o.note == HALF_TELLS for o in outcomes):
            seen.remark(HALF)
        tally = seen.layer("black box")
        for o in outcomes:
            tally.checked += 1
            telling = o.note not in (NOTHING, FLAT_HERE)
            seen.asked += telling
            seen.answered += o.status is Status.AGREES and telling
            tally.agreed += o.status is Status.AGREES and o.note != FLAT_HERE
            tally.refuted += o.status.refused
            tally.undecided += o.status is Status.UNDECIDED
        return outcomes

    def _at_kinks(self, x: list[Array], d: list[Array], result: list[Array], outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes with a refusal at a kink, where slopes around it tell a range in which the rule is not."""
        out = list(outcomes)
        if self.slack or self.approximates is not None:
            return out
        for k in [k for k, o in enumerate(outcomes) if o.note in (LIKE_A_KINK, TOO_INACCURATE, APART)][:KINKS]:
            point, given, got = ([at_points(a, [k]) for a in arrays] for arrays in (x, d, result))
            found = outside_of_pieces(self.forward64.values, point, given, got, self.mode, self.wrt)
            if found is not None:
                out[k] = found
                break
        return out

    def judge_signed(self, x: list[Array], d: list[Array], sign: float) -> Outcome:
        """What differences say of the rule at one point whose zeros have this sign.

        Args:
            sign: +0 or -0.
        """
        result = self.rule64.values([*self._signed(x, sign), *d])
        (outcome,) = judge(self.forward64.values, x, d, result, self.mode, self.wrt)
        return outcome

    def forward_tells_zeros_apart(self, x: list[Array]) -> bool:
        """Whether forward has another value at -0 than at +0, as `copysign` has: then it has no one derivative."""
        plus, minus = (self.forward64.values(self._signed(x, sign)) for sign in (0.0, -0.0))
        return not all(np.array_equal(p, m, equal_nan=True) for p, m in zip(plus, minus, strict=True))

    def _signed(self, x: list[Array], sign: float) -> list[Array]:
        return [np.where(a == 0, sign, a) if i in self.wrt else a for i, a in enumerate(x)]

    def decide(
        self,
        x: list[Array],
        d: list[Array],
        forward: list[Array],
        result: list[Array],
        index: Array,
        broken: Array,
        seen: Examination,
    ) -> None:
        """Where no number system runs the code, differences decide; outcomes and violations are entered in `seen`.

        Args:
            forward, result: float results of the two functions in the dtype under test.
            index: the points.
            broken: points whose result is not finite.
        """
        outcomes = self.judge(x, d, index, seen)
        seen.supersede(index)
        beside = np.zeros(seen.outside.size, dtype=bool)
        beside[index] = [o.note == BESIDE for o in outcomes]
        seen.doubt("black box", beside)
        for i, o in zip(index.tolist(), outcomes, strict=True):
            seen.outcomes[i] = o
            if seen.violations[i] is None and o.status.refused:
                seen.violations[i] = self._refused(o)
            elif seen.violations[i] is None and broken[i]:
                seen.violations[i] = self.not_finite(x, d, i, result, forward)
        if self.dtype != "float64" and index.size:
            good = self._forward_accurate(x, forward, index)
            enter_against_float64(
                self.rule64, self.wrt, self.result_names, (x, d), index, result, good, self.dtype, seen
            )

    def _refused(self, o: Outcome) -> Violation:
        """A refusal by differences as a finding."""
        assert o.argument is not None and o.entry is not None
        what = not_derivative(self.mode, self.forward.label, self.approximates)
        if o.status is Status.KINK_REFUTED:
            what = "the value lies outside the generalized (Clarke) derivative at this kink"
        name = self.result_names[o.argument]
        return Violation(Verdict.FALSIFIED, what, name, o.entry, o.got_value, o.expected_value, "finite differences")

    def is_singular(self, x: list[Array], d: list[Array], i: int) -> bool:
        """Whether the format tells no digit of forward or the rule at a point where forward has no slopes either."""
        here, given = [_take(a, [i]) for a in x], [_take(a, [i]) for a in d]
        unit = FORMATS[self.dtype].u
        lost = has_lost_all_digits(self.forward.values, self.rule.values, here, given, self.wrt, unit)[0]
        return bool(lost) and not has_slopes(self.forward64.values, here, self.wrt)

    def not_finite(
        self, x: list[Array], d: list[Array], i: int, result: list[Array], forward: list[Array]
    ) -> Violation | None:
        """NaN or infinity where forward is finite and accurate, and differences give a representable derivative."""
        if not self._forward_accurate(x, forward, np.array([i]))[0] or self.is_singular(x, d, i):
            return None
        here, given = [_take(a, [i]) for a in x], [_take(a, [i]) for a in d]
        shown = partial(entries, self.forward64.values, here, shapes=self.result_shapes, mode=self.mode, wrt=self.wrt)
        if not np.all(np.abs(shown([np.where(np.abs(g) < 1, 1.0, g) for g in given])[0]) < FORMATS[self.dtype].max):
            return None  # an entry of the Jacobian is no number of the format: 0 * inf is no finding
        value, error = shown(given)
        got = np.concatenate([r[..., i].reshape(-1) for r in result])[: value.size]
        for k in np.flatnonzero(~np.isfinite(got)):
            if (
                np.isfinite(error[k])
                and error[k] <= TOLD * max(abs(value[k]), 1.0)
                and abs(value[k]) < FORMATS[self.dtype].max
            ):
                a, entry = place(int(k), self.result_shapes)
                oracle = "finite differences"
                return Violation(
                    Verdict.INACCURATE, NOT_FINITE, self.result_names[a], entry, float(got[k]), float(value[k]), oracle
                )
        return None

    def _underflows(self, x: list[Array], index: Array) -> Array:
        """Points with tiny entries at which forward is zero, and is not where these are larger: squares underflow."""
        m, tiny = index.size, float(np.sqrt(FORMATS[self.dtype].tiny))
        near = [_take(a, index) for a in x]
        out = any_entry([(np.abs(near[i]) > 0) & (np.abs(near[i]) < tiny) for i in self.wrt], m)
        if out.any():
            larger = list(near)
            with np.errstate(all="ignore"):
                for i in self.wrt:
                    grown = np.sign(near[i]) * 256 * tiny
                    larger[i] = np.where((near[i] != 0) & (np.abs(near[i]) < tiny), grown, near[i])
                out &= any_entry([np.abs(f) >= FORMATS[self.dtype].tiny for f in self.forward64.values(larger)], m)
        return out

    def _forward_accurate(self, x: list[Array], forward: list[Array], index: Array) -> Array:
        """Points where forward is normal (or zero at a moderate point, no entry of which is tiny).

        In short formats it is near its values in float64, too.
        """
        form, m = FORMATS[self.dtype], index.size
        wide = self.forward64.values([_take(a, index) for a in x])
        sizes = [np.abs(_take(x[i], index)) for i in self.wrt]
        moderate = (largest(sizes, m) <= MODERATE) & ~self._underflows(x, index)
        good = np.ones(m, dtype=bool)
        with np.errstate(all="ignore"):
            for f, w in zip(forward, wide, strict=True):
                here = f[..., index]
                small = (np.minimum(np.abs(w), np.abs(here)) < form.tiny) & ~moderate
                size = np.abs(w).reshape(-1, m).max(axis=0, initial=0.0)
                off = ~(np.abs(here - w) <= LOW_MARGIN * form.u * size + form.tiny)
                good &= ~any_entry([small | off], m)
        return good


def _take(a: Array, index: Any) -> Array:
    return np.repeat(a, len(index), axis=-1) if a.shape[-1] == 1 else a[..., index]


def _pair(values: Sequence[Array], weights: Sequence[Array], points: int, absolute: bool = False) -> Array:
    """Per point: the sum of products; with `absolute`, of their absolute values."""
    total = np.zeros(points)
    with np.errstate(all="ignore"):
        for f, w in zip(values, weights, strict=True):
            product = np.where(w == 0, 0.0, f * w)
            product = np.abs(product) if absolute else product
            total = total + np.broadcast_to(product, (*w.shape[:-1], points)).reshape(-1, points).sum(axis=0)
    return total
