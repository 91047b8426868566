"""Balls and dual balls as scalars run NumPy code over the reals, with its directional derivative.

Values are python-flint `arb` balls at the precision `flint.ctx.prec`. The derivatives come from the table in
`numbers.elementary`, independent of JAX.
"""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from backprove.harness.frontends.objects.branches import EQUAL, compare, current, possible_orders
from backprove.harness.frontends.objects.scalar import SETTINGS, STEPS, ExactScalar, PlainNumber
from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls.balls import short_dyadic
from backprove.harness.numbers.elementary.powers import square
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.steps import floor

ZERO = arb(0)
"""The tangent of what does not depend on the input, known by identity: it stays zero through every singularity."""


def ball(value: PlainNumber) -> arb:
    """A literal as a ball: exact, or widened where the run says so and it looks rounded."""
    if isinstance(value, int):
        return arb(value)
    number = float(value)
    widen = SETTINGS.get().widen
    exact = arb(number)
    return exact * arb(1, widen) if widen and not short_dyadic(number) else exact


def _power(x: arb, y: arb) -> arb:
    """x**y; integer powers of balls around 0 by multiplication, for which arb's own power has no finite answer."""
    if x.is_exact() or not x.contains(ZERO) or not (y.is_exact() and y.is_integer() and 0 <= y < 1024):
        return bf.power(x, y)
    n = int(float(y))
    result = arb(1)
    for _ in range(n // 2):
        result = result * square(x)
    return result * x if n % 2 else result.nonnegative_part()


def _shifted_exp(a: arb, b: arb) -> tuple[arb, arb, arb]:
    """m, e^(a-m), e^(b-m) with an exact number m near the maximum."""
    m = a.max(b).mid()
    if not m.is_finite():
        m = arb(0)
    return m, (a - m).exp(), (b - m).exp()


class BallScalar(ExactScalar):
    """A real number in a ball `v`."""

    __slots__ = ("v",)

    def __init__(self, v: arb) -> None:
        self.v = v

    def __repr__(self) -> str:
        return f"BallScalar({self.v})"

    @classmethod
    def constant(cls, value: PlainNumber) -> BallScalar:
        return cls(ball(value))

    def _add(self, b: BallScalar) -> BallScalar:
        return BallScalar(self.v + b.v)

    def _sub(self, b: BallScalar) -> BallScalar:
        return BallScalar(self.v - b.v)

    def _mul(self, b: BallScalar) -> BallScalar:
        return BallScalar(square(self.v) if self is b else self.v * b.v)

    def _truediv(self, b: BallScalar) -> BallScalar:
        return BallScalar(self.v / b.v)

    def _pow(self, b: BallScalar) -> BallScalar:
        return BallScalar(_power(self.v, b.v))

    def _floordiv(self, b: BallScalar) -> BallScalar:
        return BallScalar(floor(self.v / b.v))

    def _mod(self, b: BallScalar) -> BallScalar:
        return BallScalar(self.v - b.v * floor(self.v / b.v))

    def fmod(self, b: BallScalar) -> BallScalar:
        return BallScalar(bf.rem(self.v, b.v))

    def __neg__(self) -> BallScalar:
        return BallScalar(-self.v)

    def __abs__(self) -> BallScalar:
        return BallScalar(abs(self.v))

    def elementary(self, row: Elementary) -> BallScalar:
        return BallScalar(row.enclosure(self.v))

    def step(self, row: Elementary) -> BallScalar:
        return BallScalar(row.enclosure(self.v))

    def square(self) -> BallScalar:
        return BallScalar(square(self.v))

    def log2(self) -> BallScalar:
        return BallScalar(self.v.log() / arb.const_log2())

    def log10(self) -> BallScalar:
        return BallScalar(self.v.log() / arb.const_log10())

    def sign(self) -> BallScalar:
        return BallScalar(self.v.sgn())

    def hypot(self, b: BallScalar) -> BallScalar:
        return BallScalar((square(self.v) + square(b.v)).sqrt())

    def arctan2(self, b: BallScalar) -> BallScalar:
        return BallScalar(arb.atan2(self.v, b.v))

    def logaddexp(self, b: BallScalar) -> BallScalar:
        m, ea, eb = _shifted_exp(self.v, b.v)
        return BallScalar(m + (ea + eb).log())

    def maximum(self, b: BallScalar) -> BallScalar:
        return self if self.v >= b.v else b if b.v > self.v else BallScalar(self.v.max(b.v))

    def minimum(self, b: BallScalar) -> BallScalar:
        return self if self.v <= b.v else b if b.v < self.v else BallScalar(self.v.min(b.v))

    def compare(self, relation: str, other: BallScalar) -> bool:
        return compare(relation, self.v, other.v)

    def isnan(self) -> bool:
        return bool(self.v.is_nan())

    def isinf(self) -> bool:
        return bool(self.v.is_exact() and not self.v.is_finite() and not self.v.is_nan())


class DualScalar(ExactScalar):
    """A real number in a ball `v` and its directional derivative in a ball `t` (`ZERO` itself for constants)."""

    __slots__ = ("t", "v")

    def __init__(self, v: arb, t: arb = ZERO) -> None:
        self.v = v
        self.t = t

    def __repr__(self) -> str:
        return f"DualScalar({self.v}, {self.t})"

    @classmethod
    def constant(cls, value: PlainNumber) -> DualScalar:
        return cls(ball(value))

    @property
    def is_constant(self) -> bool:
        return self.t is ZERO

    def _linear(self, v: arb, slope: Callable[[], arb]) -> DualScalar:
        return DualScalar(v) if self.t is ZERO else DualScalar(v, slope() * self.t)

    def _combine(self, b: DualScalar, v: arb, da: Callable[[], arb], db: Callable[[], arb]) -> DualScalar:
        """A function of two numbers with its partial derivatives; those of constants are not asked for."""
        if self.t is ZERO:
            return b._linear(v, db)
        t = da() * self.t
        return DualScalar(v, t if b.t is ZERO else t + db() * b.t)

    def _add(self, b: DualScalar) -> DualScalar:
        t = b.t if self.t is ZERO else self.t if b.t is ZERO else self.t + b.t
        return DualScalar(self.v + b.v, t)

    def _sub(self, b: DualScalar) -> DualScalar:
        return self._add(-b)

    def _mul(self, b: DualScalar) -> DualScalar:
        if self is b:
            return self.square()
        return self._combine(b, self.v * b.v, lambda: b.v, lambda: self.v)

    def _truediv(self, b: DualScalar) -> DualScalar:
        q = self.v / b.v
        return self._combine(b, q, lambda: 1 / b.v, lambda: -q / b.v)

    def _pow(self, b: DualScalar) -> DualScalar:
        base = lambda: b.v * _power(self.v, b.v - 1)  # noqa: E731
        return self._combine(b, _power(self.v, b.v), base, lambda: bf.power_slope_in_exponent(self.v, b.v))

    def _floordiv(self, b: DualScalar) -> DualScalar:
        return self._truediv(b).step(STEPS["floor"])

    def _mod(self, b: DualScalar) -> DualScalar:
        return self - b * (self / b).step(STEPS["floor"])

    def fmod(self, b: DualScalar) -> DualScalar:
        return self - b * (self / b).step(STEPS["trunc"])

    def __neg__(self) -> DualScalar:
        return DualScalar(-self.v, self.t if self.t is ZERO else -self.t)

    def __abs__(self) -> DualScalar:
        if self.v > 0:
            return self
        if self.v < 0:
            return -self
        if not self.is_constant:
            current().touch()
        return self._linear(abs(self.v), lambda: arb(0, 1))

    def elementary(self, row: Elementary) -> DualScalar:
        y, slope = row.enclosure(self.v), row.slope
        assert slope is not None
        return self._linear(y, lambda: slope(self.v, y))

    def step(self, row: Elementary) -> DualScalar:
        """Constant between its jumps; a jump that is, or may be, here is touched and has no slope."""
        y = row.enclosure(self.v)
        if row.kink is not None and row.kink(self.v) and not self.is_constant:
            current().touch()
            return DualScalar(y, arb("nan"))
        return DualScalar(y)

    def square(self) -> DualScalar:
        return self._linear(square(self.v), lambda: 2 * self.v)

    def log2(self) -> DualScalar:
        return self._linear(self.v.log() / arb.const_log2(), lambda: 1 / (self.v * arb.const_log2()))

    def log10(self) -> DualScalar:
        return self._linear(self.v.log() / arb.const_log10(), lambda: 1 / (self.v * arb.const_log10()))

    def sign(self) -> DualScalar:
        if not (self.v > 0 or self.v < 0 or self.is_constant):
            current().touch()
            return DualScalar(self.v.sgn(), arb("nan"))
        return DualScalar(self.v.sgn())

    def hypot(self, b: DualScalar) -> DualScalar:
        r = (square(self.v) + square(b.v)).sqrt()
        return self._combine(b, r, lambda: self.v / r, lambda: b.v / r)

    def arctan2(self, b: DualScalar) -> DualScalar:
        r2 = square(self.v) + square(b.v)
        return self._combine(b, arb.atan2(self.v, b.v), lambda: b.v / r2, lambda: -self.v / r2)

    def logaddexp(self, b: DualScalar) -> DualScalar:
        m, ea, eb = _shifted_exp(self.v, b.v)
        return self._combine(b, m + (ea + eb).log(), lambda: ea / (ea + eb), lambda: eb / (ea + eb))

    def _extremum(self, b: DualScalar, v: arb, order: int) -> DualScalar:
        """The larger (order 1) or smaller (order -1) of two: at a tie the hull of the tangents."""
        if self is b:
            return self
        orders = possible_orders(self.v, b.v)
        if orders == {order}:
            return self
        if orders == {-order}:
            return b
        if self.is_constant and b.is_constant:
            return DualScalar(v)
        same = self.t.is_exact() and b.t.is_exact() and self.t == b.t
        if EQUAL in orders and not same:
            current().touch()
        return DualScalar(v, self.t if same else self.t.union(b.t))

    def maximum(self, b: DualScalar) -> DualScalar:
        return self._extremum(b, self.v.max(b.v), 1)

    def minimum(self, b: DualScalar) -> DualScalar:
        return self._extremum(b, self.v.min(b.v), -1)

    def compare(self, relation: str, other: DualScalar) -> bool:
        if self.is_constant and other.is_constant and possible_orders(self.v, other.v) == {EQUAL}:
            return relation in ("eq", "le", "ge")  # no boundary: neither side moves
        return compare(relation, self.v, other.v)

    def isnan(self) -> bool:
        return bool(self.v.is_nan())

    def isinf(self) -> bool:
        return bool(self.v.is_exact() and not self.v.is_finite() and not self.v.is_nan())
