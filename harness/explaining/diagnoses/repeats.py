"""This diagnosis names lookups by index that lose entries which are looked up more than once."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, assemble, same


def overwritten(e: Evidence) -> str | None:
    """Right where no index occurs twice; where one does, entries of the Jacobian are missing or counted too seldom."""
    places = [i for i, s in enumerate(e.specs.values()) if s.kind == "index" or s.dtype not in ("float", "bool")]
    if e.mode != "vjp" or not e.wrong or len(e.shaped) < len(e.cases):
        return None
    for i in places:
        told = [_told(c, i, e.wrong) for c in e.cases if c.x[i].size > 1]
        if told and None not in told and any(told):
            name = list(e.specs)[i]
            return (
                f"{e.where}wrong only where an index occurs more than once in {name}: later cotangents overwrite "
                f"earlier ones, where they must be added; use np.add.at(out, {name}, g) in place of out[{name}] = g."
            )
    return None


def _told(c: Case, i: int, wrong: list[int]) -> bool | None:
    """Whether the case shows the mistake (an index occurs twice); None where it does not fit it."""
    if c.got is None:
        return None
    repeated = np.unique(c.x[i]).size < c.x[i].size
    if repeated:
        # less than true, entry by entry, by a whole number of times: something is left out, nothing else is wrong
        times = int(np.unique(c.x[i], return_counts=True)[1].max())
        fits = all(_left_out(c.got[k], c.true[k], times) for k in wrong)
        alone = _with_one(c, i)
        return True if fits and alone is not None and all(same(*pair) for pair in alone) else None
    return False if all(c.right(k) for k in wrong) else None


def _left_out(got: Array, true: Array, times: int) -> bool:
    """Whether every entry is zero, the true one, or that of fewer of up to so many equal terms."""
    scale = np.abs(true).max(initial=0.0)
    fits = (np.abs(got) <= 1e-9 * scale) | (np.abs(got - true) <= 1e-6 * scale)
    for whole in range(2, times + 1):
        for some in range(1, whole):
            fits |= np.abs(got * whole - true * some) <= 1e-6 * scale
    return bool(np.all(fits))


def _with_one(c: Case, i: int) -> list[tuple[Array, Array]] | None:
    """Rule's and true Jacobians with each index used once; None where there are too few of them."""
    index = c.x[i]
    values = np.unique(index)
    other = np.setdiff1d(np.arange(int(values.max()) + 1), values)
    pool = np.concatenate([values, other]).astype(index.dtype)
    if pool.size < index.size:
        return []  # no such point; the cases without repetition decide
    x = [pool[: index.size].reshape(index.shape) if k == i else a for k, a in enumerate(c.x)]
    true = c.true_at(x)
    results = c.rule_batch(list(c.units()), x)
    got = None if results is None else assemble(c, results)
    return None if true is None or got is None else list(zip(got, true, strict=True))
