"""The running error bound: how far may this very code, in this format, be from the real-arithmetic program here?

Every value is a pair: the value of the real-arithmetic program in a wider format, and a bound on the distance of the
floating-point program's value from it (Wilkinson's running error analysis; Higham, Accuracy and Stability, 3.3). One
operation turns the bounds of its operands into

    prop + min(k u (|v| + prop), cap) + eta,   infinite where |v| + that reaches the largest number,

with `prop` from the function's slope, `k` measured (rounding_constants), `eta` the smallest normal number, since
backends flush subnormal numbers to zero, and `cap = min(|a|, |b|)` for sums, which never lose more than an operand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS, is_float
from backprove.harness.errors import UsageError
from backprove.harness.interpret import evaluate
from backprove.harness.program import Equation, Program, Var
from backprove.harness.systems import running_reductions, running_rules
from backprove.harness.systems import running_truth as truth
from backprove.harness.systems.base import System
from backprove.harness.systems.rounding_constants import rounding_constant, wide_constant
from backprove.harness.systems.running_functions import EXACT, FUNCTIONS
from backprove.harness.systems.running_truth import Bounded, Doubtful

__all__ = ["Bounded", "Doubtful", "Running"]

Array = NDArray[Any]

COMPUTED = running_rules.COMPOSED | FUNCTIONS.keys()
RULES = {**running_rules.ELEMENTWISE, **running_reductions.COMBINING}

CHUNK = 4096
"""Points that `run` evaluates at once; more would leave the cache."""

EXTENDED = np.finfo(np.longdouble).nmant + 1 >= 64
"""Whether `np.longdouble` is wider than float64 here."""

LITERAL_BITS = 12
"""Literals with more significant bits are taken for rounded decimals; in short formats beyond half the digits."""

ELEMENTARY_ETA = 4.0
"""What underflow inside an elementary function (asin as 2 atan2(..)) may cost, in smallest normal numbers."""

SMALLEST_BOUND = 2.0**-1060
"""The `eta` of the wide evaluation: bounds are float64 and cannot be smaller and still have digits."""


@dataclass(frozen=True)
class Format:
    """What one equation is charged: its format, and the wide evaluation's own rounding in units of that `u`.

    Attributes:
        name: name of the format, None for the wide format itself.
        u: unit roundoff.
        tiny: smallest normal number.
        max: largest finite number (in the wide format's type).
        wide: the wide format's unit roundoff divided by u.
    """

    name: str | None
    u: float
    tiny: float
    max: Any
    wide: float

    def constant(self, primitive: str) -> tuple[float, float]:
        """`(k, kappa)` of a primitive; see rounding_constants."""
        own = wide_constant(primitive, arithmetic=primitive not in COMPUTED)
        if self.name is None:
            return own.k, own.kappa
        tested = rounding_constant(self.name, primitive)
        return tested.k + own.k * self.wide, tested.kappa


class Running(System):
    """Interpreter of a program over `Bounded` values.

    Args:
        dtype: format under test.
        unit: None to bound the float program's error. A unit roundoff to bound the error of the wide evaluation
            itself instead (2**-64 for 80-bit numbers); literals are exact then and conversions identities.
        flush: whether subnormal numbers are flushed to zero, going in and coming out.
        literals: with `unit`, relative error charged to literals that look like rounded constants.
        narrowing_allowed: whether an equation in a coarser format than the one under test is charged that format's
            unit roundoff; otherwise it is charged that of the format under test.

    Raises:
        UsageError: if `dtype` is none of the formats under test.
    """

    name = "running error bounds"

    def __init__(
        self,
        dtype: str,
        *,
        unit: float | None = None,
        flush: bool = True,
        literals: float = 0.0,
        narrowing_allowed: bool = False,
    ) -> None:
        if dtype not in FORMATS:
            raise UsageError(f"Running: dtype must be one of {', '.join(FORMATS)}, got {dtype!r}")
        self.tested = FORMATS[dtype]
        self.unit = unit
        self.literals = literals
        self.flush = flush and unit is None
        self.narrowing_allowed = narrowing_allowed
        self.wide: type[np.floating[Any]] = np.longdouble if dtype == "float64" and EXTENDED else np.float64
        self._formats: dict[str, Format] = {}

    def lift(self, array: Array) -> Bounded:
        """Inputs of the format under test as `Bounded`: exact, but -0 is 0 and subnormal numbers may be flushed."""
        v = np.asarray(array).astype(self.wide) + self.wide(0)
        return Bounded(v, self._flushed(v))

    def run(self, program: Program, arrays: Sequence[Array]) -> list[Bounded]:
        """The program's outputs at many points, one `Bounded` of shape + points per output.

        Args:
            program: traced at the format under test.
            arrays: one per input, shape + points (P, or 1 where it does not vary); integers and booleans as they are.

        Raises:
            UnsupportedPrimitive: if there is no rule for a primitive of the program.
        """
        points = max((a.shape[-1] for a in arrays), default=1)
        if any(a.shape[-1] == 0 for a in arrays):
            points = 0
        parts: list[list[Bounded]] = []
        for start in range(0, max(points, 1), CHUNK):
            here = slice(start, start + CHUNK)
            cut = [a if a.shape[-1] == 1 else a[..., here] for a in arrays]
            inputs = [self.lift(a) if is_float(v.dtype) else a for v, a in zip(program.inputs, cut, strict=True)]
            size = min(CHUNK, points - start)
            with np.errstate(all="ignore"):
                outputs = evaluate(program, self, *inputs)
            parts.append([self._result(o, v, size) for o, v in zip(outputs, program.outputs, strict=True)])
        columns = list(zip(*parts, strict=True))
        return [Bounded(*(np.concatenate([getattr(b, n) for b in c], axis=-1) for n in ("v", "e"))) for c in columns]

    def _result(self, value: Any, var: Var, points: int) -> Bounded:
        """An output as `Bounded` with all its points; integers and truth values are exact or unbounded."""
        if isinstance(value, Doubtful):
            flags = np.broadcast_to(value.points, value.values.shape)
            value = Bounded(value.values.astype(self.wide), np.where(flags, np.inf, 0.0))
        elif not isinstance(value, Bounded) and var.dtype == "bool":
            value = Bounded(truth.nominal(value).astype(self.wide), np.where(truth.undecided(value), np.inf, 0.0))
        elif not isinstance(value, Bounded):
            value = Bounded(np.asarray(value).astype(self.wide), np.zeros(np.shape(value)))
        shape = (*var.shape, points)
        return Bounded(np.broadcast_to(value.v, shape), np.broadcast_to(value.e, shape))

    def constant(self, value: Array, var: Var) -> Any:
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
        a = np.abs(v)
        return np.where((a < self.tested.tiny) & self.flush, a, 0).astype(np.float64)

    def map(self, function: Callable[..., Array], *values: Any) -> Any:
        if not any(isinstance(v, (Bounded, Doubtful)) for v in values):
            return function(*values)
        if any(isinstance(v, Bounded) for v in values):
            v = function(*(x.v if isinstance(x, Bounded) else x for x in values))
            e = function(*(x.e if isinstance(x, Bounded) else np.zeros(np.shape(x)) for x in values))
            # a gather out of bounds fills the bounds too
            e = np.abs(e)
            return Bounded(v, np.where(np.isnan(v) | np.isnan(e), np.inf, e))
        plain = [x.values if isinstance(x, Doubtful) else x for x in values]
        points = [x.points for x in values if isinstance(x, Doubtful)]
        return Doubtful(function(*plain), _union(points))

    def select(self, which: Any, cases: Sequence[Any]) -> Any:
        return running_rules.select(which, cases)

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        points = [i.points for i in inputs if isinstance(i, Doubtful)]
        if not points:
            return self._apply(equation, inputs)
        outputs = self._apply(equation, [i.values if isinstance(i, Doubtful) else i for i in inputs])
        flags = _union(points)
        return [truth.doubt(o, flags, v.dtype == "bool") for o, v in zip(outputs, equation.outputs, strict=True)]

    def _apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        name = equation.primitive
        if inputs and name != "select_n" and equation.inputs[0].dtype == "bool":
            result = truth.logic(name, inputs, equation.params.get("axes", ()))
            if result is not None:
                return [result]
        if name == "round":
            name = "round" if int(equation.params["rounding_method"]) == 0 else "round_even"
        if name in FUNCTIONS:
            return [self.elementary(name, equation, inputs[0])]
        if name == "convert_element_type" or (name in RULES and _has_floats(equation)):
            result = RULES[name](self, equation, inputs)
            return result if isinstance(result, list) else [result]
        return super().apply(equation, inputs)

    def format(self, dtype: str) -> Format:
        """What an equation with results of format `dtype` is charged."""
        if dtype not in self._formats:
            of_wide = np.finfo(self.wide)
            if self.unit is not None:
                self._formats[dtype] = Format(None, self.unit, SMALLEST_BOUND, of_wide.max, 1.0)
            else:
                fmt = FORMATS[dtype]
                if fmt.u > self.tested.u and not self.narrowing_allowed:
                    fmt = self.tested
                unit = 2.0 ** -(of_wide.nmant + 1)
                self._formats[dtype] = Format(fmt.name, fmt.u, fmt.tiny, self.wide(fmt.max), unit / fmt.u)
        return self._formats[dtype]

    def eta(self, fmt: Format, k: float = 1.0) -> float:
        """Absolute error of one operation near zero: a flush, or gradual underflow."""
        return fmt.tiny if self.flush or fmt.name is None else 2 * max(k, 1.0) * fmt.u * fmt.tiny

    def rounded(
        self,
        fmt: Format,
        v: Array,
        e: Array,
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
            e: propagated error; not a number where nothing is known.
            k: relative error of the operation in units of u.
            cap: the operation itself never errs by more.
            eta: multiples of the smallest normal number that underflow may cost.
            top: largest absolute value met on the way (None: that of the result).
        """
        a = np.abs(v)
        e = np.asarray(e, dtype=np.float64)
        r = ((a + e) * self.wide(k * fmt.u)).astype(np.float64)
        if cap is not None:
            # the wide sum has an error of its own beside the capped one
            r = np.minimum(r, cap.astype(np.float64)) + (fmt.wide * fmt.u * a.astype(np.float64) if fmt.name else 0.0)
        total = e + r + eta * self.eta(fmt, k)
        total = np.where((v == 0) & (e == 0), 0.0, total)
        fits = np.isfinite(v) & ((a if top is None else np.maximum(a, top)) + total < fmt.max)
        total = np.where(fits, total, np.inf)
        return Bounded(v, np.broadcast_to(total, np.shape(v)))

    def elementary(self, name: str, equation: Equation, x: Bounded) -> Bounded:
        """A function of running_functions."""
        function, fmt = FUNCTIONS[name], self.format(equation.outputs[0].dtype)
        v = function.value(x.v)
        k, kappa = fmt.constant(name)
        # kappa: an implementation that rounds its argument evaluates f at a point within kappa u |x|
        slack = x.e + kappa * fmt.u * (np.abs(x.v).astype(np.float64) + x.e) if kappa else x.e
        e = np.where(slack == 0, 0.0, function.growth(x.v, slack))
        known = np.isfinite(x.e)
        if function.inside is not None:
            known &= (x.e == 0) | function.inside(x.v, x.e)
        e = np.where(known, e, np.inf)
        if name in EXACT:
            return Bounded(v, np.where(np.isfinite(v) & ~np.isnan(e), e, np.inf))
        return self.rounded(fmt, v, e, k=k, eta=ELEMENTARY_ETA)


def _union(points: Sequence[truth.Flags]) -> truth.Flags:
    out = points[0]
    for p in points[1:]:
        out = out | p
    return out


def _has_floats(equation: Equation) -> bool:
    return any(is_float(v.dtype) for v in (*equation.inputs, *equation.outputs))
