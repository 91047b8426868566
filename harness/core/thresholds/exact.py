"""When two enclosures over the reals agree, and when a refusal is believed."""

from __future__ import annotations

# -- rule against derivative in balls ----------------------------------------------------------------------------------

PRECISIONS = (128, 512, 2048)
"""Bits of the balls, tried in turn until the enclosures separate or agree; after the last the point is `undecided`.

Each is the fourfold of the one before, so that the last costs most and a further one more than all. 128 bits bear a
cancellation of 58 bits down to `AGREEMENT_BITS`, 512 one of 442; 2048 is about the whole range of float64 (2098 bits).
"""
AGREEMENT_BITS = 70
"""Two enclosures that overlap agree when their difference is known to 2**-70 of the sum of the absolute terms.

17 bits beyond the 53 of float64: no mistake that any format could show hides below it.
"""
CLEAR_BITS = 72
"""Two overlapping enclosures that are both known to more bits than this agree; a short cut to `AGREEMENT_BITS`.

Each radius is then below 2**-72 of its value, and that of the difference below 2**-72 of the sum of both.
"""
NEGLIGIBLE_BITS = 1500
"""Below 2**-1500 a difference counts as agreement: it is far under every format's smallest number (2**-1074)."""
ONE_SLOPE_BITS = 90
"""Values that a selection may choose between make no kink where they are the same to 2**-90 of themselves.

Finer than `AGREEMENT_BITS` by 20 bits, so that their hull does not keep the exact layer from agreeing.
"""

# -- which gap is a mistake --------------------------------------------------------------------------------------------

SHOWN_ULPS = 4.0
"""A gap over the reals of more than so many units in the last place is a mistake; a smaller one is a remark.

Approximations of libraries (series, rational functions, a Newton step) are made to be right to one or two units, and
rule and forward may each have one. A wrong factor that anybody writes down is off by millions of them.
"""
CONDITIONING_DRAWS = 4
"""Draws of a rounding of every input and direction; the largest change of an entry counts."""
CONDITIONING_FACTOR = 4.0
"""Times the largest change drawn: the worst signs of n roundings add up to sqrt(n) times what random ones do."""
FINE = 2.0**-20
"""Roundings are tried at this share of their size, and their effect is scaled up: so none crosses to another piece.

128 bits leave 35 of such a share of a rounding of float64.
"""
NEARBY = 2.0**-20
"""Relative distance of the point at which is seen which entries depend on which; any generic one would do."""
SMALLEST = 2.0**-1074
"""Smallest number of float64: a unit in the last place of what is smaller."""

# -- structures --------------------------------------------------------------------------------------------------------

ORTHOGONAL_STEPS = 3
"""Steps by which a matrix of floats is brought to the orthogonal one beside it; each squares the distance.

A matrix of bfloat16 is off by some 2**-6, and 2**-48 of that is left: what is right on orthogonal matrices alone is
then off by less than `SHOWN_ULPS`.
"""

# -- missing values ----------------------------------------------------------------------------------------------------

HUGE = 1e15
"""Inputs beyond this may take a formula out of the range of the balls: a missing value says nothing there."""
MINUTE = 1e-100
"""Inputs below this (zero apart) may take a formula out of the digits of the balls: likewise."""

# -- the mean-value form -----------------------------------------------------------------------------------------------

SEGMENT_STEP_BITS = 120
"""Half the length of the segment of the mean-value form is 2**-120 of the point.

The enclosure of the rule over the segment is as wide as this times its slope: 60 bits are left for a steep one before
`SEGMENT_AGREEMENT_BITS` cannot be resolved.
"""
SEGMENT_PRECISIONS = (512, 2048)
"""Bits of the balls of the mean-value form: the quotient alone loses 120 of them, which 128 could not bear."""
SEGMENT_AGREEMENT_BITS = 60
"""The mean-value form agrees when it resolves 2**-60 of the sum of the absolute terms: seven bits beyond float64."""
STEADY_BITS = 20
"""A refusal stands where the quotient at the square of the step is the same to so many bits: no jump lies between."""
LITERAL_SLACK = 1024.0
"""Where forward has rounded literals, a refusal of the mean-value form must exceed so many u of the dtype.

A rounded literal moves the derivative by u times its conditioning in it, of which this allows ten bits.
"""
TRUE_VALUE_PRECISION = 256
"""Bits of the balls whose midpoints are the true values that floats are held against: five times float64's."""
TABLE_ROUNDINGS = 4.0
"""Unit roundoffs of float64, of its largest entry, by which a constant array may be off before a rule is refused.

Such a table is computed by code outside of the trace (`np.fft.fft(np.eye(n))`, `np.cos(angles)`) with some roundings.
What differs by no more than four units in the last place of float64 is no wrong formula.
"""
