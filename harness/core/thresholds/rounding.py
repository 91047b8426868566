"""What the floats of a right formula may lose: charges of the running error bound, its margin, and the grades.

The bound is Wilkinson's running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 3.3); what each
primitive is charged stands in `numbers/bounds/rounding_constants.json`, measured by `scripts/calibrate.py`.
"""

from __future__ import annotations

# -- what one operation is charged -------------------------------------------------------------------------------------

CORRECTLY_ROUNDED = 0.51
"""Errors up to this many ulps are double rounding through a wider format: one rounding, with a little head-room."""
DOUBLE_ROUNDING_K = 1.05
"""Units of u that such a primitive is charged.

Rounding twice, through float32 to bfloat16 or float16, costs at most 1 + 2**-13 units of u; the rest is head-room.
"""
WIDE_K = 6.0
"""Units of the wide format's u charged to its own evaluation of a function of the C library: three ulps.

Rows of `numbers/elementary` say where it is more: exp2 and logistic are composed, erf and erfc are series.
"""
LIBRARY_K = 8.0
"""Units of u charged for library functions that were not measured (hypot, arctan2, logaddexp, integer powers)."""
ELEMENTARY_ETA = 4.0
"""What underflow inside an elementary function (asin as 2 atan2(..)) may cost, in smallest normal numbers."""
LITERAL_BITS = 12
"""Literals with more significant bits are taken for rounded decimals; in short formats beyond half the digits."""

# -- beyond the bound --------------------------------------------------------------------------------------------------

BOUND_MARGIN = 2.0
"""A float result is suspicious beyond so many error bounds.

The bound is doubled: a compiler may replace an operation by another one (g/sqrt(x) by g*rsqrt(x)).
"""
SHORT_FORMAT_ROUNDINGS = 8.0
"""Units of u of the largest entry by which an entry of a short format may differ from float64 and pass the screen.

Code that narrows inside loses hundreds.
"""

CANCELLED_ROUNDINGS = 64.0
"""Units of u of the largest entry by which an entry without a value over the reals may differ from the derivative.

A factor that divides by zero over the reals and by roundings in floats leaves such numbers where entries cancel.
"""

# -- grades ------------------------------------------------------------------------------------------------------------

STABLE = 16.0
"""Grade `stable`: the worst error in multiples of what conditioning forces; beyond it is `lossy`, or `lost`.

Four bits for the rounding of a handful of operations in a row, each of which may lose as much as the problem itself.
"""
CONDITIONING_PRECISION = 192
"""Bits of the balls in which the derivative and its change by one rounding of the inputs are enclosed."""
KNOWN_BITS = 90
"""An enclosure of so many bits gives the float64 value."""

# -- linear algebra ----------------------------------------------------------------------------------------------------

MATRIX_CHARGE = 2.0
"""A factorisation of order n errs by this times `n u |L||U|`.

Theory gives 3 (Higham, Accuracy and Stability, 9.4) in the worst case; 2.5 million systems up to order 10 erred by at
most 0.7 of the bound with 2, and by 1.39 of that with 1.
"""
MATRIX_REACH = 0.25
"""Largest relative perturbation of a matrix, of 1, at which the error of a result is bounded at all.

First-order terms are divided by 1 - this at most: a third more. Beyond, the matrix may as well be singular.
"""
SPECTRUM_CHARGE = 5.0
"""Eigenvalues and singular values of order n err by this times `n u |A|`, and QR factors are those of such a matrix.

Observed on 1,800 matrices of each kind: values in float64 err by at most 4.2 times `n u |A|` in the 2-norm, which is
below Frobenius' norm.
"""
