"""Dual balls: value and directional derivative over the reals, independent of JAX's differentiation.

A value is `Dual(v, t)`: object arrays of `arb` of equal shape; `t is None` where the derivative is identically zero.
`touched` collects, point by point, whether a branch was met whose two sides have different derivatives (a kink, a tie,
or an undecided comparison): there the tangent is a hull at best, and the kink oracle takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from backprove.harness.dtypes import is_float
from backprove.harness.program import Equation
from backprove.harness.systems import ball_functions as bf
from backprove.harness.systems import structural
from backprove.harness.systems.balls import (
    TOUCH,
    UNDECIDED,
    Balls,
    _expand,
    _sum,
    _widen,
    dot_general,
    pointwise,
    scatter_add,
    zeros,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Dual:
    """Value and tangent; `t is None` means identically zero."""

    v: Array
    t: Array | None = None

    @property
    def tangent(self) -> Array:
        return zeros(self.v.shape) if self.t is None else np.broadcast_to(self.t, self.v.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.v.shape

    @property
    def dtype(self) -> Any:
        return self.v.dtype


def _same(a: arb, b: arb) -> bool:
    return bool(a.is_exact() and b.is_exact() and a == b)


def _agree(a: arb, b: arb) -> bool:
    """Equal as far as the exact layer resolves anything (2**-90 relative): no kink, and their hull is narrow."""
    if _same(a, b):
        return True
    if not (a.overlaps(b) and a.is_finite() and b.is_finite()):
        return False
    return bool(a.union(b).rad() <= (abs(a) + abs(b)).abs_lower() * arb(2) ** -90)


class DualBalls(Balls):
    """Interpreter of a program over dual balls; see the module's text. One instance serves one evaluation."""

    name = "dual balls"
    watches_kinks = True

    def __init__(self, points: int, widen: float = 0.0, still: frozenset[int] = frozenset()) -> None:
        super().__init__(widen)
        self.still = still
        """Equations (by identity) whose tangents no output needs: they cannot be kinks."""
        self.touched = np.zeros(points, dtype=bool)

    def real_constant(self, value: Array, bits: int) -> Any:
        return Dual(super().real_constant(value, bits))

    def map(self, function: Callable[..., Array], *values: Any) -> Any:
        duals = [x for x in values if isinstance(x, Dual)]
        if not duals:
            return function(*values)
        v = function(*(x.v if isinstance(x, Dual) else x for x in values))
        if all(x.t is None for x in duals):
            return Dual(v)
        return Dual(v, function(*(x.tangent if isinstance(x, Dual) else x for x in values)))

    def touch(self, where: Array) -> None:
        """Mark the points (last axis of `where`) at which something is True."""
        per_point = where.reshape(-1, where.shape[-1]).any(axis=0)
        self.touched |= np.broadcast_to(per_point, self.touched.shape)

    def _select_truth(self, which: Array, no: Any, yes: Any) -> Any:
        if not isinstance(no, Dual):
            if np.any(which & TOUCH):
                self.touch((which & TOUCH) > 0)
            return super()._select_truth(which, no, yes)
        near = _expand(which, no.v) >= UNDECIDED
        v = super()._select_truth(which, no.v, yes.v)
        if no.t is None and yes.t is None:
            self._touch_if_values_differ(near, no.v, yes.v)
            return Dual(v)
        if np.any(near):
            near, a, b = np.broadcast_arrays(near, no.tangent, yes.tangent)
            differ = np.zeros(near.shape, dtype=bool)
            for i in np.flatnonzero(near.ravel()):
                differ.ravel()[i] = not _agree(a.ravel()[i], b.ravel()[i])
            self.touch(differ)
            self._touch_if_values_differ(near, no.v, yes.v)
        return Dual(v, super()._select_truth(which, no.tangent, yes.tangent))

    def _touch_if_values_differ(self, near: Array, no: Array, yes: Array) -> None:
        """A jump (values differ across the branch) is as much a kink as differing slopes."""
        if not np.any(near):
            return
        near, a, b = np.broadcast_arrays(near, no, yes)
        differ = np.zeros(near.shape, dtype=bool)
        for i in np.flatnonzero(near.ravel()):
            differ.ravel()[i] = not a.ravel()[i].overlaps(b.ravel()[i])
        self.touch(differ)

    def certain(self, truth: Any) -> Any:
        truth = super().certain(truth)
        if isinstance(truth, np.ndarray) and truth.dtype == np.int8:
            self.touch(truth >= TOUCH)
            return truth & 3
        return truth

    def compare(self, name: str, a: Any, b: Any, *, same: bool) -> Array:
        return super().compare(name, a.v, b.v, same=same)

    def from_truth(self, x: Array) -> Any:
        self.touch(x >= UNDECIDED)
        return Dual(super().from_truth(x))

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        name = equation.primitive
        if id(equation) in self.still:
            inputs = [Dual(i.v) if isinstance(i, Dual) else i for i in inputs]
        x = inputs[0] if inputs else None
        if isinstance(x, Dual) and is_float(equation.outputs[0].dtype):
            if name in bf.SMOOTH:
                f = bf.SMOOTH[name]
                y = pointwise(f.value, x.v)
                return [Dual(y, None if x.t is None else pointwise(lambda v, w, t: f.slope(v, w) * t, x.v, y, x.t))]
            if name in bf.PIECEWISE:
                return [self._piecewise(name, x)]
            if name in bf.BINARY:
                return [self.binary(name, x, inputs[1])]
        return super().apply(equation, inputs)

    def _piecewise(self, name: str, x: Dual) -> Dual:
        y = pointwise(bf.PIECEWISE[name], x.v)
        if x.t is None:
            return Dual(y)
        if name in ("abs", "sign"):
            near = pointwise(lambda a: not (a > 0 or a < 0), x.v).astype(bool)
        else:
            near = pointwise(lambda a: bool(a.contains_integer()), x.v).astype(bool)
        moving = pointwise(lambda t: not t.is_zero(), np.broadcast_to(x.t, x.v.shape)).astype(bool)
        self.touch(near & moving)
        if name != "abs":
            return Dual(y)
        return Dual(y, pointwise(lambda a, t: bf.sign(a) * t if a > 0 or a < 0 else arb(0, 1) * t, x.v, x.tangent))

    def binary(self, name: str, a: Dual, b: Dual) -> Dual:
        """Value and tangent of a function of two variables."""
        y = pointwise(bf.BINARY[name], a.v, b.v)
        if a.t is None and b.t is None:
            return Dual(y)
        if name in ("max", "min"):
            return Dual(y, self._extremum_tangent(name, a, b))
        terms = []
        if a.t is not None:
            terms.append(_term(_SLOPE_A[name], a.v, b.v, y, a.t))
        if b.t is not None:
            terms.append(_term(_SLOPE_B[name], a.v, b.v, y, b.t))
        if name == "rem" and b.t is not None:
            whole = pointwise(lambda p, q: bool((p / q).contains_integer()) and not p.is_zero(), a.v, b.v)
            self.touch(whole.astype(bool))
        t = terms[0] if len(terms) == 1 else pointwise(lambda p, q: p + q, *terms)
        return Dual(y, np.broadcast_to(t, y.shape))

    def _extremum_tangent(self, name: str, a: Dual, b: Dual) -> Array:
        av, bv, at, bt = np.broadcast_arrays(a.v, b.v, a.tangent, b.tangent)
        near = np.zeros(av.shape, dtype=bool)
        out = np.empty(av.shape, dtype=object)
        for i in range(av.size):
            p, q, s, t = av.flat[i], bv.flat[i], at.flat[i], bt.flat[i]
            first = p > q if name == "max" else p < q
            second = q > p if name == "max" else q < p
            if first or second:
                out.flat[i] = t if second else s
            else:
                out.flat[i] = s if _same(s, t) else s.union(t)
                near.flat[i] = not _agree(s, t)
        self.touch(near)
        return out

    # -- primitives with their own rule -----------------------------------------------------------------------------

    def p_integer_pow(self, e: Equation, ins: Sequence[Any]) -> Any:
        n, x = e.params["y"], ins[0]
        y = super().p_integer_pow(e, [x.v])
        if x.t is None or n == 0:
            return Dual(y)
        return Dual(y, pointwise(lambda v, t: n * bf.integer_pow(v, n - 1) * t, x.v, x.t))

    def p_round(self, e: Equation, ins: Sequence[Any]) -> Any:
        y = super().p_round(e, [ins[0].v])
        if ins[0].t is not None:
            self.touch(pointwise(lambda a: bool((a - bf.HALF).contains_integer()), ins[0].v).astype(bool))
        return Dual(y)

    def p_clamp(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.binary("min", self.binary("max", ins[1], ins[0]), ins[2])

    def p_stop_gradient(self, e: Equation, ins: Sequence[Any]) -> Any:
        return Dual(ins[0].v) if isinstance(ins[0], Dual) else ins[0]

    def p_iota(self, e: Equation, ins: Sequence[Any]) -> Any:
        out = super().p_iota(e, ins)
        return Dual(out) if out.dtype == object else out

    def p_convert_element_type(self, e: Equation, ins: Sequence[Any]) -> Any:
        x = ins[0]
        if isinstance(x, Dual):
            return x if is_float(e.outputs[0].dtype) else super().p_convert_element_type(e, [x.v])
        out = super().p_convert_element_type(e, ins)
        return out if isinstance(out, Dual) or out.dtype != object else Dual(out)

    def fold(self, combine: Callable[[Any, Any], Any], x: Any, axes: Sequence[int], start: arb | None) -> Any:
        out = super().fold(combine, x, axes, start)
        return out if isinstance(out, Dual) else Dual(out)

    def p_reduce_sum(self, e: Equation, ins: Sequence[Any]) -> Any:
        axes = tuple(e.params["axes"])
        return Dual(_sum(ins[0].v, axes), None if ins[0].t is None else _sum(ins[0].tangent, axes))

    def p_reduce_prod(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: self.binary("mul", a, b), ins[0], e.params["axes"], bf.ONE)

    def p_reduce_max(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: self.binary("max", a, b), ins[0], e.params["axes"], arb("-inf"))

    def p_reduce_min(self, e: Equation, ins: Sequence[Any]) -> Any:
        return self.fold(lambda a, b: self.binary("min", a, b), ins[0], e.params["axes"], arb("inf"))

    def combine(self, name: str, a: Any, b: Any) -> Any:
        if name != "logaddexp":
            return self.binary(name, a, b)
        weight = pointwise(lambda p, q: bf.logistic(p - q), a.v, b.v)
        y = super().combine(name, a.v, b.v)
        return Dual(y, pointwise(lambda w, s, t: w * s + (1 - w) * t, weight, a.tangent, b.tangent))

    def _arg(self, e: Equation, x: Any, better: str) -> Array:
        v = x.v
        index = super()._arg(e, v, better) if v.shape[e.params["axes"][0]] else np.zeros(0, dtype=np.int64)
        (axis,) = e.params["axes"]
        best = np.take_along_axis(v, np.expand_dims(index, axis), axis)
        ties = pointwise(_same, v, best).astype(np.int64).sum(axis=axis) > 1
        self.touch(np.asarray(ties))
        return index

    def p_dot_general(self, e: Equation, ins: Sequence[Any]) -> Any:
        a, b = ins
        dn = e.params["dimension_numbers"]
        y = dot_general(a.v, b.v, dn)
        terms = []
        if a.t is not None:
            terms.append(dot_general(a.tangent, b.v, dn))
        if b.t is not None:
            terms.append(dot_general(a.v, b.tangent, dn))
        if not terms:
            return Dual(y)
        return Dual(y, terms[0] if len(terms) == 1 else pointwise(lambda p, q: p + q, *terms))

    def p_scatter_add(self, e: Equation, ins: Sequence[Any]) -> Any:
        operand, indices, updates = ins
        where = structural.scatter_positions(e, [np.asarray(indices)])
        v = scatter_add(operand.v, updates.v, where)
        if operand.t is None and updates.t is None:
            return Dual(v)
        return Dual(v, scatter_add(operand.tangent, updates.tangent, where))

    def p_sort(self, e: Equation, ins: Sequence[Any]) -> Any:
        keys = ins[0]
        order = self.sort_order(e, [keys.v if isinstance(keys, Dual) else keys])
        axis = e.params["dimension"]
        if isinstance(keys, Dual):
            ordered = np.take_along_axis(_widen(keys.v, order), order, axis)
            tangents = np.take_along_axis(_widen(keys.tangent, order), order, axis)
            n = ordered.shape[axis]
            lower = np.arange(max(n - 1, 0))
            left, right = (np.take(ordered, lower + k, axis=axis) for k in (0, 1))
            s, t = (np.take(tangents, lower + k, axis=axis) for k in (0, 1))
            tie = pointwise(_same, left, right).astype(bool) & ~pointwise(_same, s, t).astype(bool)
            if tie.size and (len(ins) > 1 or keys.t is not None):
                self.touch(tie)
        return [self.map(lambda a: np.take_along_axis(_widen(a, order), order, axis), x) for x in ins]


Slope = Callable[[arb, arb, arb], arb]

_SLOPE_A: dict[str, Slope] = {
    "add": lambda a, b, y: bf.ONE,
    "add_any": lambda a, b, y: bf.ONE,
    "sub": lambda a, b, y: bf.ONE,
    "mul": lambda a, b, y: b,
    "div": lambda a, b, y: bf.ONE / b,
    "pow": lambda a, b, y: bf.power_slope_in_base(a, b),
    "rem": lambda a, b, y: bf.ONE,
    "atan2": lambda a, b, y: b / (a * a + b * b),
}
_SLOPE_B: dict[str, Slope] = {
    "add": lambda a, b, y: bf.ONE,
    "add_any": lambda a, b, y: bf.ONE,
    "sub": lambda a, b, y: -bf.ONE,
    "mul": lambda a, b, y: a,
    "div": lambda a, b, y: -y / b,
    "pow": lambda a, b, y: bf.power_slope_in_exponent(a, b),
    "rem": lambda a, b, y: -bf.trunc(a / b),
    "atan2": lambda a, b, y: -a / (a * a + b * b),
}


def _term(slope: Slope, a: Array, b: Array, y: Array, t: Array) -> Array:
    return pointwise(lambda p, q, r, s: slope(p, q, r) * s, a, b, y, t)
