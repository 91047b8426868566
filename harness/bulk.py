"""The screen: very many points of one map, its rules against everything at once in the floats of the format itself.

At every point x, with a tangent v and a cotangent g, the rule's J v is held against JAX's, its J'g against JAX's,
<g, J v> against differences of <g, f(x + t v)> at four t (0 among them), and <g, J v> against <J'g, v>. All derivatives
are one merged program in reused buffers. The screen gives no verdict: it lets points pass at which everything agrees to
`AGREEMENT` unit roundoffs of the size of whole results, and names the others, which are for the layers with error
bounds. What is wrong in one entry by less than that share of the largest one it cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.harness.errors import UnsupportedPrimitive
from backprove.harness.merge import merge
from backprove.harness.program import Program, Var
from backprove.harness.systems.flat import Flat

Array = NDArray[np.floating]
Bools = NDArray[np.bool_]

AGREEMENT = 2.0**13
"""Unit roundoffs of the size of a result by which two results may differ."""
CHUNK_BYTES = 2**20
"""Bytes of inputs, tangents and cotangents of one chunk; what is computed from them then stays near the core."""
FEWEST, MOST = 64, 2048
"""Points of a chunk."""
STEP = 2.0**-10
"""Long step of the differences, for entries of ordinary size and directions with largest entry 1."""
DIFFERENCE_ROUNDING = 2.0**6
"""Unit roundoffs of the size of forward's values by which a difference of them may be off."""
TOLD = 1e-3
"""A difference whose error exceeds this share of the tangent's size says nothing."""
COARSEST = 2.0**-40
"""In coarser formats (float32) differences of values cannot tell anything, and are left out."""
SMALLEST = 2.0**-20
"""The steps shrink with the size of the inputs down to here."""
SAFETY = 8.0
"""The truncation estimate is multiplied by this."""
FORMATS_SCREENED = ("float64", "float32")
"""In the short formats nothing agrees to `AGREEMENT` unit roundoffs, and nothing disagrees by more."""


@dataclass
class Screened:
    """What the screen saw.

    Attributes:
        points: how many were looked at.
        outside: per point: forward is not finite, so that nothing is claimed.
        suspicious: per point, where forward is finite: something else is not, or does not agree.
        told: per point: whether the differences could tell.
        autodiff, differences, adjointness: numbers of points that the comparison let not pass.
    """

    points: int
    outside: Bools
    suspicious: Bools
    told: Bools
    autodiff: int = 0
    differences: int = 0
    adjointness: int = 0


@dataclass(frozen=True)
class Programs:
    """What is screened: traced at the same sizes and format.

    Attributes:
        forward: of the inputs; all its outputs are floats.
        jvp, vjp: the rule's programs of inputs and tangents, of inputs and cotangents; None where it has none.
        jax_jvp, jax_vjp: JAX's.
        moving: positions of the differentiated inputs.
    """

    forward: Program
    jvp: Program | None
    vjp: Program | None
    jax_jvp: Program
    jax_vjp: Program
    moving: tuple[int, ...]


