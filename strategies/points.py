"""Points are inputs of a rule: many of one shape for bulk work, with the points on the last axis, or single ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS
from backprove.strategies.arranged import arranged, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.cotangents import direction_domain
from backprove.strategies.domain import Floats, integer_bounds, point_domain
from backprove.strategies.encoding import ONE_HOT, Choice, encode
from backprove.strategies.kinds import nonzero_integer, normalise_rows, one_hot_rows
from backprove.strategies.reduction import reductions
from backprove.strategies.regions import REGIONS, regions
from backprove.strategies.shapes import Shape, Sizes, Specs, is_drawn
from backprove.strategies.structures import STRUCTURES

Direction = str | tuple[str, Callable[[dict[str, Any]], Shape]]
"""A tangent or cotangent: the name of the input whose shape it has, or a name and a function from sizes to a shape."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one shape, on the last axis of every array.

    Attributes:
        sizes: sizes of the names.
        shapes: shape of each input, without the points axis.
        arrays: one array per input, shape `(*shapes[k], count)`; floats are float64 numbers that `dtype` represents
            exactly, integers int64, masks bool.
        dtype: the float format under test.
        region: code into REGIONS per point.
        dtypes: per input "float" (the format under test) or a NumPy dtype; all "float" or as stored if left out.
    """

    sizes: Sizes
    shapes: tuple[Shape, ...]
    arrays: tuple[NDArray[Any], ...]
    dtype: str
    region: NDArray[np.uint8]
    dtypes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self.region)

    def take(self, indices: NDArray[Any] | Sequence[int] | slice) -> Points:
        """The chosen points, in the order given."""
        arrays = tuple(a[..., indices] for a in self.arrays)
        return Points(self.sizes, self.shapes, arrays, self.dtype, self.region[indices], self.dtypes)

    def point(self, i: int) -> tuple[NDArray[Any], ...]:
        """Point `i` without the points axis, floats as float64."""
        return tuple(np.array(a[..., i]) for a in self.arrays)

    def cast(self, i: int) -> tuple[NDArray[Any], ...]:
        """Point `i` in the real dtypes, for calling user code."""
        return cast_inputs(self.point(i), self.dtype, self.dtypes)

    @staticmethod
    def join(parts: Sequence[Points]) -> Points:
        """All points of `parts`, which have the same sizes and dtype.

        Raises:
            ValueError: for no parts, or parts of different shapes or dtypes.
        """
        if not parts or any((p.shapes, p.dtype) != (parts[0].shapes, parts[0].dtype) for p in parts):
            raise ValueError("Points.join: expected one or more Points of the same shapes and dtype")
        arrays = tuple(np.concatenate(column, axis=-1) for column in zip(*(p.arrays for p in parts), strict=True))
        region = np.concatenate([p.region for p in parts])
        first = parts[0]
        return Points(first.sizes, first.shapes, arrays, first.dtype, region, first.dtypes)


def cast_inputs(arrays: Sequence[NDArray[Any]], dtype: str, dtypes: Sequence[str] = ()) -> tuple[NDArray[Any], ...]:
    """Stored arrays in their real NumPy dtypes (ml_dtypes for bfloat16)."""
    names = dtypes or ["float" if a.dtype == np.float64 else str(a.dtype) for a in arrays]
    return tuple(
        a.astype(FORMATS[dtype].numpy if n == "float" else np.dtype(n)) for a, n in zip(arrays, names, strict=True)
    )


@dataclass(frozen=True, eq=False)
class PointSpace:
    """What single points look like: the description from which `point_strategy` draws and which encodes them.

    Attributes:
        specs: the inputs, in order.
        dtype: the float format under test.
        directions: tangents or cotangents that belong to a point.
        specials: constants of interest.
        extreme: open sides reach to the largest number of the dtype.
    """

    specs: Specs
    dtype: str
    directions: tuple[Direction, ...] = ()
    specials: tuple[float, ...] = ()
    extreme: bool = False

    def direction_shapes(self, sizes: Sizes) -> tuple[Shape, ...]:
        """Shapes of the directions at these sizes."""
        return tuple(self.specs[d].shape(sizes) if isinstance(d, str) else tuple(d[1](sizes)) for d in self.directions)

    def at(self, points: Points, i: int, directions: Sequence[NDArray[Any]] = ()) -> DrawnPoint:
        """Point `i` of a bulk draw, with its directions (no points axis), as Hypothesis would have drawn it."""
        return DrawnPoint(self, dict(points.sizes), points.point(i), tuple(np.asarray(d) for d in directions))

    def repaired(self, sizes: Sizes, arrays: Sequence[NDArray[Any]], directions: Sequence[Floats]) -> DrawnPoint:
        """The admissible point closest to raw arrays of the right shapes; admissible ones stay as they are."""
        inputs = tuple(_repair(spec, sizes, self, a) for spec, a in zip(self.specs.values(), arrays, strict=True))
        domain = direction_domain(self.dtype)
        return DrawnPoint(self, sizes, inputs, tuple(domain.admit(d) for d in directions))


@dataclass(frozen=True, eq=False)
class DrawnPoint:
    """One point with its directions.

    Attributes:
        space: where it was drawn from.
        sizes: sizes of the names.
        arrays: one array per input, stored as in `Points` but without the points axis.
        directions: tangents or cotangents, float64 numbers that the dtype represents.
    """

    space: PointSpace = field(repr=False)
    sizes: Sizes
    arrays: tuple[NDArray[Any], ...]
    directions: tuple[NDArray[Any], ...] = ()

    @property
    def region(self) -> str:
        """Name of the region, see `regions`."""
        space = self.space
        arrays = tuple(a[..., None] for a in self.arrays)
        return REGIONS[int(regions(space.specs, arrays, space.dtype, space.specials)[0])]

    def cast(self) -> tuple[NDArray[Any], ...]:
        """The inputs in their real dtypes."""
        return cast_inputs(self.arrays, self.space.dtype, [s.dtype for s in self.space.specs.values()])

    def points(self) -> Points:
        """The same as `Points` with one point."""
        specs = self.space.specs
        arrays = tuple(a[..., None] for a in self.arrays)
        code = np.array([REGIONS.index(self.region)], dtype=np.uint8)
        dtypes = tuple(s.dtype for s in specs.values())
        return Points(self.sizes, tuple(a.shape for a in self.arrays), arrays, self.space.dtype, code, dtypes)

    def choices(self) -> tuple[Choice, ...]:
        """The choice sequence with which `point_strategy` draws exactly this point."""
        return encode(self.space.specs, self.sizes, self.arrays, self.directions)

    @property
    def is_drawn(self) -> bool:
        """Whether `point_strategy` ever draws the sizes of this point."""
        return is_drawn(self.space.specs, self.sizes)

    def smaller(self) -> Iterator[DrawnPoint]:
        """Simpler points, which single choices do not reach.

        Axes dropped, blocks of one named dimension deleted, largest blocks first; then all signs made positive at once,
        which keeps a product of two negative numbers.
        """
        space = self.space
        for sizes, arrays, cut in reductions(
            space.specs, self.sizes, self.arrays, self.directions, space.direction_shapes
        ):
            yield space.repaired(sizes, arrays, cut)
        for inputs, directions in ((True, True), (True, False), (False, True)):
            positive = space.repaired(
                self.sizes,
                [np.abs(a) if inputs and a.dtype != bool else a for a in self.arrays],
                [np.abs(d) if directions else d for d in self.directions],
            )
            if positive.negatives < self.negatives:
                yield positive

    @property
    def negatives(self) -> int:
        """Number of entries with a minus sign, -0 included."""
        return sum(int(np.signbit(a).sum()) for a in (*self.arrays, *self.directions) if a.dtype == np.float64)


def _repair(spec: ArraySpec, sizes: Sizes, space: PointSpace, a: NDArray[Any]) -> NDArray[Any]:
    """The admissible input closest to `a`."""
    if not a.size:
        return a
    if spec.kind == ONE_HOT:
        rows = a.reshape((-1, a.shape[-1] if a.ndim else 1))
        return one_hot_rows(np.argmax(rows, axis=1)[:, None], rows.shape[1]).reshape(a.shape).astype(a.dtype)
    if is_free(spec):
        domain = point_domain(spec, space.dtype, space.extreme)
        x = domain.admit(a)
        x = domain.spread(x.reshape(-1)).reshape(a.shape) if spec.distinct else x
        return arranged(spec, x[..., None], space.dtype)[..., 0]
    if spec.kind in STRUCTURES:
        return arranged(spec, a[..., None], space.dtype)[..., 0]
    if spec.kind == "simplex":
        rows = a.reshape((-1, a.shape[-1] if a.ndim else 1))
        return normalise_rows(rows[..., None], spec, space.dtype).reshape(a.shape)
    if a.dtype == bool:
        return a
    low, high = integer_bounds(spec, sizes)
    x = np.clip(a, low, high)
    if spec.nonzero:
        x = np.where(x == 0, nonzero_integer(low, high), x)
    return _distinct_integers(x, low, high, spec.nonzero) if spec.distinct else x


def _distinct_integers(x: NDArray[Any], low: int, high: int, nonzero: bool) -> NDArray[Any]:
    """Equal integers moved to the next free ones, upward and around."""
    out: list[int] = []
    for v in x.reshape(-1).tolist():
        free = v
        while free in out or (nonzero and free == 0):
            free = free + 1 if free < high else low
        out.append(free)
    return np.array(out, dtype=x.dtype).reshape(x.shape)


__all__ = ["REGIONS", "Direction", "DrawnPoint", "PointSpace", "Points", "cast_inputs"]
