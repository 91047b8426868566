"""When a finite difference says something."""

from __future__ import annotations

DIFFERENCE_STEP = 2.0**-10
"""First step h of the central differences in the wide format (u = 2**-64), relative to the point.

Richardson's step leaves h^4 / 480 of the fifth derivative (2**-49 at ordinary sizes) beside the rounding, which is
u / h (2**-54) times the error bound's own constants: the two then balance.
"""
SAFETY = 8.0
"""The truncation estimate is multiplied by this: one Richardson step underestimates it at worst by a small factor."""
STEPS_APART = 4.0
"""Entries that each move by one step, of a scheme that also steps twice as far, meet within so many steps."""
TOLD = 1e-3
"""A difference whose error exceeds this share of the values says nothing.

A mistake that it could still see, a permille of the derivative, is left to the layers that compare formulas.
"""