class Screen:
    """A screen at fixed sizes, linked to a number of points.

    Args:
        points: of one chunk; 0: what fits the cache.

    Attributes:
        points: of one chunk.
        chunk: its linked programs: `flat`, all derivatives, and `forward`, at the places of the differences.

    Raises:
        UnsupportedPrimitive: for control flow, primitives that the floats lack, formats of less than 24 digits, and
            maps without floating-point inputs or outputs.
    """

    def __init__(self, programs: Programs, dtype: str, points: int = 0) -> None:
        if dtype not in FORMATS_SCREENED:
            raise UnsupportedPrimitive(dtype, "the screen")
        self.programs = programs
        self.dtype = np.dtype(dtype)
        self.u = FORMATS[dtype].u
        if not self._entries([programs.forward.inputs[i] for i in programs.moving]) or not self._entries(
            programs.forward.outputs
        ):
            raise UnsupportedPrimitive("a map without floats", "the screen")
        self.chunk = _Chunk(self, points or self._fitting())
        self.points = self.chunk.points

    def _fitting(self) -> int:
        forward = self.programs.forward
        given = [*forward.inputs, *(forward.inputs[i] for i in self.programs.moving), *forward.outputs]
        fits = CHUNK_BYTES // (self.dtype.itemsize * self._entries(given))
        return min(max(1 << fits.bit_length() >> 1, FEWEST), MOST)

    @staticmethod
    def _entries(variables: Sequence[Var]) -> int:
        return sum(int(np.prod(v.shape, dtype=np.int64)) for v in variables)

    def run(self, inputs: Sequence[Array], tangents: Sequence[Array], cotangents: Sequence[Array]) -> Screened:
        """Screen points.

        Args:
            inputs, tangents, cotangents: arrays of shape + (points,); one tangent per differentiated input, one
                cotangent per output, of numbers that the format holds.
        """
        arguments = [*inputs, *tangents, *cotangents]
        total = arguments[0].shape[-1]
        seen = Screened(total, np.zeros(total, bool), np.zeros(total, bool), np.zeros(total, bool))
        chunk = self.chunk
        with np.errstate(all="ignore"):
            for start in range(0, total, chunk.points):
                stop = min(start + chunk.points, total)
                chunk.fill([a[..., start:stop] for a in arguments], stop - start)
                chunk.run()
                chunk.note(seen, slice(start, stop))
        return seen


@dataclass
class _Side:
    """Result of a rule beside JAX's, per point: squared sizes of the difference, of JAX's result."""

    rule: list[Array]
    jax: list[Array]
    off: Array
    size: Array
    scratch: list[Array] = field(default_factory=list)

    def compare(self, limit: float) -> Bools:
        """Per point: do both agree to `limit` of their size?"""
        self.size[:] = 0
        for b in self.jax:
            _add_squares(self.size, b)
        self.off[:] = 0
        for a, b, t in zip(self.rule, self.jax, self.scratch, strict=True) if self.rule is not self.jax else ():
            np.subtract(a, b, out=t)
            _add_squares(self.off, t)
        agree: Bools = (self.off <= limit * limit * self.size) & np.isfinite(self.size)
        tiny = np.finfo(self.size.dtype).tiny / limit**3
        doubtful = np.flatnonzero(~agree | (self.size < tiny))
        if doubtful.size:  # squares may have left the range: the same by largest entries
            off, size = (np.zeros(doubtful.size, self.size.dtype) for _ in range(2))
            for a, b in zip(self.rule, self.jax, strict=True):
                x, y = (v.reshape(-1, v.shape[-1])[:, doubtful] for v in (a, b))
                np.maximum(off, np.abs(x - y).max(axis=0, initial=0), out=off)
                np.maximum(size, np.abs(y).max(axis=0, initial=0), out=size)
            agree[doubtful] = (off <= limit * size) & np.isfinite(size)
        return agree


