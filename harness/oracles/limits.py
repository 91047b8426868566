"""The limit of a derivative at a kink is read off two places on the same smooth piece, 2**-160 and 2**-320 away.

An entry that is the same at both has that limit; one that shrinks with the step, such as the derivative `|x|` of
`w * |x|` by `w` at `x = 0`, or `1.5 * sqrt(x)` of `x ** 1.5`, has the limit 0. Without limits, a rule that says 0 there
would look wrong by all of 2**-160.
"""

from __future__ import annotations

import numpy as np
from flint import arb

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.exact import NEGLIGIBLE_BITS
from backprove.harness.core.thresholds.kinks import CHANGE_BITS
from backprove.harness.numbers.balls.truth import Undecided

_CHANGE, _NEGLIGIBLE = arb(2) ** -CHANGE_BITS, arb(2) ** -NEGLIGIBLE_BITS


class Unsettled(Undecided):
    """An entry neither stays nor vanishes as the kink comes closer: it diverges, or its limit is out of sight."""


def negligible(v: arb) -> bool:
    """Below 2**-1500: zero for every format."""
    return bool(v.abs_upper() < _NEGLIGIBLE)


def limit(near: Array, nearer: Array) -> tuple[Array, Array]:
    """Limits of the entries of a derivative, as balls, and how large those that vanish still are.

    Args:
        near, nearer: entries beside the kink, and at the square of that distance.

    Raises:
        Unsettled: where an entry has no limit that these two show.
    """
    limits, left = nearer.copy(), np.zeros(len(nearer))
    for k, (p, q) in enumerate(zip(near, nearer, strict=True)):
        if abs(p - q) <= abs(q) * _CHANGE or (negligible(p) and negligible(q)):
            continue
        if not abs(q) <= abs(p) * _CHANGE:
            raise Unsettled("a slope beside a kink still changes as the kink comes closer")
        limits[k], left[k] = arb(0), float(q.abs_upper())
    return limits, left
