"""A `Domain` holds the numbers that an entry of one input may take in one dtype: bounds rounded inward,
special values.

Floats are float64 numbers that the tested dtype represents exactly; subnormals of that dtype do not occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.core.thresholds.coverage import DEFAULT_BOUND
from backprove.strategies.array import ArraySpec

Floats = NDArray[np.float64]

INTEGER_BOUND = 8
NEIGHBOURS = 4
"""How many floats on each side of a special value are tried."""


def to_ordinal(values: Floats, fmt: FloatFormat) -> NDArray[np.int64]:
    """Index of each number among the normal numbers of `fmt`: 0 for both zeros, 1 for `tiny`, -1 for `-tiny`, ..."""
    v = np.asarray(values, dtype=np.float64)
    bits = np.abs(v).view(np.int64) >> (53 - fmt.digits)
    magnitude = np.maximum(bits - _ordinal_offset(fmt), 0)
    signed: NDArray[np.int64] = np.where(np.signbit(v), -magnitude, magnitude)
    return signed


def from_ordinal(ordinals: NDArray[np.int64], fmt: FloatFormat) -> Floats:
    """Inverse of `to_ordinal`; 0 gives +0."""
    o = np.asarray(ordinals, dtype=np.int64)
    bits = (np.abs(o) + _ordinal_offset(fmt)) << (53 - fmt.digits)
    magnitude = np.where(o == 0, np.int64(0), bits).view(np.float64)
    return np.where(o < 0, -magnitude, magnitude)


def _ordinal_offset(fmt: FloatFormat) -> int:
    return (int(np.float64(fmt.tiny).view(np.int64)) >> (53 - fmt.digits)) - 1


@dataclass(frozen=True)
class Domain:
    """Closed interval of admissible floats of one dtype.

    Attributes:
        format: the dtype under test.
        low, high: bounds, exactly representable, each zero or normal.
        nonzero: whether both zeros are left out.
        anchors: declared finite bounds other than zero, rounded inward; values close to them are of interest.
    """

    format: FloatFormat
    low: float
    high: float
    nonzero: bool = False
    anchors: tuple[float, ...] = ()

    @property
    def simplest(self) -> float:
        """The admissible number put where zero is not allowed: 1 where it lies inside, else the nearest to it."""
        nearest = min(max(1.0, self.low), self.high)
        return nearest if nearest != 0 else self.low

    def contains(self, values: Floats) -> NDArray[np.bool_]:
        """Entry by entry: finite, representable, within the bounds, zero only where allowed."""
        v = np.asarray(values)
        inside = (v >= self.low) & (v <= self.high) & ((v == 0) | (np.abs(v) >= self.format.tiny))
        if self.nonzero:
            inside &= v != 0
        inside &= self.format.round(v) == v
        return np.asarray(inside)

    def admit(self, values: Floats) -> Floats:
        """Each number rounded, clipped and flushed to an admissible one; admissible numbers stay, -0 included."""
        fmt = self.format
        v = np.asarray(values, dtype=np.float64)
        if fmt.digits < 53:
            v = fmt.round(v)
        v = np.asarray(v * (np.abs(v) >= fmt.tiny))
        if self.low == 0 or self.high == 0:
            # Comparisons, not np.clip: -0 must survive a bound of 0.
            v = np.where(v < self.low, self.low, v)
            v = np.where(v > self.high, self.high, v)
        else:
            np.clip(v, self.low, self.high, out=v)
        return np.where(v == 0, self.simplest, v) if self.nonzero else v

    def separate(self, values: Floats) -> Floats:
        """Distinct admissible numbers close to `values`, shape (entries, points): equal ones move by single ulps.

        Raises:
            UsageError: if the interval holds fewer numbers than there are entries.
        """
        o = self._index(values)
        order = np.argsort(o, axis=0, kind="stable")
        s = np.take_along_axis(o, order, axis=0)
        if len(s) < 2 or not (s[1:] == s[:-1]).any():
            return values
        ends: list[int] = self._index(np.array([self.low, self.high])).tolist()
        if ends[1] - ends[0] + 1 < len(s):
            raise UsageError(
                f"array: distinct=True needs {len(s)} different {self.format.name} numbers, but only "
                f"{ends[1] - ends[0] + 1} lie between {self.low!r} and {self.high!r}; widen the bounds or drop distinct"
            )
        for i in range(1, len(s)):
            s[i] = np.maximum(s[i], s[i - 1] + 1)
        s[-1] = np.minimum(s[-1], ends[1])
        for i in range(len(s) - 2, -1, -1):
            s[i] = np.minimum(s[i], s[i + 1] - 1)
        moved = np.empty_like(s)
        np.put_along_axis(moved, order, s, axis=0)
        back = moved + (moved >= 0) if self._skips_zero else moved
        return np.where(moved == o, values, from_ordinal(back, self.format))

    def spread(self, values: Floats) -> Floats:
        """Distinct admissible numbers for one point, shape (entries,): equal ones move to short numbers nearby."""
        out: list[float] = []
        seen: set[float] = set()
        for v in values.tolist():
            if v in seen:
                steps = [s * k for k in range(1, len(values) + 1) for s in (1.0, -1.0)]
                tries = [v + s for s in steps if s > 0] + [v + s for s in steps if s < 0] + [v + s / 64 for s in steps]
                free = (t for t in tries if t not in seen and self.contains(np.array(t)))
                out.append(next(free, v))
            else:
                out.append(v)
            seen.add(out[-1])
        return self.separate(np.array(out, dtype=np.float64)[:, None])[:, 0]

    @property
    def _skips_zero(self) -> bool:
        return self.nonzero and self.low < 0 < self.high

    def _index(self, values: Floats) -> NDArray[np.int64]:
        o = to_ordinal(values, self.format)
        return o - (o > 0) if self._skips_zero else o


def _inward(value: float, fmt: FloatFormat, up: bool) -> float:
    """Smallest number of `fmt` >= value (`up`), else the largest <= value; +-inf where there is none."""
    if not up:
        return -_inward(-value, fmt, True)
    if -fmt.tiny < value < fmt.tiny:
        return fmt.tiny if value > 0 else 0.0
    if value < -fmt.max:
        return -fmt.max
    if value > fmt.max:
        return float("inf")
    r = float(fmt.round(np.array(value)))
    if r < value:
        r = float(from_ordinal(to_ordinal(np.array(r), fmt) + 1, fmt))
    return r


@cache
def float_domain(spec: ArraySpec, dtype: str, extreme: bool = False) -> Domain:
    """Admissible floats of `spec` in `dtype`: declared bounds rounded inward; an open side reaches to 1e4 (float16:
    2**8), or ten times the other bound if that is more; to the largest number of the dtype with `extreme`.

    Raises:
        UsageError: if no number of `dtype` lies within the bounds.
    """
    if dtype not in FORMATS:
        raise UsageError(f"dtype must be one of {', '.join(FORMATS)}, got {dtype!r}")
    fmt = FORMATS[dtype]
    reach = fmt.max if extreme else DEFAULT_BOUND[dtype]
    low, high = _entry_bounds(spec)
    anchors = []
    if high is None:
        upper = min(max(reach, 10 * low if low is not None else 0.0), fmt.max)
    else:
        upper = float(high)
        anchors.append(_inward(upper, fmt, up=False))
    if low is None:
        lower = max(min(-reach, 10 * high if high is not None else 0.0), -fmt.max)
    else:
        lower = float(low)
        anchors.append(_inward(lower, fmt, up=True))
    low_in, high_in = _inward(lower, fmt, up=True) + 0.0, _inward(upper, fmt, up=False) + 0.0
    if spec.nonzero:
        low_in = fmt.tiny if low_in == 0 else low_in
        high_in = -fmt.tiny if high_in == 0 else high_in
    if low_in > high_in:
        raise UsageError(
            f"array: no {'nonzero ' if spec.nonzero else ''}{dtype} number lies between low={spec.low!r} and "
            f"high={spec.high!r}; widen the bounds or leave {dtype} out"
        )
    finite = tuple(a for a in anchors if a != 0 and np.isfinite(a))
    return Domain(fmt, low_in, high_in, spec.nonzero, finite)


def _entry_bounds(spec: ArraySpec) -> tuple[float | None, float | None]:
    """Bounds of single entries; those of an spd matrix are no larger than its eigenvalues."""
    high = None if isinstance(spec.high, str) else spec.high
    if spec.kind == "spd":
        return (None if high is None else -high), high
    return (-1.0, 1.0) if spec.kind in ("unit", "orthogonal") else (spec.low, high)


def point_domain(spec: ArraySpec, dtype: str, extreme: bool = False) -> Domain:
    """The domain from which points are drawn: the default one, or up to the dtype's range where asked or declared."""
    return float_domain(spec, dtype, extreme or spec.extreme)


