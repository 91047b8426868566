"""These diagnoses name rules that are right at ordinary points and wrong at a kink, a tie or a zero."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, assemble, jacobian, same

H = 2.0**-24


def at_kink(e: Evidence) -> str | None:
    """Look at ties, at zero and at the constants of the code, where nothing is wrong elsewhere."""
    if e.wrong or len(e.shaped) < len(e.cases):
        return None
    for k in range(len(e.names)):
        if e.specs[e.names[k]].kind is not None:
            continue
        found = _at_zero(e, k) or _at_tie(e, k) or _at_constant(e, k)
        if found is not None:
            return found
    return None


def _results(c: Case, x: list[Array]) -> list[Array] | None:
    """The rule's Jacobians at x."""
    here = Case(c.claim_at, c.sizes, x)
    out = here.rule_batch(list(here.units()))
    return None if out is None else assemble(here, out)


def _put(c: Case, k: int, value: Array) -> list[Array]:
    position = c.claim_at.wrt[k]
    return [value if i == position else a for i, a in enumerate(c.x)]


def _inside(e: Evidence, k: int, value: float) -> bool:
    spec = e.specs[e.names[k]]
    below = spec.low is not None and value - H < spec.low
    above = isinstance(spec.high, (int, float)) and value + H > spec.high
    return not below and not above and not (spec.nonzero and value == 0)


def _at_zero(e: Evidence, k: int) -> str | None:
    """NaN where one entry, or all, are zero."""
    name = e.names[k]
    if not _inside(e, k, 0.0) or e.verdict not in ("falsified", "inaccurate"):
        return None
    one, every, level, wide = 0, 0, 0, 0
    for c in e.cases:
        x = c.argument(k).copy()
        if not x.size:
            continue
        x.ravel()[0] = 0.0
        one += _nan_here(c, k, x)
        every += _nan_here(c, k, np.zeros_like(x))
        if x.ndim and x.shape[-1] > 1:
            wide += 1
            # short numbers, whose mean is exact
            short = np.floor(4 * c.argument(k)[..., :1]) / 4 + 0.25
            level += _nan_here(c, k, np.broadcast_to(np.where(short == 0, 0.5, short), x.shape).copy())
    if one == len(e.cases):
        return (
            f"Right except where an entry of {name} is zero: the formula divides by it (0/0), where the "
            "derivative is finite. "
            f"Write it without this division."
        )
    if not one and level == wide > 0 and every >= level:
        rows = f"a row of {name}" if any(len(c.shapes[k]) > 1 for c in e.cases) else name
        return (
            f"Right except where all entries of {rows} are equal, zeros or not, where the formula is 0/0: it divides "
            "by something that vanishes there. Return 0 at such points, for example."
        )
    if not one and every == len(e.cases):
        return (
            f"Right except at {name} = 0 (all entries zero), where the formula is 0/0: it divides by "
            "something that vanishes "
            f"there. Return 0 at this point, for example."
        )
    return None


def _nan_here(c: Case, k: int, value: Array) -> bool:
    """Whether the rule has no value there, and forward is finite with bounded slopes around."""
    got = _results(c, _put(c, k, value))
    values = c.forward(_put(c, k, value))
    if got is None or not np.isnan(got[k]).any() or not all(np.isfinite(v).all() for v in values):
        return False
    rng = np.random.default_rng(5)
    near = jacobian(c.claim_at, _put(c, k, value + H * (0.5 + rng.random(value.shape))))
    nearer = jacobian(c.claim_at, _put(c, k, value + H / 1024 * (0.5 + rng.random(value.shape))))
    if near is None or nearer is None:
        return False
    return bool(np.abs(nearer[k]).max() <= 2 * np.abs(near[k]).max() + 1)


