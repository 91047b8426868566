"""Tables show a rule's Jacobian beside the true one, and values to check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.results import Direction, Number, Spot
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.numbers.balls.arrays import lift, lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.vectors import vector

MAX_JACOBIAN = 16
PRECISION = 192
"""Bits of the balls whose midpoints are shown."""


def jacobians(claim_at: DerivativeAt, arrays: Sequence[Array]) -> dict[str, Any] | None:
    """The rule's Jacobian and the true one at a point, rows by output entry, columns by input entry.

    None where they are large, or the exact layer cannot evaluate one of them.
    """
    x = [a[..., None] for a in arrays]
    rows = sum(int(np.prod(s)) for s in claim_at.output_shapes)
    columns = sum(int(np.prod(claim_at.signature[i][0])) for i in claim_at.wrt)
    if claim_at.problem is None or not 0 < rows <= MAX_JACOBIAN or not 0 < columns <= MAX_JACOBIAN or claim_at.unit:
        return None
    balls = lift_floats(x)
    mine, true = [], []
    try:
        with ctx.workprec(PRECISION):
            for unit in _units(claim_at.direction_shapes):
                given = [lift(u) for u in unit]
                mine.append(_flat(claim_at.problem.rule.balls([*balls, *given])))
                true.append(_flat(vector(claim_at.problem, balls, given)))
    except (Undecided, UnsupportedPrimitive):
        return None
    found = {"rule": np.array(mine, dtype=float), "true": np.array(true, dtype=float)}
    if claim_at.mode == "jvp":
        found = {k: v.T for k, v in found.items()}
    return {k: [[float(v) if np.isfinite(v) else None for v in row] for row in m] for k, m in found.items()}


def _units(shapes: Sequence[tuple[int, ...]]) -> list[list[Array]]:
    out = []
    for k, shape in enumerate(shapes):
        for j in np.ndindex(shape):
            unit = [np.zeros((*s, 1)) for s in shapes]
            unit[k][(*j, 0)] = 1.0
            out.append(unit)
    return out


def _flat(values: Sequence[Array]) -> list[Number]:
    """All entries as floats, NaN where one is not finite; code may return integers where balls are expected."""
    flat = [v for a in values for v in a.ravel()]
    return [float(v) if not isinstance(v, arb) else float(v.mid()) if v.is_finite() else np.nan for v in flat]


def spot_values(claim_at: DerivativeAt, arrays: Sequence[Array]) -> Spot | None:
    """Rule and truth at a point with all-ones direction, for the report's table of spot values."""
    if claim_at.problem is None or claim_at.unit:
        return None
    balls = lift_floats([a[..., None] for a in arrays])
    ones = [np.ones(s) for s in claim_at.direction_shapes]
    given = [lift(o[..., None]) for o in ones]
    try:
        with ctx.workprec(PRECISION):
            got = claim_at.problem.rule.balls([*balls, *given])
            expected = vector(claim_at.problem, balls, given)
    except (Undecided, UnsupportedPrimitive):
        return None
    along = ones[0].tolist() if len(ones) == 1 else [o.tolist() for o in ones]
    direction: Direction = {"cotangent": along} if claim_at.mode == "vjp" else {"tangent": along}
    found: Spot = {
        "inputs": {n: a.tolist() for n, a in zip(claim_at.input_names, arrays, strict=True)},
        **direction,
        "got": _flat(got),
        "expected": _flat(expected),
    }
    return found
