"""The smooth pieces that meet at a kink are found by moving the point a little and differentiating there in
dual balls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.kinks import (
    CHANGE_BITS,
    CLOSER,
    EXPLORED,
    EXPLORED_FEW,
    FEW,
    PAIRS,
    PRECISION,
    SAME,
    SLOPE_BITS,
    STEEP,
    STEP_BITS,
)
from backprove.harness.numbers.balls.arrays import lift, lift_floats, pointwise
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.hull import between_two, hull_distance
from backprove.harness.oracles.limits import limit, negligible
from backprove.harness.oracles.problem import DerivativeProblem
from backprove.harness.oracles.vectors import finite, full, vector

TRIED_AT_ONCE = 32
FEW_PIECES = 48
"""So many pieces are tried two by two before a linear program is set up."""


@dataclass
class _Piece:
    direction: Array
    derivative: Array
    """The derivative's entries on that piece, as floats."""


_DIGITS, _CHANGE = arb(2) ** -SLOPE_BITS, arb(2) ** -CHANGE_BITS


class TooWide(Undecided):
    """An enclosure next to a kink has too few digits at this precision."""


def numbers(balls: Iterable[arb]) -> Array:
    """Midpoints as floats; what is negligible is zero."""
    return np.array([0.0 if negligible(v) else float(v.mid()) for v in balls])


def slopes(
    problem: DerivativeProblem, moved: list[Array], given: list[Array], widen: float = 0.0
) -> list[Array | None]:
    """Entries of `J^T w` (or `J v`) at every point; None where that is a kink again, or outside the domain.

    Args:
        widen: relative width of literals.

    Raises:
        Undecided: where some point is.
    """
    k = moved[0].shape[-1]
    spy = _TouchSpy(problem)
    out = vector(spy.problem, moved, given, widen)
    flat = np.concatenate([a.reshape(-1, k) for a in out])
    usable = finite([flat], k) & ~spy.touched.reshape(-1, k).any(axis=0)
    return [flat[:, c] if usable[c] else None for c in range(k)]


