"""The bounded scalar carries the value over the reals, in a wide format, and how far floats may be from it.

Every operation is charged the rounding of the dtype under test, since object arrays do not say which dtype a value
would have. Sums and products of matrices are bounded for any order of their terms (NumPy sums pairwise, BLAS in
blocks). The rules are those of Wilkinson's running error analysis (Higham, Accuracy and Stability, section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.thresholds.rounding import LIBRARY_K
from backprove.harness.frontends.objects.branches import EQUAL, GREATER, LESS, ORDERS, RELATIONS, current
from backprove.harness.frontends.objects.scalar import (
    ELEMENTARY,
    SETTINGS,
    STEPS,
    ExactScalar,
    NotRunnable,
    PlainNumber,
)
from backprove.harness.numbers.bounds.constants import rounding_constant
from backprove.harness.numbers.elementary.row import Elementary

Wide = np.longdouble
WideLike = float | np.floating[Any] | Array


def _product(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


class BoundedScalar(ExactScalar):
    """A real number `v` (np.longdouble) and a bound `e` on |float - v|."""

    __slots__ = ("e", "v")

    def __init__(self, v: WideLike, e: float = 0.0) -> None:
        self.v = Wide(v)
        self.e = float(e)

    def __repr__(self) -> str:
        return f"BoundedScalar({self.v}, {self.e})"

    @classmethod
    def constant(cls, value: PlainNumber) -> BoundedScalar:
        """A literal; one with more than 12 significant bits stands for a number within its own rounding."""
        if isinstance(value, int):
            return cls(value)
        number = float(value)
        if number == 0 or not math.isfinite(number) or (math.frexp(number)[0] * 4096).is_integer():
            return cls(number + 0.0)
        return cls(number, SETTINGS.get().format.u * abs(number))

    @property
    def size_bound(self) -> float:
        """The largest magnitude that the float can have."""
        return abs(float(self.v)) + self.e

    def _add(self, b: BoundedScalar) -> BoundedScalar:
        v, e = self.v + b.v, self.e + b.e
        if math.isinf(v):
            return _infinite(v, self, b)
        # a float sum is exact when one operand is zero: |fl(a+b) - (a+b)| <= min(|a|, |b|)
        cap = min(self.size_bound, b.size_bound)
        return BoundedScalar(v) if e == 0 and (cap == 0 or v == 0) else rounded(v, e, 1.0, cap)

    def _sub(self, b: BoundedScalar) -> BoundedScalar:
        return self._add(-b)

    def _mul(self, b: BoundedScalar) -> BoundedScalar:
        v = self.v * b.v
        for one, other in ((self, b), (b, self)):
            if one.e == 0 and (abs(one.v) == 1 or (one.v == 0 and math.isfinite(other.size_bound))):
                return BoundedScalar(v, other.e if one.v else 0.0)
        if math.isinf(v):
            return _infinite(v, self, b)
        x, y = abs(float(self.v)), abs(float(b.v))
        return rounded(v, _product(x, b.e) + _product(y, self.e) + _product(self.e, b.e))

    def _truediv(self, b: BoundedScalar) -> BoundedScalar:
        v = self.v / b.v
        room = abs(float(b.v)) - b.e
        if math.isinf(self.v) or (math.isinf(b.v) and b.e == 0 and math.isfinite(self.size_bound)):
            return _infinite(v, self, b) if math.isinf(v) else BoundedScalar(v, math.nan if math.isnan(v) else 0.0)
        if b.e == 0 and abs(b.v) == 1:
            return BoundedScalar(v, self.e)
        return rounded(v, (self.e + _product(abs(float(v)), b.e)) / room if room > 0 else math.inf)

    def _pow(self, b: BoundedScalar) -> BoundedScalar:
        n = float(b.v)
        if b.e == 0 and n in (0.0, 1.0):
            return BoundedScalar(1) if n == 0 else self
        v, a = self.v**b.v, abs(self.v)
        if b.e == 0 and n.is_integer():
            edge = a + self.e if n > 0 else a - self.e
            growth = abs(float(edge**b.v - a**b.v)) if edge > 0 or n > 0 else math.inf
        elif a > 0 and self.v > 0 and self.e < a:
            log_error = -math.log1p(-self.e / float(a))
            exponent = abs(n) * log_error + (abs(float(np.log(a))) + log_error) * b.e
            growth = abs(float(v)) * math.expm1(min(exponent, 700.0))
        else:
            growth = self.e**n if self.v == 0 and n > 0 and b.e == 0 else math.inf
        return rounded(v, growth, max(LIBRARY_K, _k("pow")))

    def _steps_of_quotient(self, b: BoundedScalar, step: str) -> tuple[BoundedScalar, BoundedScalar]:
        if not (self.e or b.e):  # the remainder of two floats is exact, but for the divisor that % may add
            left = (np.mod if step == "floor" else np.fmod)(self.v, b.v)
            whole = BoundedScalar(np.rint((self.v - left) / b.v))
            return whole, rounded(left, 0.0) if left else BoundedScalar(left)
        whole = self._truediv(b).step(STEPS[step])
        v = self.v - b.v * whole.v
        if whole.e:
            return whole, BoundedScalar(v, math.inf)
        e = self.e + abs(float(whole.v)) * b.e
        return whole, rounded(v, e, 1.0)

    def _floordiv(self, b: BoundedScalar) -> BoundedScalar:
        return self._steps_of_quotient(b, "floor")[0]

    def _mod(self, b: BoundedScalar) -> BoundedScalar:
        return self._steps_of_quotient(b, "floor")[1]

    def fmod(self, b: BoundedScalar) -> BoundedScalar:
        return self._steps_of_quotient(b, "trunc")[1]

    def __neg__(self) -> BoundedScalar:
        return BoundedScalar(-self.v if self.v else self.v, self.e)

    def __abs__(self) -> BoundedScalar:
        return BoundedScalar(abs(self.v), self.e)

    def elementary(self, row: Elementary) -> BoundedScalar:
        assert row.growth is not None
        v = Wide(row.in_wide(np.asarray(self.v)[None])[0])
        growth, extra = 0.0, 0.0
        if self.e:
            at, e = np.asarray(self.v)[None], np.asarray([self.e])
            growth = float(row.growth(at, e)[0]) if row.domain.inside(at, e)[0] else math.inf
        constant = rounding_constant(SETTINGS.get().format.name, row.name)
        if constant.kappa:
            shift = np.asarray([constant.kappa * SETTINGS.get().format.u * abs(float(self.v))])
            extra = float(row.growth(np.asarray(self.v)[None], shift)[0])
        if math.isinf(v) and math.isinf(self.v) and self.e == 0:
            return BoundedScalar(v)
        return rounded(v, growth + extra, max(constant.k, 1.0))

    def log2(self) -> BoundedScalar:
        return self._rescaled_log(np.log2)

    def log10(self) -> BoundedScalar:
        return self._rescaled_log(np.log10)

    def _rescaled_log(self, function: Callable[[Wide], Wide]) -> BoundedScalar:
        log, v = self.elementary(ELEMENTARY["log"]), function(self.v)
        # the error of log in units of the other base, twice for the constant factor
        return BoundedScalar(v, 2 * log.e / float(np.log(Wide(2)) if function is np.log2 else np.log(Wide(10))))

    def step(self, row: Elementary) -> BoundedScalar:
        function = row.in_wide
        low, high = function(np.asarray(self.v - self.e)), function(np.asarray(self.v + self.e))
        v = function(np.asarray(self.v))
        return BoundedScalar(v, float(max(high - v, v - low)) if math.isfinite(self.e) else math.inf)

    def square(self) -> BoundedScalar:
        return self._mul(self)

    def sign(self) -> BoundedScalar:
        return BoundedScalar(np.sign(self.v), 0.0 if self.e == 0 or abs(self.v) > self.e else 2.0)

    def hypot(self, b: BoundedScalar) -> BoundedScalar:
        return rounded(np.hypot(self.v, b.v), self.e + b.e, LIBRARY_K)

    def arctan2(self, b: BoundedScalar) -> BoundedScalar:
        e = self.e + b.e
        room = float(np.hypot(self.v, b.v)) - e
        crosses = e > 0 and b.v < b.e and abs(self.v) <= self.e
        growth = 2 * math.pi if crosses or (room <= 0 and e > 0) else e / room if e else 0.0
        return rounded(np.arctan2(self.v, b.v), growth, LIBRARY_K)

    def logaddexp(self, b: BoundedScalar) -> BoundedScalar:
        v = np.logaddexp(self.v, b.v)
        if math.isinf(v):
            return _infinite(v, self, b)
        u = SETTINGS.get().format.u
        sides = [s for s in (self, b) if math.isfinite(s.v)]
        largest = max(s.size_bound for s in sides)
        return rounded(v, max(s.e for s in sides) + LIBRARY_K * u * (largest + 1), 2.0)

    def maximum(self, b: BoundedScalar) -> BoundedScalar:
        return self._extremum(b, bool(self.v >= b.v))

    def minimum(self, b: BoundedScalar) -> BoundedScalar:
        return self._extremum(b, bool(self.v <= b.v))

    def _extremum(self, b: BoundedScalar, first: bool) -> BoundedScalar:
        kept, other = (self, b) if first else (b, self)
        apart = abs(kept.v - other.v) > kept.e + other.e
        return kept if apart or other.e <= kept.e else BoundedScalar(kept.v, other.e)

    def compare(self, relation: str, other: BoundedScalar) -> bool:
        wanted, distance = RELATIONS[relation], self.v - other.v
        nominal = LESS if self.v < other.v else GREATER if self.v > other.v else EQUAL
        if math.isnan(distance) and not math.isinf(self.v):
            return relation == "ne"
        room = self.e + other.e
        if room == 0 or abs(distance) > room:
            if nominal == EQUAL:
                current().touch()
            return nominal in wanted
        keys = tuple((float(x.v),) if x.e == 0 else x for x in (self, other))
        return current().settle(relation, (keys[0], keys[1]), ORDERS, default=nominal in wanted)

    def isnan(self) -> bool:
        return bool(np.isnan(self.v))

    def isinf(self) -> bool:
        return bool(np.isinf(self.v))

    @staticmethod
    def reduce_add(array: Array, **options: Any) -> Array | BoundedScalar:
        """The sum over axes, bounded for any order of the terms."""
        start = options.pop("initial", None)
        if options.pop("where", True) is not True:
            raise NotRunnable("np.sum with where=")
        options = {"axis": options.get("axis", 0), "keepdims": options.get("keepdims", False)}
        v, e = components(array)
        total, error, sizes = (np.add.reduce(x, **options) for x in (v, e, np.abs(v) + e))
        terms = max(array.size // max(np.size(total), 1), 1)
        result = _rounded_array(total, error, sizes, terms - 1)
        if start is not None and not (isinstance(start, (int, float)) and start == 0):
            result = result + start
        return result

    @staticmethod
    def contract(function: Code, args: tuple[Any, ...], kwargs: dict[str, object]) -> Array | BoundedScalar:
        """A multilinear function (dot, matmul, einsum, convolve), bounded for any order of the terms."""
        at = [i for i, a in enumerate(args) if not isinstance(a, str) and np.ndim(a) + np.size(a) > 0]
        at = [i for i in at if np.asarray(args[i]).dtype.kind in "Ofiub" and not (i >= 2 and function in _PAIRS)]
        parts = [components(np.asarray(args[i])) for i in at]

        def call(values: list[Array]) -> Array:
            filled = list(args)
            for i, value in zip(at, values, strict=True):
                filled[i] = value
            found: Array = function(*filled, **kwargs)
            return found

        v = call([p[0] for p in parts])
        sizes = [np.abs(v) for v, _ in parts]
        largest = call([s + p[1] for s, p in zip(sizes, parts, strict=True)])
        terms = np.max(np.asarray(call([np.ones(s.shape, Wide) for s in sizes])), initial=1.0)
        spread = np.zeros_like(largest)
        for k, (_, error) in enumerate(parts):
            below = [s + p[1] for s, p in zip(sizes[:k], parts[:k], strict=True)]
            spread = spread + call([*below, error, *sizes[k + 1 :]])
        return _rounded_array(v, spread, largest, float(terms) + len(parts) - 2)


_PAIRS = (np.dot, np.tensordot, np.convolve, np.correlate, np.inner, np.vdot, np.matmul)
"""Contractions of two operands; what follows them are options."""


def _infinite(v: WideLike, *operands: BoundedScalar) -> BoundedScalar:
    """An infinite result: exact where an operand is exactly infinite (masks of -inf), else an overflow."""
    return BoundedScalar(v, 0.0 if any(math.isinf(x.v) and x.e == 0 for x in operands) else math.inf)


def _k(primitive: str) -> float:
    return rounding_constant(SETTINGS.get().format.name, primitive).k


def rounded(v: WideLike, growth: float, k: float = 1.0, cap: float = math.inf) -> BoundedScalar:
    """`v` after one more rounding: `growth` from the operands, k u of the result, and underflow.

    An overflow of the dtype under test, or of the bound, makes the bound infinite.
    """
    fmt = SETTINGS.get().format
    size = abs(float(v))
    e = growth + min(k * fmt.u * (size + growth), cap) + fmt.tiny
    if not math.isfinite(size) or math.isnan(e) or size + e >= fmt.max:
        e = math.inf
    return BoundedScalar(v, e)


def components(array: Array) -> tuple[Array, Array]:
    """Values and bounds of an array of scalars (or of ordinary numbers), both in the wide format."""
    scalars = [
        x if isinstance(x, BoundedScalar) else BoundedScalar.constant(x) for x in np.asarray(array).ravel().tolist()
    ]
    v = np.array([s.v for s in scalars], dtype=Wide).reshape(np.shape(array))
    e = np.array([s.e for s in scalars], dtype=Wide).reshape(np.shape(array))
    return v, e


def _rounded_array(v: Array, spread: Array, sizes: Array, roundings: float) -> Array | BoundedScalar:
    """Scalars from arrays: `roundings` times u of the `sizes` added to the `spread` of the operands."""
    fmt = SETTINGS.get().format
    out = np.empty(np.shape(v), dtype=object)
    flat = [np.ravel(x) for x in (v, spread, sizes)]
    for i, (value, error, size) in enumerate(zip(*flat, strict=True)):
        if math.isinf(value) and error == 0:
            out.flat[i] = BoundedScalar(value)
            continue
        e = float(error + roundings * fmt.u * size) + (roundings * fmt.tiny if roundings > 0 else 0.0)
        out.flat[i] = BoundedScalar(value, e if float(size) + e < fmt.max else math.inf)
    return out[()]
