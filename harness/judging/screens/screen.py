"""The screen holds very many points of one map and its rules against everything at once, in plain floats.

At every point x, with a tangent v and a cotangent g, the rule's J v is held against JAX's, its J'g against JAX's,
<g, J v> (or <J'g, v>) against differences of <g, f(x + t v)> at four t (0 among them), and <g, J v> against <J'g, v>.
All derivatives share one program once it runs often. A rule of a shorter format runs in float64 here, and its results
in its own format are held against these (`short_formats.py`). The screen gives no verdict: it lets points pass at which
everything agrees to `AGREEMENT` unit roundoffs of the size of whole results, and names the others, which are for the
layers with error bounds. It cannot see an error in one entry that is smaller than that share of the largest entry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS, Mode
from backprove.harness.core.thresholds.differences import SAFETY, TOLD
from backprove.harness.core.thresholds.screen import (
    AGREEMENT,
    COARSEST,
    DIFFERENCE_ROUNDING,
    SCREEN_STEP,
    SMALLEST_SIZE,
    STEADY,
)
from backprove.harness.judging.screens.short_formats import Short
from backprove.harness.numbers.floats.runs import Direct, Linked, link
from backprove.harness.programs.program import Program, Var

Array = NDArray[np.floating]
Bools = NDArray[np.bool_]

CHUNK_BYTES = 2**21
"""Bytes of inputs, tangents and cotangents of one chunk; what is computed from them then stays near the core."""
FEWEST, MOST = 64, 2048
"""Points of a chunk."""
FORMATS_SCREENED = ("float64", "float32")
"""Formats of the evaluation: in shorter ones nothing agrees to `AGREEMENT` unit roundoffs, and nothing disagrees by
more. In float32 that is 5e-4, and hides mistakes."""


@dataclass
class Screened:
    """What the screen saw.

    Attributes:
        points: how many were looked at.
        outside: per point: forward is not finite, so that nothing is claimed.
        suspicious: per point, where forward is finite: something else is not, or does not agree.
        formula: per point: suspicious in float64 already, not only by the roundings of a shorter format.
        told: per point: whether the differences could tell.
        autodiff, differences, adjointness, rounding: numbers of points that the comparison let not pass.
    """

    points: int
    outside: Bools
    suspicious: Bools
    formula: Bools
    told: Bools
    autodiff: int = 0
    differences: int = 0
    adjointness: int = 0
    rounding: int = 0


@dataclass(frozen=True)
class ClaimPrograms:
    """What is screened: traced at the same sizes and format.

    Attributes:
        forward: of the inputs; all its outputs are floats.
        jvp, vjp: the rule's programs of inputs and tangents, of inputs and cotangents; None where it has none.
        jax_jvp, jax_vjp: JAX's; None to leave a mode out that has no rule.
        moving: positions of the differentiated inputs.
    """

    forward: Program
    jvp: Program | None
    vjp: Program | None
    jax_jvp: Program | None
    jax_vjp: Program | None
    moving: tuple[int, ...]


class Screen:
    """A screen at fixed sizes for chunks of some number of points.

    Args:
        programs: traced at `dtype`, or of a shorter format and widened to it.
        dtype: format of the evaluation.
        points: of one chunk; 0: what fits the cache.
        linked: whether the programs are linked, which pays after `runs.DIRECT_RUNS` runs.
        short: the forward map and the one rule in the shorter format.
        differences: whether finite differences are looked at; without them nobody checks JAX's derivative.
        agreement: by which share of the size of a result two results may differ (0: `AGREEMENT` unit roundoffs).

    Attributes:
        points: of one chunk.
        chunk: its `programs`, forward and all derivatives, and `forward` at the places of the differences.

    Raises:
        UnsupportedPrimitive: for control flow, primitives that the floats lack, formats of less than 24 digits, and
            maps without floating-point inputs or outputs.
    """

    def __init__(
        self,
        programs: ClaimPrograms,
        dtype: str,
        points: int = 0,
        *,
        linked: bool = True,
        short: Short | None = None,
        differences: bool = True,
        agreement: float = 0.0,
    ) -> None:
        if dtype not in FORMATS_SCREENED:
            raise UnsupportedPrimitive(dtype, "the screen")
        self.programs, self.short, self.linked = programs, short, linked
        self.link = link if linked else Direct
        self.dtype = np.dtype(dtype)
        self.u = FORMATS[dtype].u
        self.differences = differences and self.u <= COARSEST
        self.limit = agreement or AGREEMENT * self.u
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
        return sum(math.prod(v.shape) for v in variables)

    def run(self, inputs: Sequence[Array], tangents: Sequence[Array], cotangents: Sequence[Array]) -> Screened:
        """Screen points.

        Args:
            inputs, tangents, cotangents: arrays of shape + (points,); one tangent per differentiated input, one
                cotangent per output, of numbers that the format holds.
        """
        arguments = [*inputs, *tangents, *cotangents]
        total = arguments[0].shape[-1]
        outside, suspicious, formula, told = np.zeros((4, total), bool)
        seen = Screened(total, outside, suspicious, formula, told)
        chunk = self.chunk
        with np.errstate(all="ignore"):
            for start in range(0, total, chunk.points):
                stop = min(start + chunk.points, total)
                chunk.fill([a[..., start:stop] for a in arguments], stop - start)
                chunk.run()
                chunk.note(seen, slice(start, stop))
        return seen


@dataclass(frozen=True)
class Beside:
    """Results of a rule beside JAX's in one mode; the same arrays where there is only one of them."""

    rule: Sequence[Array]
    jax: Sequence[Array]

    def compare(self, limit: float, size: Array) -> Bools:
        """Per point: do both agree to `limit` of their size? Squared sizes of JAX's results are written to `size`."""
        size[:] = 0
        for b in self.jax:
            _add_squares(size, b)
        off = np.zeros_like(size)
        for a, b in zip(self.rule, self.jax, strict=True):
            if a is not b:
                _add_squares(off, np.subtract(a, b))
        agree: Bools = (off <= limit * limit * size) & np.isfinite(size)
        tiny = np.finfo(size.dtype).tiny / limit**3
        doubtful = np.flatnonzero(~agree | (size < tiny))
        if doubtful.size:  # squares may have left the range: the same by largest entries
            far, largest = (np.zeros(doubtful.size, size.dtype) for _ in range(2))
            for a, b in zip(self.rule, self.jax, strict=True):
                x, y = (v.reshape(-1, v.shape[-1])[:, doubtful] for v in (a, b))
                np.maximum(far, np.abs(x - y).max(axis=0, initial=0), out=far)
                np.maximum(largest, np.abs(y).max(axis=0, initial=0), out=largest)
            agree[doubtful] = (far <= limit * largest) & np.isfinite(largest)
        return agree


