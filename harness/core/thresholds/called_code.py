"""What is believed of code that can only be called, in floats, and of its traces."""

from __future__ import annotations

# -- the judge of last resort: differences in float64 ------------------------------------------------------------------

BLACK_BOX_STEPS = (2.0**-11, 2.0**-13, 2.0**-15)
"""Step sizes of the differences relative to the point; a refusal needs all three.

At the first, truncation (h^4, 2**-44) and rounding (u / h, 2**-42) balance; the others are for maps that bend faster.
"""
FINE_STEPS = (2.0**-20, 2.0**-23, 2.0**-26)
"""Steps where the map bends too fast for those above: `sin` at 1e4 turns by a fraction of a radian at the first."""
COARSE_STEPS = (2.0**-2, 2.0**-3, 2.0**-4)
"""Steps where code narrows to float16 or bfloat16 inside, whose numbers are 2**-10 and 2**-7 apart."""
SINGLE_STEPS = (2.0**-5, 2.0**-6, 2.0**-7)
"""Steps where code narrows to float32 inside: a rounding (2**-24) leaves 2**-17 of the slope at the last of them.

At those above it would leave up to 2**-9, which times `BLACK_BOX_MARGIN` hides a mistake of five percent.
"""
SINGLE_NOISE = 2.0**-40
"""Noise of this share of the values may come from float32; code in float64 has less, unless it is ill-conditioned."""
COARSE_SPACING = 0.7390851 * 2.0**-7
"""Spacing of the difference tables there; it is near the steps of the values, which nearer points do not show."""
COARSE_MARGIN = 4.0
"""As `BLACK_BOX_MARGIN`, there: the error is no estimate, since a rounding to the format bounds it."""
COARSE_TOLD = 0.125
"""A difference of narrowed values says something where its error is below this share; no step brings it to `TOLD`."""
COARSE_GATHERED = 0.5
"""Beyond this share of itself a difference of narrowed values is not counted among those that tell together."""
COARSE_SHARE = 0.05
"""Values of half precision tell so much of a derivative together: their roundings go both ways.

For right rules the median of the distances, of `COARSE_TESTS` or more, is below 0.5 % of the derivative.
"""
COARSE_SAME = 12
"""Points from which on a share beyond `COARSE_SHARE`, and beyond half of it at nine in ten, is a wrong factor.

Those of right rules lie within a few percent of the derivative, both ways; a factor of 1.1 gives 6 to 12 %.
"""
COARSE_TESTS = 32
"""Differences from which on a median is taken; a random share of signs is off by 0.18 of them (one deviation)."""
FAR_OFF = 2.0**-5
"""Relative distance at which values that stand still nearby must have moved, else the map is constant there."""
COARSEST_STEP = 1.3 * 2.0**-10
"""Distance of some points nearby: that of the numbers of float16, and odd, so that not all are those numbers."""
UNRESOLVED = 0.25
"""Values that jump by this share of their range from one such point to the next are not resolved: the map bends there.

Across the tables, a straight line jumps by a twenty-fourth from number to number of float16, by a sixth of bfloat16.
"""
NARROW_BEYOND = 4.0
"""Values count as narrowed where that explains steps so many times larger than a rounding to decimal digits does."""
BLACK_BOX_MARGIN = 32.0
"""So many times the error that explains it must a disagreement be; what lies between says nothing.

The errors are estimates and no bounds, hence five bits.
"""
CANCELLED = 2.0**-36
"""A right rule may lose everything below this share of its largest conceivable intermediate value (1 - tanh(x)**2).

That is 2**17 unit roundoffs of float64: so much is allowed to code whose inside nobody sees.
"""
FLAT = 1e-6
"""A slope of zero is told where the error is below this share of the values."""
NOISE_SPACINGS = (0.7390851 * 2.0**-44, 0.7390851 * 2.0**-33, 0.7390851 * 2.0**-20)
"""Spacings of the difference tables, relative to the point; odd, so that coarse grids inside the code show.

The noise of the code is measured as Moré and Wild do (Estimating computational noise, SIAM J. Sci. Comput. 33, 2011).
"""
NOISE_ORDER = 4
"""Order of the differences that are taken for noise: at these spacings a smooth map has none left of this order."""
NOISE_FACTOR = 4.0
"""The measured noise is multiplied by this: the spread within which Moré and Wild call their estimates consistent."""
RESOLUTION_DRAWS = 8
"""Draws of inputs, between zero and the point, whose values tell whether code narrows or rounds inside."""
DISTINCT = 4
"""Different values among these from which on something is told: four numbers of 53 bits are no float32 by chance."""
BESIDE_ZERO = 2.0**-5
"""Where an input is zero, narrowing is looked for beside it: all formats have a zero."""
FINEST_DECIMAL = 10
"""Most decimal digits to which code is taken to round its values."""
FORCED_DRAWS = 4
"""Draws of a rounding of the inputs, at the scale of the largest entry of each, that show what conditioning forces.

Factorisations round like that (their backward error is normwise), and a point at which the rule itself moves as much as
it is off says nothing. `BLACK_BOX_MARGIN` times the largest change counts.
"""
FORCED_ROUNDING = 2.0**-52
"""Relative size of that rounding: a unit in the last place, which changes every number."""
LOST = 2.0**-10
"""Where forward moves by more than this share of its largest value then, it has no digits left that could be judged.

Of the same rule as `TOLD`: a permille of the derivative.
"""
SCATTERED = 0.5
"""Where values of the rule at roundings of one point differ by this share of them, not one digit of any is known."""
SLOPE_STEPS = (2.0**-20, 2.0**-30)
"""Moves of the inputs, at the scale of the largest entry of each, that tell a slope from a pole or a root."""
PROPORTIONAL = 4.0
"""Forward has slopes where the smaller moves change it by at most so many times their share of the larger changes.

The share is 2**-10: a square root moves by 2**-5 of the larger changes, and beside a pole the smaller moves do more.
"""
ENOUGH_AGREED = 8
"""Points at which differences must agree with a black box, or as many as half of those that they were asked about."""
RANDOM_DIRECTIONS = 3
"""Random directions of the black box; an error survives one with probability at most 2**-12."""
SINGLE_ENTRIES = 4
"""Entries that are tested one by one beside them: a random direction may drown a small entry in the noise of others."""

