"""Which bulk points need no other layer: what the screen does not let pass is judged, so that these refuse nothing."""

from __future__ import annotations

AGREEMENT = 2.0**13
"""Unit roundoffs (float64: 2**-40 in all) of the size of a result by which two results may differ and pass.

Rounding of sums of thousands of entries stays below it. A mistake in one entry must exceed this share of the largest.
"""
FORMULA_SHARE = 2.0**-6
"""Of a rounding of the format, by which a formula may be off where an earlier format has judged it."""

# -- differences in the format of the screen ---------------------------------------------------------------------------

SCREEN_STEP = 2.0**-10
"""Long step of the differences, for entries of ordinary size and directions with largest entry 1.

The third derivative is subtracted; what is left is h^3 (2**-30), far under `differences.TOLD`.
"""
SMALLEST_SIZE = 2.0**-20
"""The steps shrink with the size of the inputs down to here."""
DIFFERENCE_ROUNDING = 2.0**6
"""Unit roundoffs of the size of forward's values by which a difference of them may be off."""
STEADY = 0.25
"""A difference whose error exceeds this share of itself says nothing: beside a singularity the step is too long."""
COARSEST = 2.0**-40
"""Unit roundoff up to which differences are looked at: in coarser formats (float32) they cannot tell anything.

A difference of values loses `DIFFERENCE_ROUNDING` / `SCREEN_STEP`, 2**16, unit roundoffs.
"""