class _Chunk:
    """Buffers and programs for one number of points."""

    def __init__(self, screen: Screen, points: int) -> None:
        p, dtype = screen.programs, screen.dtype
        self.points, self.u, self.limit, self.short = points, screen.u, screen.limit, screen.short
        n, m = len(p.forward.inputs), len(p.moving)
        forth = list(range(n + m))
        back = [*range(n), *range(n + m, n + m + len(p.forward.outputs))]
        parts: dict[str, tuple[Program, list[int]]] = {"forward": (p.forward, list(range(n)))}
        for name, program, places in (
            ("jax_jvp", p.jax_jvp, forth),
            ("jax_vjp", p.jax_vjp, back),
            ("jvp", p.jvp, forth),
            ("vjp", p.vjp, back),
        ):
            if program is not None:
                parts[name] = (program, places)
        moving = [p.forward.inputs[i] for i in p.moving]
        shapes = [v.shape for v in moving]
        self.x, x = _block(shapes, dtype, points)
        self.v, v = _block(shapes, dtype, points)
        self.g, g = _block([o.shape for o in p.forward.outputs], dtype, points)
        others = {i: np.zeros((*a.shape, points), a.dtype) for i, a in enumerate(p.forward.inputs) if i not in p.moving}
        given = [others[i] if i in others else x[p.moving.index(i)] for i in range(n)]
        self.arguments = [*given, *v, *g]
        self.place = {name: k for k, name in enumerate(parts)}
        programs, given_to = [q for q, _ in parts.values()], [a for _, a in parts.values()]
        self.programs = screen.link(programs, given_to, points, self.arguments)
        self.size_jvp, self.size_vjp, self.size_f = (np.zeros(points, dtype) for _ in range(3))
        self.told, self.agree, self.close = np.zeros(points, bool), np.ones(points, bool), np.ones(points, bool)
        self.forward: Linked | Direct | None = None
        if screen.differences:
            self._link_differences(screen, others)

    def _link_differences(self, screen: Screen, others: dict[int, Array]) -> None:
        """Forward at x + t v for t = -h, h and 2h, side by side on the points axis."""
        p = screen.programs
        n, points, dtype = len(p.forward.inputs), self.points, self.x.dtype
        self.at, at = _block([p.forward.inputs[i].shape for i in p.moving], dtype, 3 * points)
        self.others = [(a, np.zeros((*a.shape[:-1], 3 * points), a.dtype)) for a in others.values()]
        wide = dict(zip(others, (b for _, b in self.others), strict=True))
        given = [wide[i] if i in others else at[p.moving.index(i)] for i in range(n)]
        self.forward = screen.link([p.forward], [range(n)], 3 * points, given)
        self.step = np.zeros_like(self.x)

    def fill(self, arguments: Sequence[Array], count: int) -> None:
        """Copy `count` points in; the first is repeated where the chunk is longer."""
        self.count = count
        for to, a in zip(self.arguments, arguments, strict=True):
            np.copyto(to[..., :count], a, casting="unsafe")
            if count < self.points:
                to[..., count:] = to[..., :1]

    def results(self, name: str) -> list[Array]:
        """Outputs of one of the programs at the last run."""
        return self.programs.outputs[self.place[name]]

    def run(self) -> None:
        self.programs.run()
        here = [f.reshape((-1, self.points)) for f in self.results("forward")]
        self.outside = self._not_finite(here)
        jvp, vjp = (self._side(mode) for mode in ("jvp", "vjp"))
        self.alike = np.ones(self.points, bool)
        if jvp is not None:
            self.alike &= jvp.compare(self.limit, self.size_jvp)
        if vjp is not None:
            self.alike &= vjp.compare(self.limit, self.size_vjp)
        self.largest_v = np.maximum(self.v.max(axis=0), -self.v.min(axis=0))
        size_g, size_v = np.sqrt(_dot(self.g, self.g)), np.sqrt(len(self.v)) * self.largest_v
        forth = None if jvp is None else _pair(self.g, jvp.rule)
        back = None if vjp is None else _pair(self.v, vjp.rule)
        sizes = (size_g * np.sqrt(self.size_jvp), size_v * np.sqrt(self.size_vjp))
        self.paired = np.ones(self.points, bool)
        if forth is not None and back is not None:
            allowed = self.limit * (sizes[0] + sizes[1])
            self.paired = (np.abs(forth - back) <= allowed) & np.isfinite(allowed)
        slope, size = (forth, sizes[0]) if forth is not None else (back, sizes[1])
        if self.forward is not None and slope is not None:
            self._differences(self.forward, here, slope, size, size_g)
        if self.short is not None:
            rule = self.results("jvp" if "jvp" in self.place else "vjp")
            (finite, _), (_, self.close) = self.short.look(self.arguments, [self.results("forward"), rule])
            # where only float64 has no value something is odd
            self.close &= ~self.outside
            self.outside = ~finite

    def _side(self, mode: Mode) -> Beside | None:
        names = [n for n in (mode, f"jax_{mode}") if n in self.place]
        return Beside(self.results(names[0]), self.results(names[-1])) if names else None

    def _not_finite(self, here: Sequence[Array]) -> Bools:
        """Where one of forward's values is not finite; their squared sizes are kept."""
        self.size_f[:] = 0
        for f in here:
            self.size_f += _dot(f, f)
        outside: Bools = ~np.isfinite(self.size_f)
        index = np.flatnonzero(outside)
        if index.size:  # perhaps only the squares
            lost = [~np.isfinite(f[:, index]).all(axis=0) for f in here]
            outside[index] = np.logical_or.reduce(lost)
        return outside

    def note(self, seen: Screened, here: slice) -> None:
        n, inside = self.count, ~self.outside
        differ, unpaired, unlike = inside & self.told & ~self.agree, inside & ~self.paired, inside & ~self.alike
        apart = inside & ~self.close
        seen.outside[here] = self.outside[:n]
        formula = unlike | differ | unpaired
        seen.formula[here] = formula[:n]
        seen.suspicious[here] = (formula | apart)[:n]
        seen.told[here] = self.told[:n]
        seen.autodiff += int(unlike[:n].sum())
        seen.differences += int(differ[:n].sum())
        seen.adjointness += int(unpaired[:n].sum())
        seen.rounding += int(apart[:n].sum())

    def _differences(
        self, forward: Linked | Direct, values: Sequence[Array], slope: Array, size: Array, size_g: Array
    ) -> None:
        """Differences of <g, f(x + t v)>, extrapolated, beside `slope` = <g, J v>, which has size `size`."""
        x, v, p = self.x, self.v, self.points
        largest = np.where(self.largest_v > 0, self.largest_v, 1)
        size_x = np.sqrt(_dot(x, x) / len(x))
        h = SCREEN_STEP * np.minimum(np.maximum(size_x, SMALLEST_SIZE), 1) / largest
        at = self.at.reshape(len(x), 3, p)
        np.multiply(v, h, out=self.step)
        np.subtract(x, self.step, out=at[:, 0])
        np.add(x, self.step, out=at[:, 1])
        np.add(at[:, 1], self.step, out=at[:, 2])
        for one, wide in self.others:
            wide.reshape((*one.shape[:-1], 3, p))[...] = one[..., None, :]
        forward.run()
        back, here, forth, far = (np.zeros(p, x.dtype) for _ in range(4))
        start = 0
        for f0, f in zip(values, forward.outputs[0], strict=True):
            g = self.g[start : start + len(f0)]
            start += len(f0)
            three = f.reshape((-1, 3, p))
            here += _dot(g, f0)
            back += _dot(g, three[:, 0])
            forth += _dot(g, three[:, 1])
            far += _dot(g, three[:, 2])
        central = (forth - back) / (2 * h)
        # h^2/6 times the third derivative, by the third difference of -h, 0, h and 2h
        third = (far - back - 3 * (forth - here)) / (6 * h)
        # values are rounded, and so are the entries of x + t v
        rounded = size_g * np.sqrt(self.size_f) / h + size * size_x / (h * largest)
        error = SAFETY * np.abs(third) + DIFFERENCE_ROUNDING * self.u * rounded
        # beside a singularity the step is too long: values hardly move at its ends, however large the slope
        moved = np.abs(central)
        self.told = (error <= TOLD * np.maximum(size, moved)) & (error <= STEADY * moved)
        self.agree = np.abs(central - third - slope) <= error


def _block(shapes: Sequence[tuple[int, ...]], dtype: np.dtype[np.floating], points: int) -> tuple[Array, list[Array]]:
    """One new buffer with a row per entry of all shapes, and its views of those shapes."""
    counts = [math.prod(s) for s in shapes]
    block = np.empty((sum(counts), points), dtype)
    ends = np.cumsum(counts)
    return block, [block[e - n : e].reshape((*s, points)) for e, n, s in zip(ends, counts, shapes, strict=True)]


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
