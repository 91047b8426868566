"""At a kink of code that can only be called, slopes around the point tell the range in which a right value lies.

relu at 0 has slopes 0 and 1 around it: a rule that gives 0.5 there is right, one that gives 2 is wrong.

The generalized (Clarke) derivative is the convex hull of the limits of Jacobians around the point (Clarke, Optimization
and Nonsmooth Analysis, 1983). They are sampled: at random points nearby, and along the axes. A value is refused only
where it lies outside of the sampled range by a quarter of its width, and where the range is the same much nearer to
the point; a piece that no sample meets cannot be known, so that points of many entries are left alone, and so are
kinks that no axis through the point shows (the median of equal numbers).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, quiet
from backprove.harness.core.formats import Mode
from backprove.harness.core.thresholds.called_code import (
    KINK_OUTSIDE,
    KINK_RADII,
    KINK_SAME,
    KINK_SPREAD,
    KINK_STEP,
    KINK_TIED,
)
from backprove.harness.oracles.bench import Evaluation
from backprove.harness.oracles.black_box import place
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.vectors import dyadic

ENTRIES = 6
"""Entries of the inputs up to which all pieces that meet are likely to be sampled."""
SAMPLES = 96
"""Points around the kink."""


def outside_of_pieces(
    forward: Evaluation,
    inputs: Sequence[Array],
    directions: Sequence[Array],
    result: Sequence[Array],
    mode: Mode,
    wrt: Sequence[int],
) -> Outcome | None:
    """A refusal where the rule's value is outside of what slopes around the point allow; None where it is not.

    Args:
        forward, mode, wrt: see `black_box.judge`.
        inputs, directions, result: one point (points axis of size 1); what the rule returned there.
    """
    around = _Around(forward, inputs, wrt)
    if not 0 < around.x.size <= ENTRIES or not np.isfinite(around.x).all():
        return None
    with quiet():
        if around.is_nearly_tied(KINK_RADII[0]) or not around.has_a_kink(directions, mode, KINK_RADII[0]):
            return None
        wide, narrow = (around.range(directions, mode, radius) for radius in KINK_RADII)
    got = _flat(result)
    if got.size != wide[0].size:
        return None
    (low, high), (low_near, high_near) = wide, narrow
    scale = np.maximum(np.abs(low), np.abs(high))
    known = np.isfinite(low + high + low_near + high_near + got)
    known &= np.abs(low - low_near) + np.abs(high - high_near) <= KINK_SAME * scale
    spread = high - low
    known &= spread > KINK_SPREAD * scale
    beyond = np.where(known, np.maximum(low - got, got - high) - KINK_OUTSIDE * spread, -np.inf)
    k = int(np.argmax(beyond))
    if not beyond[k] > 0:
        return None
    argument, entry = place(k, [r.shape[:-1] for r in result])
    return Outcome(
        Status.KINK_REFUTED,
        argument=argument,
        entry=entry,
        got=repr(float(got[k])),
        expected=f"between {float(low[k])!r} and {float(high[k])!r}",
        got_value=float(got[k]),
        expected_value=(float(low[k]), float(high[k])),
        note="black box",
    )


class _Around:
    """A map around one point.

    Args:
        forward, inputs, wrt: see `outside_of_pieces`.
    """

    def __init__(self, forward: Evaluation, inputs: Sequence[Array], wrt: Sequence[int]) -> None:
        self._forward, self._inputs, self._wrt = forward, inputs, wrt
        self._moving = [inputs[i] for i in wrt]
        self.x = np.concatenate([np.zeros(0), *(a.reshape(-1) for a in self._moving)])
        largest = float(np.abs(self.x).max(initial=0.0))
        self._size = np.where(self.x == 0, min(1.0, largest) or 1.0, np.abs(self.x))

    def _values(self, at: Array) -> Array:
        """All outputs at points, (entries of outputs, points), of inputs as (entries of inputs, points)."""
        full, count = [np.repeat(a, at.shape[1], axis=-1) for a in self._inputs], at.shape[1]
        ends = np.cumsum([a.size for a in self._moving])[:-1]
        for i, part in zip(self._wrt, np.split(at, ends), strict=True):
            full[i] = part.reshape((*self._inputs[i].shape[:-1], count))
        return np.concatenate([f.reshape(-1, count) for f in self._forward(full)])

    def _sided(self, radius: float) -> Array:
        """One-sided slopes at the point along each entry: (inputs, outputs, 2)."""
        step = radius * KINK_STEP * self._size
        here = self.x[:, None]
        all_at_once = self._values(np.concatenate([here, here + np.diag(step), here - np.diag(step)], axis=1))
        n = step.size
        middle, right, left = all_at_once[:, :1], all_at_once[:, 1 : n + 1], all_at_once[:, n + 1 :]
        return np.stack([(right - middle) / step, (middle - left) / step], axis=-1).swapaxes(0, 1)

    def is_nearly_tied(self, radius: float) -> bool:
        """Whether two entries differ by so little that samples within the radius hardly ever lie between them."""
        gap = np.abs(self.x[:, None] - self.x)
        return bool(((gap > 0) & (gap <= KINK_TIED * radius * np.maximum(self._size[:, None], self._size))).any())

    def has_a_kink(self, directions: Sequence[Array], mode: Mode, radius: float) -> bool:
        """Whether one-sided slopes along some entry differ, those of the outputs together that the directions name."""
        sided = self._sided(radius)
        if mode == "vjp":
            sided = np.einsum("iks,k->is", sided, _flat(directions))
        gap, size = np.abs(sided[..., 0] - sided[..., 1]), np.abs(sided).max(axis=-1)
        return bool((gap > KINK_SPREAD * size).any())

    def range(self, directions: Sequence[Array], mode: Mode, radius: float) -> tuple[Array, Array]:
        """Least and largest value of each entry of the result that slopes within a relative radius give."""
        rng = np.random.Generator(np.random.Philox(key=[83, 89]))
        n, given = self.x.size, _flat(directions)
        points = self.x[:, None] + radius * self._size[:, None] * dyadic(rng, (n, SAMPLES))
        step = radius * KINK_STEP * self._size
        moved = [self._values(points + np.diag(step)[:, k : k + 1]) for k in range(n)]
        back = [self._values(points - np.diag(step)[:, k : k + 1]) for k in range(n)]
        slopes = (np.stack(moved) - np.stack(back)) / (2 * step[:, None, None])  # inputs, outputs, samples
        if mode == "vjp":
            found = np.einsum("iks,k->is", np.concatenate([slopes, self._sided(radius)], axis=-1), given)
        else:
            found = np.einsum("iks,i->ks", slopes, given)
        return found.min(axis=1), found.max(axis=1)


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0), *(a.reshape(-1) for a in arrays)])
