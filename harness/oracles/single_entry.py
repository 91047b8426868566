"""A derivative of very many entries is compared at one of them: the one at which halving the entries ends.

entry = widest_gap(problem, x, d, rule)           # (0, (71_333,)): of the first input, entry 71,333
small = at_entry(problem, entry, inputs=2)        # its only input that moves is that entry, given once more after both

To compare all entries takes as many dual passes as there are; to halve them, with one pass a time, takes the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.front_end import ExactFunction
from backprove.harness.numbers.balls.arrays import widened, zeros
from backprove.harness.oracles.problem import DerivativeProblem
from backprove.harness.oracles.vectors import inner, random_direction

Entry = tuple[int, tuple[int, ...]]
"""Which of the differentiated inputs, and the place in it."""


def widest_gap(problem: DerivativeProblem, x: list[Array], d: list[Array], rule: Sequence[Array]) -> Entry:
    """The entry of the VJP at which rule and derivative seem furthest apart, at one point.

    Of two halves of the entries the one is kept along which the pairings of a random direction with the rule and with
    the derivative are further apart.

    Args:
        x, d: the point and its cotangents as balls, points axis of size 1.
        rule: the rule's value there.
    """
    shapes = [x[i].shape[:-1] for i in problem.wrt]
    along = random_direction(0, tuple(shapes))
    sizes = [math.prod(s) for s in shapes]
    low, high, whole = 0, sum(sizes), None
    while high - low > 1:
        middle = (low + high) // 2
        if whole is None:
            whole = _gap(problem, x, d, rule, _part(along, sizes, low, high))
        left = _gap(problem, x, d, rule, _part(along, sizes, low, middle))
        right = whole - left
        if abs(left).mid() >= abs(right).mid():
            high, whole = middle, left
        else:
            low, whole = middle, right
    for k, size in enumerate(sizes):
        if low < size:
            return k, tuple(int(i) for i in np.unravel_index(low, shapes[k]))
        low -= size
    raise AssertionError("not reached")


def _gap(problem: DerivativeProblem, x: list[Array], d: list[Array], rule: Sequence[Array], along: list[Array]) -> arb:
    """How far the pairings of a direction with the rule and with the derivative are apart."""
    ins: list[Array | None] = [None] * len(x)
    for i, t in zip(problem.wrt, along, strict=True):
        ins[i] = t
    moved = problem.forward.duals(x, ins)[1]
    gap: arb = inner(rule, along)[0][0] - inner(d, [widened(m, 1) for m in moved])[0][0]
    return gap


def _part(along: Sequence[Array], sizes: Sequence[int], low: int, high: int) -> list[Array]:
    """A direction with zeros outside of the entries `low` to `high`, counted over all arrays."""
    out, start = [], 0
    for a, size in zip(along, sizes, strict=True):
        kept, (first, last) = zeros((size, 1)), (max(low - start, 0), min(high - start, size))
        if first < last:
            kept[first:last] = a.reshape(size, 1)[first:last]
        out.append(kept.reshape(a.shape))
        start += size
    return out


def at_entry(problem: DerivativeProblem, entry: Entry, inputs: int) -> DerivativeProblem:
    """The problem in which one entry alone moves: it is a further input, after so many others."""
    which, place = entry
    forward = _OneMoves(problem.forward, inputs, problem.wrt[which], place)
    return replace(problem, forward=forward, rule=_OneOf(problem.rule, forward, which), wrt=(inputs,))


@dataclass(frozen=True)
class _OneMoves:
    """A function with a further input, which stands for one entry of another one.

    Attributes:
        at: place of the further input.
        which, place: the input and the entry in it.
    """

    function: ExactFunction
    at: int
    which: int
    place: tuple[int, ...]
    is_entrywise: bool = False

    def put(self, inputs: Sequence[Array]) -> list[Array]:
        """The arguments of the function itself: the further input in its place, what follows it as it is."""
        found, one = list(inputs), inputs[self.at]
        del found[self.at]
        found[self.which] = self._with(found[self.which], one)
        return found

    def _with(self, whole: Array, one: Array) -> Array:
        out = widened(whole, max(whole.shape[-1], one.shape[-1])).copy()
        out[self.place] = one
        return out

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        return self.function.balls(self.put(inputs), widen)

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        moves = tangents[self.at]
        assert moves is not None
        ins: list[Array | None] = [None] * self.at
        ins[self.which] = self._with(zeros((*inputs[self.which].shape[:-1], 1)), moves)
        return self.function.duals(self.put(inputs), ins, widen)


@dataclass(frozen=True)
class _OneOf:
    """One entry of what a rule gives, as the only result; its inputs are those of `forward`, then the directions."""

    rule: ExactFunction
    forward: _OneMoves
    which: int
    is_entrywise: bool = False

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        return [self.rule.balls(self.forward.put(inputs), widen)[self.which][self.forward.place]]

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        raise UnsupportedPrimitive("a rule", "dual balls")