class _Chunk:
    """Buffers and linked programs for one number of points."""

    def __init__(self, screen: Screen, points: int) -> None:
        p, dtype = screen.programs, screen.dtype
        self.points, self.u, self.limit = points, screen.u, AGREEMENT * screen.u
        n, m = len(p.forward.inputs), len(p.moving)
        forth = list(range(n + m))
        back = [*range(n), *range(n + m, n + m + len(p.forward.outputs))]
        parts = [(p.jax_jvp, forth), (p.jax_vjp, back)]
        parts += [(p.jvp, forth)] if p.jvp is not None else []
        parts += [(p.vjp, back)] if p.vjp is not None else []
        parts.append((p.forward, list(range(n))))
        merged, where = merge([q for q, _ in parts], [places for _, places in parts])
        moving = [p.forward.inputs[i] for i in p.moving]
        shapes = [v.shape for v in moving]
        self.x, x = _block(shapes, dtype, points)
        self.v, v = _block(shapes, dtype, points)
        self.g, g = _block([o.shape for o in p.forward.outputs], dtype, points)
        others = {i: np.zeros((*a.shape, points), a.dtype) for i, a in enumerate(p.forward.inputs) if i not in p.moving}
        given = [others[i] if i in others else x[p.moving.index(i)] for i in range(n)]
        self.arguments = [*given, *v, *g]
        self.flat = Flat(merged, points, self.arguments)
        outs = [self.flat.outputs[w] for w in where]
        jvp, vjp = outs[2] if p.jvp is not None else outs[0], outs[-2] if p.vjp is not None else outs[1]
        self.jvp, self.vjp = _side(jvp, outs[0], points, dtype), _side(vjp, outs[1], points, dtype)
        self.here = [o.reshape((-1, points)) for o in outs[-1]]
        self.told, self.agree = np.zeros(points, bool), np.ones(points, bool)
        self.forward: Flat | None = None
        if screen.u <= COARSEST:
            self._link_differences(p, others)

    def _link_differences(self, p: Programs, others: dict[int, Array]) -> None:
        """Forward at x + t v for t = -h, h/2 and h, side by side on the points axis."""
        n, points, dtype = len(p.forward.inputs), self.points, self.x.dtype
        self.at, at = _block([p.forward.inputs[i].shape for i in p.moving], dtype, 3 * points)
        self.others = [(a, np.zeros((*a.shape[:-1], 3 * points), a.dtype)) for a in others.values()]
        wide = dict(zip(others, (b for _, b in self.others), strict=True))
        given = [wide[i] if i in others else at[p.moving.index(i)] for i in range(n)]
        self.forward = Flat(p.forward, 3 * points, given)
        self.values = [o.reshape((-1, 3, points)) for o in self.forward.outputs]
        self.step = np.zeros_like(self.x)

    def fill(self, arguments: Sequence[Array], count: int) -> None:
        """Copy `count` points in; the first is repeated where the chunk is longer."""
        self.count = count
        for to, a in zip(self.arguments, arguments, strict=True):
            np.copyto(to[..., :count], a, casting="unsafe")
            if count < self.points:
                to[..., count:] = to[..., :1]

    def run(self) -> None:
        self.flat.run()
        self._finite()
        self.alike = self.jvp.compare(self.limit)
        self.alike &= self.vjp.compare(self.limit)
        self.largest_v = np.maximum(self.v.max(axis=0), -self.v.min(axis=0))
        self.size_g, size_v = np.sqrt(_dot(self.g, self.g)), np.sqrt(len(self.v)) * self.largest_v
        forth, back = _pair(self.g, self.jvp.rule), _pair(self.v, self.vjp.rule)
        self.size = self.size_g * np.sqrt(self.jvp.size)
        allowed = self.limit * (self.size + size_v * np.sqrt(self.vjp.size))
        self.paired = (np.abs(forth - back) <= allowed) & np.isfinite(allowed)
        if self.forward is not None:
            self._differences(self.forward, forth)

    def _finite(self) -> None:
        """Squared sizes of forward's values, and where one of them is not finite."""
        self.size_f = np.zeros(self.points, self.x.dtype)
        for f in self.here:
            self.size_f += _dot(f, f)
        self.outside = ~np.isfinite(self.size_f)
        index = np.flatnonzero(self.outside)
        if index.size:  # perhaps only the squares
            lost = [~np.isfinite(f[:, index]).all(axis=0) for f in self.here]
            self.outside[index] = np.logical_or.reduce(lost)

    def note(self, seen: Screened, here: slice) -> None:
        n, inside = self.count, ~self.outside
        differ, unpaired, unlike = inside & self.told & ~self.agree, inside & ~self.paired, inside & ~self.alike
        seen.outside[here] = self.outside[:n]
        seen.suspicious[here] = (unlike | differ | unpaired)[:n]
        seen.told[here] = self.told[:n]
        seen.autodiff += int(unlike[:n].sum())
        seen.differences += int(differ[:n].sum())
        seen.adjointness += int(unpaired[:n].sum())

    def _differences(self, forward: Flat, slope: Array) -> None:
        """Differences of <g, f(x + t v)>, extrapolated, beside `slope` = <g, J v>."""
        x, v, largest, p = self.x, self.v, self.largest_v, self.points
        size_x = np.sqrt(_dot(x, x) / len(x))
        h = STEP * np.minimum(np.maximum(size_x, SMALLEST), 1) / np.where(largest > 0, largest, 1)
        at = self.at.reshape(len(x), 3, p)
        np.multiply(v, h, out=self.step)
        np.subtract(x, self.step, out=at[:, 0])
        np.add(x, self.step, out=at[:, 2])
        np.multiply(self.step, 0.5, out=self.step)
        np.add(x, self.step, out=at[:, 1])
        for one, wide in self.others:
            wide.reshape((*one.shape[:-1], 3, p))[...] = one[..., None, :]
        forward.run()
        back, here, half, forth = (np.zeros(p, x.dtype) for _ in range(4))
        start = 0
        for f0, f in zip(self.here, self.values, strict=True):
            g = self.g[start : start + len(f)]
            start += len(f)
            here += _dot(g, f0)
            back += _dot(g, f[:, 0])
            half += _dot(g, f[:, 1])
            forth += _dot(g, f[:, 2])
        central = (forth - back) / (2 * h)
        # h^2/6 times the third derivative, by Newton's divided differences at -h, 0, h/2 and h
        third = _third(back, here, half, forth) / h
        # values are rounded, and so are the entries of x + t v
        rounded = self.size_g * np.sqrt(self.size_f) / h + self.size * size_x / (h * np.where(largest > 0, largest, 1))
        error = SAFETY * np.abs(third) + DIFFERENCE_ROUNDING * self.u * rounded
        self.told = error <= TOLD * self.size
        self.agree = np.abs(central - third - slope) <= error


