"""Results in a short format are held beside those in float64, to tell where rounding explains them beyond all doubt.

A result within a few roundings of that of the same program in float64 is as good as its operations allow.
Everything else is for the running error bound: cancellation loses more, and so does code that narrows inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array, any_entry
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.rounding import SHORT_FORMAT_ROUNDINGS
from backprove.harness.numbers.floats.runs import ManyRuns
from backprove.harness.programs.program import Program

Bools = NDArray[np.bool_]


class Short:
    """Programs of common arguments, in their own format.

    Args:
        programs: traced at the format.
        arguments: for each program which of the common arguments its inputs are.
        dtype: the format.

    Raises:
        UnsupportedPrimitive, ValueError: as `Linked` and `merge`.
    """

    def __init__(self, programs: Sequence[Program], arguments: Sequence[Sequence[int]], dtype: str) -> None:
        self.dtype = dtype
        self._run = ManyRuns(programs, arguments)

    def look(self, arguments: Sequence[Array], wide: Sequence[Sequence[Array]]) -> tuple[list[Bools], list[Bools]]:
        """For every program, per point: are its results finite, and near those in float64?

        Args:
            arguments: the common ones at all points, numbers of the format.
            wide: results of every program in float64.
        """
        points = arguments[0].shape[-1]
        finite, close = [], []
        for short, full in zip(self._run(arguments), wide, strict=True):
            finite.append(~any_entry([~np.isfinite(s) for s in short], points))
            close.append(~any_entry([~within(s, w, self.dtype) for s, w in zip(short, full, strict=True)], points))
        return finite, close


def within(short: Array, wide: Array, dtype: str) -> Bools:
    """Entry by entry: is a result of the short format within `SHORT_FORMAT_ROUNDINGS` of that in float64?

    Roundings are of the size of the largest entry of a point: sums of entries cancel in the smaller ones.
    """
    form = FORMATS[dtype]
    off = np.subtract(short, wide, dtype=np.float64)
    np.abs(off, out=off)
    entries = np.abs(wide).reshape(-1, wide.shape[-1])
    allowed = entries.max(axis=0, initial=0.0) * (SHORT_FORMAT_ROUNDINGS * form.u) + 4 * form.tiny
    close: Bools = off <= allowed
    return close & np.isfinite(short)
