"""What accuracy a problem allows: the change of the derivative when inputs and constants move by one rounding.

The ball hull: dual balls over inputs x(1 +- u), directions w(1 +- u) and literals (1 +- u); the radius of each entry of
the derivative is the error that any algorithm must be granted (backward-error view).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.dtypes import FloatFormat
from backprove.harness.oracles.exact import DerivativeProblem, vector
from backprove.harness.systems.balls import Undecided, lift

Array = NDArray[Any]


def forced_error(
    problem: DerivativeProblem, x: Sequence[Array], d: Sequence[Array], form: FloatFormat
) -> list[tuple[Array, Array]] | None:
    """Exact derivative and forced error, entry by entry.

    Args:
        x, d: inputs and directions, shape + points.

    Returns:
        One (value, error) pair of float64 arrays (shape + points) per output of the rule; None where the derivative is
        not decided. The error is infinite where the hull is unbounded.
    """
    ctx.prec = 192

    def blur(a: Array) -> Array:
        if a.dtype.kind != "f":
            return a
        out = np.empty(a.shape, dtype=object)
        for i, v in enumerate(a.ravel().tolist()):
            out.ravel()[i] = arb(v, abs(v) * form.u)
        return out

    try:
        value = vector(problem, [lift(a) if a.dtype.kind == "f" else a for a in x], [lift(a) for a in d])
        hull = vector(problem, [blur(a) for a in x], [blur(a) for a in d], form.u)
    except Undecided:
        return None
    out = []
    for v, h in zip(value, hull, strict=True):
        centre = np.vectorize(lambda b: float(b.mid()) if b.is_finite() else np.nan, otypes=[float])(v)
        radius = np.vectorize(lambda b: float(b.rad()) if b.is_finite() else np.inf, otypes=[float])(h)
        out.append((centre, radius))
    return out
