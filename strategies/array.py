"""`bp.array` says what one input of a rule looks like: `array("m n", low=0)`."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.strategies.dimensions import Bound, parse
from backprove.strategies.structures import STRUCTURES, check_structure

KINDS = ("one_hot", "simplex", "mask", "index", *STRUCTURES)


@dataclass(frozen=True)
class ArraySpec:
    """Shape, dtype and domain of one input; made by `array`.

    Attributes:
        dims: parsed dimensions: an int, a name, or `"*name"` for any number of leading axes.
        dtype: "float" (the dtype under test), "complex" (pairs of it) or a NumPy dtype name.
        low, high: closed bounds of the points tried (of `kind="index"`, `high` is a size or the dim name of one).
        nonzero, distinct, extreme, kind: see `array`.
        bounds: of the sizes of the names. Draws at a size do not depend on them, so that they have no place in `repr`.
    """

    dims: tuple[int | str, ...]
    dtype: str = "float"
    low: float | None = None
    high: float | str | None = None
    nonzero: bool = False
    distinct: bool = False
    extreme: bool = False
    kind: str | None = None
    bounds: tuple[Bound, ...] = field(default=(), repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, without `*` names, in order of first use."""
        return tuple(dict.fromkeys(d for d in self.dims if isinstance(d, str) and not d.startswith("*")))

    @property
    def differentiable(self) -> bool:
        """Whether the input has tangents and cotangents (floats have, integers, masks and indices have not)."""
        return self.dtype in ("float", "complex") and self.kind not in ("mask", "index")

    @property
    def as_stated(self) -> str:
        """The call of `array` that makes it, without bounds of sizes."""
        shown = {"dtype": "float", "low": None, "high": None, "nonzero": False, "distinct": False, "kind": None}
        more = [f"{k}={getattr(self, k)!r}" for k, default in shown.items() if getattr(self, k) != default]
        return f"bp.array({', '.join([repr(' '.join(map(str, self.dims))), *more])})"

    def shape(self, sizes: dict[str, int | tuple[int, ...]]) -> tuple[int, ...]:
        """The shape at given sizes of the names (a `*name` has a tuple of sizes)."""
        out: list[int] = []
        for d in self.dims:
            size = d if isinstance(d, int) else sizes[d.lstrip("*")]
            out += size if isinstance(size, tuple) else [size]
        return tuple(out)


@worded("array")
def array(
    dims: str,
    *,
    dtype: Any = "float",
    low: float | None = None,
    high: float | str | None = None,
    nonzero: bool = False,
    distinct: bool = False,
    extreme: bool = False,
    kind: str | None = None,
) -> ArraySpec:
    """Describe one array input of a rule.

    ```python
    import backprove as bp

    inputs = {
        "x": bp.array("m n", low=0, high=1),
        "scale": bp.array(""),
        "labels": bp.array("m", kind="index", high="n"),
        "covariance": bp.array("n n", kind="spd"),
    }
    ```

    Args:
        dims: names and integers separated by blanks: `"m n"`, `"4"`, `"n n"` (square), `"*batch n"` (any number of
            leading axes), `""` (scalar). One name has one size within a rule. Names may have bounds: `"n>=2"`,
            `"m<=6 n"`, `"m n<=m"`, `"n%2"` (a multiple of 2), `"n>=2<=8"`.
        dtype: `"float"` for the dtype under test, `"complex"` for pairs of it, or a NumPy dtype for integers and
            booleans.
        low: closed lower bound of the points tried, of both parts of complex numbers.
        high: closed upper bound. Of `kind="index"` it is one more than the largest index: a size, or the dim name of
            one.
        nonzero: no entry is zero.
        distinct: no two entries are equal.
        extreme: every verdict counts in the dtype's whole range, not only up to magnitude 1e4.
        kind: on the last axis "one_hot", "simplex", "mask", "index", "unit" (rows of length one), "sorted" (rows that
            increase) or "stochastic" (rows that sum to one); on the last two "symmetric", "spd" (symmetric and positive
            definite; low and high bound its eigenvalues), "lower", "upper" or "orthogonal". Of the last eight but
            "sorted" only directions in the tangent space are looked at.

    Raises:
        UsageError: on a malformed description; the message says what was expected.
    """
    if not isinstance(dims, str):
        raise UsageError(f'array: dims must be a string such as "m n", got {as_given(dims)}{_written(dims)}')
    parsed, bounds = parse(dims)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"array: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    name = "float"
    if isinstance(dtype, str) and dtype == "complex":
        if kind is not None:
            raise UsageError(f'array: kind={kind!r} is of real numbers; with dtype="complex" there is none')
        name = "complex"
    elif not (isinstance(dtype, str) and dtype == "float"):
        try:
            name = str(np.dtype(dtype))
        except TypeError:
            raise UsageError(f'array: dtype must be "float" or a NumPy dtype, got {as_given(dtype)}') from None
        if name in FORMATS or np.dtype(dtype).kind in "fc":
            raise UsageError(
                f'array: dtype {name!r} is fixed by the run; write dtype="float" (the dtype under test), '
                "or an integer or boolean dtype"
            )
    if kind == "mask" and name == "float":
        name = "bool"
    if kind == "index" and name == "float":
        name = "int64"
    for label, bound in (("low", low), ("high", high)):
        if isinstance(bound, str):
            if kind != "index" or label == "low":
                raise UsageError(f'array: {label}={bound!r}: only high may be a dim name, and only with kind="index"')
        elif bound is not None and not _is_finite(bound):
            raise UsageError(f"array: {label} must be a finite number or None for an open side, got {as_given(bound)}")
    for label, flag in (("nonzero", nonzero), ("distinct", distinct), ("extreme", extreme)):
        if not isinstance(flag, (bool, np.bool_)):
            raise UsageError(f"array: {label} must be True or False, got {as_given(flag)}")
    if kind is not None:
        options = {"low": low, "high": high, "nonzero": nonzero, "distinct": distinct, "extreme": extreme}
        check_structure(kind, name, parsed, options, low, high)
    if low is not None and isinstance(high, (int, float)) and low > high:
        raise UsageError(f"array: low={low!r} is above high={high!r}")
    if kind == "index" and isinstance(high, (int, float)) and high <= (low or 0):
        raise UsageError(f'array: kind="index" has no index from {low or 0!r} to below high={high!r}')
    if nonzero and low == 0 and high == 0:
        raise UsageError("array: nonzero=True leaves no point between low=0 and high=0")
    return ArraySpec(parsed, name, low, high, nonzero, distinct, extreme, kind, bounds=bounds)


def _written(dims: object) -> str:
    """What to write in place of dims that are no string, where that can be told."""
    shape = getattr(dims, "shape", dims)
    if shape is None:
        return '; a scalar is bp.array("")'
    if isinstance(shape, int) and not isinstance(shape, bool):
        shape = (shape,)
    if isinstance(shape, (tuple, list)) and all(isinstance(d, (int, str)) for d in shape):
        return f"; write {' '.join(map(str, shape))!r}, or a name such as 'n' for any size"
    return ""


def _is_finite(bound: Any) -> bool:
    return isinstance(bound, numbers.Real) and math.isfinite(bound)
