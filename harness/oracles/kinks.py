"""Kinks and ties: the rule's value must lie in the convex hull of the derivatives on the smooth pieces that meet there.

The pieces are reached by moving the point by 2**-160 in random directions (sign patterns, tie orders) and
differentiating there in dual balls; the hull is then tested by a linear program. A value that seems to lie outside is
chased: the hyperplane that separates it names the direction in which a further piece is sought, by single flips and
swaps, until no piece helps. Slopes along one direction only are never used: with several kinks at once they refuse
members of the generalized (Clarke) derivative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.oracles.exact import (
    NEGLIGIBLE_BITS,
    DerivativeProblem,
    Outcome,
    Status,
    dyadic,
    finite,
    full,
    vector,
)
from backprove.harness.systems.balls import Undecided, lift

Array = NDArray[Any]

STEP_BITS = 160
PRECISION = 900
FIRST_DIRECTIONS = 24
MAX_ROUNDS = 24
TRIED_AT_ONCE = 32
MAX_ENTRIES = 48
"""Points with more differentiated entries than this are not examined at kinks."""
SMALL = 8
"""Up to so many entries all single flips and swaps are tried, round after round, before a value is refused."""
INSIDE = 1e-9
"""Relative residual of the linear program below which a value lies in the hull."""
OUTSIDE = 1e-6
"""Relative residual above which it does not; between the two nothing is said."""


@dataclass
class _Piece:
    direction: Array
    derivative: Array
    """The derivative's entries on that piece, as floats."""


class TooWide(Undecided):
    """An enclosure next to a kink has too few digits at this precision."""


def negligible(v: arb) -> bool:
    """Below 2**-1500: zero for every format."""
    return bool(v.abs_upper() < arb(2) ** -NEGLIGIBLE_BITS)


def numbers(balls: Iterable[arb]) -> Array:
    """Midpoints as floats; what is negligible is zero."""
    return np.array([0.0 if negligible(v) else float(v.mid()) for v in balls])


def at_kink(problem: DerivativeProblem, x: list[Array], d: list[Array]) -> Outcome:
    """Judge the rule at one point where the forward map has a kink, a tie or no derivative.

    Args:
        problem: rule and forward map.
        x: inputs (floats as float64, integers as they are), points axis of size 1.
        d: cotangents or tangents, points axis of size 1.
    """
    search = _Search(problem, x, d)
    if search.size == 0:
        return Outcome(Status.KINK_AGREES)
    if search.size > MAX_ENTRIES:
        return Outcome(Status.UNEXAMINED, note=f"a kink with {search.size} entries")
    try:
        return _judge(search, x, d)
    except TooWide:
        # heavy cancellation next to the kink: twice the digits, and enough to sink below what counts
        return _judge(_Search(problem, x, d, least=2 * NEGLIGIBLE_BITS), x, d)


