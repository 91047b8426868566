"""A plan says what to do for one property, and a batch holds points of one size with what is to be done at each.

Plan("float64", points=10_000).share       # 10000: the points of its only part
batch.take(index)                          # some of its points
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.coverage import DRAWN_EXAMPLES, MORE_DRAWN_EXAMPLES
from backprove.harness.judging.examination import ClaimAt
from backprove.strategies.points import Points


@dataclass(frozen=True)
class Plan:
    """What to do: dtype, number of points, seed, the accuracy asked for (None: graded only).

    `further_dtype`: an earlier dtype of the same run judges the formula at more points. `part` of `parts` has its share
    of the points; the special and the drawn ones belong to the first (`campaign/parts.py`).
    """

    dtype: str
    points: int
    seed: int = 0
    accuracy: float | None = None
    further_dtype: bool = False
    part: int = 0
    parts: int = 1

    @property
    def share(self) -> int:
        """Points of this part."""
        return points_of_part(self.points, self.part, self.parts)

    @property
    def examples(self) -> int:
        """Examples of Hypothesis."""
        return MORE_DRAWN_EXAMPLES if self.further_dtype else DRAWN_EXAMPLES


@dataclass
class Batch:
    """Points of one size, with what is to be done at each."""

    claim_at: ClaimAt
    points: Points
    directions: tuple[Array, ...]
    keep: Array
    """Points that satisfy the hypotheses."""
    exact: Array
    """Points that meet the exact layer in any case."""
    beyond: Array
    """Points beyond the default range: only `falsified` counts there."""
    drawn: bool
    """All points meet the exact layer: the screens that only point to it are left out."""
    item: object
    """Identity of the work."""
    screened: Array
    """Points beyond the first ones: those that the screen lets pass do not meet the layers."""
    compared: bool = True
    """All examined points are compared in the wide format; else, where there is a screen, those it leaves there."""
    hold: bool = False
    """What the screen leaves may wait for more of its size: the layers cost less by the point, the more there are."""
    example: str = ""
    """How reports call the point, where it is a user's own."""

    def take(self, index: Array) -> Batch:
        """Some of the points."""
        return replace(
            self,
            points=self.points.take(index),
            directions=tuple(d[..., index] for d in self.directions),
            keep=self.keep[index],
            exact=self.exact[index],
            beyond=self.beyond[index],
            screened=self.screened[index],
        )

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """All points of batches of one size."""
        return replace(
            parts[0],
            points=Points.join([p.points for p in parts]),
            directions=tuple(np.concatenate(c, axis=-1) for c in zip(*(p.directions for p in parts), strict=True)),
            keep=np.concatenate([p.keep for p in parts]),
            exact=np.concatenate([p.exact for p in parts]),
            beyond=np.concatenate([p.beyond for p in parts]),
            screened=np.concatenate([p.screened for p in parts]),
        )


@dataclass(frozen=True)
class Share:
    """Points of one source, before they have directions; see `Batch`."""

    points: Points
    item: object
    keep: Array
    exact: Array
    beyond: Array
    screened: Array
    directions: tuple[Array, ...] | None = None
    """Where they are planted."""


def points_of_part(points: int, part: int, parts: int) -> int:
    """Share of one part; the shares differ by at most 1 and add up to `points`."""
    return points * (part + 1) // parts - points * part // parts
