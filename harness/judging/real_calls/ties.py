"""Ties may be broken another way by the code than by its program: a kernel that selects need not take the first.

The second smallest of (1, 1, 2) is the first or the second entry; a rule that passes the cotangent on to either is
right, but its program says which. Such results are not held against the program's error bounds, if the code and its
program agree at points beside, where nothing is tied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, any_entry
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.frontends.trust import tied
from backprove.harness.judging.float_contract import exceeds
from backprove.harness.numbers.bounds.truth import Bounded

MOST = 64
"""Points of a batch that are looked at; the others count as beyond their bounds."""
BESIDE = 2
"""Points beside each at which code and program are compared."""


def broken_otherwise(
    rule: FunctionAt, arrays: Sequence[Array], result: Sequence[Array], bounds: Sequence[Bounded]
) -> Array:
    """Points at which a finite result is beyond its bounds for no other reason than a tie.

    Args:
        rule: code with a program.
        arrays: its arguments, shape + points.
        result: what calls gave there.
        bounds: of the program.
    """
    n, dtype = max(a.shape[-1] for a in arrays), rule.dtype
    out = np.zeros(n, dtype=bool)
    beyond = any_entry([exceeds(r, b.v, b.e, dtype) for r, b in zip(result, bounds, strict=True)], n)
    if not beyond.any():
        return out
    index = np.flatnonzero(beyond & tied(arrays, n))[:MOST]
    if not index.size:
        return out
    agree = np.ones(index.size, dtype=bool)
    rng = np.random.Generator(np.random.Philox(key=[7, 11]))
    for _ in range(BESIDE):
        beside = [_apart(np.broadcast_to(a, (*a.shape[:-1], n))[..., index], dtype, rng) for a in arrays]
        called = rule.calls(beside)
        there = zip(called.values, rule.bounds(beside), strict=True)
        agree &= ~any_entry([exceeds(c, b.v, b.e, dtype) | ~np.isfinite(c) for c, b in there], index.size)
        agree[list(called.troubles)] = False
    out[index[agree]] = True
    return out


def _apart(a: Array, dtype: str, rng: np.random.Generator) -> Array:
    """The points with entries that differ by half the digits of the format."""
    if a.dtype.kind != "f":
        return a
    size = np.abs(a).max(axis=tuple(range(a.ndim - 1)), keepdims=True, initial=0.0)
    step = np.sqrt(FORMATS[dtype].u) * np.where(a == 0, np.where(size == 0, 1.0, size), a)
    return np.asarray(FORMATS[dtype].round(a + step * rng.uniform(0.25, 1.0, a.shape)), dtype=np.float64)
