"""Identities of code that can only be called are judged in float64, by what noise and conditioning explain.

The change of each side under relative perturbations of all inputs by 2**-50 shows how far its floats may be off; a
disagreement counts only far beyond that, far beyond the size of the results times 2**-26, and beyond what cancellation
inside the code could hide. Where all results are numbers of half precision, inputs are moved by roundings to it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import (
    AMPLIFIED,
    BLACK_BOX_MARGIN,
    CANCELLED,
    IDENTITY,
    IDENTITY_SHORT,
    NARROW_SHARE,
    PERTURBATION,
    PERTURBED,
)
from backprove.harness.oracles.problem import Outcome, Status

HALF = ("bfloat16", "float16")

Evaluation = Callable[[list[Array]], list[Array]]


def judge_identity(left: Evaluation, right: Evaluation, arrays: Sequence[Array], slack: float = 0.0) -> list[Outcome]:
    """One outcome per point: AGREES, REFUTED (with the worst entry) or UNDECIDED.

    Args:
        arrays: arguments of both sides, shape + points; floats as float64.
        slack: share of every value by which the left side may be off.
    """
    points = max((a.shape[-1] for a in arrays), default=1)
    every = [np.broadcast_to(a, (*a.shape[:-1], points)) for a in arrays]
    rng = np.random.Generator(np.random.Philox(key=[59, 61]))
    first, second = left(every), right(every)
    moved = [np.zeros(f.shape) for f in first]
    narrow = max([0.0, *(FORMATS[form].u for f in first for form in _holding(f, HALF))])
    with np.errstate(all="ignore"):
        for change, factor in ((PERTURBATION, AMPLIFIED), *([(narrow, NARROW_SHARE)] if narrow else [])):
            for _ in range(PERTURBED):
                near = [
                    a * (1 + change * rng.choice([-1.0, 1.0], a.shape)) if a.dtype.kind == "f" else a for a in every
                ]
                for k, (f, p, s, q) in enumerate(zip(first, left(near), second, right(near), strict=True)):
                    moved[k] = np.fmax(moved[k], factor * np.fmax(np.abs(p - f), np.abs(q - s)))
        reach = np.ones(points)
        for a in every:
            if a.dtype.kind == "f":
                reach = np.maximum(reach, np.abs(a).reshape(-1, points).max(axis=0, initial=0.0))
        out: list[Outcome] = [Outcome(Status.AGREES)] * points
        worst = np.zeros(points)
        for k, (f, s, m) in enumerate(zip(first, second, moved, strict=True)):
            size = np.maximum(np.abs(f), np.abs(s)).reshape(-1, points).max(axis=0, initial=0.0)
            allowed = _relative(f) * size + m + CANCELLED * reach**3 + NARROW_SHARE * narrow * reach + slack * np.abs(s)
            ratio = np.where(f == s, 0.0, np.abs(f - s) / allowed).reshape(-1, points)
            for i in range(points):
                if not ratio.shape[0]:
                    continue
                j = int(np.argmax(np.where(np.isnan(ratio[:, i]), -1.0, ratio[:, i])))
                if np.isnan(ratio[:, i]).any() and worst[i] <= BLACK_BOX_MARGIN:
                    out[i] = Outcome(Status.UNDECIDED, note="black box: a side has no finite value")
                elif ratio[j, i] > max(worst[i], 1.0):
                    worst[i] = ratio[j, i]
                    out[i] = _disagreement(k, j, i, f, s, worst[i])
    return out


def _relative(values: Array) -> float:
    """The relative size of a disagreement that rounding may explain, by the shortest format that holds the values."""
    return max([IDENTITY, *(IDENTITY_SHORT[form] for form in _holding(values, IDENTITY_SHORT))])


def _holding(values: Array, formats: Iterable[str]) -> list[str]:
    """The formats that hold all of the values that are finite and not zero, of which there must be two."""
    finite = values[np.isfinite(values) & (values != 0)]
    if finite.size < 2:
        return []
    with np.errstate(all="ignore"):
        return [form for form in formats if (finite == FORMATS[form].round(finite)).all()]


def _disagreement(k: int, j: int, i: int, left: Array, right: Array, ratio: float) -> Outcome:
    if ratio <= BLACK_BOX_MARGIN:
        return Outcome(Status.UNDECIDED, note="black box: the two sides are apart, but not far enough to tell")
    shape = left.shape[:-1]
    entry = tuple(int(q) for q in np.unravel_index(j, shape)) if shape else ()
    got, expected = float(left[(*entry, i)]), float(right[(*entry, i)])
    return Outcome(
        Status.REFUTED,
        argument=k,
        entry=entry,
        got=repr(got),
        expected=repr(expected),
        got_value=got,
        expected_value=expected,
    )
