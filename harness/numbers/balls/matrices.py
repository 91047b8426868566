"""Balls and dual balls factor and solve matrices by textbook algorithms; their duals are the algorithms' own.

Rows change places by the midpoints of the balls. Any order encloses the same solutions and determinants; the factors
themselves are those of one order, in a rule as in the map under test, so that a tie of two pivots is no kink.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import matrices, orthogonal
from backprove.harness.numbers.balls.arrays import BallArray, lift, pointwise, predicate
from backprove.harness.numbers.balls.reductions import Real, Reductions
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.table import ROWS
from backprove.harness.programs.program import Equation


class Matrices(Reductions[Real], Generic[Real]):
    """The part of the ball systems that knows the primitives of linear algebra."""

    @abstractmethod
    def elementary(self, row: Elementary, equation: Equation, x: Real | Array) -> Real:
        """A function of one variable."""

    def p_lu(self, e: Equation, ins: Sequence[Real]) -> list[Real | Array]:
        """A matrix with a pivot of exactly 0 has no factors here: nothing that is made of them is smooth there."""
        field = _Entries(self, e)
        factors, pivots, order = matrices.lu(field, field.map(matrices.inward, ins[0]))
        k = len(pivots)
        diagonal = np.asarray(self.primal(factors))[np.arange(k), np.arange(k)]
        singular = np.asarray(predicate(arb.is_zero, diagonal).any(axis=0))
        if singular.any():
            factors = field.map(_without_value, factors, singular)
        return [field.map(matrices.outward, factors), np.moveaxis(pivots, 0, -2), np.moveaxis(order, 0, -2)]

    def p_cholesky(self, e: Equation, ins: Sequence[Real]) -> Real:
        field = _Entries(self, e)
        return field.map(matrices.outward, matrices.cholesky(field, field.map(matrices.inward, ins[0])))

    def p_triangular_solve(self, e: Equation, ins: Sequence[Real]) -> Real:
        field = _Entries(self, e)
        a, b = (field.map(matrices.inward, x) for x in ins)
        return field.map(matrices.outward, matrices.triangular_solve(field, e.params, a, b))

    def p_qr(self, e: Equation, ins: Sequence[Real]) -> list[Real]:
        """No value where the factors jump: a column that is 0 on the diagonal, or below it, which is not reflected."""
        if e.params["pivoting"]:
            raise UnsupportedPrimitive("qr with pivoting", self.name)
        field = _Entries(self, e)
        a = field.map(matrices.inward, ins[0])
        further = field.further(a)

        def unit(rows: int, columns: int) -> Real:
            eye = lift(np.eye(rows, columns)).reshape((rows, columns) + (1,) * len(further))
            return self.lifted(np.broadcast_to(eye, (rows, columns, *further)))

        def signs(column: Real) -> Array:
            balls = np.asarray(self.primal(column))
            still = predicate(arb.is_zero, balls[1:]).all(axis=0, keepdims=True)
            against = pointwise(_against, balls[:1])
            return np.where(still, np.full((), arb("nan"), dtype=object), against)

        factors = orthogonal.qr(field, a, unit, signs, full=bool(e.params["full_matrices"]))
        return [field.map(matrices.outward, x) for x in factors]


class _Entries(Generic[Real]):
    """A ball system as a field."""

    def __init__(self, system: Matrices[Real], equation: Equation) -> None:
        self.system, self.equation = system, equation

    def map(self, function: Callable[..., Array], *values: Real | Array) -> Real:
        return self.system.real(self.system.map(function, *values))

    def combine(self, name: str, a: Real, b: Real) -> Real:
        return self.system.combine(name, a, b)

    def root(self, x: Real) -> Real:
        return self.system.elementary(ROWS["sqrt"], self.equation, x)

    def sizes(self, x: Real) -> tuple[int, int]:
        rows, columns = np.shape(self.system.primal(x))[:2]
        return int(rows), int(columns)

    def further(self, x: Real) -> tuple[int, ...]:
        return np.shape(self.system.primal(x))[2:]

    def largest(self, x: Real) -> Array:
        sizes = pointwise(_size, self.system.primal(x))
        best, where = sizes[0], np.zeros(sizes.shape[1:], np.int64)
        for i, other in enumerate(sizes[1:], start=1):
            larger = np.greater(other, best).astype(bool)
            best, where = np.where(larger, other, best), np.where(larger, i, where)
        return where


def _size(x: arb) -> arb:
    return abs(x.mid())


def _against(x: arb) -> arb:
    """The sign against that of a number; at 0 the factors jump."""
    return arb(1) if x < 0 else arb(-1) if x > 0 else arb("nan")


def _without_value(array: BallArray, where: Array) -> BallArray:
    nothing = np.full((), arb("nan"), dtype=object)
    return np.where(where, nothing, array)
