"""These rules bound the errors of primitives that work entry by entry: arithmetic, comparisons, selection,
conversions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS, is_float
from backprove.harness.numbers import indexing
from backprove.harness.numbers.bounds import truth
from backprove.harness.numbers.bounds.charges import Charging, Format
from backprove.harness.numbers.bounds.truth import Bounded, Codes, Operand, Value, reach
from backprove.harness.numbers.elementary.row import float64
from backprove.harness.programs.program import Equation

Rule = Callable[[Charging, Equation, Sequence[Bounded]], Value | list[Value]]
"""The bounds of what an equation computes; a rule whose operands need not all be real numbers says so."""

NO_DOUBT = np.zeros(1, dtype=bool)


def _format(system: Charging, equation: Equation) -> Format:
    return system.format(equation.outputs[0].dtype)


def _gap(a: Array, b: Array) -> Array:
    """a - b in float64, rounded to nearest, and 0 where both are the same infinity."""
    d = float64(a - b)
    lost = np.isnan(d)
    return np.where(lost & (a == b), 0.0, d) if lost.any() else d


def _weighted(size: Array, e: Array, exact: bool) -> Array | float:
    """`size * e`, skipped where there is no error."""
    return 0.0 if exact else np.asarray(size * e)


# ---------------------------------------------------------------- arithmetic


def add(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    a, b = inputs
    v = a.v - b.v if equation.primitive == "sub" else a.v + b.v
    fmt = _format(system, equation)
    e = a.e + b.e
    out = system.rounded(fmt, v, e, k=fmt.constant("add")[0], cap=np.minimum(reach(a), reach(b)))
    # an exact infinity (a mask) plus a number that cannot overflow is that infinity
    infinite = np.isinf(out.size)
    if np.count_nonzero(infinite):
        infinite &= np.isinf(v) & np.isfinite(e)
        return out.within(np.where(infinite, 0.0, out.e))
    return out


def multiply(system: Charging, fmt: Format, a: Bounded, b: Bounded) -> Bounded:
    e = _weighted(a.size, b.e, b.exact) + _weighted(b.size, a.e, a.exact)
    if not (a.exact or b.exact):
        e += a.e * b.e
    return system.rounded(fmt, a.v * b.v, e, k=fmt.constant("mul")[0])


def divide(system: Charging, fmt: Format, a: Bounded, b: Bounded, k: float) -> Bounded:
    q = a.v / b.v
    quotient = np.abs(float64(q))
    least = b.size if b.exact else b.size - b.e
    e: Array | float = 0.0
    if not (a.exact and b.exact):
        e = (a.e + _weighted(quotient, b.e, b.exact)) / least
    apart = least > 0
    if not apart.all():
        e = np.where(apart, e, np.inf)
    if system.flush:
        # XLA divides by a broadcast number as a * (1 / b), and flushes 1 / b to zero
        flushed = reach(b) >= 1 / fmt.tiny
        if flushed.any():
            e = np.where(flushed, e + quotient, e)
    return system.rounded(fmt, q, e, k=k)


def mul(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    return multiply(system, _format(system, equation), inputs[0], inputs[1])


def div(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    fmt = _format(system, equation)
    return divide(system, fmt, inputs[0], inputs[1], fmt.constant("div")[0])


def neg(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    return Bounded(-inputs[0].v, inputs[0].e, inputs[0].size)


def absolute(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    return Bounded(np.abs(inputs[0].v), inputs[0].e)


def sign(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    x = inputs[0]
    e = np.where((x.size <= x.e) & (x.e > 0), 2.0, 0.0)
    return Bounded(np.sign(x.v), np.where(np.isfinite(x.e), e, np.inf))


def integer_pow(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    """Repeated squaring, the reciprocal last."""
    fmt, base = _format(system, equation), inputs[0]
    n = int(equation.params.get("y", 2))  # `square` has no parameter
    if n == 0:
        return Bounded(np.ones_like(base.v), np.zeros(base.v.shape))
    out: Bounded | None = None
    m = abs(n)
    while m:
        if m & 1:
            out = base if out is None else multiply(system, fmt, out, base)
        m >>= 1
        if m:
            base = multiply(system, fmt, base, base)
    assert out is not None
    if n > 0:
        return out
    one = Bounded(np.ones_like(out.v), np.zeros(out.v.shape))
    return divide(system, fmt, one, out, k=2 * fmt.constant("div")[0])


def power(system: Charging, equation: Equation, inputs: Sequence[Operand]) -> Bounded:
    """|x|^y exp(dz) with dz the error of y log|x|; x = 0 and negative x need an exact (integer) y."""
    fmt = _format(system, equation)
    x, y = inputs
    assert isinstance(x, Bounded)
    if not isinstance(y, Bounded):
        y = Bounded(np.asarray(y).astype(system.wide), np.zeros(np.shape(y)))
    k, kappa = fmt.constant("pow")
    v = np.power(x.v, y.v)
    a = np.abs(x.v)
    logarithm = float64(np.abs(np.log(np.where(a > 0, a, 1))))
    shift = -np.log1p(-np.minimum(x.e / np.where(a > 0, float64(a), 1), 1))
    dz = (float64(np.abs(y.v)) + y.e) * shift + logarithm * (y.e + kappa * fmt.u * float64(np.abs(y.v)))
    e = np.where(dz == 0, 0.0, float64(np.abs(v)) * np.expm1(dz))
    # around 0 the power of the largest |x| bounds all others if y > 0 is exact
    around = (a <= x.e) & (x.e > 0)
    rising = (y.v > 0) & (y.e == 0)
    e = np.where(around, np.where(rising, 2 * float64(np.power(a + x.e, np.maximum(y.v, 0))), np.inf), e)
    whole = (y.e == 0) & (y.v == np.trunc(y.v))
    positive = (x.v > x.e) | ((x.v >= 0) & (x.e == 0))
    e = np.where(whole | positive, e, np.inf)
    e = np.where((a == 0) & (y.e > 0) & (y.v <= y.e), np.inf, e)
    return system.rounded(fmt, v, np.where(np.isfinite(x.e + y.e), e, np.inf), k=k, eta=4.0)


def remainder(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    """a - trunc(a / b) b; where the quotient may be another integer the result may be any remainder."""
    fmt = _format(system, equation)
    a, b = inputs
    v = np.fmod(a.v, b.v)
    q = np.trunc(a.v / b.v)
    d = float64(a.e + np.where(b.e > 0, np.abs(q) * b.e, 0.0))
    size = np.abs(b.v)
    unstable = (d > 0) & (((np.abs(v) <= d) & (q != 0)) | (size - np.abs(v) <= d))
    e = np.where(unstable, float64(2 * (size + b.e)), d)
    return system.rounded(fmt, v, np.where(np.isfinite(a.e) & (size > b.e), e, np.inf), k=fmt.constant("rem")[0])


def atan2(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    """The gradient of the angle is (x, -y)/r^2; across the cut along the negative x axis it jumps by 2 pi."""
    fmt = _format(system, equation)
    y, x = inputs
    k, kappa = fmt.constant("atan2")
    dy, dx = y.e + kappa * fmt.u * float64(np.abs(y.v)), x.e + kappa * fmt.u * float64(np.abs(x.v))
    near = np.hypot(np.maximum(np.abs(x.v) - dx, 0), np.maximum(np.abs(y.v) - dy, 0))
    with_error = (np.abs(x.v) + dx) / near * dy + (np.abs(y.v) + dy) / near * dx
    e = np.where((dy == 0) & (dx == 0), 0.0, float64(np.where(near > 0, with_error / near, 2 * np.pi)))
    # a computed -0 lies on the other side of the cut
    cut = (x.v - x.e < 0) & (np.abs(y.v) <= y.e) & ((y.e > 0) | np.signbit(y.v))
    cut |= (x.v == 0) & (y.v == 0) & (np.signbit(x.v) | np.signbit(y.v))
    e = np.where(cut, 2 * np.pi, np.minimum(e, 2 * np.pi))
    v = np.arctan2(y.v + system.wide(0), x.v + system.wide(0))
    return system.rounded(fmt, v, np.where(np.isfinite(x.e + y.e), e, np.inf), k=k, eta=4.0)


# ---------------------------------------------------------------- comparisons and selection

_COMPARE: dict[str, np.ufunc] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt_to": np.less,
    "le_to": np.less_equal,
}


def compare(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Codes:
    a, b = inputs
    name = equation.primitive
    if equation.inputs[0].slot == equation.inputs[1].slot or a is b:
        return np.full(a.v.shape, name in ("eq", "le", "ge", "le_to"), np.int8)
    decided = _COMPARE[name](a.v, b.v)
    if a.exact and b.exact:
        return truth.encode(decided, NO_DOUBT)
    reachable = a.e + b.e
    doubt = ((np.abs(_gap(a.v, b.v)) <= reachable) & (reachable > 0)) | ~np.isfinite(reachable)
    return truth.encode(decided, doubt)


def pick(a: Bounded, b: Bounded, sign: int) -> Bounded:
    """max (sign 1) or min (-1); where one side surely wins it alone counts."""
    v = (np.maximum if sign > 0 else np.minimum)(a.v, b.v)
    if a.exact and b.exact:
        return Bounded(v, np.zeros(v.shape))
    gap = sign * _gap(a.v, b.v)
    reachable = a.e + b.e
    e = np.where(gap > reachable, a.e, np.where(-gap > reachable, b.e, np.maximum(a.e, b.e)))
    return Bounded(v, e)


def extreme(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    return pick(inputs[0], inputs[1], 1 if equation.primitive == "max" else -1)


def clamp(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    low, x, high = inputs
    return pick(pick(x, low, 1), high, -1)


def select(which: Value, cases: Sequence[Value]) -> Value:
    """Entry by entry `cases[which]`; an undecided truth value takes the nominal case, the others bound its error."""
    which = np.asarray(which)
    logical = which.dtype in (np.bool_, np.int8)
    index = truth.nominal(which) if logical else which
    doubt = truth.undecided(which) if logical else np.zeros(which.shape, bool)
    reals = [c for c in cases if isinstance(c, Bounded)]
    if reals:
        v = _choose(index, [c.v for c in reals])
        e = reals[0].e if all(c.exact for c in reals) else _choose(index, [c.e for c in reals])
        if e.shape != v.shape:
            e = np.broadcast_to(e, v.shape)
        if doubt.any():
            spread = [float64(np.abs(_gap(c.v, v))) + c.e for c in reals]
            hull = np.maximum.reduce([np.where(np.isnan(s), np.inf, s) for s in spread])
            e = np.where(doubt, np.maximum(e, hull), e)
        return Bounded(v, e)
    flags = [c.points for c in cases if isinstance(c, truth.Doubtful)]
    plain = [c.values if isinstance(c, truth.Doubtful) else np.asarray(c) for c in cases]
    if not flags and not doubt.any():
        return _choose(index, plain)
    if not flags and plain[0].dtype in (np.bool_, np.int8):
        return truth.select_truth(index == 1, doubt, plain)
    result: Value = truth.integers(_choose(index, plain), doubt)
    for f in flags:
        result = truth.doubt(result, f, False)
    return result


def _choose(index: Array, cases: Sequence[Array]) -> Array:
    out = cases[0]
    for i, case in enumerate(cases[1:], 1):
        out = np.where(index if index.dtype == np.bool_ else index == i, case, out)
    return out


def is_finite(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Codes:
    x = inputs[0]
    return truth.encode(np.isfinite(x.v), ~np.isfinite(x.e))


# ---------------------------------------------------------------- conversions


def convert(system: Charging, equation: Equation, inputs: Sequence[Value]) -> Value:
    given, wanted, x = equation.inputs[0].dtype, equation.outputs[0].dtype, inputs[0]
    assert not isinstance(x, truth.Doubtful)
    if isinstance(x, Bounded):
        if is_float(wanted):
            kept = system.unit is not None or _contains(wanted, given)
            return x if kept else _narrow(system, equation, x)
        if wanted == "bool":
            return truth.encode(x.v != 0, ((np.abs(x.v) <= x.e) & (x.e > 0)) | ~np.isfinite(x.e))
        low, high = np.trunc(x.v - x.e), np.trunc(x.v + x.e)
        v = np.where(np.isfinite(x.v), x.v, 0)
        with np.errstate(all="ignore"):
            return truth.integers(v.astype(np.dtype(wanted)), (low != high) | ~np.isfinite(x.e))
    if given == "bool":
        plain, doubt = truth.nominal(x), truth.undecided(x)
        if is_float(wanted):
            return Bounded(plain.astype(system.wide), np.where(doubt, 1.0, 0.0))
        return truth.codes(x) if wanted == "bool" else truth.integers(plain.astype(np.dtype(wanted)), doubt)
    if is_float(wanted):
        exact = Bounded(np.asarray(x).astype(system.wide), np.zeros(np.shape(x)))
        fits = np.abs(exact.v) <= 2.0 ** FORMATS[wanted].digits
        return exact if system.unit is not None or fits.all() else _narrow(system, equation, exact)
    return np.asarray(x) != 0 if wanted == "bool" else np.asarray(x).astype(np.dtype(wanted))


def _contains(outer: str, inner: str) -> bool:
    o, i = FORMATS[outer], FORMATS[inner]
    return o.digits >= i.digits and o.max >= i.max and o.tiny <= i.tiny


def _narrow(system: Charging, equation: Equation, x: Bounded) -> Bounded:
    fmt = _format(system, equation)
    out = system.rounded(fmt, x.v, x.e, k=fmt.constant("convert_element_type")[0])
    return Bounded(x.v, np.where(np.isinf(x.v) & np.isfinite(x.e), 0.0, out.e))


def reduce_precision(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    """Rounding to a format given by its number of bits, charged like a conversion."""
    x = inputs[0]
    fmt = _format(system, equation)
    digits = int(equation.params["mantissa_bits"]) + 1
    exponent = int(equation.params["exponent_bits"])
    own = FORMATS[equation.outputs[0].dtype]
    if system.unit is not None or (digits >= own.digits and 2.0 ** (2 ** (exponent - 1) - 1) * 2 > own.max):
        return x
    k = 2.0**-digits / fmt.u
    k = min(k, max(1.0, system.narrows_to / fmt.u))
    top = np.where(reach(x) >= 2.0 ** (2 ** (exponent - 1) - 1) * 1.99, np.inf, 0.0)
    tiny = 2.0 ** (2 - 2 ** (exponent - 1))
    return system.rounded(fmt, x.v, x.e, k=k, top=top, eta=max(1.0, tiny / fmt.tiny))


def identity(system: Charging, equation: Equation, inputs: Sequence[Operand]) -> Operand:
    return inputs[0]


def iota(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    values = np.asarray(indexing.iota(equation)).astype(np.float64).astype(system.wide)
    return Bounded(values, np.zeros(values.shape))


ELEMENTWISE: dict[str, Rule] = {
    "add": add,
    "add_any": add,
    "sub": add,
    "mul": mul,
    "div": div,
    "neg": neg,
    "abs": absolute,
    "sign": sign,
    "square": integer_pow,
    "integer_pow": integer_pow,
    "pow": power,
    "rem": remainder,
    "atan2": atan2,
    **dict.fromkeys(_COMPARE, compare),
    "max": extreme,
    "min": extreme,
    "clamp": clamp,
    "is_finite": is_finite,
    "convert_element_type": convert,
    "reduce_precision": reduce_precision,
    "stop_gradient": identity,
    "iota": iota,
}
