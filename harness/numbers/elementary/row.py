"""An `Elementary` row holds what every number system needs to know about one function of one variable.

    Elementary("exp", numpy=np.exp, ball="exp", slope=lambda x, y: y, growth=..., numpy_name="exp")

is read by floats and linked calls (`numpy`), by balls (`ball`), dual balls (`slope`, `kink`), running error bounds
(`wide`, `growth`, `domain`, `wide_k`), NumPy's object arrays (`numpy_name`) and the calibration of rounding constants.
A column that is None has its reason in `holes`. The columns of balls work on the `arb` they are given, so that a
process of floats alone never imports python-flint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.rounding import WIDE_K

if TYPE_CHECKING:
    from flint import arb

Unary = Callable[["arb"], "arb"]
Slope = Callable[["arb", "arb"], "arb"]
Growth = Callable[[Array, Array], Array]

OPTIONAL = ("numpy", "slope", "growth", "numpy_name")
"""Columns that may be None, with a reason in `holes`."""

NOT_IN_NUMPY = "NumPy has no such function"
FLAT = "constant between its jumps: dual balls give it no tangent"
OWN_RULE = "a rule of its own in numbers/bounds/arithmetic.py: it is arithmetic, and no library function"
OWN_METHOD = "object scalars have a method of their own"
NO_BOUND = "no bound of its growth is written, and no rounding constant measured"


@dataclass(frozen=True)
class Interval:
    """A domain from `low` to `high`, either of which may be infinite; finite ends belong to it if `closed`."""

    low: float = -np.inf
    high: float = np.inf
    closed: bool = False

    def inside(self, v: Array, e: Array | float) -> Array:
        """Whether no x with |x - v| <= e lies outside, entry by entry."""
        within = np.greater_equal if self.closed else np.greater
        out = np.asarray(np.full(np.shape(v), True) if self.low == -np.inf else within(v - self.low, e))
        return out if self.high == np.inf else np.asarray(out & within(self.high - v, e))

    def contains(self, x: Array) -> Array:
        return self.inside(x, 0.0) & np.isfinite(x)


REALS = Interval()
POSITIVE = Interval(0.0)
UNIT = Interval(-1.0, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementary:
    """One function f.

    Attributes:
        name: of the JAX primitive (`round_even` is `round` with ties to even; `trunc` exists in NumPy alone).
        numpy: f in the dtype of its argument: a ufunc, a `SciPy` or a `Chain`, which write into buffers, or a function.
        ball: f on python-flint's balls, enclosing the image of every number in them; a string names a method of `arb`.
        slope: f' on balls from the argument and the value.
        kink: whether f' may not exist in a ball (None: it exists in all of the domain).
        growth: `growth(v, e)` bounds |f(x) - f(v)| over all x of the domain with |x - v| <= e, in float64.
        wide: f in the format of `np.longdouble` or float64 arrays (None: `numpy` does that).
        wide_k: relative error of `wide` in units of the wide format's unit roundoff.
        domain: where f is defined.
        exact: the result is a floating-point number of the argument's format, so nothing is rounded.
        numpy_name: NumPy's name of f as a method of the entries of object arrays.
        holes: column that is None -> why.

    Raises:
        ValueError: if a column is None without a reason, or has one without being None.
    """

    name: str
    ball: str | Unary
    numpy: Callable[[Array], Array] | None = None
    slope: Slope | None = None
    kink: Callable[[arb], bool] | None = None
    growth: Growth | None = None
    wide: Callable[[Array], Array] | None = None
    wide_k: float = WIDE_K
    domain: Interval = REALS
    exact: bool = False
    numpy_name: str | None = None
    holes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = {column for column in OPTIONAL if getattr(self, column) is None}
        if empty != self.holes.keys():
            raise ValueError(f"{self.name}: empty columns {sorted(empty)}, reasons for {sorted(self.holes)}")

    @cached_property
    def enclosure(self) -> Unary:
        """`ball` as a function."""
        if not isinstance(self.ball, str):
            return self.ball
        from flint import arb

        method: Unary = getattr(arb, self.ball)
        return method

    @cached_property
    def in_wide(self) -> Callable[[Array], Array]:
        """`wide`, or `numpy` where that serves. Raises ValueError if there is neither."""
        function = self.wide or self.numpy
        if function is None:
            raise ValueError(f"{self.name} has no value in the wide format")
        return function


@dataclass(frozen=True)
class SciPy:
    """A function of `scipy.special`, imported when it is called: a fifth of all imports, and few programs need it."""

    name: str

    @property
    def ufunc(self) -> np.ufunc:
        from scipy import special

        found: np.ufunc = getattr(special, self.name)
        return found

    def __call__(self, *x: Array) -> Array:
        return np.asarray(self.ufunc(*x))


@dataclass(frozen=True)
class Jax:
    """A function of `jax.lax` that SciPy lacks, compiled by JAX when it is called, for few sizes."""

    name: str

    def __call__(self, *x: Array) -> Array:
        import jax

        operands = np.broadcast_arrays(*x)
        shape, size = operands[0].shape, operands[0].size
        room = 64
        while room < size:
            room *= 8
        flat = [np.pad(a.ravel(), (0, room - size), constant_values=1) for a in operands]
        with jax.enable_x64(True):
            return np.asarray(_compiled(self.name)(*flat))[:size].reshape(shape)


@cache
def _compiled(name: str) -> Callable[..., Array]:
    import jax

    return jax.jit(getattr(jax.lax, name))


class Chain:
    """Ufuncs one after the other, each of the result before it or of a number and that result.

    `Chain(np.sqrt, (np.divide, 1))` is 1 / sqrt(x).
    """

    def __init__(self, *steps: np.ufunc | tuple[np.ufunc, int]) -> None:
        self.steps = [s if isinstance(s, tuple) else (s, None) for s in steps]

    def __call__(self, x: Array) -> Array:
        for ufunc, left in self.steps:
            x = ufunc(x) if left is None else ufunc(left, x)
        return x

    def calls(self, x: Array, out: Array) -> list[tuple[np.ufunc, tuple[object, ...]]]:
        """The same as ufuncs with their arguments, results in `out`."""
        calls: list[tuple[np.ufunc, tuple[object, ...]]] = []
        for ufunc, left in self.steps:
            calls.append((ufunc, (x, out) if left is None else (left, x, out)))
            x = out
        return calls


def float64(x: Array) -> Array:
    """Rounded to float64; overflow becomes infinite."""
    return np.asarray(x, dtype=np.float64)


def nearest_to_zero(v: Array, e: Array) -> Array:
    """Distance from 0 of the nearest point of the interval from v - e to v + e, in float64."""
    return float64(np.maximum(np.abs(v) - e, 0))
