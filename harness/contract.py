"""What code must keep to before its numbers are judged: leave its inputs alone, one answer for one input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.function import flatten, quiet

Array = NDArray[Any]


def two_answers(function: Callable[..., Any], arguments: Sequence[Array]) -> bool:
    """Whether two calls with the same arguments give different bits, shapes or dtypes.

    NaN equals NaN, whatever its payload; -0 differs from +0. Each call gets its own copies of the arguments, so that
    code that writes into them (another violation) is not taken for one that answers twice.

    Args:
        function: code as the user wrote it; returns an array, None, or nested tuples and lists of them.
        arguments: ordinary arrays of the real dtypes.

    Raises:
        Exception: whatever the code raises.
    """
    with quiet():
        first, second = (flatten(function(*(np.array(a) for a in arguments))) for _ in range(2))
    return len(first) != len(second) or not all(_same(a, b) for a, b in zip(first, second, strict=True))


def changed(function: Callable[..., Any], arguments: Sequence[Array]) -> int | None:
    """Position of the first argument that a call writes into; None where it writes into none.

    A trace does not show this: traced arrays are immutable, so `x *= 2` there makes a new array.

    Args:
        function: code as the user wrote it.
        arguments: ordinary arrays of the real dtypes; the call gets copies.

    Raises:
        Exception: whatever the code raises.
    """
    given = [np.array(a) for a in arguments]
    with quiet():
        function(*given)
    return next((k for k, (a, b) in enumerate(zip(arguments, given, strict=True)) if not _same(np.asarray(a), b)), None)


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "biuO":
        return bool(np.all(a == b))
    x, y = a.astype(np.float64), b.astype(np.float64)  # exact for every format under test
    both_nan = np.isnan(x) & np.isnan(y)
    return bool(np.all(both_nan | ((x == y) & (np.signbit(x) == np.signbit(y)))))
