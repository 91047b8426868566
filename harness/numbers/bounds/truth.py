"""Truth values and integers that may depend on rounding are carried beside the running error bound.

A truth value is an int8 array: 0 False, 1 True, 2 undecided with nominal value False, 4 undecided with nominal value
True. Nominal is what the real-arithmetic program decides; undecided means that rounding may decide otherwise.
Boolean arrays are decided truth values. Integers are plain arrays while they are certain, else `Doubtful`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array

Flags = NDArray[np.bool_]

Codes = NDArray[np.int8]
"""Truth values with their doubts, see above."""

Truth = Flags | Codes

SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)


class Bounded:
    """A real value and how far a floating-point evaluation may be from it; not to be changed.

    Attributes:
        v: value of the real-arithmetic program, in a wide format; shape of the `Var` + points.
        e: float64, same shape: |float program's value - v| <= e; infinite where nothing is claimed.
    """

    # some of the most numerous objects of a run, so that dataclass and cached_property cost too much
    __slots__ = ("_exact", "_size", "e", "v")

    def __init__(self, v: Array, e: NDArray[np.float64], size: NDArray[np.float64] | None = None) -> None:
        self.v, self.e = v, e
        self._size = size
        self._exact: bool | None = None

    @property
    def size(self) -> NDArray[np.float64]:
        """|v| in float64, in which bounds are computed: infinite beyond its range, and no zero unless v is one."""
        if self._size is None:
            self._size = self._rounded_size()
        return self._size

    def _rounded_size(self) -> NDArray[np.float64]:
        if self.v.dtype == np.float64:
            return np.abs(self.v)
        with np.errstate(over="ignore"):
            a = np.abs(self.v.astype(np.float64))
        vanished = a < SMALLEST_NORMAL
        if np.count_nonzero(vanished):
            a[vanished & (self.v != 0)] = SMALLEST_NORMAL
        return a

    def within(self, e: NDArray[np.float64]) -> Bounded:
        """The same value with another bound."""
        return Bounded(self.v, e if e.shape == self.v.shape else np.broadcast_to(e, self.v.shape), self.size)

    @property
    def exact(self) -> bool:
        """Whether no entry can be off."""
        if self._exact is None:
            self._exact = not np.count_nonzero(self.e)
        return self._exact


def reach(x: Bounded) -> NDArray[np.float64]:
    """Largest absolute value that the float program may have, in float64."""
    return x.size if x.exact else np.asarray(x.size + x.e)


@dataclass(frozen=True)
class Doubtful:
    """Integers that may differ at some points because a comparison there is undecided.

    Attributes:
        values: the nominal integers, shape + points.
        points: one flag per point (or one for all): some integer may be another one.
    """

    values: Array
    points: Flags


Value = Bounded | Doubtful | Array
"""What a program's variable holds: a real number, integers in doubt, else certain integers or truth values."""

Operand = Bounded | Array
"""What a rule is given: `Running.apply` sets the doubts of integers aside."""


def codes(truth: Truth) -> Codes:
    """A truth value as codes."""
    return np.asarray(truth).astype(np.int8)


def nominal(truth: Truth) -> Flags:
    """What the real-arithmetic program decides."""
    t: Array = np.asarray(truth)
    return t if t.dtype == np.bool_ else np.asarray((t == 1) | (t == 4))


def undecided(truth: Truth) -> Flags:
    """Where rounding may decide otherwise."""
    t: Array = np.asarray(truth)
    return np.zeros(t.shape, bool) if t.dtype == np.bool_ else np.asarray(t >= 2)


def encode(value: Flags, doubt: Flags) -> Codes:
    """Codes from nominal values and flags of doubt."""
    plain = np.asarray(value).astype(np.int8)
    doubt = np.asarray(doubt)
    if not doubt.any():
        shape = np.broadcast_shapes(plain.shape, doubt.shape)
        return plain if plain.shape == shape else np.broadcast_to(plain, shape)
    return np.where(doubt, 2 + 2 * plain, plain)


def negate(a: Truth) -> Codes:
    return encode(~nominal(a), undecided(a))


def conjunction(a: Truth, b: Truth) -> Codes:
    """And; a decided False on either side decides."""
    settled = (codes(a) == 0) | (codes(b) == 0)
    return encode(nominal(a) & nominal(b), (undecided(a) | undecided(b)) & ~settled)


def disjunction(a: Truth, b: Truth) -> Codes:
    """Or; a decided True on either side decides."""
    return negate(conjunction(negate(a), negate(b)))


def exclusive(a: Truth, b: Truth) -> Codes:
    return encode(nominal(a) ^ nominal(b), undecided(a) | undecided(b))


def logic(primitive: str, inputs: Sequence[Truth], axes: Sequence[int] = ()) -> Codes | None:
    """A primitive on truth values, None where it is none of the logical ones."""
    match primitive:
        case "not":
            return negate(inputs[0])
        case "and" | "mul" | "min":
            return conjunction(*inputs)
        case "or" | "add" | "max":
            return disjunction(*inputs)
        case "xor" | "ne":
            return exclusive(*inputs)
        case "eq":
            return negate(exclusive(*inputs))
        case "reduce_and" | "reduce_min":
            return negate(_any(negate(inputs[0]), tuple(axes)))
        case "reduce_or" | "reduce_max":
            return _any(codes(inputs[0]), tuple(axes))
    return None


def _any(truth: Codes, axes: tuple[int, ...]) -> Codes:
    settled = np.any(truth == 1, axis=axes)
    return encode(np.any(nominal(truth), axis=axes), np.any(undecided(truth), axis=axes) & ~settled)


def at_points(flags: Flags) -> Flags:
    """One flag per point: any of the entries is flagged."""
    return np.asarray(np.any(flags, axis=tuple(range(flags.ndim - 1))))


def doubt(value: Value, points: Flags, is_truth: bool) -> Value:
    """`value` with nothing claimed at the flagged points."""
    if isinstance(value, Bounded):
        shape = np.broadcast_shapes(value.v.shape, points.shape)
        e = np.where(points, np.inf, value.e)
        return Bounded(np.broadcast_to(value.v, shape), np.broadcast_to(e, shape))
    if isinstance(value, Doubtful):
        return Doubtful(value.values, value.points | points)
    if is_truth:
        return encode(nominal(value), undecided(value) | points)
    return Doubtful(value, points)


def integers(values: Array, flags: Flags) -> Array | Doubtful:
    """Integers with entry-by-entry flags of doubt: plain where there is none."""
    points = at_points(np.broadcast_to(flags, np.broadcast_shapes(values.shape, flags.shape)))
    return Doubtful(values, points) if points.any() else values


def select_truth(which: Flags, doubt_which: Flags, cases: Sequence[Truth]) -> Codes:
    """A select between two truth values; equal decided cases make the predicate irrelevant."""
    no, yes = codes(cases[0]), codes(cases[1])
    chosen = np.where(which, yes, no)
    unsure = doubt_which & ~((yes == no) & ~undecided(yes))
    return encode(nominal(chosen), undecided(chosen) | unsure)
