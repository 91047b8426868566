"""These diagnoses name rules that are right in one region of the values only: a threshold, an overflow, digits that
cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, assemble, same
from backprove.harness.judging.float_contract import accurate

SWEEP = np.arange(-39, 40) * 0.25 + 0.0625
FAR = (12.0, 25.0, 45.0, 95.0, 200.0, 400.0, 800.0, 2e3, 1e4, 1e80, 1e120, 1e160, 1e200)
BISECTIONS = 16
SWEPT = 48
"""Most entries of the Jacobians of a case that is swept through its values."""
WIDE = 3
"""Fewest neighbouring values of the sweep that make a region."""


def at(c: Case, k: int, value: float) -> Case | None:
    """The case with every entry of argument k near `value`; None where forward has no derivative there."""
    position = c.claim_at.wrt[k]
    x = list(c.x)
    shape = x[position].shape
    steps = np.arange(x[position].size).reshape(shape) * 2.0**-10
    x[position] = value + (steps if abs(value) < 1e3 else np.zeros(shape))
    here = Case(c.claim_at, c.sizes, x)
    true = here.true_at(x)
    results = here.rule_batch(list(here.units())) if true is not None else None
    if true is None or results is None:
        return None
    here.true, here.got = true, assemble(here, results)
    return here if here.got is not None else None


def _allowed(e: Evidence, k: int, values: Sequence[float]) -> list[float]:
    spec = e.specs[e.names[k]]
    low = -np.inf if spec.low is None else spec.low
    high = spec.high if isinstance(spec.high, (int, float)) else np.inf
    return [float(v) for v in values if low <= v <= high - 0.05]


def _smallest(e: Evidence) -> list[Case]:
    """One case per shape that is not trivial, small ones first, at most two."""
    seen: dict[tuple[Any, ...], Case] = {}
    for c in sorted(e.cases, key=lambda c: sum(j.size for j in c.true)):
        if any(j.any() for j in c.true):
            seen.setdefault(tuple(c.claim_at.signature), c)
    small = [c for c in seen.values() if sum(j.size for j in c.true) <= SWEPT]
    return small[:2]


def region(e: Evidence) -> str | None:
    """Wrong for x > c, x < c, |x| > c or between two thresholds only."""
    if len(e.shaped) < len(e.cases) or e.verdict != "falsified":
        return None
    for k, name in enumerate(e.names):
        if any(i != k for i in e.wrong) or e.specs[name].kind is not None:
            continue
        for c in _smallest(e):
            found = _sweep(e, c, k)
            if found is not None:
                return found
    return None


def _sweep(e: Evidence, c: Case, k: int) -> str | None:
    # where generic points are right, only a wide region further out is left to find
    values = _allowed(e, k, (SWEEP if e.wrong else SWEEP[::2]).tolist())
    if e.wrong and not any(h.right(k) for v in values[::8] if (h := at(c, k, v)) is not None):
        return None
    cases = [(v, h) for v in values if (h := at(c, k, v)) is not None]
    good = [h.right(k) for _, h in cases]
    # two curves that cross are no region: both parts must be wide
    if len(cases) < 8 or min(good.count(True), good.count(False)) < WIDE or not _runs_are_wide(good):
        return None
    edges = [i for i in range(len(good) - 1) if good[i] != good[i + 1]]
    if len(edges) > 2:
        return None
    specials = [s for s in c.claim_at.specials if np.isfinite(s)]
    cuts = [_bisect(c, k, cases[i][0], cases[i + 1][0], specials) for i in edges]
    name = e.names[k]
    where = _words(name, cuts, good[0])
    wrong = [h for (_, h), ok in zip(cases, good, strict=True) if not ok]
    return f"{e.where}wrong only for {where}: {_there(wrong, k, name, len(cuts) == 2 and good[0])}"


def _runs_are_wide(good: Sequence[bool]) -> bool:
    runs = [len(list(group)) for _, group in groupby(good)]
    return min(runs) >= WIDE


def _bisect(c: Case, k: int, low: float, high: float, specials: Sequence[float]) -> float:
    first = at(c, k, low)
    left = first is not None and first.right(k)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        here = at(c, k, middle)
        if here is not None and here.right(k) == left:
            low = middle
        else:
            high = middle
    # entries are spread over a few 2**-10, so that only this much of the cut is known
    rough = (low + high) / 2
    near = [s for s in (*specials, *np.round([rough, rough * 2, rough * 10]) / [1, 2, 10]) if abs(s - rough) <= 0.03]
    return float(min(near, key=lambda s: abs(s - rough))) if near else rough


def _words(name: str, cuts: Sequence[float], first_good: bool) -> str:
    if len(cuts) == 1:
        return f"{name} > {cuts[0]:.4g}" if first_good else f"{name} < {cuts[0]:.4g}"
    low, high = cuts
    if abs(low + high) < 1e-9:
        return f"abs({name}) < {high:.4g}" if first_good else f"abs({name}) > {high:.4g}"
    return f"{low:.4g} < {name} < {high:.4g}" if first_good else f"{name} outside {low:.4g} to {high:.4g}"


def _there(wrong: Sequence[Case], k: int, name: str, inside: bool) -> str:
    """What is true in the region, in words."""
    if all(not h.true[k].any() for h in wrong):
        return "there forward is constant and the derivative is zero; the rule lacks this branch."
    if all(h.got is not None and not h.got[k].any() for h in wrong):
        return "there the rule gives zero, but the derivative is not zero."
    if all(h.got is not None and same(h.got[k], -h.true[k]) for h in wrong):
        return "there the sign is wrong."
    if inside:
        return "the rule changes its branch at another threshold than forward does."
    return f"there forward follows another branch than the rule; compare the conditions on {name}."


# -- floats ------------------------------------------------------------------------------------------------------------


def overflow(e: Evidence) -> str | None:
    """NaN or infinity at large values, where the derivative is finite."""
    return _far(e, _broken, _overflow_words)


def cancellation(e: Evidence) -> str | None:
    """No digit is left at large values: a difference of nearly equal numbers."""
    return _far(e, _lost, _lost_words)


def _far(e: Evidence, bad: Callable[[Case, int], bool], words: Callable[[str, float], str]) -> str | None:
    if e.wrong or len(e.shaped) < len(e.cases) or e.verdict != "inaccurate":
        return None
    for k, name in enumerate(e.names):
        if e.specs[name].kind is not None:
            continue
        for c in _smallest(e):
            found: list[str] = []
            for sign in (1.0, -1.0):
                last = 4.0
                for far in FAR:
                    if not _allowed(e, k, [sign * far]):
                        break
                    here = at(c, k, sign * far)
                    if here is not None and bad(here, k):
                        found.append(words(name, sign * _edge(c, k, sign, last, far, bad)))
                        break
                    last = far
            if found:
                return found[0] if len(found) == 1 else f"{found[0]} The same happens on the other side."
    return None


def _edge(c: Case, k: int, sign: float, low: float, high: float, bad: Callable[[Case, int], bool]) -> float:
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        here = at(c, k, sign * middle)
        if here is not None and bad(here, k):
            high = middle
        else:
            low = middle
    return high


def _broken(c: Case, k: int) -> bool:
    return c.got is not None and not np.isfinite(c.got[k]).all() and _forward_is_fine(c)


def _lost(c: Case, k: int) -> bool:
    if c.got is None or not np.isfinite(c.got[k]).all():
        return False
    if (
        c.true[k].shape[0] != c.true[k].shape[1]
        or (c.true[k] != np.diag(np.diag(c.true[k]))).any()
        or not _forward_is_fine(c)
    ):
        return False
    big = np.abs(c.true[k]) > 1e-250
    off = np.abs(c.got[k] - c.true[k])
    return bool((off[big] >= 0.5 * np.abs(c.true[k][big])).any())


def _forward_is_fine(c: Case) -> bool:
    """Whether forward keeps digits in all its steps there; else nobody can blame the rule."""
    program = c.claim_at.forward_program
    if program is None:
        return all(np.isfinite(o).all() for o in c.outputs)
    return bool(accurate(program, [a[..., None] for a in c.x], c.claim_at.dtype)[0])


def _overflow_words(name: str, edge: float) -> str:
    side = f"{name} > {edge:.4g}" if edge > 0 else f"{name} < {edge:.4g}"
    start = f"The formula is right, but overflows in float64 for {side} (inf/inf or inf*0)"
    limit = np.log(np.finfo(float).max)
    if any(abs(abs(edge) - m * limit) <= 0.01 * m * limit for m in (0.5, 1.0, 2.0)):
        return f"{start}: a naive exponential. Use exp(-abs({name})), or subtract the maximum before the exponential."
    if abs(np.log(abs(edge)) - 0.5 * limit) <= 0.02 * limit:
        return f"{start}: a square of a large number. Divide by the largest magnitude first."
    return f"{start}. Rearrange it so that no intermediate result is huge."


def _lost_words(name: str, edge: float) -> str:
    side = f"{name} > {edge:.3g}" if edge > 0 else f"{name} < {edge:.3g}"
    return (
        f"The formula is right over the reals, but all its digits cancel in float64 for {side}: a "
        "difference of nearly equal "
        "numbers, such as 1 - s. Write the small number directly (for the sigmoid: s(x)*s(-x) instead of "
        "s(x)*(1-s(x)))."
    )


def narrower(e: Evidence) -> str | None:
    """Right to the digits of a narrower format only, with an error as irregular as rounding."""
    if len(e.shaped) < len(e.cases):
        return None
    sizes = [_error(c) for c in e.cases]
    worst = max(sizes)
    if not FLOAT32[0] < worst < HALF[1]:
        return None
    if not _irregular(max(e.cases, key=_error)):
        return None
    if worst < FLOAT32[1]:
        which = "float32"
    elif worst > HALF[0]:
        which = "half precision (float16 or bfloat16)"
    else:
        return None
    return (
        f"In float64 the result is right to about {max(1, int(-np.log10(worst)))} digits only, as if "
        f"computed in {which} inside: "
        f"look for a cast or a constant array of a narrower dtype."
    )


FLOAT32 = (3e-9, 4e-6)
"""Relative errors that float32 inside a float64 rule leaves, and half precision."""
HALF = (2e-5, 3e-2)


def _error(c: Case) -> float:
    assert c.got is not None
    worst = 0.0
    for g, t in zip(c.got, c.true, strict=True):
        if not np.isfinite(g).all():
            return np.inf
        if t.size and t.any():
            worst = max(worst, float(np.abs(g - t).max() / np.abs(t).max()))
    return worst


def _irregular(c: Case) -> bool:
    """Whether the error jumps between neighbouring points, as rounding does and a wrong formula does not."""
    d = c.directions()
    errors = []
    for step in range(8):
        x = [a + 1e-3 * step * (1 + 0.1 * i) if i in c.claim_at.wrt else a for i, a in enumerate(c.x)]
        true, got = c.true_at(x), c.rule(d, x)
        if true is None or got is None:
            return False
        right = c.apply(true, d)
        errors.append(np.concatenate([(g - r).ravel() for g, r in zip(got, right, strict=True)]))
    error = np.array(errors)
    return bool(np.abs(np.diff(error, n=2, axis=0)).max() > 0.5 * np.abs(error).max())
