"""A value that lies outside the hull of the pieces at a kink by no more than rounding counts as inside.

Rounding is what `shown.py` grants elsewhere: units in the last place of the pieces' entries, at the scale of the whole
result where they are zero, and what one rounding of the inputs, or of the literals in the format under test, does to a
derivative without leaving its piece. It matters where entries cancel, and where forward changes from one approximation
to another (the `dawsn` of JAX at 3.25).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.exact import FINE, SHOWN_ULPS
from backprove.harness.core.thresholds.kinks import OUTSIDE, STEP_BITS
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.hull import hull_distance
from backprove.harness.oracles.pieces import Search, slopes
from backprove.harness.oracles.shown import blurred, changes_by_rounding, effects
from backprove.harness.oracles.vectors import full

LOOKED_AT = 4
"""Pieces on which the rounding is measured."""


def within_rounding(search: Search, value: Array) -> bool:
    """Whether a value is in the hull of the pieces found so far, once every entry is granted its rounding."""
    if not search.pieces:
        return False
    pieces = np.stack([p.derivative for p in search.pieces], axis=1)
    unit = search.problem.gap_unit()
    granted = search.problem.granted * _slack(search, pieces, value, unit)
    grain = np.maximum(granted, OUTSIDE * search.scale(value))
    try:
        return bool(hull_distance(pieces / grain[:, None], value / grain)[0] <= 1.0)
    except Undecided:
        return False


def _slack(search: Search, pieces: Array, value: Array, unit: float) -> Array:
    """Rounding that is granted to every entry."""
    largest = np.abs(pieces).max(axis=1)
    out: Array = SHOWN_ULPS * 2 * unit * largest
    if not largest.all():
        out = np.where(largest == 0, SHOWN_ULPS * _at_zero(search, largest, unit), out)
    terms, literals = np.zeros(largest.size), np.full(largest.size, np.inf)
    for piece in search.pieces[:LOOKED_AT]:
        terms = np.maximum(terms, _terms(search, piece.direction, unit))
        literals = np.minimum(literals, _literals(search, piece.direction))
    size = np.where(largest == 0, largest.max(initial=0.0), largest)
    # more than half the digits is a branch that is not decided, and no rounding
    literals = np.where(literals <= np.sqrt(search.problem.unit) * size, literals, 0.0)
    return np.maximum(out, np.maximum(terms, literals))


def _beside(search: Search, direction: Array, unit: float) -> list[Array]:
    """The point moved onto the piece in a direction, by more than the `FINE` share of a rounding."""
    nonzero = np.concatenate([[bool(v != 0) for v in search.x[i].ravel()] for i in search.problem.wrt])
    bits = round(-np.log2(unit * FINE)) - 2
    # a rounding leaves zeros where they are: these move by the step to the piece alone
    return search.moved(np.where(nonzero, direction, direction * 2.0 ** (bits - STEP_BITS))[None], bits)


def _terms(search: Search, direction: Array, unit: float) -> Array:
    """Rounding of the terms that cancel in forward's derivative and in the rule alike, on one piece."""
    beside = _beside(search, direction, unit)
    try:
        hull = slopes(search.problem, blurred(beside, unit), blurred(search.d, unit))[0]
    except Undecided:
        return np.zeros(1)
    own = None if hull is None else changes_by_rounding(search.problem, beside, search.d, unit)
    return np.zeros(1) if hull is None or own is None else np.minimum(_flat(effects([hull])), _flat(own))


def _literals(search: Search, direction: Array) -> Array:
    """What rounded literals do to the derivative and to the rule, on one piece; infinite where that is not decided."""
    unit = search.problem.unit
    beside = _beside(search, direction, unit)
    try:
        mine = full(search.problem.rule.balls([*beside, *search.d], unit * FINE), 1)
        theirs = slopes(search.problem, beside, search.d, unit * FINE)[0]
    except (Undecided, UnsupportedPrimitive):
        theirs = None
    return np.full(1, np.inf) if theirs is None else _flat(effects(mine)) + _flat(effects([theirs]))


def _at_zero(search: Search, largest: Array, unit: float) -> Array:
    """Rounding of the rule's own terms, and of the largest entry of the same result where that is less."""
    scale, start = np.zeros(largest.size), 0
    own = changes_by_rounding(search.problem, search.x, search.d, unit)
    for r in search.problem.rule.balls([*search.x, *search.d]):
        here = slice(start, start + r.size)
        scale[here] = 2 * unit * largest[here].max(initial=0.0)
        start += r.size
    return scale if own is None else np.minimum(scale, _flat(own))


def _flat(balls: Sequence[Array]) -> Array:
    return np.array([float(v.mid()) for a in balls for v in a.ravel()])
