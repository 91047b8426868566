"""`Running` bounds how far this very code, in this format, may be from the program over the reals at a point.

Every value is a pair: the value of the real-arithmetic program in a wider format, and a bound on the distance of the
floating-point program's value from it (Wilkinson's running error analysis; Higham, Accuracy and Stability, 3.3). One
operation turns the bounds of its operands into

    prop + min(k u (|v| + prop), cap) + eta,   infinite where |v| + that reaches the largest number,

with `prop` from the function's slope, `k` measured (`constants.py`), `eta` the smallest normal number, since
backends flush subnormal numbers to zero, and `cap = min(|a|, |b|)` for sums, which never lose more than an operand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS, is_float
from backprove.harness.core.thresholds.rounding import ELEMENTARY_ETA, LITERAL_BITS
from backprove.harness.numbers.base import System, has_floats
from backprove.harness.numbers.bounds import arithmetic, fourier, matrices, reductions, spectra, truth
from backprove.harness.numbers.bounds.charges import Format
from backprove.harness.numbers.bounds.truth import Bounded, Doubtful, Truth, Value
from backprove.harness.numbers.elementary.row import REALS, Elementary
from backprove.harness.numbers.elementary.table import having
from backprove.harness.programs.evaluate import evaluate, schedule
from backprove.harness.programs.program import Equation, Program, Var

RULES = {
    **arithmetic.ELEMENTWISE,
    **reductions.COMBINING,
    **matrices.FACTORING,
    **fourier.TRANSFORMS,
    **spectra.SPECTRAL,
}

CHUNK = 8192
"""Most points that `run` evaluates at once; more would leave the cache."""

ENTRIES = 2**15
"""Most entries that one value of a chunk should have."""

EXTENDED = np.finfo(np.longdouble).nmant + 1 >= 64
"""Whether `np.longdouble` is wider than float64 here."""


NO_ERROR = np.zeros(1)

ANY = max(form.u for form in FORMATS.values())
"""As `narrows_to`: every format is allowed inside."""

SMALLEST_BOUND = 2.0**-1060
"""The `eta` of the wide evaluation: bounds are float64 and cannot be smaller and still have digits."""


class Running(System[Value]):
    """Interpreter of a program over `Bounded` values.

    Args:
        dtype: format under test.
        unit: None to bound the float program's error. A unit roundoff to bound the error of the wide evaluation
            itself instead (2**-64 for 80-bit numbers); literals are exact then and conversions identities.
        flush: whether subnormal numbers are flushed to zero, going in and coming out.
        literals: with `unit`, relative error charged to literals that look like rounded constants.
        narrows_to: unit roundoff of the coarsest format that is allowed inside: an equation in a coarser format than
            the one under test is charged that format's unit roundoff up to this one, and beyond it that of the format
            under test.
        widening_ignored: whether an equation in a finer format is charged that of the format under test.

    Raises:
        UsageError: if `dtype` is none of the formats under test.
    """

    name = "running error bounds"
    functions = having("growth")

    def __init__(
        self,
        dtype: str,
        *,
        unit: float | None = None,
        flush: bool = True,
        literals: float = 0.0,
        narrows_to: float = 0.0,
        widening_ignored: bool = False,
    ) -> None:
        if dtype not in FORMATS:
            raise UsageError(f"Running: dtype must be one of {', '.join(FORMATS)}, got {dtype!r}")
        self.tested = FORMATS[dtype]
        self.unit = unit
        self.literals = literals
        self.flush = flush and unit is None
        self.narrows_to, self.widening_ignored = narrows_to, widening_ignored
        self.wide: type[np.floating] = np.longdouble if dtype == "float64" and EXTENDED else np.float64
        self._formats: dict[str, Format] = {}
        self._key = (dtype, unit, self.flush, literals, narrows_to, widening_ignored)

    @property
    def key(self) -> Hashable:
        return self._key

    @classmethod
    def primitives(cls) -> frozenset[str]:
        return super().primitives() | RULES.keys()

    def lift(self, array: Array) -> Bounded:
        """Inputs of the format under test as `Bounded`: exact, but -0 is 0 and subnormal numbers may be flushed."""
        v = np.asarray(array).astype(self.wide)
        v += self.wide(0)  # -0 becomes 0
        return Bounded(v, self._flushed(v))

    def run(self, program: Program, arrays: Sequence[Array | Bounded]) -> list[Bounded]:
        """The program's outputs at many points, one `Bounded` of shape + points per output.

        Args:
            program: traced at the format under test.
            arrays: one per input, shape + points (P, or 1 where it does not vary); integers and booleans as they are,
                floats that are not exact as `Bounded`.

        Raises:
            UnsupportedPrimitive: if there is no rule for a primitive of the program.
        """
        counts = [(a.v if isinstance(a, Bounded) else a).shape[-1] for a in arrays]
        points = 0 if 0 in counts else max(counts, default=1)
        chunk = min(CHUNK, max(64, ENTRIES // schedule(program).largest))
        parts: list[list[Bounded]] = []
        for start in range(0, max(points, 1), chunk):
            here = slice(start, start + chunk)
            cut = [a if n == 1 else _cut(a, here) for a, n in zip(arrays, counts, strict=True)]
            inputs = [
                self.lift(a) if is_float(v.dtype) and not isinstance(a, Bounded) else a
                for v, a in zip(program.inputs, cut, strict=True)
            ]
            size = min(chunk, points - start)
            with np.errstate(all="ignore"):
                outputs = evaluate(program, self, *inputs)
            parts.append([self._result(o, v, size) for o, v in zip(outputs, program.outputs, strict=True)])
        if len(parts) == 1:
            return parts[0]
        columns = list(zip(*parts, strict=True))
        return [Bounded(*(np.concatenate([getattr(b, n) for b in c], axis=-1) for n in ("v", "e"))) for c in columns]

    def _result(self, value: Value, var: Var, points: int) -> Bounded:
        """An output as `Bounded` with all its points; integers and truth values are exact or unbounded."""
        if isinstance(value, Doubtful):
            flags = np.broadcast_to(value.points, value.values.shape)
            value = Bounded(value.values.astype(self.wide), np.where(flags, np.inf, 0.0))
        elif not isinstance(value, Bounded) and var.dtype == "bool":
            value = Bounded(truth.nominal(value).astype(self.wide), np.where(truth.undecided(value), np.inf, 0.0))
        elif not isinstance(value, Bounded):
            value = Bounded(np.asarray(value).astype(self.wide), np.zeros(np.shape(value)))
        shape = (*var.shape, points)
        if value.v.shape == value.e.shape == shape:
            return Bounded(value.v, value.e)
        return Bounded(np.broadcast_to(value.v, shape), np.broadcast_to(value.e, shape))

    def constant(self, value: Array, var: Var) -> Value:
        value = np.asarray(value)[..., None]
        if not is_float(var.dtype):
            return value
        v = value.astype(np.float64)
        wide = v.astype(self.wide) + self.wide(0)
        e = self._flushed(wide)
        if self.unit is None or self.literals:
            charge = self.format(var.dtype).u if self.unit is None else self.literals
            bits = min(LITERAL_BITS, FORMATS[var.dtype].digits // 2)
            with np.errstate(all="ignore"):
                m = np.frexp(v)[0] * 2.0**bits
                rounded = np.isfinite(v) & (m != np.trunc(m))
                e = np.where(rounded, e + charge * np.abs(v), e)
        return Bounded(wide, np.where(np.isnan(v), np.inf, e))

    def _flushed(self, v: Array) -> NDArray[np.float64]:
        e = np.zeros(v.shape)
        if self.flush:
            a = np.abs(v.astype(np.float64, copy=False))
            small = a < self.tested.tiny
            if np.count_nonzero(small):
                e[small] = a[small]
        return e

    def map(self, function: Callable[..., Array], *values: Value) -> Value:
        if not any(isinstance(v, (Bounded, Doubtful)) for v in values):
            return function(*values)
        if any(isinstance(v, Bounded) for v in values):
            v = function(*(x.v if isinstance(x, Bounded) else x for x in values))
            e = function(*(x.e if isinstance(x, Bounded) else np.zeros(np.asarray(x).shape) for x in values))
            # a gather out of bounds fills the bounds too
            e = np.abs(e)
            return Bounded(v, np.where(np.isnan(v) | np.isnan(e), np.inf, e))
        plain = [x.values if isinstance(x, Doubtful) else x for x in values]
        points = [x.points for x in values if isinstance(x, Doubtful)]
        return Doubtful(function(*plain), _union(points))

    def select(self, which: Value, cases: Sequence[Value]) -> Value:
        return arithmetic.select(which, cases)

    def apply(self, equation: Equation, inputs: Sequence[Value]) -> list[Value]:
        if equation.primitive == "custom_linear_solve":
            solutions = matrices.solved(self, self, equation, inputs)
            if solutions is not None:  # however the matrix was pivoted
                return solutions
        points = [i.points for i in inputs if isinstance(i, Doubtful)]
        if not points:
            return super().apply(equation, inputs)
        outputs = super().apply(equation, [i.values if isinstance(i, Doubtful) else i for i in inputs])
        flags = _union(points)
        return [truth.doubt(o, flags, v.dtype == "bool") for o, v in zip(outputs, equation.outputs, strict=True)]

    def logic(self, equation: Equation, inputs: Sequence[Value]) -> Value | None:
        return truth.logic(equation.primitive, cast("Sequence[Truth]", inputs), equation.params.get("axes", ()))

    def whole(self, equation: Equation, inputs: Sequence[Value]) -> list[Value]:
        if equation.primitive == "convert_element_type":
            return [arithmetic.convert(self, equation, inputs)]
        return super().whole(equation, inputs)

    def own(self, equation: Equation, inputs: Sequence[Value]) -> Value | list[Value]:
        rule = RULES.get(equation.primitive)
        if rule is None or not has_floats(equation):
            return super().own(equation, inputs)
        return rule(self, equation, cast("Sequence[Bounded]", inputs))

    def format(self, dtype: str) -> Format:
        """What an equation with results of format `dtype` is charged."""
        if dtype not in self._formats:
            of_wide = np.finfo(self.wide)
            if self.unit is not None:
                self._formats[dtype] = Format(None, self.unit, SMALLEST_BOUND, np.inf, 1.0)
            else:
                fmt = FORMATS[dtype]
                if fmt.u > max(self.tested.u, self.narrows_to) or self.widening_ignored:
                    fmt = self.tested
                unit = 2.0 ** -(of_wide.nmant + 1)
                self._formats[dtype] = Format(fmt.name, fmt.u, fmt.tiny, fmt.max, unit / fmt.u)
        return self._formats[dtype]

    def eta(self, fmt: Format, k: float = 1.0) -> float:
        """Absolute error of one operation near zero: a flush, or gradual underflow."""
        return fmt.tiny if self.flush or fmt.name is None else 2 * max(k, 1.0) * fmt.u * fmt.tiny

    def rounded(
        self,
        fmt: Format,
        v: Array,
        e: Array | float,
        *,
        k: float,
        cap: Array | None = None,
        eta: float = 1.0,
        top: Array | None = None,
    ) -> Bounded:
        """`v` with the propagated error `e` and that of one rounded operation.

        Args:
            fmt: what the equation is charged.
            v: value in the wide format.
            e: propagated error; not a number where nothing is known. It and `cap` broadcast to the shape of `v`.
            k: relative error of the operation in units of u.
            cap: the operation itself never errs by more.
            eta: multiples of the smallest normal number that underflow may cost.
            top: largest absolute value met on the way (None: that of the result).
        """
        out = Bounded(v, NO_ERROR)
        a = out.size
        total = a + e
        total *= k * fmt.u
        if cap is not None:
            np.minimum(total, cap, out=total)
            if fmt.name:
                # the wide sum has an error of its own beside the capped one
                total += (fmt.wide * fmt.u) * a
        total += e
        total += eta * self.eta(fmt, k)
        if np.count_nonzero(a) < a.size:
            total[(a == 0) & (np.asarray(e) == 0)] = 0.0
        largest = (a if top is None else np.maximum(a, top)) + total
        # a value that is infinite or not a number fits nowhere
        if not largest.max(initial=0.0) < fmt.max:
            total[~(np.broadcast_to(largest, total.shape) < fmt.max)] = np.inf
        return out.within(total)

    def elementary(self, row: Elementary, equation: Equation, x: Value) -> Bounded:
        assert row.growth is not None and isinstance(x, Bounded)
        fmt = self.format(equation.outputs[0].dtype)
        v = row.in_wide(x.v)
        k, kappa = fmt.constant(row.name)
        e: Array | float = 0.0
        if not (x.exact and kappa == 0):
            # kappa: an implementation that rounds its argument evaluates f at a point within kappa u |x|
            slack = x.e + kappa * fmt.u * (x.size + x.e) if kappa else x.e
            e = row.growth(x.v, slack)
            none = slack == 0
            e = np.where(none, 0.0, e) if none.any() else e
            known = np.isfinite(x.e)
            if row.domain is not REALS:
                known &= (x.e == 0) | row.domain.inside(x.v, x.e)
            e = e if known.all() else np.where(known, e, np.inf)
        if row.exact:
            return Bounded(v, np.where(np.isfinite(v) & ~np.isnan(e), e, np.inf))
        return self.rounded(fmt, v, e, k=k, eta=ELEMENTARY_ETA)


def _cut(a: Array | Bounded, here: slice) -> Array | Bounded:
    return Bounded(a.v[..., here], a.e[..., here]) if isinstance(a, Bounded) else a[..., here]


def _union(points: Sequence[truth.Flags]) -> truth.Flags:
    out = points[0]
    for p in points[1:]:
        out = out | p
    return out
