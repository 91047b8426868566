"""Dual balls carry value and directional derivative over the reals, independently of JAX's differentiation.

A value is `Dual(v, t)`: object arrays of `arb`; `t is None` where the derivative is identically zero. The tangent may
carry several directions per point: with P points its points axis holds k*P columns, direction after direction, and the
value is computed once. `touched` collects, point by point, whether a branch was met whose two sides have different
derivatives (a kink, a tie, or an undecided comparison): there the tangent is a hull at best, and the kink oracle takes
over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import control, indexing, movement
from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls import spectra
from backprove.harness.numbers.balls.arrays import (
    BallArray,
    along,
    dot_general,
    lift,
    pointwise,
    predicate,
    scatter_add,
    spread,
)
from backprove.harness.numbers.balls.balls import BallSystem, expand
from backprove.harness.numbers.balls.dual import NOTHING, STEPS, Dual, agree, common_width, is_fixed, same_number
from backprove.harness.numbers.balls.fourier import transformed
from backprove.harness.numbers.balls.truth import COMPARISONS, TOUCH, UNDECIDED, Codes
from backprove.harness.numbers.elementary.exponential import logistic
from backprove.harness.numbers.elementary.powers import at_zero
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.several import Several
from backprove.harness.numbers.elementary.steps import trunc
from backprove.harness.numbers.elementary.table import function_of
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Equation


class DualBalls(BallSystem[Dual]):
    """Interpreter of a program over dual balls; see the module's text. One instance serves one evaluation.

    Args:
        points: P, the points of the values.
        widen: see `BallSystem`.
        still: equations (by identity) whose tangents no output needs: they cannot be kinks.
    """

    name = "dual balls"
    watches_kinks = True

    def __init__(self, points: int, widen: float = 0.0, still: frozenset[int] = frozenset()) -> None:
        super().__init__(widen)
        self.still = still
        self.touched = np.zeros(points, dtype=bool)

    @classmethod
    def primitives(cls) -> frozenset[str]:
        return super().primitives() - {name for name, row in cls.functions.items() if not _has_slope(row)}

    def lifted(self, enclosure: BallArray) -> Dual:
        return Dual(enclosure, fixed=True)

    def real(self, x: Dual | Array) -> Dual:
        return x if isinstance(x, Dual) else Dual(lift(x))

    def primal(self, x: Dual | Array) -> Array:
        return x.v if isinstance(x, Dual) else x

    def map(self, function: Callable[..., Array], *values: Dual | Array) -> Dual | Array:
        duals = [x for x in values if isinstance(x, Dual)]
        v = function(*(self.primal(x) for x in values))
        if not duals:
            return v
        moving = [x.t for x in duals if x.t is not None]
        if not moving:
            return Dual(v, fixed=all(x.fixed for x in duals))
        width = common_width(*moving)
        return Dual(v, function(*(x.tangent if isinstance(x, Dual) else spread(np.asarray(x), width) for x in values)))

    def touch(self, where: Array) -> None:
        """Mark the points at which something is True, in some direction (last axis of `where`: 1, P or k*P)."""
        columns = where.reshape(-1, where.shape[-1]).any(axis=0)
        points = self.touched.size
        if columns.size > points:
            columns = columns.reshape(-1, points).any(axis=0)
        self.touched |= np.broadcast_to(columns, self.touched.shape)

    def touch_where(self, near: Array, apart: Callable[[arb, arb], bool], a: Array, b: Array) -> None:
        """Mark the points at which `near` holds and the two sides are `apart`."""
        if not near.any():
            return
        width = common_width(near, a, b)
        near, a, b = np.broadcast_arrays(*(spread(x, width) for x in (near, a, b)))
        found = np.zeros(near.shape, dtype=bool)
        found[near] = [apart(p, q) for p, q in zip(a[near], b[near], strict=True)]
        self.touch(found)

    def choose(self, which: Codes, no: Dual | Array, yes: Dual | Array) -> Dual | Array:
        if not (isinstance(no, Dual) and isinstance(yes, Dual)):
            return self.chosen(which, self.primal(no), self.primal(yes))
        v = self.chosen(which, no.v, yes.v)
        near = expand(which, no.v) >= UNDECIDED
        # a jump (values differ across the branch) is as much a kink as differing slopes
        self.touch_where(near, lambda p, q: not p.overlaps(q), no.v, yes.v)
        if no.t is None and yes.t is None:
            return Dual(v)
        a, b = no.tangent, yes.tangent
        self.touch_where(near, lambda p, q: not agree(p, q), a, b)
        return Dual(v, self.chosen(spread(expand(which, no.v), common_width(a, b)), a, b))

    def certain(self, values: Array) -> Array:
        values = super().certain(values)
        if values.dtype == np.int8:
            self.touch(values >= TOUCH)
            return values & 3
        return values

    def from_truth(self, x: Codes) -> BallArray:
        self.touch(x >= UNDECIDED)
        return super().from_truth(x)

    def apply(self, equation: Equation, inputs: Sequence[Dual | Array]) -> list[Dual | Array]:
        still = id(equation) in self.still
        if still:
            inputs = [Dual(i.v, fixed=i.fixed) if isinstance(i, Dual) else i for i in inputs]
        outs = super().apply(equation, inputs)
        fixed = all(is_fixed(i) for i in inputs)
        if not fixed and equation.primitive in STEPS:
            fixed = self._steps_are_watched(equation, inputs[0])
        return [Dual(o.v, fixed=True) if fixed and isinstance(o, Dual) else o for o in outs]

    def _steps_are_watched(self, equation: Equation, x: Dual | Array) -> bool:
        """Whether jumps of floor, ceil and round are touched here, so that their values are fixed elsewhere."""
        row = self.functions.get(function_of(equation))
        if isinstance(x, Dual) and x.t is None and row is not None and row.kink is not None:
            self.touch(_may_kink(row.kink, x.v))
            return True
        return isinstance(x, Dual) and x.t is not None

    def own(self, equation: Equation, inputs: Sequence[Dual | Array]) -> Dual | Array | list[Dual | Array]:
        found = super().own(equation, inputs)
        compared = equation.primitive in COMPARISONS and all(map(is_fixed, inputs))
        if compared and isinstance(found, np.ndarray) and found.dtype == np.int8:
            return np.where(found & TOUCH, found & 1, found)  # equal numbers that stay equal are no kink
        return found

    def move(self, e: Equation, inputs: Sequence[Dual | Array]) -> list[Dual | Array]:
        """Entries move alike in value and tangent; what a gather fills in does not depend on the inputs."""
        which = movement.data_operands(e)
        data = [inputs[i] for i in which]
        rest = [np.asarray(v) for i, v in enumerate(inputs) if i not in which]
        duals = [x for x in data if isinstance(x, Dual)]
        values = movement.rearrange(e, [self.primal(x) for x in data], rest)
        if not duals:
            return [*values]
        moving = [x.t for x in duals if x.t is not None]
        if not moving:
            return [Dual(v) for v in values]
        rest = [spread(i, common_width(*moving)) for i in rest]
        return [
            Dual(v, t)
            for v, t in zip(values, movement.rearrange(e, [x.tangent for x in duals], rest, bf.ZERO), strict=True)
        ]

    def elementary(self, row: Elementary, equation: Equation, x: Dual | Array) -> Dual:
        assert isinstance(x, Dual)
        y = pointwise(row.enclosure, x.v)
        if x.t is None:
            return Dual(y)
        if row.kink is not None:
            self.touch_where(_may_kink(row.kink, x.v), lambda t, _: not t.is_zero(), x.t, x.t)
        if not _has_slope(row):
            raise UnsupportedPrimitive(row.name, self.name)
        if row.name == "neg":
            return Dual(y, pointwise(np.negative, x.t))
        if row.slope is not None:
            return Dual(y, _scaled(pointwise(row.slope, x.v, y), x.t))
        return Dual(y)

    def several(self, row: Several, equation: Equation, inputs: Sequence[Dual | Array]) -> Dual:
        operands = [self.real(x) for x in inputs]
        places = [x.v for x in operands]
        y = pointwise(row.ball, *places)
        terms = []
        for slope, operand in zip(row.slopes, operands, strict=True):
            if operand.t is None:
                continue
            if slope is None:
                raise UnsupportedPrimitive(row.name, self.name)
            terms.append(_scaled(pointwise(slope, *places), operand.t))
        if not terms:
            return Dual(y)
        t = sum(terms[1:], terms[0])
        shape = (*y.shape[:-1], t.shape[-1])
        return Dual(y, t if t.shape == shape else np.broadcast_to(t, shape))

    def combine(self, name: str, a: Dual, b: Dual) -> Dual:
        """Value and tangent of a function of two variables."""
        y = self.joined(name, a.v, b.v)
        if a.t is None and b.t is None:
            return Dual(y)
        if name in ("max", "min"):
            t = self._extremum_tangent(name, a, b)
        elif name == "logaddexp":
            weight = pointwise(logistic, a.v - b.v)
            t = _scaled(weight, a.tangent) + _scaled(bf.ONE - weight, b.tangent)
        else:
            t = _tangent(name, a, b, y)
        if name == "rem" and b.t is not None:
            self.touch(predicate(lambda p, q: bool((p / q).contains_integer()) and not p.is_zero(), a.v, b.v))
        shape = (*y.shape[:-1], t.shape[-1])
        return Dual(y, t if t.shape == shape else np.broadcast_to(t, shape))

    def _extremum_tangent(self, name: str, a: Dual, b: Dual) -> BallArray:
        high, low = (a.v, b.v) if name == "max" else (b.v, a.v)
        first, second = np.greater(high, low), np.less(high, low)
        s, t = a.tangent, b.tangent
        near = ~(first | second)
        out = np.where(spread(second, common_width(s, t)), t, s)
        self.touch_where(near, lambda p, q: not agree(p, q), s, t)
        if near.any():
            near, s, t = np.broadcast_arrays(spread(near, out.shape[-1]), s, t)
            out = np.array(np.broadcast_to(out, near.shape))
            s, t = np.broadcast_to(s, out.shape), np.broadcast_to(t, out.shape)
            out[near] = [p if same_number(p, q) else p.union(q) for p, q in zip(s[near], t[near], strict=True)]
        return out

    # -- primitives with their own rule -----------------------------------------------------------------------------

    def p_integer_pow(self, e: Equation, ins: Sequence[Dual]) -> Dual:
        n, x = e.params["y"], ins[0]
        y = pointwise(bf.power_of(n), x.v)
        if x.t is None or n == 0:
            return Dual(y)
        return Dual(y, _scaled(pointwise(bf.power_of_slope(n), x.v), x.t))

    def p_stop_gradient(self, e: Equation, ins: Sequence[Dual | Array]) -> Dual | Array:
        return Dual(ins[0].v) if isinstance(ins[0], Dual) else ins[0]

    def position(self, e: Equation, x: Array, better: str) -> Array:
        index = super().position(e, x, better)
        (axis,) = e.params["axes"]
        best = along(x, np.expand_dims(index, axis), axis)
        self.touch(predicate(same_number, x, best).sum(axis=axis) > 1)
        return index

    def p_custom_linear_solve(self, e: Equation, ins: Sequence[Dual | Array]) -> list[Dual | Array]:
        """x' solves `matvec(x') = b' - matvec'(x)`, whatever `solve` does to find a solution.

        Its operands are held as they are: JAX solves with factors of `stop_gradient(a)`.
        """
        parts = control.linear_solve(e, ins)
        held = [self.primal(c) for c in parts.solve_constants]
        right = [self.real(b) for b in parts.right]
        still = [Dual(c) if c.dtype == object else c for c in held]
        x = [Dual(self.primal(v)) for v in evaluate(parts.solve, self, *still, *(Dual(b.v) for b in right))]
        moved = evaluate(parts.matvec, self, *parts.matvec_constants, *x)
        pairs = list(zip(right, map(self.real, moved), strict=True))
        if all(b.t is None and m.t is None for b, m in pairs):
            return [*x]
        moves = [self.combine("sub", Dual(b.tangent), Dual(m.tangent)) for b, m in pairs]
        wide = [spread(c, common_width(*(t.v for t in moves))) for c in held]
        slopes = evaluate(parts.solve, self, *(Dual(c) if c.dtype == object else c for c in wide), *moves)
        return [Dual(v.v, self.primal(t)) for v, t in zip(x, slopes, strict=True)]

    def p_dot_general(self, e: Equation, ins: Sequence[Dual]) -> Dual:
        a, b = ins
        dn = e.params["dimension_numbers"]
        y = dot_general(a.v, b.v, dn)
        terms = []
        if a.t is not None:
            terms.append(dot_general(a.t, spread(b.v, a.t.shape[-1]), dn))
        if b.t is not None:
            terms.append(dot_general(spread(a.v, b.t.shape[-1]), b.t, dn))
        if not terms:
            return Dual(y)
        return Dual(y, terms[0] if len(terms) == 1 else terms[0] + terms[1])

    def p_eigh(self, e: Equation, ins: Sequence[Dual]) -> list[Dual]:
        return [Dual(v, t) for v, t in spectra.eigh_with_slopes(e, ins[0].v, ins[0].t)]

    def p_svd(self, e: Equation, ins: Sequence[Dual]) -> list[Dual]:
        return [Dual(v, t) for v, t in spectra.svd_with_slopes(e, ins[0].v, ins[0].t)]

    def p_dft(self, e: Equation, ins: Sequence[Dual]) -> list[Dual]:
        inverse = e.params["inverse"]
        values = transformed(ins[0].v, ins[1].v, inverse=inverse)
        if ins[0].t is None and ins[1].t is None:
            return [Dual(v) for v in values]
        slopes = transformed(ins[0].tangent, ins[1].tangent, inverse=inverse)
        return [Dual(v, t) for v, t in zip(values, slopes, strict=True)]

    def p_scatter_add(self, e: Equation, ins: Sequence[Dual | Array]) -> Dual:
        operand, indices, updates = ins
        assert isinstance(operand, Dual) and isinstance(updates, Dual)
        where = indexing.scatter_positions(e, np.asarray(indices))
        v = scatter_add(operand.v, updates.v, where)
        if operand.t is None and updates.t is None:
            return Dual(v)
        s, t = operand.tangent, updates.tangent
        return Dual(v, scatter_add(s, t, spread(where, common_width(s, t))))

    def watch_ties(self, keys: Sequence[Dual | Array], order: Array, axis: int) -> None:
        """Equal keys next to each other that move apart: the order inside the tie is not a function of the point."""
        tie = np.ones((), dtype=bool)
        moves: list[tuple[Array, Array]] = []
        for key in keys:
            ordered = along(self.primal(key), order, axis)
            lower = range(max(ordered.shape[axis] - 1, 0))
            left, right = (np.take(ordered, [i + k for i in lower], axis=axis) for k in (0, 1))
            tie = tie & (predicate(same_number, left, right) if isinstance(key, Dual) else left == right)
            if isinstance(key, Dual) and key.t is not None:
                t = along(key.t, spread(order, key.t.shape[-1]), axis)
                moves.append((np.take(t, list(lower), axis=axis), np.take(t, [i + 1 for i in lower], axis=axis)))
        for s, t in moves:
            self.touch_where(tie, lambda p, q: not same_number(p, q), s, t)


def _may_kink(kink: Callable[[arb], bool], x: Array) -> Array:
    if kink is at_zero:  # two comparisons of whole arrays, without a Python frame per entry
        return np.asarray(~(np.greater(x, NOTHING) | np.less(x, NOTHING)))
    return predicate(kink, x)


def _has_slope(row: Elementary) -> bool:
    """Whether the derivative is known: by the column, or since the function is piecewise constant."""
    return row.slope is not None or row.kink is not None or row.name == "neg"


def _scaled(slope: BallArray, t: BallArray) -> BallArray:
    """Slope times tangent; the slope may have fewer columns than the tangent."""
    return pointwise(np.multiply, spread(slope, t.shape[-1]), t)


def _tangent(name: str, a: Dual, b: Dual, y: BallArray) -> BallArray:
    if name in ("add", "add_any", "sub"):
        if b.t is None:
            return a.tangent
        sign = np.subtract if name == "sub" else np.add
        return pointwise(np.negative, b.t) if a.t is None and name == "sub" else b.t if a.t is None else sign(a.t, b.t)
    terms = [_scaled(slopes[name](a.v, b.v, y), t) for slopes, t in ((_SLOPE_A, a.t), (_SLOPE_B, b.t)) if t is not None]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


Slope = Callable[[BallArray, BallArray, BallArray], BallArray]


def _entrywise(function: Callable[[arb, arb], arb]) -> Slope:
    return lambda a, b, y: pointwise(function, a, b)


_SLOPE_A: dict[str, Slope] = {
    "mul": lambda a, b, y: b,
    "div": lambda a, b, y: bf.ONE / b,
    "pow": _entrywise(bf.power_slope_in_base),
    "rem": lambda a, b, y: np.full(y.shape, bf.ONE),
    "atan2": lambda a, b, y: b / (a * a + b * b),
}
_SLOPE_B: dict[str, Slope] = {
    "mul": lambda a, b, y: a,
    "div": lambda a, b, y: -y / b,
    "pow": _entrywise(bf.power_slope_in_exponent),
    "rem": _entrywise(lambda a, b: -trunc(a / b)),
    "atan2": lambda a, b, y: -a / (a * a + b * b),
}