def _third(back: Array, here: Array, half: Array, forth: Array) -> Array:
    """h^3/6 times the third derivative from values at -h, 0, h/2 and h, by divided differences (in units of h)."""
    low = (half - here) * 2 - (here - back)  # times 2/3: second divided difference at -h, 0, h/2
    high = (forth - half) * 2 - (half - here) * 2  # that at 0, h/2, h
    third: Array = (high - low * (2 / 3)) / 2
    return third


def _block(shapes: Sequence[tuple[int, ...]], dtype: np.dtype[np.floating], points: int) -> tuple[Array, list[Array]]:
    """One buffer of ones with a row per entry of all shapes, and its views of those shapes."""
    counts = [int(np.prod(s, dtype=np.int64)) for s in shapes]
    block = np.ones((sum(counts), points), dtype)
    ends = np.cumsum(counts)
    return block, [block[e - n : e].reshape((*s, points)) for e, n, s in zip(ends, counts, shapes, strict=True)]


def _side(rule: list[Array], jax: list[Array], points: int, dtype: np.dtype[np.floating]) -> _Side:
    rule = jax if all(a is b for a, b in zip(rule, jax, strict=True)) else rule
    return _Side(rule, jax, np.zeros(points, dtype), np.zeros(points, dtype), [np.zeros(a.shape, dtype) for a in jax])


def _dot(a: Array, b: Array) -> Array:
    """Per point the sum of products."""
    product: Array = np.einsum("ip,ip->p", a, b)
    return product


def _pair(block: Array, arrays: Sequence[Array]) -> Array:
    """Per point the pairing of a block with arrays that have as many entries together."""
    total, start = np.zeros(block.shape[-1], block.dtype), 0
    for a in arrays:
        rows = a.reshape(-1, a.shape[-1])
        total += _dot(block[start : start + len(rows)], rows)
        start += len(rows)
    return total


def _add_squares(to: Array, array: Array) -> None:
    rows = array.reshape(-1, array.shape[-1])
    to += _dot(rows, rows)
