"""Which smooth pieces meet at a kink, and whether a value lies in their hull.

The hull of the pieces' derivatives is the generalized derivative (Clarke, Optimization and Nonsmooth Analysis, 2.5).
"""

from __future__ import annotations

KINKS_PER_SHAPE = 24
"""Kinks of one shape that are examined; further ones are counted as `kinks_not_examined`, and claim nothing."""
MAX_ENTRIES = 48
"""Points with more differentiated entries than this are not examined at kinks: flips and swaps grow with the square."""

# -- where a piece is sought -------------------------------------------------------------------------------------------

STEP_BITS = 160
"""Pieces are sought at 2**-160 of the point along a direction.

Far below 2**-53, the relative distance of neighbouring numbers of float64; two kinks closer to each other than this are
one.
"""
PRECISION = 900
"""Bits of the balls beside a kink: a step squared (2**-320) leaves 580 of them."""
FIRST_PRECISION = 400
"""In place of `PRECISION` for the first look, which only accepts."""
FIRST_DIRECTIONS = 24
"""Random directions of the first look; half of them are tried both ways."""
MAX_ROUNDS = 24
"""Separating planes along which a value is chased; if it still comes closer then, the kink counts as not examined."""
FLIPPED_ENTRIES = 8
"""Up to so many entries all single flips and swaps are tried, round after round, before a value is refused."""
EXPLORED = 96
"""Random directions that are tried before a value is refused."""
EXPLORED_FEW = 32
"""The same among at most `FEW` entries, where all pieces have the same derivative."""
FEW = 4
"""Up to so many entries there are at most 16 sign patterns and 24 orders, of which `EXPLORED_FEW` meet most."""
PAIRS = 48
"""Pairs of pieces between which further ones are sought; with more pieces the kink is curved and has one everywhere."""

# -- what is believed of a piece ---------------------------------------------------------------------------------------

SLOPE_BITS = 40
"""A slope beside a kink is usable when it is known to so many bits."""
CHANGE_BITS = 20
"""A jump of forward, or slopes that diverge (`singular`): a relative change beyond 2**-20 over a step of 2**-160.

A map with a bounded second derivative changes by that derivative times the step, a hundred bits less.
"""
STEEP = 2.0**40
"""Slopes beyond this multiple of the directions may diverge: nothing is accepted before that is looked into."""

# -- inside or outside the hull ----------------------------------------------------------------------------------------

SAME = 1e-12
"""Relative distance up to which a value is a piece, or between two: float64 with three digits for the combination."""
INSIDE = 1e-9
"""Relative residual of the linear program up to which a value lies in the hull."""
OUTSIDE = 1e-6
"""Relative residual above which it does not; between the two nothing is said.

The feasibility tolerance of the solver (HiGHS: 1e-7) lies between the two.
"""
CLOSER = 0.01
"""Share of its distance from a separating plane by which a value must come closer for a piece to count as progress."""