# -- the screens of such code ------------------------------------------------------------------------------------------

ASSUMED_ULPS = 32.0
"""Rounding error, in u of the values, that the screen assumes of forward; what it suspects wrongly is cleared later."""
SCREEN_MARGIN = 8.0
"""Multiples of the rule's last rounding that the screen allows; likewise."""
COMPLEX_STEP = 2.0**-150
"""Imaginary step relative to the point: its square, the truncation, is far under any roundoff.

Squire and Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998).
"""
COMPLEX_AGREES = 2.0**-32
"""Relative distance from the complex step beyond which a rule is suspicious: 2**21 unit roundoffs of float64."""
COMPLEX_VALUE = 2.0**-40
"""Relative distance of the value on complex numbers from that on real ones; code that casts is off by more."""
REAL_STEP = 2.0**-17
"""Real step by which the Cauchy-Riemann equations are checked; its truncation and rounding are 2**-17 and 2**-36."""
CAUCHY_RIEMANN = 2.0**-9
"""Relative distance in these equations: a one-sided real difference and code that is not analytic differ by more."""
ENOUGH_STOPPED = 16
"""So many points, and times those where it ran, must stop code on exact scalars before it counts as a black box."""

# -- identities of such code -------------------------------------------------------------------------------------------

PERTURBATION = 2.0**-50
"""Relative change of all inputs that shows how far the floats of a side may be off: eight unit roundoffs of float64."""
PERTURBED = 4
"""Draws of that change; the largest effect counts."""
AMPLIFIED = 1e3
"""Changes under perturbation are multiplied by this: roundings inside may be worse than those of the inputs."""
IDENTITY = 2.0**-26
"""Share of the size of the results by which two sides may differ: half the digits of float64."""
IDENTITY_SHORT = {"float32": 2.0**-10, "float16": 2.0**-7}
"""The same where all results are numbers of a shorter format: code that narrows inside rounds there.

Half the digits of float32 (24 bits), rounded to what a few operations leave, and 16 roundings of float16 (11 bits): the
sides are also moved by its roundings, which shows what cancels.
"""
NARROW_SHARE = 0.25
"""Share of the changes under roundings to half precision that counts where values are numbers of such a format.

Times `BLACK_BOX_MARGIN` that is eight roundings of the inputs: a side makes a handful of such roundings itself.
"""
CALLED = {"float64": IDENTITY, "float32": 2.0**-10, "float16": 2.0**-4, "bfloat16": 2.0**-4}
"""Share of the size of a result by which a call may be off where no error bound of its operations is known.

Half the digits of each format: what is further off is another function, and no rounding.
"""

# -- kinks of code that can only be called -----------------------------------------------------------------------------

KINK_RADII = (2.0**-12, 2.0**-30)
"""Distances from a kink, relative to the entries, within which slopes are sampled; they must give the same range."""
KINK_STEP = 2.0**-8
"""Step of these slopes, relative to the distance: rounding leaves them six digits."""
KINK_SAME = 2.0**-7
"""Share of its size by which the range may differ between the two: curvature, and rounding of differences."""
KINK_SPREAD = 2.0**-5
"""Share of its size from which on a range is one of several pieces."""
KINK_TIED = 4.0
"""Entries that differ by less than so many of the larger distance are near a tie, where pieces too thin to meet lie."""
NOT_ADDITIVE = 2.0**-6
"""Share by which slopes along two directions miss the slope along their sum, at a kink that no line shows."""
KINK_OUTSIDE = 0.25
"""Share of the range by which a value must lie outside: pieces that no sample has met are near those that were."""

# -- short formats -----------------------------------------------------------------------------------------------------

MODERATE = 16.0
"""Up to this magnitude no conditioning is extreme.

A forward value of zero is no underflow there, low precision is held against float64, and calls are compared with
compiled ones.
"""
LOW_MARGIN = 64.0
"""Multiples of noise and conditioning beyond which a result in a short format is `inaccurate` beside float64's."""

# -- two calls of one function, and its traces -------------------------------------------------------------------------

SAME_CALL = 64.0
"""Two answers for one input may differ by so many u: the memory layout decides the order of sums. Beyond is `error`."""
ANOTHER_WAY = 2.0**12
"""Calls that should agree, but may go another way, may differ by so many u of the largest entry.

Batched calls beside single ones, and cotangents under two subsets of the differentiable inputs. Half the digits of
float32 are left.
"""
NARROWED = 2.0**-7
"""Relative distance that narrowing inside the code may explain: twice the unit roundoff of bfloat16.

Only another function is so far apart: exact scalars know no dtypes, and jitted code has another order of rounding.
"""
COMPILED_ROUNDINGS = 2.0**10
"""So many running error bounds a jitted or vmapped result is allowed beside `NARROWED`, where all entries cancel."""
WILD = 1e3
"""A real call may differ from the traced program by so many error bounds before the trace is called untrue.

An untrue trace computes another function; a library's own way of the same one stays within a few bounds.
"""
