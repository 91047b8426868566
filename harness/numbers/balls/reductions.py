"""Reductions, running reductions and sorting work here for balls and dual balls alike.

Everything is built from `combine`, a function of two values of the system, so that dual balls only say how two duals
combine.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.numbers import indexing
from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls.arrays import BallArray, along, pointwise, stable_order, total
from backprove.harness.numbers.balls.truth import Codes, Undecided, reduce_and, truth, truth_not, undecided
from backprove.harness.numbers.base import System
from backprove.harness.programs.program import Equation

Real = TypeVar("Real")
"""The real numbers of a ball system: arrays of balls, or duals."""


class Reductions(System[Real | Array], Generic[Real]):
    """The part of the ball systems that reduces, accumulates and orders along axes.

    Integers and truth values are arrays, beside its `Real` numbers.
    """

    @abstractmethod
    def primal(self, x: Real | Array) -> Array:
        """The enclosure in a value of the system; integers and truth values as they are."""

    @abstractmethod
    def real(self, x: Real | Array) -> Real:
        """A real number of the system, made of an integer where it is none."""

    @abstractmethod
    def lifted(self, enclosure: BallArray) -> Real:
        """An enclosure that does not depend on the inputs, as a value of the system."""

    @abstractmethod
    def combine(self, name: str, a: Real, b: Real) -> Real:
        """Two values joined by a function of `functions.BINARY`, or by "logaddexp"."""

    @abstractmethod
    def compare(self, name: str, a: Array, b: Array, *, same: bool = False) -> Array:
        """Truth value of a comparison of enclosures."""

    @abstractmethod
    def certain(self, values: Array) -> Array:
        """Truth values on their way to integers or an order: they must be decided."""

    @staticmethod
    def joined(name: str, a: BallArray, b: BallArray) -> BallArray:
        """`combine` of enclosures."""
        return pointwise(bf.logaddexp if name == "logaddexp" else bf.BINARY[name], a, b)

    def entries(self, x: Real, axes: Sequence[int]) -> list[Real]:
        """The slices of `x` along `axes`, in row-major order, each without those axes."""
        shape = np.shape(self.primal(x))
        picks = list(np.ndindex(*(shape[a] for a in axes)))

        def take(a: Array, pick: tuple[int, ...]) -> Array:
            index: list[slice | int] = [slice(None)] * a.ndim
            for axis, i in zip(axes, pick, strict=True):
                index[axis] = i
            return np.asarray(a[tuple(index)], dtype=a.dtype)

        return [self.real(self.map(lambda a, p=p: take(a, p), x)) for p in picks]

    def fold(self, name: str, x: Real, axes: Sequence[int], start: arb) -> Real:
        """Reduce `axes` from the first entry on; `start` for empty axes."""
        parts = self.entries(x, axes)
        if not parts:
            shape = tuple(n for i, n in enumerate(np.shape(self.primal(x))) if i not in axes)
            return self.lifted(np.full(shape, start, dtype=object))
        acc = parts[0]
        for part in parts[1:]:
            acc = self.combine(name, acc, part)
        return acc

    def p_reduce_sum(self, e: Equation, ins: Sequence[Real]) -> Real:
        axes = tuple(e.params["axes"])
        return self.real(self.map(lambda a: total(a, axes), ins[0]))

    def p_reduce_prod(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self.fold("mul", ins[0], e.params["axes"], bf.ONE)

    def p_reduce_max(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self.fold("max", ins[0], e.params["axes"], arb("-inf"))

    def p_reduce_min(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self.fold("min", ins[0], e.params["axes"], arb("inf"))

    def p_reduce_and(self, e: Equation, ins: Sequence[Array]) -> Codes:
        return self._reduce_truth(truth(ins[0]), e.params["axes"])

    def p_reduce_or(self, e: Equation, ins: Sequence[Array]) -> Codes:
        return truth_not(self._reduce_truth(truth_not(truth(ins[0])), e.params["axes"]))

    def _reduce_truth(self, x: Array, axes: Sequence[int]) -> Codes:
        index = np.ndindex(*(x.shape[a] for a in axes))
        parts = [np.asarray(np.moveaxis(x, axes, range(len(axes)))[i]) for i in index]
        return reduce_and(parts, tuple(n for i, n in enumerate(x.shape) if i not in axes))

    # -- along one axis ---------------------------------------------------------------------------------------------

    def _scan(self, name: str, e: Equation, ins: Sequence[Real]) -> Real:
        axis, reverse = e.params["axis"], e.params["reverse"]
        parts = self.entries(ins[0], (axis,))
        if not parts:
            return ins[0]
        if reverse:
            parts.reverse()
        for i in range(1, len(parts)):
            parts[i] = self.combine(name, parts[i - 1], parts[i])
        if reverse:
            parts.reverse()
        return self.real(self.map(lambda *a: np.stack(np.broadcast_arrays(*a), axis=axis), *parts))

    def p_cumsum(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scan("add", e, ins)

    def p_cumprod(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scan("mul", e, ins)

    def p_cummax(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scan("max", e, ins)

    def p_cummin(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scan("min", e, ins)

    def p_cumlogsumexp(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scan("logaddexp", e, ins)

    def p_argmax(self, e: Equation, ins: Sequence[Real]) -> Array:
        return self.position(e, self.primal(ins[0]), "gt")

    def p_argmin(self, e: Equation, ins: Sequence[Real]) -> Array:
        return self.position(e, self.primal(ins[0]), "lt")

    def position(self, e: Equation, x: Array, better: str) -> Array:
        """Index of the first entry that none is `better` than."""
        (axis,) = e.params["axes"]
        parts = list(np.moveaxis(x, axis, 0))
        best, index = parts[0], np.zeros(parts[0].shape, dtype=np.int64)
        for i, part in enumerate(parts[1:], start=1):
            w = self.compare(better, part, best) & 3
            if undecided(w):
                raise Undecided("which entry is the largest is not decided")
            best, index = np.where(w == 1, part, best), np.where(w == 1, i, index)
        return index

    def p_sort(self, e: Equation, ins: Sequence[Real | Array]) -> list[Real | Array]:
        axis = e.params["dimension"]
        keys = [
            self.certain(self.primal(x)) if v.dtype == "bool" else x
            for x, v in zip(ins[: e.params["num_keys"]], e.inputs, strict=False)
        ]
        order = stable_order([self.primal(k) for k in keys], axis)
        self.watch_ties(keys, order, axis)
        return [self.reorder(x, order, axis) for x in ins]

    def p_top_k(self, e: Equation, ins: Sequence[Real | Array]) -> list[Real | Array]:
        axis, k = e.params["axis"], e.params["k"]
        order = stable_order([self.primal(ins[0])], axis, descending=True)
        self.watch_ties(ins, order, axis)
        first = np.take(order, range(k), axis=axis)
        return [self.reorder(ins[0], first, axis), first]

    def reorder(self, x: Real | Array, order: Array, axis: int) -> Real | Array:
        return self.map(lambda a, o: along(a, o, axis), x, order)

    def p_scatter_sub(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scatter("sub", e, ins)

    def p_scatter_mul(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scatter("mul", e, ins)

    def p_scatter_max(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scatter("max", e, ins)

    def p_scatter_min(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self._scatter("min", e, ins)

    def _scatter(self, name: str, e: Equation, ins: Sequence[Real]) -> Real:
        """Updates joined to the operand one after the other."""
        out, indices, updates = ins
        where = indexing.scatter_positions(e, np.asarray(indices))
        for pick in np.ndindex(where.shape[:-1]):
            row = where[pick]
            old = self.real(self.map(lambda a, r: indexing.take_positions(a, np.maximum(r, 0)), out, row))
            new = self.combine(name, old, self.real(self.map(lambda a, p=pick: a[p], updates)))
            out = self.real(self.map(lambda a, r, v: indexing.put_positions(a, r[None], v[None]), out, row, new))
        return out

    def watch_ties(self, keys: Sequence[Real | Array], order: Array, axis: int) -> None:
        """Called with the keys of a sort; the values alone have no kinks."""
