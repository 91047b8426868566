"""This diagnosis names a quotient of two inputs that is rounded another way than in forward: a remainder of the wrong
sign.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same

Array = NDArray[np.float64]

ROUNDINGS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "floor": (np.floor, "rounded down"),
    "trunc": (np.trunc, "rounded toward zero"),
    "rint": (np.rint, "rounded to the nearest integer"),
    "ceil": (np.ceil, "rounded up"),
}


def rounded_quotient(e: Evidence) -> str | None:
    """The Jacobian is diagonal and holds a quotient rounded one way, the rule's the same quotient rounded another."""
    if len(e.wrong) != 1 or len(e.shaped) < len(e.cases):
        return None
    k, wrt = e.wrong[0], e.cases[0].claim_at.wrt
    for i, j in permutations(wrt, 2):
        quotients = [_quotient(c, i, j) for c in e.cases]
        if any(q is None for q in quotients):
            continue
        told = [(c, q) for c, q in zip(e.cases, quotients, strict=True) if q is not None]
        for sign in (-1.0, 1.0):
            right = [
                n for n, (f, _) in ROUNDINGS.items() if all(same(c.true[k], sign * np.diag(f(q))) for c, q in told)
            ]
            mine = [
                n
                for n, (f, _) in ROUNDINGS.items()
                if all(c.got is not None and same(c.got[k], sign * np.diag(f(q))) for c, q in told)
            ]
            if len(right) == 1 and len(mine) == 1:
                names = e.cases[0].claim_at.input_names
                quotient = f"{names[i]} / {names[j]}"
                return (
                    f"{e.where}the quotient {quotient} is {ROUNDINGS[mine[0]][1]} ({mine[0]}), where forward's is "
                    f"{ROUNDINGS[right[0]][1]}: use {right[0]}({quotient})."
                )
    return None


def _quotient(c: Case, i: int, j: int) -> Array | None:
    x, y = c.x[i], c.x[j]
    if x.shape != y.shape or not x.size or (y == 0).any():
        return None
    found: Array = (x / y).ravel()
    return found
