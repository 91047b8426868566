"""Float results that are not finite: where does the derivative itself leave the format, and where the rule alone?"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.float_contract import accurate, near_max
from backprove.harness.judging.float_layers import jacobian_overflows, overflows
from backprove.harness.programs.program import Program

Array = NDArray[Any]
Programs = tuple[Program | None, Program | None, Program | None]
"""Of the forward map, the rule and JAX's derivative."""


def unexplained(
    programs: Programs, x: list[Array], d: list[Array], result: list[Array], broken: Array, dtype: str
) -> Array:
    """The points of `broken` without those at which the derivative itself leaves the format.

    Args:
        x, d, result: inputs, directions and the rule's results at all points.
        broken: points at which a result is not finite; changed in place.
    """
    _, rule, autodiff = programs
    index = np.flatnonzero(broken)
    if index.size and rule is not None and autodiff is not None:
        here = [a[..., index] for a in (*x, *d)]
        with contextlib.suppress(UnsupportedPrimitive):  # then the exact layer looks at all of them
            broken[index] = ~overflows(autodiff, here, [r[..., index] for r in result], dtype)
    return broken


def blamed(programs: Programs, x: list[Array], d: list[Array], result: list[Array], broken: Array, dtype: str) -> Array:
    """The points of `broken` without those at which forward, or the Jacobian, leaves the format on the way.

    There a result that is not finite is no finding (0 * inf), and alone is no reason to ask the exact layer; nor is it
    where the derivative is within roundings of the largest number.
    """
    forward, _, autodiff = programs
    index = np.flatnonzero(broken)
    if not index.size or forward is None or autodiff is None:
        return broken
    here, given = [a[..., index] for a in x], [a[..., index] for a in d]
    out = broken.copy()
    with contextlib.suppress(UnsupportedPrimitive):  # then the exact layer looks at all of them
        limit = near_max(FORMATS[dtype])
        far = overflows(autodiff, [*here, *given], [r[..., index] for r in result], dtype, limit)
        out[index] = accurate(forward, here, dtype) & ~far & ~jacobian_overflows(autodiff, here, given, dtype)
    return out