class Search:
    """The smooth pieces found so far around one point."""

    def __init__(self, problem: DerivativeProblem, x: list[Array], d: list[Array], least: int = PRECISION) -> None:
        self.problem = problem
        self.x = lift_floats(x)
        self.d = [lift(a) for a in d]
        moving = np.concatenate([np.abs(x[i]).ravel() for i in problem.wrt])
        self.size = moving.size
        floats = np.concatenate([np.abs(a).ravel() for a in x if a.dtype.kind == "f"])
        # a zero must not be moved past another entry, however small that is
        smallest = min(1.0, float(floats[floats > 0].min(initial=1.0)))
        # nor may a tie of huge entries be torn apart: the step is small absolutely, too
        self.magnitude = np.minimum(np.where(moving == 0, smallest, moving), 1.0)
        largest = max(1.0, float(floats.max(initial=1.0)))
        self.precision = least + int(np.ceil(np.log2(largest))) - int(np.floor(np.log2(smallest)))
        self.pieces: list[_Piece] = []
        self._at_kink = False
        """Whether pieces are known by the limits of their derivatives."""
        self._left = np.zeros(1)
        """What is left at 2**-320 of entries whose limit is zero."""

    def too_wide(self, rule: Sequence[Array], value: Array) -> bool:
        """Whether an enclosure is wider than 2**-60 of its entry and of the pieces there."""
        scale = self.scale(value) if self.pieces else np.abs(value)
        radii = np.array([0.0 if negligible(v) else float(v.rad()) for r in rule for v in r.ravel()])
        return bool(np.any(radii > scale * 2.0**-40))

    def moderate(self) -> bool:
        """Whether no slope found is so steep that it might diverge."""
        size = float(sum((abs(v) for a in self.d for v in a.ravel()), arb(0)).mid())
        return all(bool(np.all(np.abs(p.derivative) <= STEEP * size)) for p in self.pieces)

    def scale(self, value: Array) -> Array:
        """Size of each entry among the pieces and the value; 1 where all are zero."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        size = np.maximum(np.abs(pieces).max(axis=1), np.abs(value))
        size[size == 0] = 1.0
        return np.asarray(size)

    def distance(self, value: Array) -> tuple[float, Array]:
        """Relative distance of `value` from the hull of the pieces, and the normal of a separating hyperplane."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        scale = self.scale(value)
        if (np.abs(pieces - value[:, None]) <= SAME * scale[:, None]).all(axis=0).any():
            return 0.0, np.zeros(value.size)
        if pieces.shape[1] <= FEW_PIECES and between_two(pieces, value, scale):
            return 0.0, np.zeros(value.size)
        residual, normal = hull_distance(pieces / scale[:, None], value / scale)
        return residual, normal / scale

    def add(self, directions: Array, known: Sequence[Array | None] | None = None) -> None:
        """Differentiate next to the point in each direction, unless that is `known`."""
        if not len(directions):
            return
        found = known if known is not None else self._derivatives(directions)
        for direction, values in zip(directions, found, strict=True):
            if values is not None:
                self.remember(direction, values)

    def remember(self, direction: Array, near: Array) -> None:
        if any(v.rad() > v.abs_lower() * _DIGITS and not negligible(v) for v in near):
            raise TooWide("the enclosure of a derivative next to a kink is too wide")
        piece = _Piece(direction, numbers(near))
        if not any(np.array_equal(p.derivative, piece.derivative) for p in self.pieces):
            self.pieces.append(piece)

    def go_to_the_kink(self) -> None:
        """Replace the pieces' derivatives by their limits, and those of all further pieces unless these stay the same.

        Raises:
            Unsettled: where a derivative has no limit.
        """
        beside, self.pieces, self._at_kink = self.pieces, [], True
        self.add(np.stack([p.direction for p in beside]))
        self._at_kink = len(beside) != len(self.pieces) or any(
            np.any(np.abs(p.derivative - q.derivative) > SAME * np.abs(q.derivative))
            for p, q in zip(beside, self.pieces, strict=True)
        )

    def _derivatives(self, directions: Array) -> list[Array | None]:
        """Derivatives beside the kink, or their limits at it."""
        near = self.derivatives(directions, STEP_BITS)
        if not self._at_kink:
            return near
        with ctx.workprec(2 * self.precision):
            nearer = self.derivatives(directions, 2 * STEP_BITS)
        found: list[Array | None] = []
        for p, q in zip(near, nearer, strict=True):
            if p is None or q is None:
                found.append(p)
                continue
            limits, left = limit(p, q)
            self._left = np.maximum(self._left, left)
            found.append(limits)
        return found

    def measured(self, value: Array) -> Array:
        """The value with zeros where no piece has a slope and it is below what is left of slopes that vanish."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        return np.where(~pieces.any(axis=1) & (np.abs(value) <= self._left), 0.0, value)

    def inward(self) -> Array:
        """Directions that stay in the domain of forward; none where every entry may move both ways on its own.

        Else two, which differ in the entries that may move both ways; an entry that may move neither way rests.
        """
        units = np.eye(self.size)
        try:
            outputs = self.problem.forward.balls(self.moved(np.concatenate([units, -units]), STEP_BITS))
        except Undecided:
            return np.zeros((0, self.size))
        up, down = finite(full(outputs, 2 * self.size), 2 * self.size).reshape(2, self.size)
        if np.all(up & down):
            return np.zeros((0, self.size))
        return np.stack([np.where(up, 1.0, np.where(down, -1.0, 0.0)), np.where(down, -1.0, np.where(up, 1.0, 0.0))])

    def moved(self, directions: Array, bits: int, orders: Array | None = None) -> list[Array]:
        """The inputs moved by 2**-bits of their magnitude along each direction, one point per direction.

        Args:
            orders: powers of the step by which the entries move instead, as integers in the shape of the directions.
        """
        k = len(directions)
        powers = np.ones(directions.shape, int) if orders is None else orders
        out = [np.broadcast_to(a, (*a.shape[:-1], k)) for a in self.x]
        start = 0
        for i in self.problem.wrt:
            n = self.x[i].size
            steps = pointwise(lambda order: arb(2) ** (-bits * order), powers[:, start : start + n].T)
            shift = lift((directions[:, start : start + n] * self.magnitude[start : start + n]).T) * steps
            out[i] = self.x[i] + shift.reshape((*self.x[i].shape[:-1], k))
            start += n
        return out

    def derivatives(self, directions: Array, bits: int, orders: Array | None = None) -> list[Array | None]:
        """Entries of `J^T w` (or `J v`) at the point `moved` along each direction.

        None where that is a kink again, or outside the domain.
        """
        k = len(directions)
        moved = self.moved(directions, bits, orders)
        given = [np.broadcast_to(a, (*a.shape[:-1], k)) for a in self.d]
        try:
            return slopes(self.problem, moved, given)
        except Undecided:
            if k == 1:
                return [None]
            each = [None] * k if orders is None else orders[:, None]
            return [self.derivatives(d[None], bits, o)[0] for d, o in zip(directions, each, strict=True)]

    def jumps(self, directions: Array) -> bool:
        """Whether the forward map itself differs between the directions: a jump has no slope."""
        outputs = self.problem.forward.balls(self.moved(directions, STEP_BITS))
        moved_by = arb(float(self.magnitude.max(initial=0.0))) * arb(2) ** -(STEP_BITS // 2)
        for out in outputs:
            for row in full([out], len(directions))[0].reshape(-1, len(directions)):
                for other in row[1:]:
                    gap = abs(row[0] - other)
                    if gap > moved_by and gap > (abs(row[0]) + abs(other)) * _CHANGE:
                        return True
        return False

    def diverges_along_curves(self, directions: Array) -> bool:
        """Whether slopes diverge where one entry comes to the kink faster than the others do, or slower.

        Those of `p log(p/q)` at (0, 0) are the same all along a line, and unbounded along p = q**2.
        """
        faster = 1 + np.eye(self.size, dtype=int)
        orders = np.concatenate([faster, 3 - faster])
        if self.size < 2 or not len(directions):
            return False
        return self.diverges(np.repeat(directions, len(orders), axis=0), np.tile(orders, (len(directions), 1)))

    def diverges(self, directions: Array, orders: Array | None = None) -> bool:
        """Whether the slopes still change when the step shrinks from 2**-160 to 2**-320."""
        if not len(directions):
            return False
        with ctx.workprec(self.precision * (1 if orders is None else 2)):
            near = self.derivatives(directions, STEP_BITS, orders)
        with ctx.workprec(self.precision * (2 if orders is None else 4)):
            nearer = self.derivatives(directions, 2 * STEP_BITS, orders)
        scale = sum((abs(v) for a in self.d for v in a.ravel()), arb(0))
        for a, b in zip(near, nearer, strict=True):
            if a is None or b is None:
                continue
            for p, q in zip(a, b, strict=True):
                if abs(p - q) > (abs(p) + scale) * _CHANGE:
                    return True
        return False

    def one_piece(self, value: Array) -> bool:
        """Whether all pieces found have the same derivative: the branch is only in the code."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        return bool(np.all(np.ptp(pieces, axis=1) <= SAME * self.scale(value)))

    def chase(self, normal: Array, value: Array, thorough: bool = True) -> bool:
        """Look for a piece further out along `normal` than all so far; whether one was found.

        `thorough` adds all single flips and swaps of the best direction to the two directions of the normal.
        """
        needed = self.needed(normal, value)
        best = max(self.pieces, key=lambda p: float(normal @ p.derivative))
        guesses = []
        if normal.size == self.size and np.any(normal):
            guess = normal / np.abs(normal).max()
            # the larger one for cones that are not too narrow; the smaller one for the tip of a ball, which a piece
            # reaches but for the square of it
            for generic in (1e-3, 1e-9):
                tilted = np.where(guess == 0, generic, guess)
                guesses += [tilted, -tilted]
        base = best.direction
        for k in range(self.size if thorough else 0):
            flipped = base.copy()
            flipped[k] = -flipped[k]
            guesses.append(flipped)
            for j in range(k):
                swapped = base.copy()
                swapped[j], swapped[k] = base[k], base[j]
                guesses.append(swapped)
        batches = range(0, len(guesses), TRIED_AT_ONCE)
        return any(self.further(np.array(guesses[k : k + TRIED_AT_ONCE]), normal, needed) for k in batches)

    def needed(self, normal: Array, value: Array) -> float:
        """How far along `normal` a piece must lie to bring the hull noticeably closer to `value`."""
        target = max(float(normal @ p.derivative) for p in self.pieces)
        reach = float(normal @ value)
        return target + max(1e-9 * max(abs(target), abs(reach)), CLOSER * (reach - target))

    def further(self, directions: Array, normal: Array, needed: float) -> bool:
        """Remember the pieces in the given directions that lie further out than `needed`; whether there were any."""
        found = False
        for direction, near in zip(directions, self._derivatives(directions), strict=True):
            if near is not None and float(normal @ numbers(near)) > needed:
                self.remember(direction, near)
                found = True
        return found

    def explore(self, normal: Array, value: Array) -> bool:
        """The last look before a refusal: random directions, and between pieces that need not be neighbours.

        Narrow cones hide between wide ones: on the way from one piece to another a piecewise linear map either bends
        where the two planes meet, or crosses a third piece.
        """
        if self.size == 1:
            return False  # two directions are all there are
        needed = self.needed(normal, value)
        rng = np.random.Generator(np.random.Philox(key=[19, len(self.pieces)]))
        few = self.size <= FEW and self.one_piece(value)
        random = rng.normal(size=(EXPLORED_FEW if few else EXPLORED, self.size))
        random[::3] *= 2.0 ** rng.integers(-12, 1, (len(random[::3]), self.size))
        if self.further(random, normal, needed):
            return True
        if len(self.pieces) > PAIRS:
            return False  # a curved kink, such as a norm's: there is a piece in every direction
        self.add(random)
        for _ in range(2):
            known = len(self.pieces)
            self.add(self.between(rng))
            if max(float(normal @ p.derivative) for p in self.pieces) > needed:
                return True
            if len(self.pieces) == known:
                break
        return False

    def between(self, rng: np.random.Generator) -> Array:
        """Directions between the pieces, two by two."""
        pairs = list(combinations(self.pieces, 2))
        chosen = [pairs[k] for k in rng.permutation(len(pairs))[:PAIRS]]
        out = []
        for a, b in chosen:
            shares = [0.5]
            if a.derivative.size == self.size:
                gap = (a.derivative - b.derivative) * self.magnitude
                left, right = float(gap @ a.direction), float(gap @ b.direction)
                if left * right < 0:
                    bend = left / (left - right)
                    shares += [bend * (1 - 2.0**-9), bend + (1 - bend) * 2.0**-9]
            out += [a.direction + t * (b.direction - a.direction) for t in shares]
        return np.array(out).reshape(-1, self.size)


class _TouchSpy:
    """The same problem with its forward map watched: where it touched a kink or left the domain."""

    def __init__(self, problem: DerivativeProblem) -> None:
        self.touched = np.zeros(0, dtype=bool)
        outer = self

        class Forward:
            is_entrywise = problem.forward.is_entrywise

            def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
                return problem.forward.balls(inputs, widen)

            def duals(
                self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
            ) -> tuple[list[Array], list[Array], Array]:
                values, moved, touched = problem.forward.duals(inputs, tangents, widen)
                outer.touched = touched | ~finite(full(values, touched.size), touched.size)
                return values, moved, touched

        self.problem = replace(problem, forward=Forward())
