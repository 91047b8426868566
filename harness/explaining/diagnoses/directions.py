"""These diagnoses name a cotangent (or tangent) used wrongly: ignored, partly used, averaged, reordered, put for the
primal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same


def ignored(e: Evidence) -> str | None:
    """The result does not depend on the direction and is that for a direction of ones."""
    if e.linear:
        return None

    def fits(c: Case) -> bool:
        ones = [np.ones(s) for s in c.claim_at.direction_shapes]
        got = [c.rule(d) for d in (c.directions(1), c.directions(2), ones)]
        if any(g is None for g in got) or not _same_all(got[0], got[1]) or not _same_all(got[1], got[2]):
            return False
        right = c.apply(c.true, ones)
        return _same_all(got[2], right)

    if not all(fits(c) for c in e.cases):
        return None
    return f"The {e.word} is ignored: the result is the same for every {e.word}. " + (
        "Multiply by the incoming cotangent g." if e.mode == "vjp" else "Multiply by the tangent."
    )


def _same_all(a: list[Array] | None, b: list[Array] | None) -> bool:
    return a is not None and b is not None and len(a) == len(b) and all(same(p, q) for p, q in zip(a, b, strict=True))


def constant_part(e: Evidence) -> str | None:
    """A part of the result does not depend on the direction: it is there for a direction of zero too."""
    if e.linear or not e.wrong or len(e.shaped) < len(e.cases):
        return None
    parts = [c.rule([np.zeros(s) for s in c.claim_at.direction_shapes]) for c in e.cases]
    if any(p is None or not any(a.any() for a in p) or not all(np.isfinite(a).all() for a in p) for p in parts):
        return None

    def rest(c: Case, part: list[Array], seed: int, times: float = 1.0) -> list[Array] | None:
        got = c.rule([times * d for d in c.directions(seed)])
        return None if got is None else [g - p for g, p in zip(got, part, strict=True)]

    pairs = [(c, p) for c, p in zip(e.cases, parts, strict=True) if p is not None]
    # the rest must be linear, or the part is none
    for c, p in pairs:
        once, twice = rest(c, p, 1), rest(c, p, 1, 2.0)
        if once is None or twice is None or not _same_all([2 * a for a in once], twice):
            return None
    advice = f"a result is linear in its {e.word}, so nothing may be added that lacks it."
    if all(_same_all(rest(c, p, seed), c.apply(c.true, c.directions(seed))) for c, p in pairs for seed in (1, 2)):
        advice = "without this part the result is right: remove it."
    elif all(_right_times_direction(c, p, rest(c, p, seed), seed) for c, p in pairs for seed in (1, 2)):
        advice = f"multiply this part by the {e.word} too, and the result is right."
    return f"A part of the result ignores the {e.word}: it is there for a {e.word} of zero too; {advice}"


def _right_times_direction(c: Case, part: list[Array], rest: list[Array] | None, seed: int) -> bool:
    """Whether the result is right once the constant part has the direction as a factor."""
    d = c.directions(seed)
    if rest is None or len(d) != 1 or any(a.shape != p.shape and d[0].ndim for a, p in zip(rest, part, strict=True)):
        return False
    if any(p.shape != d[0].shape and d[0].ndim for p in part):
        return False
    whole = [r + p * d[0] for r, p in zip(rest, part, strict=True)]
    return _same_all(whole, c.apply(c.true, d))


def partly(e: Evidence) -> str | None:
    """`R(g) = J^T (B g)` where B takes the first row for all, only the first, a sum, a mean or another order."""
    if e.mode != "vjp" or not e.linear or not e.wrong or len(e.shaped) < len(e.cases):
        return None
    if any(len(c.claim_at.output_shapes) != 1 for c in e.cases):
        return None
    rank = {len(c.claim_at.output_shapes[0]) for c in e.cases}
    for axis in range(max(rank)):
        for text, change in CHANGES.items():
            if _fits_change(e, axis, change):
                line = {0: "row", 1: "column"}.get(axis, "slice") if max(rank) > 1 else "entry"
                place = f" along axis {axis}" if max(rank) > 1 else ""
                return f"{e.where}{text.format(line=line, place=place, axis=axis)}"
    return None


def _first(g: Array, axis: int) -> Array:
    return np.broadcast_to(np.take(g, [0], axis=axis), g.shape)


def _last(g: Array, axis: int) -> Array:
    return np.broadcast_to(np.take(g, [-1], axis=axis), g.shape)


def _only_first(g: Array, axis: int) -> Array:
    keep = np.arange(g.shape[axis]) == 0
    return np.asarray(g * keep.reshape([-1 if a == axis else 1 for a in range(g.ndim)]))


def _total(g: Array, axis: int) -> Array:
    return np.broadcast_to(g.sum(axis=axis, keepdims=True), g.shape)


def _mean(g: Array, axis: int) -> Array:
    return np.broadcast_to(g.mean(axis=axis, keepdims=True), g.shape)


CHANGES: dict[str, Callable[[Array, int], Array]] = {
    "only the first {line} of the cotangent is used, for every {line}: index the cotangent (g[i], not g[0]).": _first,
    "only the last {line} of the cotangent is used, for every {line}: index the cotangent (g[i], not g[-1]).": _last,
    "only the first {line} of the cotangent is used, the others are dropped.": _only_first,
    "the cotangent is summed{place} where each entry must meet its own: use g, not g.sum(axis={axis}).": _total,
    "the cotangent is averaged{place} where each entry must meet its own: use g, not g.mean(axis={axis}).": _mean,
    "the cotangent is reversed{place}.": np.flip,
    "the cotangent is shifted by one{place}: entry i meets the cotangent of its neighbour.": lambda g, axis: np.roll(
        g, 1, axis
    ),
    "the cotangent is shifted by one{place}: entry i meets the cotangent of the next one.": lambda g, axis: np.roll(
        g, -1, axis
    ),
}


def _fits_change(e: Evidence, axis: int, change: Callable[[Array, int], Array]) -> bool:
    for c in e.cases:
        shape = c.claim_at.output_shapes[0]
        if axis >= len(shape):
            return False
        for k in range(len(e.names)):
            if k not in e.wrong:
                continue
            rows = np.array([c.true[k].T @ change(u[0], axis).ravel() for u in c.units()])
            if c.got is None or not same(c.got[k], rows):
                return False
    return True


def for_primal(e: Evidence) -> str | None:
    """The direction stands where the primal belongs: `J(g)^T g` or `J(g)^T x`."""
    if e.linear and e.mode == "vjp":
        return None
    for text, build in _confusions(e.word):
        if all(_confused(c, build) for c in e.cases):
            return text
    return None


Build = Callable[[Case, list[Array]], tuple[list[Array], list[Array]] | None]


def _confusions(word: str) -> Iterator[tuple[str, Build]]:
    def at_direction(c: Case, d: list[Array]) -> tuple[list[Array], list[Array]] | None:
        if [a.shape for a in c.x] != [a.shape for a in d]:
            return None
        return list(d), list(d)

    def exchanged(c: Case, d: list[Array]) -> tuple[list[Array], list[Array]] | None:
        if [a.shape for a in c.x] != [a.shape for a in d] or any(a.dtype.kind != "f" for a in c.x):
            return None
        return list(d), list(c.x)

    yield (
        f"The derivative is evaluated at the {word} instead of the primal: the {word} is taken for the input.",
        at_direction,
    )
    yield (
        f"Primal and {word} are exchanged: the derivative is evaluated at the {word} and applied to the input.",
        exchanged,
    )


def _confused(c: Case, build: Build) -> bool:
    d = c.directions()
    made = build(c, d)
    got = c.rule(d)
    if made is None or got is None:
        return False
    at, along = made
    jacobians = c.true_at(at)
    if jacobians is None or not _same_all(got, c.apply(jacobians, along)):
        return False
    return not _same_all(got, c.apply(c.true, d))
