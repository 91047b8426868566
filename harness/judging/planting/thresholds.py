"""`at_thresholds` solves for points at which a compared intermediate of a program meets what it is compared with.

A factor that is wrong where `exp(x)` lies in (50, 50.001) is met by no drawn x. The comparison stands in the traced
program: along a line between two drawn points its two sides cross, and bisection finds where.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.thresholds.coverage import CROSSING_DISTANCES
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.program import Equation, Program, Var

COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne", "max", "min")
KINKS = ("abs", "sign")
"""They compare with zero: `abs(3.7 * x - 191.3) < 1e-3`."""
SQUARES = ("square", "integer_pow")
"""So do they, and a product of something with itself: `(x - y)**2 < 1e-6` has no other sign on the way."""
MOVING = (
    "broadcast_in_dim", "convert_element_type", "copy", "expand_dims", "gather", "neg", "reshape", "rev", "slice",
    "squeeze", "transpose",
)  # fmt: skip
"""They give entries of their operand: constants that these are compared with are planted as they are."""
MOST = 16
"""Comparisons of one program that are solved."""
PLACES = 3
"""Entries of one comparison that are solved: the first, the middle and the last."""
GRID = 9
"""Places along a line at which the two sides are compared first."""
LINES = 24
ROOTS = 2
"""Crossings of one entry of one comparison that are kept."""
HALVINGS = 60


@dataclass(frozen=True)
class _Lines:
    """Lines between two points each, all arguments side by side; only some of them move.

    Attributes:
        start, end: arrays of shape + lines.
    """

    start: tuple[Array, ...]
    end: tuple[Array, ...]

    def at(self, line: Array, t: Array) -> list[Array]:
        """Points on the given lines, t from 0 to 1."""
        out = []
        for a, b in zip(self.start, self.end, strict=True):
            p, q = a[..., line], b[..., line]
            out.append(p if p is q or p.dtype.kind != "f" else np.where(p == q, p, p * (1 - t) + q * t))
        return out


@dataclass(frozen=True)
class _Compared:
    """The two sides of one comparison; `right` None stands for zero."""

    left: Var
    right: Var | None


def at_thresholds(program: Program, start: Sequence[Array], end: Sequence[Array]) -> tuple[Array, ...]:
    """Arguments at, and on both sides of, crossings between the points `start` and `end`, if there are any.

    Args:
        program: in plain floats.
        start, end: arguments of the program (shape + points), equal where an argument must not move.

    Returns:
        arguments, shape + planted points; not all need be representable in a short format.
    """
    lines = _Lines(tuple(start), tuple(end))
    none = tuple(a[..., :0] for a in start)
    compared = _compared(program)[:MOST]
    if not compared or not start or not start[0].shape[-1]:
        return none
    wanted = [v for c in compared for v in (c.left, c.right) if v is not None]
    asked = dataclasses.replace(program, outputs=tuple(wanted)).without_dead_code()

    def sides(points: list[Array]) -> list[Array]:
        """Left minus right of every comparison, one row per entry looked at: shape (rows, points)."""
        count = points[0].shape[-1]
        with np.errstate(all="ignore"):
            found = iter(run_floats(asked, points))
            rows = []
            for c in compared:
                left = np.asarray(next(found), dtype=np.float64)
                right = np.zeros(1) if c.right is None else np.asarray(next(found), dtype=np.float64)
                gap = left - _aligned(right, left)
                gap = np.broadcast_to(gap, (*gap.shape[:-1], count)).reshape(-1, count)
                rows += [gap[k] for k in sorted({0, len(gap) // 2, len(gap) - 1})[:PLACES] if len(gap)]
        return list(rows)

    try:
        return _solved(lines, sides, none)
    except (UnsupportedPrimitive, ValueError, FloatingPointError):
        return none


def _aligned(right: Array, left: Array) -> Array:
    """A right side with as many axes as the left one, where it has fewer."""
    return right if right.ndim in (1, left.ndim) else right.reshape((1,) * (left.ndim - right.ndim) + right.shape)


def _solved(lines: _Lines, sides: Callable[[list[Array]], list[Array]], none: tuple[Array, ...]) -> tuple[Array, ...]:
    """See `at_thresholds`; `sides` gives left minus right at points, one row per entry looked at."""
    count = lines.start[0].shape[-1]
    grid = np.linspace(0.0, 1.0, GRID)
    line, t = np.repeat(np.arange(count), GRID), np.tile(grid, count)
    values = [row.reshape(count, GRID) for row in sides(lines.at(line, t))]
    chosen: list[tuple[int, int, int]] = []
    for k, v in enumerate(values):
        with np.errstate(all="ignore"):
            cross = np.isfinite(v[:, 1:]) & np.isfinite(v[:, :-1]) & (np.sign(v[:, 1:]) != np.sign(v[:, :-1]))
        chosen += [(k, int(i), int(j)) for i, j in np.argwhere(cross)[:: max(1, int(cross.sum()) // ROOTS)][:ROOTS]]
    if not chosen:
        return none
    row, line = np.array([c[0] for c in chosen]), np.array([c[1] for c in chosen])
    low, high = (grid[np.array([c[2] + s for c in chosen])] for s in (0, 1))
    every = np.arange(len(chosen))
    below = np.sign(np.stack(sides(lines.at(line, low)))[row, every])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        here = np.sign(np.stack(sides(lines.at(line, middle)))[row, every])
        same = here == below
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    places, along = [line, line], [low, high]
    for distance in CROSSING_DISTANCES:
        for sign in (-1.0, 1.0):
            places.append(line)
            along.append(np.clip(high + sign * distance * np.maximum(high, 2.0**-20), 0.0, 1.0))
    order = np.lexsort((high, line))
    for a, b in pairwise(order.tolist()):  # between neighbouring crossings of one line
        if line[a] == line[b]:
            places.append(line[a : a + 1])
            along.append(np.array([(high[a] + high[b]) / 2]))
    return tuple(lines.at(np.concatenate(places), np.concatenate(along)))


def _compared(program: Program) -> list[_Compared]:
    """Comparisons of an intermediate, each pair of sides once; those with zero come last."""
    found = list(_every(program))
    return [c for c in found if c.right is not None] + [c for c in found if c.right is None]


def _every(program: Program) -> Iterator[_Compared]:
    given = {v.slot for v in program.inputs}
    made: dict[int, Equation] = {}
    seen: set[tuple[int, int]] = set()
    for e in program.equations:
        if e.primitive in MOVING and e.inputs and e.inputs[0].slot in given:
            given |= {v.slot for v in e.outputs}
        made |= {v.slot: e for v in e.outputs}
        pairs: list[tuple[Var, Var | None]] = []
        if e.primitive in COMPARISONS:
            pairs = [(e.inputs[0], e.inputs[1])]
        elif e.primitive == "clamp":
            pairs = [(e.inputs[1], e.inputs[0]), (e.inputs[1], e.inputs[2])]
        elif e.primitive in (*KINKS, *SQUARES) or (e.primitive == "mul" and e.inputs[0].slot == e.inputs[1].slot):
            pairs = [(e.inputs[0], None)]
        for one, other in pairs:
            left, right = (other, one) if one.slot in program.constants and other is not None else (one, other)
            key = (left.slot, -1 if right is None else right.slot)
            intermediate = [v for v in (left, right) if v is not None and v.slot in made and v.slot not in given]
            if key in seen or not intermediate or not left.dtype.startswith(("float", "bfloat", "int")):
                continue
            seen.add(key)
            yield _Compared(left, right)
