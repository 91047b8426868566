"""At a kink the rule's value must lie in the convex hull of the derivatives on the smooth pieces that meet there.

The pieces are reached by moving the point by 2**-160 in random directions (sign patterns, tie orders) and
differentiating there in dual balls; the hull is then tested by a linear program. A value that seems to lie outside is
chased: the hyperplane that separates it names the direction in which a further piece is sought, by single flips and
swaps, until no piece helps. Before a refusal the pieces' derivatives give way to their limits at the kink. Slopes
along one direction only are never used: with several kinks at once they refuse members of the generalized (Clarke)
derivative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.exact import NEGLIGIBLE_BITS
from backprove.harness.core.thresholds.kinks import (
    FIRST_DIRECTIONS,
    FIRST_PRECISION,
    FLIPPED_ENTRIES,
    INSIDE,
    MAX_ENTRIES,
    MAX_ROUNDS,
    OUTSIDE,
    PRECISION,
    STEP_BITS,
)
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.limits import Unsettled
from backprove.harness.oracles.near_hull import within_rounding
from backprove.harness.oracles.pieces import Search, TooWide, numbers, slopes
from backprove.harness.oracles.problem import DerivativeProblem, Outcome, Status
from backprove.harness.oracles.vectors import dyadic, finite, full, take


@dataclass
class _Look:
    """What all points of a batch are asked for at once: the rule's value, and slopes along the first directions."""

    rule: list[Array]
    slopes: list[Array | None]
    precision: int


def at_kink(problem: DerivativeProblem, x: list[Array], d: list[Array]) -> Iterator[Outcome]:
    """Judge the rule at points where the forward map has a kink, a tie or no derivative: one after the other.

    Args:
        problem: rule and forward map.
        x: inputs (floats as float64, integers as they are), shape + points.
        d: cotangents or tangents, shape + points.
    """
    points = max(a.shape[-1] for a in (*x, *d))
    each = [([a[..., i : i + 1] for a in x], [a[..., i : i + 1] for a in d]) for i in range(points)]
    searches = [Search(problem, *point) for point in each]
    looks = _first_looks(problem, searches)
    for search, look, point in zip(searches, looks, each, strict=True):
        try:
            yield _examine(search, look, *point)
        except Undecided as why:
            yield Outcome.undecided(why)


def _examine(search: Search, look: _Look | None, x: list[Array], d: list[Array]) -> Outcome:
    if search.size == 0:
        return Outcome(Status.KINK_AGREES)
    if search.size > MAX_ENTRIES:
        return Outcome(Status.UNEXAMINED, note=f"a kink with {search.size} entries")
    if look is not None:
        with ctx.workprec(look.precision):
            if _accepts(search, look):
                return Outcome(Status.KINK_AGREES)
    try:
        with ctx.workprec(search.precision):
            return _judge(Search(search.problem, x, d), x, d)
    except TooWide:
        # heavy cancellation next to the kink: twice the digits, and enough to sink below what counts
        closer = Search(search.problem, x, d, least=2 * NEGLIGIBLE_BITS)
        with ctx.workprec(closer.precision):
            return _judge(closer, x, d)


def _accepts(search: Search, look: _Look) -> bool:
    """Whether the first look is enough: every direction has its piece, no slope is steep, the value is in the hull."""
    if not finite(look.rule, 1)[0] or any(s is None for s in look.slopes):
        return False
    value = numbers(v for r in look.rule for v in r.ravel())
    try:
        search.add(_first_directions(search.size), look.slopes)
        return not search.too_wide(look.rule, value) and search.moderate() and search.distance(value)[0] <= INSIDE
    except Undecided:
        return False


def _first_directions(entries: int) -> Array:
    ramp, ones = np.arange(1.0, entries + 1) / entries, np.ones(entries)
    return np.stack([ones, -ones, ramp, -ramp])


def _first_looks(problem: DerivativeProblem, searches: Sequence[Search]) -> Sequence[_Look | None]:
    """One look per search; none where a point must be looked at on its own."""
    nothing = [None] * len(searches)
    if problem.convention is not None or not 0 < searches[0].size <= MAX_ENTRIES:
        return nothing
    first = _first_directions(searches[0].size)
    k = len(first)
    precision = max(s.precision for s in searches) - PRECISION + FIRST_PRECISION
    x, d = (
        [np.concatenate(a, axis=-1) for a in zip(*each, strict=True)]
        for each in ([s.x for s in searches], [s.d for s in searches])
    )
    try:
        with ctx.workprec(precision):
            rule = full(problem.rule.balls([*x, *d]), len(searches))
            moved = zip(*(s.moved(first, STEP_BITS) for s in searches), strict=True)
            found = slopes(problem, [np.concatenate(a, axis=-1) for a in moved], [np.repeat(a, k, axis=-1) for a in d])
    except Undecided:
        return nothing
    return [_Look(take(rule, slice(i, i + 1)), found[k * i : k * i + k], precision) for i in range(len(searches))]


