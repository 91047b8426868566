"""Balls: rigorous enclosures over the reals (python-flint `arb`), at the precision `flint.ctx.prec`.

A value is an object array of `arb`. A truth value is an int8 array: bits 0-1 hold False (0), True (1) or undecided (2);
bit 2 (TOUCH) marks a decided comparison of two different quantities that are exactly equal, so that the other
outcome is arbitrarily near. A select on an undecided truth value returns the hull of both branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS, is_float
from backprove.harness.program import Equation, Var
from backprove.harness.systems import ball_functions as bf
from backprove.harness.systems import structural
from backprove.harness.systems.base import System

Array = NDArray[Any]

UNDECIDED, TOUCH = 2, 4


def lift(values: Array) -> Array:
    """Floats or integers as exact balls, same shape."""
    out = np.empty(np.shape(values), dtype=object)
    flat = np.asarray(values).ravel()
    cast: Callable[[Any], Any] = int if flat.dtype.kind in "iub" else float
    out.ravel()[:] = [arb(cast(v)) for v in flat.tolist()] if flat.size else []
    return out


def zeros(shape: tuple[int, ...]) -> Array:
    out = np.empty(shape, dtype=object)
    out.fill(bf.ZERO)
    return out


def pointwise(function: Callable[..., Any], *arrays: Array) -> Array:
    """`function` entry by entry with broadcasting; always an object array."""
    out = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return out if isinstance(out, np.ndarray) else np.asarray(out, dtype=object)


def short_dyadic(value: float, bits: int = 12) -> bool:
    """At most `bits` significant bits: taken for exactly what the author meant, not for a rounded constant."""
    if value == 0 or not np.isfinite(value):
        return True
    m, _ = np.frexp(value)
    return float(m * 2**bits).is_integer()


def exact_bits(dtype: str) -> int:
    """How many significant bits a literal may have and still be meant exactly: 12, in short formats half of them all."""
    return min(12, FORMATS[dtype].digits // 2)


def _compare(name: str, a: arb, b: arb) -> int:
    equal = a.is_exact() and b.is_exact() and a == b
    if equal:
        return TOUCH | (name in ("eq", "le", "ge"))
    if name in ("lt", "le"):
        return 1 if a < b else 0 if a > b else UNDECIDED
    if name in ("gt", "ge"):
        return 1 if a > b else 0 if a < b else UNDECIDED
    if not a.overlaps(b):
        return 1 if name == "ne" else 0
    return UNDECIDED


def truth_not(a: Array) -> Array:
    t = a & 3
    return np.where(t == UNDECIDED, UNDECIDED, (1 - t) | (a & TOUCH)).astype(np.int8)


def truth_and(a: Array, b: Array) -> Array:
    """Three-valued and; a clear False wins, a touched operand that matters marks the result."""
    ta, tb = a & 3, b & 3
    clear_false = ((ta == 0) & (a < TOUCH)) | ((tb == 0) & (b < TOUCH))
    value = np.where((ta == 0) | (tb == 0), 0, np.where((ta == 1) & (tb == 1), 1, UNDECIDED))
    touched = ((a | b) & TOUCH) * (value != UNDECIDED)
    return np.where(clear_false, 0, value | touched).astype(np.int8)


class Balls(System):
    """Interpreter of a program over balls.

    Args:
        widen: relative radius given to literals that are not short dyadics (0: literals are exact). A refusal that
            does not survive widening by the dtype's unit roundoff is only a rounded constant.
        narrow: dtype conversions between float formats are the identity over the reals.
    """

    name = "balls"
    watches_kinks = False
    """Whether comparisons of equal quantities are marked; a rule's own value at a point does not need it."""

    def __init__(self, widen: float = 0.0) -> None:
        self.widen = widen

    def constant(self, value: Array, var: Var) -> Any:
        value = np.asarray(value)[..., None]
        if is_float(var.dtype):
            return self.real_constant(value.astype(np.float64), exact_bits(var.dtype))
        return value.astype(np.int8) if value.dtype == bool else value

    def real_constant(self, value: Array, bits: int) -> Any:
        out = lift(value)
        if self.widen:
            flat = out.ravel()
            for i, v in enumerate(np.ravel(value).tolist()):
                if not short_dyadic(v, bits):
                    flat[i] = flat[i] * arb(1, self.widen)
        return out

    def map(self, function: Callable[..., Array], *values: Any) -> Any:
        return function(*values)

    def hull(self, a: arb, b: arb) -> arb:
        return a.union(b)

    def select(self, which: Any, cases: Sequence[Any]) -> Any:
        which = np.asarray(which)
        if which.dtype == np.int8 or which.dtype == bool:
            return self._select_truth(which.astype(np.int8), cases[0], cases[1])
        return _choose(which, cases)

    def _select_truth(self, which: Array, no: Array, yes: Array) -> Array:
        w = _expand(which, no)
        if no.dtype != object:
            if np.any(w & 3 == UNDECIDED):
                raise Undecided("an integer depends on a comparison that is not decided")
            return np.where(w & 3 == 1, yes, no)
        w, no, yes = np.broadcast_arrays(w, no, yes)
        out = np.where(w & 3 == 1, yes, no)
        for i in np.flatnonzero(w.ravel() & 3 == UNDECIDED):
            out.ravel()[i] = self.hull(no.ravel()[i], yes.ravel()[i])
        return out

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        name = equation.primitive
        if is_float(equation.outputs[0].dtype):
            if name in bf.SMOOTH:
                return [pointwise(bf.SMOOTH[name].value, inputs[0])]
            if name in bf.PIECEWISE:
                return [pointwise(bf.PIECEWISE[name], inputs[0])]
            if name in bf.BINARY:
                return [pointwise(bf.BINARY[name], inputs[0], inputs[1])]
        if name in ("lt", "le", "gt", "ge", "eq", "ne") and is_float(equation.inputs[0].dtype):
            return [self.compare(name, inputs[0], inputs[1], same=equation.inputs[0].slot == equation.inputs[1].slot)]
        if name in structural.INTEGER and not is_float(equation.outputs[0].dtype):
            inputs = [self.certain(i) if v.dtype == "bool" else i for i, v in zip(inputs, equation.inputs, strict=True)]
        return super().apply(equation, inputs)

    def certain(self, truth: Any) -> Any:
        """Truth values on their way to integers: they must be decided."""
        if isinstance(truth, np.ndarray) and np.any(truth & 3 == UNDECIDED):
            raise Undecided("an integer depends on a comparison that is not decided")
        return truth

    def compare(self, name: str, a: Array, b: Array, *, same: bool) -> Array:
        if same:
            return np.full(a.shape, name in ("eq", "le", "ge"), dtype=np.int8)
        told = pointwise(lambda x, y: _compare(name, x, y), a, b).astype(np.int8)
        return told if self.watches_kinks else np.where(told & TOUCH, told & 1, told)

    def p_integer_pow(self, e: Equation, ins: Sequence[Any]) -> Any:
        n = e.params["y"]
        return pointwise(lambda x: bf.integer_pow(x, n), ins[0])

    def p_round(self, e: Equation, ins: Sequence[Any]) -> Any:
        to_even = int(e.params["rounding_method"]) == 1
        return pointwise(bf.round_half_even if to_even else bf.round_half_away, ins[0])

    def p_clamp(self, e: Equation, ins: Sequence[Any]) -> Any:
        return pointwise(bf.minimum, pointwise(bf.maximum, ins[1], ins[0]), ins[2])

    def p_stop_gradient(self, e: Equation, ins: Sequence[Any]) -> Any:
        return ins[0]

    def p_reduce_precision(self, e: Equation, ins: Sequence[Any]) -> Any:
        return ins[0]

    def p_is_finite(self, e: Equation, ins: Sequence[Any]) -> Any:
        return np.ones(np.shape(ins[0]), dtype=np.int8)

    def p_iota(self, e: Equation, ins: Sequence[Any]) -> Any:
        out = structural.iota(e)
        return lift(out) if is_float(e.outputs[0].dtype) else out

    def p_convert_element_type(self, e: Equation, ins: Sequence[Any]) -> Any:
        x = np.asarray(ins[0])
        if is_float(e.inputs[0].dtype):
            if is_float(e.outputs[0].dtype):
                return x
            if e.outputs[0].dtype == "bool":
                return self.compare("ne", x, lift(np.zeros((1,))), same=False)
            whole = pointwise(bf.trunc, x)
            if not all(v.is_exact() for v in whole.ravel()):
                raise Undecided("a conversion to an integer is not decided")
            return np.vectorize(lambda v: int(v.unique_fmpz()), otypes=[np.int64])(whole)
        if x.dtype == np.int8 and e.inputs[0].dtype == "bool":
            return self.from_truth(x)
        return lift(x)

    def from_truth(self, x: Array) -> Any:
        return pointwise(lambda t: arb(0.5, 0.5) if t & 3 == UNDECIDED else arb(int(t) & 1), x)

    def p_and(self, e: Equation, ins: Sequence[Any]) -> Any:
        return truth_and(*(np.asarray(i).astype(np.int8) for i in ins))

    def p_not(self, e: Equation, ins: Sequence[Any]) -> Any:
        return truth_not(np.asarray(ins[0]).astype(np.int8))

    def p_or(self, e: Equation, ins: Sequence[Any]) -> Any:
        a, b = (truth_not(np.asarray(i).astype(np.int8)) for i in ins)
        return truth_not(truth_and(a, b))

    # -- reductions ------------------------------------------------------------------------------------------------

    def fold(self, combine: Callable[[Any, Any], Any], x: Any, axes: Sequence[int], start: arb | None) -> Any:
        """Reduce `axes` with `combine` (on values of the system), from the first entry on; `start` for empty axes."""
        parts = self.entries(x, axes)
        if not parts:
            shape = tuple(n for i, n in enumerate(np.shape(x)) if i not in axes)
            out = np.empty(shape, dtype=object)
            out.fill(start if start is not None else arb("nan"))
            return out
        acc = parts[0]
        for part in parts[1:]:
            acc = combine(acc, part)
        return acc

    def entries(self, x: Any, axes: Sequence[int]) -> list[Any]:
        """The slices of `x` along `axes`, in row-major order, each without those axes."""
        shape = np.shape(x)
        picks = list(np.ndindex(*(shape[a] for a in axes)))

        def take(a: Array, pick: tuple[int, ...]) -> Array:
            index: list[Any] = [slice(None)] * a.ndim
            for axis, i in zip(axes, pick, strict=True):
                index[axis] = i
            return np.asarray(a[tuple(index)], dtype=a.dtype)

        return [self.map(lambda a, p=p: take(a, p), x) for p in picks]

    def p_reduce_sum(self, e: Equation, ins: Sequence[Any]) -> Any:
        x, axes = ins[0], tuple(e.params["axes"])
        return _sum(x, axes)

    def p_reduce_prod(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: pointwise(lambda p, q: p * q, a, b), ins[0], e.params["axes"], bf.ONE)

    def p_reduce_max(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: pointwise(bf.maximum, a, b), ins[0], e.params["axes"], arb("-inf"))

    def p_reduce_min(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: pointwise(bf.minimum, a, b), ins[0], e.params["axes"], arb("inf"))

    def p_reduce_and(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._reduce_truth(ins[0], e.params["axes"], truth_and, 1)

    def p_reduce_or(self, e: Equation, ins: Sequence[Any]) -> Any:
        return truth_not(self._reduce_truth(truth_not(ins[0].astype(np.int8)), e.params["axes"], truth_and, 1))

    def _reduce_truth(self, x: Array, axes: Sequence[int], combine: Callable[[Array, Array], Array], start: int) -> Array:
        acc = np.full(tuple(n for i, n in enumerate(x.shape) if i not in axes), start, dtype=np.int8)
        for part in self.entries(x.astype(np.int8), axes):
            acc = combine(acc, part)
        return acc

    def scan_axis(self, combine: Callable[[Any, Any], Any], x: Any, axis: int, reverse: bool) -> Any:
        """Running reduction along one axis."""
        parts = self.entries(x, (axis,))
        if reverse:
            parts.reverse()
        for i in range(1, len(parts)):
            parts[i] = combine(parts[i - 1], parts[i])
        if reverse:
            parts.reverse()
        return self.map(lambda *a: np.stack(a, axis=axis), *parts) if parts else x

    def p_cumsum(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._scan("add", e, ins)

    def p_cumprod(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._scan("mul", e, ins)

    def p_cummax(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._scan("max", e, ins)

    def p_cummin(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._scan("min", e, ins)

    def p_cumlogsumexp(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._scan("logaddexp", e, ins)

    def _scan(self, name: str, e: Equation, ins: Sequence[Any]) -> Any:
        return self.scan_axis(lambda a, b: self.combine(name, a, b), ins[0], e.params["axis"], e.params["reverse"])

    def combine(self, name: str, a: Any, b: Any) -> Any:
        if name == "logaddexp":
            return pointwise(lambda p, q: bf.maximum(p, q) + (-abs(p - q)).exp().log1p(), a, b)
        return pointwise(bf.BINARY[name], a, b)

    def p_argmax(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._arg(e, ins[0], "gt")

    def p_argmin(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self._arg(e, ins[0], "lt")

    def _arg(self, e: Equation, x: Array, better: str) -> Array:
        (axis,) = e.params["axes"]
        parts = self.entries(x, (axis,))
        best, index = parts[0], np.zeros(parts[0].shape, dtype=np.int64)
        for i, part in enumerate(parts[1:], start=1):
            w = self.compare(better, part, best, same=False) & 3
            if np.any(w == UNDECIDED):
                raise Undecided("which entry is the largest is not decided")
            best, index = np.where(w == 1, part, best), np.where(w == 1, i, index)
        return index

    def p_dot_general(self, e: Equation, ins: Sequence[Any]) -> Any:
        return dot_general(ins[0], ins[1], e.params["dimension_numbers"])

    def p_scatter_add(self, e: Equation, ins: Sequence[Any]) -> Any:
        operand, indices, updates = ins
        return scatter_add(operand, updates, structural.scatter_positions(e, [np.asarray(indices)]))

    def p_sort(self, e: Equation, ins: Sequence[Any]) -> Any:
        order = self.sort_order(e, ins)
        axis = e.params["dimension"]
        return [self.map(lambda a: np.take_along_axis(_widen(a, order), order, axis), x) for x in ins]

    def sort_order(self, e: Equation, ins: Sequence[Any]) -> Array:
        """Indices that sort the first operand along the axis (stable); raises Undecided where balls overlap."""
        if e.params["num_keys"] != 1:
            raise Undecided("a sort by several keys is not decided in balls")
        keys = ins[0]
        axis = e.params["dimension"]
        moved = np.moveaxis(np.asarray(keys), axis, -1)
        order = np.empty(moved.shape, dtype=np.int64)
        for i in np.ndindex(moved.shape[:-1]):
            order[i] = _order(list(moved[i]))
        return np.moveaxis(order, -1, axis)


class Undecided(Exception):
    """The balls are too wide (or the branch too near) for a discrete choice at this precision."""


def _order(keys: list[Any]) -> list[int]:
    order = sorted(range(len(keys)), key=lambda i: _Mid(keys[i]))
    for i, j in zip(order, order[1:], strict=False):
        a, b = keys[i], keys[j]
        if isinstance(a, arb) and not (a < b or (a.is_exact() and b.is_exact())):
            raise Undecided("the order of two entries is not decided")
    return order


class _Mid:
    __slots__ = ("m",)

    def __init__(self, x: Any) -> None:
        self.m = x.mid() if isinstance(x, arb) else x

    def __lt__(self, other: _Mid) -> bool:
        return bool(self.m < other.m)


def _sum(x: Array, axes: tuple[int, ...]) -> Array:
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    if x.size == 0:
        return zeros(shape)
    out = np.sum(x, axis=axes)
    return out if isinstance(out, np.ndarray) else np.asarray(out, dtype=object)


def _widen(a: Array, like: Array) -> Array:
    return np.broadcast_to(a, (*a.shape[:-1], max(a.shape[-1], like.shape[-1])))


def _expand(which: Array, like: Array) -> Array:
    """A scalar predicate (points axis only) against cases of any rank."""
    return which.reshape((1,) * (like.ndim - 1) + which.shape[-1:]) if which.ndim == 1 and like.ndim > 1 else which


def _choose(which: Array, cases: Sequence[Array]) -> Array:
    out = cases[0]
    for k, case in enumerate(cases[1:], start=1):
        out = np.where(_expand(which, case) == k, case, out)
    return out


def dot_general(a: Array, b: Array, dimension_numbers: Any) -> Array:
    """`dot_general` on object arrays with a trailing points axis."""
    (ca, cb), (ba, bb) = dimension_numbers
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    la: list[str] = [""] * (a.ndim - 1)
    lb: list[str] = [""] * (b.ndim - 1)
    for i, j in [*zip(ba, bb, strict=True), *zip(ca, cb, strict=True)]:
        la[i] = lb[j] = next(letters)
    batch = [la[i] for i in ba]
    free = []
    for labels in (la, lb):
        for i, label in enumerate(labels):
            if not label:
                labels[i] = next(letters)
                free.append(labels[i])
    shape = tuple(dict(zip([*la, *lb], [*a.shape[:-1], *b.shape[:-1]], strict=True))[c] for c in [*batch, *free])
    if a.size == 0 or b.size == 0:
        return zeros((*shape, max(a.shape[-1], b.shape[-1])))
    spec = f"{''.join(la)}...,{''.join(lb)}...->{''.join(batch)}{''.join(free)}..."
    return np.asarray(np.einsum(spec, a, b), dtype=object)


def scatter_add(operand: Array, updates: Array, positions: Array) -> Array:
    """`operand` with `updates` added at flat `positions` (-1: dropped), point by point."""
    points = max(operand.shape[-1], updates.shape[-1], positions.shape[-1])
    out = np.array(np.broadcast_to(operand, (*operand.shape[:-1], points))).reshape(-1, points)
    u = np.broadcast_to(updates, (*updates.shape[:-1], points)).reshape(-1, points)
    where = np.broadcast_to(positions, (*positions.shape[:-1], points)).reshape(-1, points)
    for k in range(u.shape[0]):
        for p in range(points):
            if where[k, p] >= 0:
                out[where[k, p], p] = out[where[k, p], p] + u[k, p]
    return out.reshape((*operand.shape[:-1], points))
