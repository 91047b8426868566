"""How many points, and which, the layers that decide have seen when a claim is said to hold.

All counts are of one claim at one dtype, unless another is named.
"""

from __future__ import annotations

DEFAULT_BOUND = {"float64": 1e4, "float32": 1e4, "bfloat16": 1e4, "float16": 2.0**8}
"""Magnitude up to which inputs without bounds of their own are drawn and judged; beyond it only `falsified` counts.

float16 ends at 65504, just below the square of 2**8.
"""

# -- the exact layer ---------------------------------------------------------------------------------------------------

RANDOM_EXACT_POINTS = 64
"""Bulk points that meet the exact layer, shared out over the sizes."""
FIRST_LOOK = (24, 8)
"""Special and bulk points of one size that meet all layers before any other size of a user's code is looked at."""
SPECIAL_POINTS = 180
"""Systematic points, shared out over the sizes; all of them meet the exact layer."""
DRAWN_EXAMPLES = 40
"""Points drawn by Hypothesis, which meet the exact layer too."""
MORE_DRAWN_EXAMPLES = 10
"""At further dtypes the formula is the same, only the numbers are not."""
EXTREME_POINTS = 128
"""Points far out, beyond `DEFAULT_BOUND`, shared out over the sizes."""
EXTREME_EXACT_POINTS = 8
"""Of these, those of one size that meet the exact layer."""
PLANTED_DIRECTIONS = 160
"""Points with planted tangents or cotangents, shared out over the sizes: all magnitudes, and constants of the code."""
THRESHOLD_POINTS = 400
"""Points of one size, at most, where an intermediate of a user's rule meets what the code compares it with."""
PLANTED_EXACT = 4
"""Of planted points, those of one size and sort that meet the exact layer in any case."""
EMPTY_POINTS = 8
"""Points of a size of zero: there is little to draw."""
EXACT_CAP = 256
"""So many suspicious points of one batch meet the exact layer at most; the first refusal is as good as the next."""

# -- planted points ----------------------------------------------------------------------------------------------------

CROSSING_DISTANCES = (2.0**-10, 2.0**-20, 2.0**-30, 2.0**-52)
"""Relative distances at which points lie on either side of a crossing: from a permille to one rounding of float64."""
STATISTIC_MULTIPLES = (1 - 2.0**-10, 1 + 2.0**-10, 1 - 2.0**-20, 1 + 2.0**-20)
"""Multiples of a constant that a sum, mean, norm or extreme is given: a permille and a millionth beside it."""
ENTRIES_BESIDE = (0.3125, 0.375)
"""Entries beside the one that is planted: the first, and the distance of the next; moderate, exact in all formats."""
LARGEST_EXPONENT = 20.0
"""Constants up to it may be exponents of what black boxes compute: beyond, the exponential leaves the usual range."""

# -- sizes -------------------------------------------------------------------------------------------------------------

FIRST_SIZES = 3
"""At the first dtype so many sizes have special, drawn and exact points; at every further dtype one other has."""
SIZES_COMPARED = 2
"""So many sizes have bulk points that meet all layers; at the others the screen sees all bulk points."""

FURTHER_POINTS = 8
"""Points at each further size of a user's rule (even, tall, of high rank, named in the code): each is a trace."""
FURTHER_EXACT = 2
"""Of these, those that meet the exact layer in any case."""

# -- the other layers --------------------------------------------------------------------------------------------------

FIRST_POINTS = 256
"""Bulk points of one size that go through all layers; the others only where the screen does not let them pass."""
FIRST_CALLED_POINTS = 512
"""The same of code that was traced and is called as it is beside its trace, at about so many points of a size."""
ELSEWHERE_CALLED = 64
"""The same at a further dtype, at sizes where special points are left to others."""
MAX_DRAWS = 16
"""At most so many times the wanted points are drawn where hypotheses, or forward's domain, leave many of them out."""
DIFFERENCES_PER_BATCH = 64
"""Points of one batch that meet finite differences."""
COMPLEX_POINTS = 32
"""Points of one batch that meet the complex step."""
BULK_BOUNDED = 64
"""Bulk points of one shape whose rounding bound is evaluated on exact scalars."""
GRADED_ENTRIES = 256
"""Derivative entries that are graded in one batch."""
GRADED_POINT = 64
"""Points with more derivative entries than this are not graded (one dual pass for each)."""
JACOBIAN_ENTRIES = 64
"""Directions up to this length are looked at for overflow; longer ones are left to the exact layer."""