def _judge(search: Search, x: list[Array], d: list[Array]) -> Outcome:
    """The outcome at one point; the current precision is the search's own."""
    problem = search.problem
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
    first = _first_directions(search.size)
    search.add(first)
    if value is not None and search.too_wide(rule, value):
        raise TooWide("the enclosure of the rule's value at a kink is too wide")
    if search.pieces and value is not None and search.moderate() and search.distance(value)[0] <= INSIDE:
        return Outcome(Status.KINK_AGREES)
    rng = np.random.Generator(np.random.Philox(key=[11, 13]))
    random = dyadic(rng, (FIRST_DIRECTIONS, search.size))
    if search.jumps(first) or search.diverges(first[:2]) or search.diverges(random[:2]):
        return Outcome(Status.SINGULAR)
    inward = search.inward()
    if search.diverges(inward):
        return Outcome(Status.SINGULAR)
    if value is None and any(s.diverges(np.concatenate([first[:2], inward])) for s in _unhidden(problem, x, d)):
        return Outcome(Status.SINGULAR)  # 0 * inf: a zero hides that the slopes diverge
    search.add(np.concatenate([random, -random[: FIRST_DIRECTIONS // 2]]))
    if not search.pieces:
        return Outcome(Status.UNDECIDED, note="no smooth piece was found next to the point")
    if value is None:
        return _undefined(search, rule, shapes)
    return _hull(search, value, shapes)


def _unhidden(problem: DerivativeProblem, x: list[Array], d: list[Array]) -> Iterator[Search]:
    """The same kink with directions of ones, and then with the zeros of one input replaced by ones as well.

    A direction or a weight of zero hides that slopes diverge, such as those of `w * arccos(x)` at w = 0, x = 1.
    """
    ones = [np.ones_like(a) for a in d]
    yield Search(problem, x, ones)
    for k in problem.wrt:
        if (x[k] == 0).any():
            yield Search(problem, [*x[:k], np.where(x[k] == 0, 1.0, x[k]), *x[k + 1 :]], ones)


def _undefined(search: Search, rule: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> Outcome:
    """The rule has no value over the reals (0/0) where derivatives on the pieces around are bounded."""
    pieces = np.stack([p.derivative for p in search.pieces], axis=1)
    flat = [(a, k) for a, r in enumerate(rule) for k in range(r.size)]
    row, (a, k) = next((row, (a, k)) for row, (a, k) in enumerate(flat) if not rule[a].ravel()[k].is_finite())
    refused = _refusal(a, k, shapes, np.nan, (float(pieces[row].min()), float(pieces[row].max())))
    return replace(refused, status=Status.UNDEFINED)


def _hull(search: Search, value: Array, shapes: Sequence[tuple[int, ...]]) -> Outcome:
    if search.distance(value)[0] <= INSIDE:
        return Outcome(Status.KINK_AGREES)
    if within_rounding(search, value):
        return Outcome(Status.KINK_AGREES)
    try:
        return _hull_at_limits(search, value, shapes)
    except Unsettled:
        return Outcome(Status.SINGULAR)


def _hull_at_limits(search: Search, value: Array, shapes: Sequence[tuple[int, ...]]) -> Outcome:
    search.go_to_the_kink()
    rounds = MAX_ROUNDS if search.size <= FLIPPED_ENTRIES else 2
    for _ in range(rounds):
        value = search.measured(value)
        residual, normal = search.distance(value)
        if residual <= INSIDE:
            return Outcome(Status.KINK_AGREES)
        if not search.chase(normal, value, thorough=not search.one_piece(value)) and not search.explore(normal, value):
            break
    else:
        return Outcome(Status.UNEXAMINED, note="the pieces at a kink were too many")
    if within_rounding(search, value):
        return Outcome(Status.KINK_AGREES)
    if residual <= OUTSIDE:
        return Outcome(Status.UNDECIDED, note="at the edge of the generalized derivative")
    if search.diverges_along_curves(np.stack([p.direction for p in search.pieces[:2]])):
        return Outcome(Status.SINGULAR)
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
        Status.KINK_REFUTED,
        argument=a,
        entry=entry,
        got=repr(got),
        expected=repr(expected),
        got_value=got,
        expected_value=expected,
    )
