"""A `Bench` takes differences of code that can only be called, at a batch of points, with errors that it measures.

The noise of the code is measured, not assumed: difference tables of values at nearby points (Moré and Wild, Estimating
computational noise, SIAM J. Sci. Comput. 33, 2011).

bench = Bench(forward, [x], wrt=(0,))
bench.compare(test, result, doubt)      # do differences tell, agree, object, and does it look like a kink?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import factorial

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, largest
from backprove.harness.core.thresholds.called_code import (
    BLACK_BOX_MARGIN,
    BLACK_BOX_STEPS,
    CANCELLED,
    COARSE_GATHERED,
    COARSE_MARGIN,
    COARSE_SPACING,
    COARSE_STEPS,
    COARSE_TOLD,
    COARSEST_STEP,
    FAR_OFF,
    FLAT,
    NOISE_FACTOR,
    NOISE_ORDER,
    NOISE_SPACINGS,
    SINGLE_NOISE,
    SINGLE_STEPS,
    UNRESOLVED,
)
from backprove.harness.core.thresholds.differences import TOLD
from backprove.harness.oracles.differences import central, one_by_one
from backprove.harness.oracles.resolution import narrowed
from backprove.harness.oracles.vectors import dyadic

REMEMBERED = 4
"""Points of a bench up to which values once computed are kept: a kink is looked for where slopes were taken before."""

Evaluation = Callable[[list[Array]], list[Array]]
"""Float64 values at many points (shape + points); NaN where the code gives none."""


@dataclass(frozen=True)
class Test:
    """One number to compare: `<partner, result>` against the slope of `<weights, forward>` along `tangents`."""

    tangents: list[Array]
    weights: list[Array]
    partners: list[Array]


@dataclass(frozen=True)
class Comparison:
    """What differences say, per point.

    Attributes:
        told: they tell something.
        near, far: they agree, and they are further apart than anything explains.
        kink: it looks like a kink.
        blind: they tell that the map is flat there, and no more: any rule of small values agrees.
        share: by what share of the derivative the rule is larger, where code narrows to half precision; else NaN.
    """

    told: Array
    near: Array
    far: Array
    kink: Array
    blind: Array
    share: Array


class Bench:
    """The forward map at a batch of points, with its measured noise."""

    def __init__(
        self,
        forward: Evaluation,
        inputs: list[Array],
        wrt: tuple[int, ...],
        steps: Sequence[float] = BLACK_BOX_STEPS,
    ) -> None:
        self.forward, self.inputs, self.wrt, self.steps = forward, inputs, wrt, tuple(steps)
        self.points = max((a.shape[-1] for a in inputs), default=1)
        self.inputs = [np.broadcast_to(a, (*a.shape[:-1], self.points)) for a in inputs]
        self.moving = [self.inputs[i] for i in wrt]
        flat = [np.abs(a).reshape(-1, self.points) for a in self.moving]
        self.largest = np.max([f.max(axis=0, initial=0.0) for f in flat], axis=0) if flat else np.ones(self.points)
        zero = np.minimum(1.0, np.where(self.largest > 0, self.largest, 1.0))
        self.magnitudes = [np.where(a == 0, zero, np.abs(a)) for a in self.moving]
        self._kept: dict[tuple[bytes, ...], list[Array]] = {}
        self.centre = self.forward(self.inputs)
        self.coarse = np.zeros(self.points, dtype=bool)
        """Points at which code narrows to half precision inside."""
        self.single = np.zeros(self.points, dtype=bool)
        """Points at which it narrows to float32."""
        self.noise = self._noise()
        ordinary, single, coarse = (np.array(s)[:, None] for s in (self.steps, SINGLE_STEPS, COARSE_STEPS))
        self.scales = np.where(self.coarse, coarse, np.where(self.single, single, ordinary))
        """Steps of the differences, relative to the point: from the largest to the smallest, per point."""
        self.jumps: list[Array] | None = None
        """Steps of the values, entry by entry, where they were looked for."""
        self.short = np.zeros(self.points)
        """Unit roundoff of the format to which code narrows its arguments, where that was looked for."""

    def part(self, chosen: Array, steps: Sequence[float] = BLACK_BOX_STEPS) -> Bench:
        """A bench of some of the points."""
        return Bench(self.forward, self.here(self.inputs, chosen), self.wrt, steps)

    def here(self, arrays: Sequence[Array], chosen: Array) -> list[Array]:
        """Arrays with a points axis at some of the points."""
        return [a[..., chosen] if a.shape[-1] == self.points else a for a in arrays]

    def at(self, tangents: Sequence[Array], t: Array | float) -> list[Array]:
        moved = list(self.inputs)
        for i, v in zip(self.wrt, tangents, strict=True):
            with np.errstate(all="ignore"):
                moved[i] = self.inputs[i] + v * t
        if self.points > REMEMBERED:
            return self.forward(moved)
        key = tuple(moved[i].tobytes() for i in self.wrt)
        if key not in self._kept:
            self._kept[key] = self.forward(moved)
        return self._kept[key]

    def _noise(self) -> list[Array]:
        """Entry by entry: size of the rounding errors of the values around the points."""
        rng = np.random.Generator(np.random.Philox(key=[31, 37]))
        v = [dyadic(rng, (*a.shape[:-1], 1)) * a for a in self.magnitudes]
        with np.errstate(all="ignore"):
            worst = [np.maximum(np.abs(f) * 2.0**-53, 2.0**-1070) for f in self.centre]
            for spacing in NOISE_SPACINGS:
                rows = [self.at(v, k * spacing) for k in range(1, NOISE_ORDER + 3)]
                for k, f in enumerate(self.centre):
                    worst[k] = _larger(worst[k], _spread([f, *(row[k] for row in rows)]))
            still = [np.all([row[k] == f for row in rows], axis=0) for k, f in enumerate(self.centre)]
            if any(s.any() for s in still):
                self._look_coarsely(still, worst)
            self._look_for_single(still, worst)
        return [NOISE_FACTOR * w for w in worst]

    def _look_coarsely(self, still: Sequence[Array], worst: list[Array]) -> None:
        """Where values stand still nearby, and not further off, code may narrow inside; `worst` is raised there.

        Args:
            still: entries of forward whose values did not change so far.
        """
        whole = [np.asarray(m) for m in self.magnitudes]
        around = [self.at(whole, t) for t in (-NOISE_SPACINGS[-1], FAR_OFF, -FAR_OFF)]
        moved = [
            s & (near == f) & ((right != f) | (left != f)) & np.isfinite(right) & np.isfinite(left)
            for s, f, near, right, left in zip(still, self.centre, *around, strict=True)
        ]
        some = np.flatnonzero(any_entry(moved, self.points))
        if not some.size:
            return
        units = narrowed(self.forward, self.here(self.inputs, some), self.wrt)
        told = [m[..., some] & (u > 0) for m, u in zip(moved, units, strict=True)]
        self.coarse[some] = any_entry(told, some.size)
        if not self.coarse.any():
            return
        rows = [self.at(whole, k * COARSE_SPACING) for k in range(-2, NOISE_ORDER + 1)]
        close = [self.at(whole, k * COARSEST_STEP) for k in range(-4, 5)]
        for k, (f, unit) in enumerate(zip(self.centre, units, strict=True)):
            values = [row[k] for row in rows]
            spread = _spread(values)
            jumps = np.abs(np.diff(np.stack([row[k] for row in close]), axis=0)).max(axis=0)
            rounding = np.zeros(f.shape)
            rounding[..., some] = unit * np.abs(f[..., some])
            # where the map bends between neighbouring numbers of the format nothing can be told, but by one rounding up
            # or down (twice the unit roundoff, of numbers that may be a little larger) every map jumps
            extent = np.max(values, axis=0) - np.min(values, axis=0)
            spread = np.where(jumps > np.fmax(UNRESOLVED * extent, 2.25 * rounding), np.inf, spread)
            found = np.fmax(spread, rounding / NOISE_FACTOR)
            worst[k] = np.where(self.coarse, np.fmax(worst[k], found), worst[k])

    def _look_for_single(self, still: Sequence[Array], worst: list[Array]) -> None:
        """Where values are noisy, or stand still nearby, code may narrow to float32 inside; `worst` is raised there."""
        noisy = [
            s | (w > SINGLE_NOISE * np.abs(f)) & np.isfinite(w)
            for s, w, f in zip(still, worst, self.centre, strict=True)
        ]
        some = np.flatnonzero(any_entry(noisy, self.points) & ~self.coarse)
        if not some.size:
            return
        units = narrowed(self.forward, self.here(self.inputs, some), self.wrt, ("float32",))
        self.single[some] = any_entry([(u > 0) & n[..., some] for u, n in zip(units, noisy, strict=True)], some.size)
        for w, f, u in zip(worst, self.centre, units, strict=True):
            w[..., some] = np.fmax(w[..., some], u / NOISE_FACTOR * np.abs(f[..., some]))

    def unit(self, tangents: Sequence[Array]) -> Array:
        """Per point: t with `|t v| <= |x|` in every entry (magnitudes at zeros)."""
        limit = np.full(self.points, np.inf)
        for v, m in zip(tangents, self.magnitudes, strict=True):
            with np.errstate(all="ignore"):
                ratio = np.where(v != 0, m / np.abs(v), np.inf)
            limit = np.minimum(limit, ratio.reshape(-1, self.points).min(axis=0, initial=np.inf))
        return np.where(np.isfinite(limit), limit, 1.0)

    def compare(self, test: Test, result: Sequence[Array], doubt: Sequence[Array]) -> Comparison:
        """What differences along the directions of a test say of the rule's result, and its doubt, at each point."""
        unit = self.unit(test.tangents)

        along = partial(self._along, test.tangents, test.weights, self._noise_along(test.tangents, unit))
        found = [central(one_by_one(along), s * unit, np.float64) for s in self.scales]
        values = np.stack([f.value for f in found])
        errors = np.stack([f.error for f in found])
        left = self._pair(result, test.partners)
        with np.errstate(all="ignore"):
            sizes = [2.0**-50 * np.abs(r) + e for r, e in zip(result, doubt, strict=True)]
            own = self._pair(sizes, [np.abs(p) for p in test.partners])
            guard = self._guard(test)
            off = np.abs(left - values)
            best = np.argmin(np.where(np.isfinite(errors), errors, np.inf), axis=0)
            here = np.arange(self.points)
            value, error = values[best, here], errors[best, here] + own
            size = np.maximum(np.abs(left), np.abs(value))
            weights = [np.abs(w) for w in test.weights]
            flat = self._pair([np.abs(f) for f in self.centre], weights) / unit
            usable = np.isfinite(left) & np.isfinite(value) & np.isfinite(error)
            sharp = error <= np.where(self.coarse, COARSE_TOLD, TOLD) * size
            told = usable & (sharp | (error <= FLAT * flat))
            blind = told & ~sharp & (left != 0)
            near = off[best, here] <= error
            margin = np.where(self.coarse, COARSE_MARGIN, BLACK_BOX_MARGIN)
            far = usable & np.all(np.isfinite(off) & (off > margin * (errors + own) + guard), axis=0)
            if self.jumps is not None:
                jumps = 4 * self._pair(self.jumps, weights) / unit + 2 * self.short * size
                steps = np.stack([jumps / s for s in self.scales])
                far &= np.all(off > margin * (errors + own + steps) + guard, axis=0)
        suspected = np.zeros(self.points, dtype=bool)
        if far.any():
            # along one direction the given weights may hide a kink of every output (a palindrome on a tied sort)
            rng = np.random.Generator(np.random.Philox(key=[41, 43]))
            for weights in (test.weights, *([dyadic(rng, w.shape) for w in test.weights] for _ in range(2))):
                suspected |= self._kink(partial(self._along, test.tangents, weights, self.noise), unit)
        with np.errstate(all="ignore"):
            many = self.coarse & usable & (error <= COARSE_GATHERED * size) & (value * left != 0)
            share = np.where(many, (left - value) * np.sign(value) / size, np.nan)
        return Comparison(told, near, far, suspected, blind, share)

    def slope(self, tangents: Sequence[Array], weights: Sequence[Array], scale: Array) -> tuple[float, float]:
        """The slope along a direction at the first point by one central difference, and its rounding error."""
        h = scale * self.unit(tangents)
        with np.errstate(all="ignore"):
            gap = self._pair(self.at(tangents, h), weights) - self._pair(self.at(tangents, -h), weights)
            found, doubt = gap / (2 * h), 4 * self._pair_noise(weights) / h
        return float(found[0]), float(doubt[0])

    def _along(
        self, tangents: Sequence[Array], weights: Sequence[Array], noise: Sequence[Array], t: Array
    ) -> tuple[Array, Array]:
        return self._pair(self.at(tangents, t), weights), self._pair(noise, [np.abs(w) for w in weights])

    def _noise_along(self, tangents: Sequence[Array], unit: Array) -> list[Array]:
        """The noise of the values that move along a direction; where code narrows, that of others says nothing."""
        if not self.coarse.any():
            return self.noise
        there = [self.at(tangents, t * unit) for t in (-0.5, 0.5)]
        moves = [~((a == f) & (b == f)) for f, a, b in zip(self.centre, *there, strict=True)]
        return [np.where(~self.coarse | m, n, 0.0) for m, n in zip(moves, self.noise, strict=True)]

    def _guard(self, test: Test) -> Array:
        """What cancellation inside a right rule may lose; grows with the point, where the terms that cancel do.

        Beside it stand the noise of the rule, which is measured, and what conditioning forces.
        """
        big = np.maximum(1.0, self.largest)
        reach = largest([np.abs(v) for v in test.tangents], self.points) if test.tangents else big
        values = [np.maximum(1.0, np.abs(f)) for f in self.centre]
        with np.errstate(all="ignore"):
            lost: Array = self._pair(values, [np.abs(w) for w in test.weights]) * np.maximum(1.0, reach) * big
        return CANCELLED * lost

    def _kink(self, along: Callable[[Array], tuple[Array, Array]], unit: Array) -> Array:
        """Whether the gap of the one-sided slopes does not shrink with the step, as it does where the map is smooth."""
        middle, noise = along(0 * unit)
        gaps, doubts = [], []
        with np.errstate(all="ignore"):
            for s in self.scales:
                h = s * unit
                gaps.append(np.abs(along(h)[0] - 2 * middle + along(-h)[0]) / h)
                doubts.append(8 * noise / h)
            told = gaps[-1] > doubts[-1]
            # a smooth map's gap falls by the ratio of the steps, 1/16 from first to last
            jump = told & ~(gaps[-1] <= 0.25 * gaps[0])
            out: Array = jump | ~np.isfinite(gaps[-1])
        return out

    def _pair(self, values: Sequence[Array], weights: Sequence[Array]) -> Array:
        total = np.zeros(self.points)
        with np.errstate(all="ignore"):
            for f, w in zip(values, weights, strict=True):
                # a weight of zero silences an entry even where it is not finite
                product = np.where(w == 0, 0.0, f * w)
                total = total + np.broadcast_to(product, (*w.shape[:-1], self.points)).reshape(-1, self.points).sum(
                    axis=0
                )
        return total

    def _pair_noise(self, weights: Sequence[Array]) -> Array:
        return self._pair(self.noise, [np.abs(w) for w in weights])


def _spread(values: Sequence[Array]) -> Array:
    """Noise of values at points of equal distance: the mean square of their differences of high order."""
    gamma = factorial(NOISE_ORDER) ** 2 / factorial(2 * NOISE_ORDER)
    last = np.diff(np.stack(values), n=NOISE_ORDER, axis=0)
    sigma: Array = np.sqrt(gamma * np.mean(last**2, axis=0))
    return sigma


def _larger(known: Array, found: Array) -> Array:
    return np.maximum(known, np.where(np.isfinite(found), found, known))
