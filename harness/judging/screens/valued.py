"""`ValuedScreen` tells where forward is not finite while another screen looks at the surrogate in its place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, any_entry
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.judging.screens.claims import ClaimScreen
from backprove.harness.judging.screens.screen import Screened
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.program import Program


class ValuedScreen:
    """A screen of a surrogate's derivative, for which points where forward is not finite lie outside.

    Args:
        screen: looks at the surrogate and the rule.
        forward: the program of forward; None where it cannot be traced.

    Raises:
        UnsupportedPrimitive: where forward has no program: every point meets the layers, which call it.
    """

    def __init__(self, screen: ClaimScreen, forward: Program | None) -> None:
        if forward is None:
            raise UnsupportedPrimitive("code that cannot be traced", "the screen")
        self.screen, self.forward = screen, forward

    def look(self, inputs: Sequence[Array], directions: Sequence[Array], rng: np.random.Generator) -> Screened:
        """See `ClaimScreen`."""
        seen = self.screen.look(inputs, directions, rng)
        values = [np.asarray(v) for v in run_floats(self.forward, list(inputs))]
        with np.errstate(all="ignore"):
            outside = any_entry([~np.isfinite(v) for v in values if v.dtype.kind == "f"], seen.points)
        seen.outside = seen.outside | outside
        return seen