def integer_bounds(spec: ArraySpec, sizes: dict[str, int | tuple[int, ...]]) -> tuple[int, int]:
    """Smallest and largest admissible integer (first > second: none); an index is below `high` (or that dim)."""
    if spec.kind == "mask" or spec.dtype == "bool":
        return 0, 1
    least = 0 if spec.kind == "index" else -INTEGER_BOUND
    low = least if spec.low is None else int(np.ceil(spec.low))
    if isinstance(spec.high, str):
        size = sizes[spec.high.lstrip("*")]
        high = (int(np.prod(size)) if isinstance(size, tuple) else size) - 1
    else:
        high = max(INTEGER_BOUND, 10 * low) if spec.high is None else int(np.floor(spec.high))
        if spec.kind == "index" and spec.high is not None:
            high = int(np.ceil(spec.high)) - 1
    if spec.low is None and spec.high is not None and spec.kind != "index":
        low = min(low, 10 * high if high < 0 else low)
    info = np.iinfo(np.dtype(spec.dtype)) if np.dtype(spec.dtype).kind in "iu" else np.iinfo(np.int64)
    return max(low, int(info.min)), min(high, int(info.max), 2**62)


@cache
def neighbours(value: float, fmt: FloatFormat, reach: int = NEIGHBOURS) -> tuple[float, ...]:
    """`value` rounded to `fmt` and the `reach` numbers on either side, nearest first."""
    centre = to_ordinal(fmt.round(np.array(value)), fmt)
    top = to_ordinal(np.array(fmt.max), fmt)
    steps = np.array([0] + [s * k for k in range(1, reach + 1) for s in (-1, 1)])
    near = centre + steps
    return tuple(from_ordinal(near[np.abs(near) <= top], fmt).tolist())


