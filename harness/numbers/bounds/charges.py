"""A charge is what one operation costs in rounding, by its format: `(k, kappa)` of the primitive, in unit roundoffs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.rounding import WIDE_K
from backprove.harness.numbers.bounds.constants import rounding_constant
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.elementary.table import having

COMPOSED = frozenset({"pow", "atan2", "rem"})
"""Functions of two arguments whose rounding constants are measured."""

WIDE = {name: row.wide_k for name, row in having("growth").items()} | dict.fromkeys(COMPOSED, WIDE_K)
"""`k` of the wide evaluation itself where that is not correctly rounded arithmetic, for which it is 1."""


@dataclass(frozen=True)
class Format:
    """What one equation is charged: its format, and the wide evaluation's own rounding in units of that `u`.

    Attributes:
        name: name of the format, None for the wide format itself.
        u: unit roundoff.
        tiny: smallest normal number.
        max: largest finite number; infinite for the wide format, whose bounds end with float64's range.
        wide: the wide format's unit roundoff divided by u.
    """

    name: str | None
    u: float
    tiny: float
    max: float
    wide: float

    def constant(self, primitive: str) -> tuple[float, float]:
        """`(k, kappa)` of a primitive; see `constants.py`."""
        return _constant(self, primitive)


@cache
def _constant(form: Format, primitive: str) -> tuple[float, float]:
    own = WIDE.get(primitive, 1.0)
    if form.name is None:
        return own, 0.0
    tested = rounding_constant(form.name, primitive)
    return tested.k + own * form.wide, tested.kappa


class Charging(Protocol):
    """What the rules of single primitives need of the interpreter: its formats, and the charge of one operation."""

    flush: bool
    narrows_to: float
    unit: float | None
    wide: type[np.floating]

    def format(self, dtype: str) -> Format:
        """What an equation with results of format `dtype` is charged."""

    def eta(self, fmt: Format, k: float = 1.0) -> float:
        """Absolute error of one operation near zero."""

    def rounded(
        self,
        fmt: Format,
        v: Array,
        e: Array | float,
        *,
        k: float,
        cap: Array | None = None,
        eta: float = 1.0,
        top: Array | None = None,
    ) -> Bounded:
        """`v` with the propagated error `e` and that of one rounded operation."""