def _at_tie(e: Evidence, k: int) -> str | None:
    """All tied entries get the whole, or none of it: along ones the derivative is known, since the tie stays."""
    name = e.names[k]
    seen = set()
    for c in e.cases:
        shape = c.shapes[k]
        if not shape or shape[-1] < 2:
            continue
        x = np.broadcast_to(c.argument(k)[..., :1], shape).copy()
        got = _results(c, _put(c, k, x))
        right = _slope_along_ones(c, k, x)
        if got is None or right is None or not right.any():
            return None
        mine = got[k].sum(axis=1)
        if same(mine, right):
            seen.add("right")
        elif same(mine, right * shape[-1]):
            seen.add("each")
        elif not mine.any():
            seen.add("none")
        else:
            return None
    word = "cotangent" if e.mode == "vjp" else "tangent"
    if seen == {"each"}:
        return (
            f"Right except at ties: each of several equal entries of {name} gets the whole {word}. Divide "
            "by the number of tied entries."
        )
    if seen == {"none"}:
        return (
            f"Right except at ties: none of several equal entries of {name} gets any of the {word}; "
            "together they must get all of it."
        )
    return None


def _slope_along_ones(c: Case, k: int, x: Array) -> Array | None:
    def value(t: float) -> Array:
        return np.concatenate([o.ravel() for o in c.forward(_put(c, k, x + t))])

    h = 2.0**-10
    left, right = (value(0.0) - value(-h)) / h, (value(h) - value(0.0)) / h
    slope = (value(h) - value(-h)) / (2 * h)
    return np.asarray(np.round(slope, 9)) if np.allclose(left, right, atol=1e-9) else None


def _at_constant(e: Evidence, k: int) -> str | None:
    """One special value of the input: 0 or a constant of the code, entry by entry."""
    name = e.names[k]
    c = min((c for c in e.cases if c.true[k].any()), key=lambda c: c.true[k].size, default=None)
    if c is None:
        return None
    for value in dict.fromkeys([0.0, *c.claim_at.specials]):
        if not np.isfinite(value) or abs(value) > 1e3 or not _inside(e, k, value):
            continue
        found = _slopes(c, k, float(value))
        if found is None:
            continue
        got, left, right = found
        if same(left, right):
            if not np.allclose(got, left, rtol=1e-4, atol=1e-6):
                return (
                    f"Right except at {name} = {value:g}: the derivative exists there ({_number(left)}), but "
                    "the rule is put together from "
                    f"pieces that do not meet there (such as abs or sign at its kink) and gives {_number(got)}."
                )
        elif not ((got >= np.minimum(left, right) - 1e-6) & (got <= np.maximum(left, right) + 1e-6)).all():
            return (
                f"Right except at the kink {name} = {value:g}: the rule gives {_number(got)}, which is not "
                "between the slopes "
                f"{_number(left)} and {_number(right)} on its two sides."
            )
    return None


def _slopes(c: Case, k: int, value: float) -> tuple[Array, Array, Array] | None:
    """The rule's diagonal at the value and the true slopes just beside it; None where the map is not elementwise."""
    if c.true[k].shape[0] != c.true[k].shape[1]:
        return None
    at = np.full(c.shapes[k], value)
    steps = H * (1 + np.arange(at.size).reshape(at.shape) / 64)
    got = _results(c, _put(c, k, at))
    left, right = jacobian(c.claim_at, _put(c, k, at - steps)), jacobian(c.claim_at, _put(c, k, at + steps))
    if got is None or left is None or right is None or not np.isfinite(got[k]).all():
        return None
    for step, true in ((-steps, left), (steps, right)):  # a rule that is wrong beside it too is none of this kind
        beside = _results(c, _put(c, k, at + step))
        if beside is None or not same(beside[k], true[k]):
            return None
    if any((m[k] != np.diag(np.diag(m[k]))).any() for m in (got, left, right)):
        return None
    close = np.round(np.array([np.diag(left[k]), np.diag(right[k])]) * 2**20) / 2**20
    return np.diag(got[k]), close[0], close[1]


def _number(a: Array) -> str:
    return f"{float(a.ravel()[0]):.4g}"