def special_values(domain: Domain, specials: Iterable[float] = ()) -> Floats:
    """Admissible special values, simplest first, no bit pattern twice.

    Zeros, units, domain ends with their float neighbours, the smallest normal numbers, and of each constant c in
    `specials`: c and its neighbours, c/2, 2c, 1.05c and -c.
    """
    return _special_values(domain, tuple(float(c) + 0.0 for c in specials))  # both zeros are one key


@cache
def _special_values(domain: Domain, specials: tuple[float, ...]) -> Floats:
    fmt = domain.format
    raw = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -0.5, -2.0, fmt.tiny, -fmt.tiny, *constant_values(fmt, specials)]
    raw += [*neighbours(domain.low, fmt), *neighbours(domain.high, fmt), *exponential_limits(fmt)]
    rounded = fmt.round(np.array(raw))
    rounded = rounded * (np.abs(rounded) >= fmt.tiny)
    kept = rounded[domain.contains(rounded)]
    _, first = np.unique(kept.view(np.int64), return_index=True)
    values = kept[np.sort(first)]
    values.flags.writeable = False  # shared by all callers
    return values


def exponential_limits(fmt: FloatFormat) -> list[float]:
    """The middle between log(max) and log(2 max), with both signs: exp leaves the format, sinh and cosh do not yet."""
    middle = math.log(fmt.max) + math.log(2) / 2
    return [middle, -middle]


def constant_values(fmt: FloatFormat, specials: Iterable[float]) -> list[float]:
    """Each finite constant c with its neighbours, then c/2, 2c, 1.05c and -c."""
    out: list[float] = []
    for c in specials:
        if abs(c) <= fmt.max:
            out += [*neighbours(c, fmt), c / 2, 1.05 * c, -c]
            out += [2 * c] if abs(2 * c) <= fmt.max else []
    return [v for v in out if abs(v) <= fmt.max]