def _judge(search: _Search, x: list[Array], d: list[Array]) -> Outcome:
    problem = search.problem
    ctx.prec = search.precision
    rule = full(problem.rule.balls([*search.x, *search.d]), 1)
    defined = all(finite([r], 1)[0] for r in rule)
    shapes = [r.shape[:-1] for r in rule]
    value = numbers(v for r in rule for v in r.ravel()) if defined else None
    if problem.convention is not None and defined:
        wanted = full(problem.convention.balls([*search.x, *search.d]), 1)
        for a, (r, w) in enumerate(zip(rule, wanted, strict=True)):
            for k, (p, q) in enumerate(zip(r.ravel(), np.broadcast_to(w, r.shape).ravel(), strict=True)):
                if not p.overlaps(q):
                    return _refusal(a, k, shapes, float(p.mid()), (float(q.mid()),) * 2)
        return Outcome(Status.KINK_AGREES)
    ramp = np.arange(1.0, search.size + 1) / search.size
    ones = np.ones(search.size)
    first = np.stack([ones, -ones, ramp, -ramp])
    search.add(first)
    if value is not None and search.too_wide(rule, value):
        raise TooWide("the enclosure of the rule's value at a kink is too wide")
    if search.pieces and value is not None and search.distance(value)[0] <= INSIDE:
        return Outcome(Status.KINK_AGREES)
    rng = np.random.Generator(np.random.Philox(key=[11, 13]))
    random = dyadic(rng, (FIRST_DIRECTIONS, search.size))
    if search.jumps(first) or search.diverges(first[:2]) or search.diverges(random[:2]):
        return Outcome(Status.SINGULAR)
    if value is None and _Search(problem, x, [np.ones_like(a) for a in d]).diverges(first[:2]):
        return Outcome(Status.SINGULAR)  # 0 * inf: the direction hides that the slopes diverge
    search.add(np.concatenate([random, -random[: FIRST_DIRECTIONS // 2]]))
    if not search.pieces:
        return Outcome(Status.UNDECIDED, note="no smooth piece was found next to the point")
    if value is None:
        return _undefined(search, rule, shapes)
    return _hull(search, value, shapes)


def _undefined(search: _Search, rule: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> Outcome:
    """The rule has no value over the reals (0/0) where derivatives on the pieces around are bounded."""
    pieces = np.stack([p.derivative for p in search.pieces], axis=1)
    flat = [(a, k) for a, r in enumerate(rule) for k in range(r.size)]
    row, (a, k) = next(
        (row, (a, k)) for row, (a, k) in enumerate(flat) if not rule[a].ravel()[k].is_finite()
    )
    refused = _refusal(a, k, shapes, np.nan, (float(pieces[row].min()), float(pieces[row].max())))
    return replace(refused, status=Status.UNDEFINED)


def _hull(search: _Search, value: Array, shapes: Sequence[tuple[int, ...]]) -> Outcome:
    rounds = MAX_ROUNDS if search.size <= SMALL else 2
    for _ in range(rounds):
        residual, normal = search.distance(value)
        if residual <= INSIDE:
            return Outcome(Status.KINK_AGREES)
        if not search.chase(normal, value, thorough=not search.one_piece(value)):
            break
    else:
        return Outcome(Status.UNEXAMINED, note="the pieces at a kink were too many")
    if residual <= OUTSIDE:
        return Outcome(Status.UNDECIDED, note="at the edge of the generalized derivative")
    pieces = np.stack([p.derivative for p in search.pieces], axis=1)
    low, high = pieces.min(axis=1), pieces.max(axis=1)
    excess = np.maximum(low - value, value - high) / search.scale(value)
    k = int(np.argmax(excess)) if excess.max() > OUTSIDE else int(np.argmax(np.abs(normal)))
    sizes = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    a = int(np.searchsorted(sizes, k, side="right")) - 1
    refused = _refusal(a, k - int(sizes[a]), shapes, float(value[k]), (float(low[k]), float(high[k])))
    if search.one_piece(value):
        # all pieces agree: the branch is only in the code, the derivative has one value
        return replace(refused, status=Status.REFUTED, expected_value=float(low[k]))
    return refused


def _refusal(a: int, k: int, shapes: Sequence[tuple[int, ...]], got: float, expected: tuple[float, float]) -> Outcome:
    entry = tuple(int(i) for i in np.unravel_index(k, shapes[a])) if shapes[a] else ()
    return Outcome(
        Status.KINK_REFUTED, argument=a, entry=entry, got=repr(got), expected=repr(expected), got_value=got, expected_value=expected
    )


def _distance(pieces: Array, value: Array) -> tuple[float, Array]:
    """Distance (largest entry) from `value` to the hull of the columns, and the normal of a separating hyperplane."""
    from scipy.optimize import linprog

    if not (np.all(np.isfinite(pieces)) and np.all(np.isfinite(value))):
        raise Undecided("a derivative next to a kink is beyond the range of floats")
    m, k = pieces.shape
    # minimise s subject to |pieces @ weights - value| <= s, weights >= 0, sum(weights) = 1
    upper = np.block([[pieces, -np.ones((m, 1))], [-pieces, -np.ones((m, 1))]])
    cost = np.concatenate([np.zeros(k), [1.0]])
    solved = linprog(
        cost,
        A_ub=upper,
        b_ub=np.concatenate([value, -value]),
        A_eq=np.concatenate([np.ones(k), [0.0]])[None],
        b_eq=[1.0],
        bounds=[(0, None)] * (k + 1),
        method="highs",
    )
    if solved.status != 0:
        raise Undecided("the linear program of a kink failed")
    dual = np.asarray(solved.ineqlin.marginals)
    return float(solved.fun), dual[:m] - dual[m:]


class _Search:
    """The smooth pieces found so far around one point."""

    def __init__(self, problem: DerivativeProblem, x: list[Array], d: list[Array], least: int = PRECISION) -> None:
        self.problem = problem
        self.x = [lift(a) if a.dtype.kind == "f" else a for a in x]
        self.d = [lift(a) for a in d]
        moving = np.concatenate([np.abs(x[i]).ravel() for i in problem.wrt])
        self.size = moving.size
        floats = np.concatenate([np.abs(a).ravel() for a in x if a.dtype.kind == "f"])
        # a zero must not be moved past another entry, however small that is
        smallest = min(1.0, float(floats[floats > 0].min(initial=1.0)))
        self.magnitude = np.where(moving == 0, smallest, moving)
        self.precision = least + max(0, -int(np.floor(np.log2(smallest))))
        self.pieces: list[_Piece] = []

    def too_wide(self, rule: Sequence[Array], value: Array) -> bool:
        """Whether an enclosure is wider than 2**-60 of its entry and of the pieces there."""
        scale = self.scale(value) if self.pieces else np.abs(value)
        radii = np.array([0.0 if negligible(v) else float(v.rad()) for r in rule for v in r.ravel()])
        return bool(np.any(radii > scale * 2.0**-40))

    def scale(self, value: Array) -> Array:
        """Size of each entry among the pieces and the value; 1 where all are zero."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        size = np.maximum(np.abs(pieces).max(axis=1), np.abs(value))
        size[size == 0] = 1.0
        return np.asarray(size)

    def distance(self, value: Array) -> tuple[float, Array]:
        """Relative distance of `value` from the hull of the pieces, and the normal of a separating hyperplane."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        if np.abs(pieces - value[:, None]).max(axis=0).min(initial=np.inf) == 0:
            return 0.0, np.zeros(value.size)
        scale = self.scale(value)
        residual, normal = _distance(pieces / scale[:, None], value / scale)
        return residual, normal / scale

    def add(self, directions: Array) -> None:
        """Differentiate next to the point in each direction."""
        for direction, values in zip(directions, self.derivatives(directions, STEP_BITS), strict=True):
            if values is not None:
                self.remember(direction, values)

    def remember(self, direction: Array, near: Array) -> None:
        if any(v.rad() > v.abs_lower() * arb(2) ** -40 and not negligible(v) for v in near):
            raise TooWide("the enclosure of a derivative next to a kink is too wide")
        piece = _Piece(direction, numbers(near))
        if not any(np.array_equal(p.derivative, piece.derivative) for p in self.pieces):
            self.pieces.append(piece)

    def moved(self, directions: Array, bits: int) -> list[Array]:
        """The inputs moved by 2**-bits of their magnitude along each direction, one point per direction."""
        k = len(directions)
        step = arb(2) ** -bits
        out = [np.broadcast_to(a, (*a.shape[:-1], k)) for a in self.x]
        start = 0
        for i in self.problem.wrt:
            n = self.x[i].size
            shift = np.empty((n, k), dtype=object)
            for row in range(n):
                for column in range(k):
                    shift[row, column] = arb(float(directions[column][start + row] * self.magnitude[start + row])) * step
            out[i] = self.x[i] + shift.reshape((*self.x[i].shape[:-1], k))
            start += n
        return out

    def derivatives(self, directions: Array, bits: int) -> list[Array | None]:
        """Entries of `J^T w` (or `J v`) at the point moved by 2**-bits along each direction.

        None where that is a kink again, or outside the domain.
        """
        k = len(directions)
        moved = self.moved(directions, bits)
        given = [np.broadcast_to(a, (*a.shape[:-1], k)) for a in self.d]
        spy = _TouchSpy(self.problem)
        try:
            out = vector(spy.problem, moved, given)
        except Undecided:
            return [None] * k if k == 1 else [self.derivatives(d[None], bits)[0] for d in directions]
        flat = np.concatenate([a.reshape(-1, k) for a in out])
        usable = finite([flat], k) & ~spy.touched.reshape(k, -1).any(axis=1)
        return [flat[:, c] if usable[c] else None for c in range(k)]

    def jumps(self, directions: Array) -> bool:
        """Whether the forward map itself differs between the directions: a jump has no slope."""
        outputs = self.problem.forward.balls(self.moved(directions, STEP_BITS))
        moved_by = arb(float(self.magnitude.max(initial=0.0))) * arb(2) ** -(STEP_BITS // 2)
        for out in outputs:
            for row in full([out], len(directions))[0].reshape(-1, len(directions)):
                for other in row[1:]:
                    gap = abs(row[0] - other)
                    if gap > moved_by and gap > (abs(row[0]) + abs(other)) * arb(2) ** -20:
                        return True
        return False

    def diverges(self, directions: Array) -> bool:
        """Whether the slopes still change when the step shrinks from 2**-160 to 2**-320."""
        near = self.derivatives(directions, STEP_BITS)
        ctx.prec = 2 * self.precision
        nearer = self.derivatives(directions, 2 * STEP_BITS)
        ctx.prec = self.precision
        scale = sum((abs(v) for a in self.d for v in a.ravel()), arb(0))
        for a, b in zip(near, nearer, strict=True):
            if a is None or b is None:
                continue
            for p, q in zip(a, b, strict=True):
                if abs(p - q) > (abs(p) + scale) * arb(2) ** -20:
                    return True
        return False

    def one_piece(self, value: Array) -> bool:
        """Whether all pieces found have the same derivative: the branch is only in the code."""
        pieces = np.stack([p.derivative for p in self.pieces], axis=1)
        return bool(np.all(np.ptp(pieces, axis=1) <= 1e-12 * self.scale(value)))

    def chase(self, normal: Array, value: Array, thorough: bool = True) -> bool:
        """Look for a piece further out along `normal` than all so far; whether one was found.

        `thorough` adds all single flips and swaps of the best direction to the two directions of the normal.
        """
        target = max(float(normal @ p.derivative) for p in self.pieces)
        needed = target + 1e-9 * max(abs(target), abs(float(normal @ value)))
        best = max(self.pieces, key=lambda p: float(normal @ p.derivative))
        guesses = []
        if normal.size == self.size and np.any(normal):
            guess = normal / np.abs(normal).max()
            guess = np.where(guess == 0, 1e-3, guess)
            guesses = [guess, -guess]
        base = best.direction
        for k in range(self.size if thorough else 0):
            flipped = base.copy()
            flipped[k] = -flipped[k]
            guesses.append(flipped)
            for j in range(k):
                swapped = base.copy()
                swapped[j], swapped[k] = base[k], base[j]
                guesses.append(swapped)
        for start in range(0, len(guesses), TRIED_AT_ONCE):
            some = guesses[start : start + TRIED_AT_ONCE]
            found = False
            for direction, near in zip(some, self.derivatives(np.array(some), STEP_BITS), strict=True):
                if near is not None and float(normal @ numbers(near)) > needed:
                    self.remember(direction, near)
                    found = True
            if found:
                return True
        return False


class _TouchSpy:
    """The same problem with its forward map watched: at which points an evaluation touched a kink or left the domain."""

    def __init__(self, problem: DerivativeProblem) -> None:
        self.touched = np.zeros(0, dtype=bool)
        outer = self

        class Forward:
            def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
                return problem.forward.balls(inputs, widen)

            def duals(
                self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
            ) -> tuple[list[Array], list[Array], Array]:
                values, moved, touched = problem.forward.duals(inputs, tangents, widen)
                outer.touched = touched | ~finite(full(values, touched.size), touched.size)
                return values, moved, touched

        self.problem = DerivativeProblem(Forward(), problem.rule, problem.mode, problem.wrt, problem.unit)
