"""A linear program tells how far a value lies from the convex hull of some points, the columns of a matrix."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.kinks import SAME
from backprove.harness.numbers.balls.truth import Undecided


def between_two(pieces: Array, value: Array, scale: Array) -> bool:
    """Whether `value` lies on a segment between two of the columns."""
    a, value = pieces / scale[:, None], value / scale
    i, j = np.triu_indices(a.shape[1], 1)
    way, gap = a[:, j] - a[:, i], value[:, None] - a[:, i]
    with np.errstate(all="ignore"):
        share = np.clip((way * gap).sum(axis=0) / (way * way).sum(axis=0), 0.0, 1.0)
        return bool((np.abs(gap - share * way) <= SAME).all(axis=0).any())


def hull_distance(pieces: Array, value: Array) -> tuple[float, Array]:
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
