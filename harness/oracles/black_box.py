"""Finite differences judge what no number system can run: they are the oracle of last resort.

Forward and rule are only called, in float64. Along random directions and single entries, central differences with one
Richardson step are taken at three step sizes; each carries a truncation estimate and a rounding estimate. The noise
of the code is measured, not assumed: difference tables of values at nearby points (Moré and Wild, Estimating
computational noise, SIAM J. Sci. Comput. 33, 2011). A rule is refused only where it is off by
`BLACK_BOX_MARGIN` times the error at all three step sizes, by more than cancellation inside it could cause
(`CANCELLED`), and the point does not look like a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import factorial

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import Mode
from backprove.harness.core.thresholds.called_code import (
    BLACK_BOX_MARGIN,
    BLACK_BOX_STEPS,
    CANCELLED,
    FLAT,
    NOISE_FACTOR,
    NOISE_ORDER,
    NOISE_SPACINGS,
    RANDOM_DIRECTIONS,
    SINGLE_ENTRIES,
)
from backprove.harness.core.thresholds.differences import TOLD
from backprove.harness.oracles.conditioning import forced_changes
from backprove.harness.oracles.differences import central, one_by_one
from backprove.harness.oracles.near_ties import nearly_tied
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.resolution import resolution
from backprove.harness.oracles.vectors import dyadic

Evaluation = Callable[[list[Array]], list[Array]]
"""Float64 values at many points (shape + points); NaN where the code gives none."""

EXAMINED = 4
"""Refused points of a batch at which steps of coarse values are looked for; the others are left open."""
LOCALISED = 128
"""Entries among which a refused point is localised."""


@dataclass(frozen=True)
class _Test:
    """One number to compare: `<partner, result>` against the slope of `<weights, forward>` along `tangents`."""

    tangents: list[Array]
    weights: list[Array]
    partners: list[Array]


def judge(
    forward: Evaluation,
    inputs: Sequence[Array],
    directions: Sequence[Array],
    result: Sequence[Array],
    mode: Mode,
    wrt: Sequence[int],
    *,
    noise: Sequence[Array] | None = None,
    rule: Evaluation | None = None,
    seed: int = 0,
) -> list[Outcome]:
    """One outcome per point: AGREES, REFUTED (localised) or UNDECIDED.

    Args:
        forward: the forward map's floating-point outputs.
        inputs, directions: shape + points; floats as float64.
        result: what the rule returned in float64, shape + points.
        mode: "vjp" or "jvp".
        wrt: positions of the differentiated inputs.
        noise: measured rounding errors of `result` (None: those of the last operation only).
        rule: gives `result` from inputs and directions, so that its conditioning can be tried (None: it is not).
    """
    bench = _Bench(forward, list(inputs), tuple(wrt))
    rng = np.random.Generator(np.random.Philox(key=[seed, 29]))
    n = bench.points
    agreed, against, refuted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    kink = np.zeros(n, dtype=bool)
    tied = nearly_tied(bench.moving, min(BLACK_BOX_STEPS))
    doubt = list(noise) if noise is not None else [np.zeros(r.shape) for r in result]
    tests = _tests(bench, directions, result, mode, rng)
    objections: list[Array] = []
    for test in tests:
        told, near, far, suspected = bench.compare(test, result, doubt)
        agreed |= told & near
        against |= told & ~near
        objections.append(far & ~suspected & ~tied)
        refuted |= objections[-1]
        kink |= far & (suspected | tied)
    if refuted.any():
        chosen = np.flatnonzero(refuted)
        refuted[:] = False
        against[chosen] = True
        for steps in (False, True):  # the first look is cheap, the second is not
            stands = _stands(bench, tests, objections, directions, result, doubt, rule, chosen, steps)
            if not steps:  # conditioning explains the gap; of a step function nothing is known
                agreed[chosen[~stands]], against[chosen[~stands]] = True, False
            chosen = chosen[stands][:EXAMINED]
            if not chosen.size:
                break
        refuted[chosen] = True
    out = []
    for p in range(n):
        if refuted[p]:
            out.append(_localise(bench, p, directions, result, mode))
        elif kink[p]:
            out.append(
                Outcome(Status.UNDECIDED, note="black box: the one-sided slopes differ, which looks like a kink")
            )
        elif agreed[p] and not against[p]:
            out.append(Outcome(Status.AGREES))
        else:
            out.append(Outcome(Status.UNDECIDED, note="black box: the differences are too inaccurate to tell"))
    return out


def _stands(
    bench: _Bench,
    tests: Sequence[_Test],
    objections: Sequence[Array],
    directions: Sequence[Array],
    result: Sequence[Array],
    doubt: Sequence[Array],
    rule: Evaluation | None,
    chosen: Array,
    steps: bool,
) -> Array:
    """Whether the refusals at some points stand beside the conditioning there and the steps of coarse values."""

    def here(arrays: Sequence[Array]) -> list[Array]:
        return [a[..., chosen] if a.shape[-1] == bench.points else a for a in arrays]

    local = _Bench(bench.forward, here(bench.inputs), bench.wrt)
    if steps:
        local.jumps = resolution(local.forward, local.inputs, local.wrt)
    got, doubts = here(result), here(doubt)
    if rule is not None:
        forced = forced_changes(rule, local.inputs, here(directions), got, local.wrt)
        doubts = [a + b for a, b in zip(doubts, forced, strict=True)]
    out = np.zeros(chosen.size, dtype=bool)
    for test, objected in zip(tests, objections, strict=True):
        some = _Test(here(test.tangents), here(test.weights), here(test.partners))
        out |= objected[chosen] & local.compare(some, got, doubts)[2]
    return out


def _tests(
    bench: _Bench, directions: Sequence[Array], result: Sequence[Array], mode: Mode, rng: np.random.Generator
) -> list[_Test]:
    n = bench.points
    given = [np.broadcast_to(d, (*d.shape[:-1], n)) for d in directions]
    free = [(*r.shape[:-1], n) for r in result]
    sizes = [int(np.prod(s[:-1])) for s in free]
    chosen: list[list[Array]] = []
    for _ in range(RANDOM_DIRECTIONS):
        chosen.append([np.repeat(dyadic(rng, (*s[:-1], 1)), n, axis=-1) for s in free])
    picked = rng.permutation(sum(sizes))[:SINGLE_ENTRIES]
    chosen += [_single(free, int(k)) for k in np.sort(picked)]
    if mode == "jvp":
        return [_Test(given, c, c) for c in chosen]
    scaled = [[c * m for c, m in zip(some, bench.magnitudes, strict=True)] for some in chosen]
    return [_Test(s, given, s) for s in scaled]


def _single(shapes: Sequence[tuple[int, ...]], k: int) -> list[Array]:
    """Arrays of zeros with a 1 at the k-th entry of all."""
    out = []
    for shape in shapes:
        a = np.zeros(shape)
        size = int(np.prod(shape[:-1]))
        if 0 <= k < size:
            a.reshape(size, shape[-1])[k] = 1.0
        k -= size
        out.append(a)
    return out


class _Bench:
    """The forward map at a batch of points, with its measured noise."""

    def __init__(self, forward: Evaluation, inputs: list[Array], wrt: tuple[int, ...]) -> None:
        self.forward, self.inputs, self.wrt = forward, inputs, wrt
        self.points = max((a.shape[-1] for a in inputs), default=1)
        self.inputs = [np.broadcast_to(a, (*a.shape[:-1], self.points)) for a in inputs]
        self.moving = [self.inputs[i] for i in wrt]
        flat = [np.abs(a).reshape(-1, self.points) for a in self.moving]
        self.largest = np.max([f.max(axis=0, initial=0.0) for f in flat], axis=0) if flat else np.ones(self.points)
        zero = np.minimum(1.0, np.where(self.largest > 0, self.largest, 1.0))
        self.magnitudes = [np.where(a == 0, zero, np.abs(a)) for a in self.moving]
        self.centre = self.forward(self.inputs)
        self.noise = self._noise()
        self.jumps: list[Array] | None = None
        """Steps of the values, entry by entry, where they were looked for."""

    def at(self, tangents: Sequence[Array], t: Array | float) -> list[Array]:
        moved = list(self.inputs)
        for i, v in zip(self.wrt, tangents, strict=True):
            with np.errstate(all="ignore"):
                moved[i] = self.inputs[i] + v * t
        return self.forward(moved)

    def _noise(self) -> list[Array]:
        """Entry by entry: size of the rounding errors of the values around the points."""
        rng = np.random.Generator(np.random.Philox(key=[31, 37]))
        v = [dyadic(rng, (*a.shape[:-1], 1)) * a for a in self.magnitudes]
        with np.errstate(all="ignore"):
            worst = [np.maximum(np.abs(f) * 2.0**-53, 2.0**-1070) for f in self.centre]
            gamma = factorial(NOISE_ORDER) ** 2 / factorial(2 * NOISE_ORDER)
            for spacing in NOISE_SPACINGS:
                rows = [self.at(v, k * spacing) for k in range(1, NOISE_ORDER + 3)]
                for k, f in enumerate(self.centre):
                    table = np.stack([f, *(row[k] for row in rows)])
                    last = np.diff(table, n=NOISE_ORDER, axis=0)
                    sigma = np.sqrt(gamma * np.mean(last**2, axis=0))
                    worst[k] = np.maximum(worst[k], np.where(np.isfinite(sigma), sigma, worst[k]))
        return [NOISE_FACTOR * w for w in worst]

    def steps(self, tangents: Sequence[Array]) -> Array:
        """Per point: t with `|t v| <= |x|` in every entry (magnitudes at zeros)."""
        limit = np.full(self.points, np.inf)
        for v, m in zip(tangents, self.magnitudes, strict=True):
            with np.errstate(all="ignore"):
                ratio = np.where(v != 0, m / np.abs(v), np.inf)
            limit = np.minimum(limit, ratio.reshape(-1, self.points).min(axis=0, initial=np.inf))
        return np.where(np.isfinite(limit), limit, 1.0)

    def compare(
        self, test: _Test, result: Sequence[Array], doubt: Sequence[Array]
    ) -> tuple[Array, Array, Array, Array]:
        """Per point: can the differences tell, do they agree, are they far apart, does it look like a kink?"""
        unit = self.steps(test.tangents)

        along = partial(self._along, test.tangents, test.weights)
        found = [central(one_by_one(along), s * unit, np.float64) for s in BLACK_BOX_STEPS]
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
            told = usable & (error <= np.maximum(TOLD * size, FLAT * flat))
            near = off[best, here] <= error
            far = usable & np.all(np.isfinite(off) & (off > BLACK_BOX_MARGIN * (errors + own) + guard), axis=0)
            if self.jumps is not None:
                steps = np.stack([4 * self._pair(self.jumps, weights) / (s * unit) for s in BLACK_BOX_STEPS])
                far &= np.all(off > BLACK_BOX_MARGIN * (errors + own + steps) + guard, axis=0)
        suspected = np.zeros(self.points, dtype=bool)
        if far.any():
            # along one direction the given weights may hide a kink of every output (a palindrome on a tied sort)
            rng = np.random.Generator(np.random.Philox(key=[41, 43]))
            for weights in (test.weights, *([dyadic(rng, w.shape) for w in test.weights] for _ in range(2))):
                suspected |= self._kink(partial(self._along, test.tangents, weights), unit)
        return told, near, far, suspected

    def _along(self, tangents: Sequence[Array], weights: Sequence[Array], t: Array) -> tuple[Array, Array]:
        return self._pair(self.at(tangents, t), weights), self._pair_noise(weights)

    def _guard(self, test: _Test) -> Array:
        """What cancellation inside a right rule may lose; grows with the point, where the terms that cancel do."""
        big = np.maximum(1.0, self.largest)
        reach = np.max([_largest(v, self.points) for v in test.tangents], axis=0) if test.tangents else big
        values = [np.maximum(1.0, np.abs(f)) for f in self.centre]
        with np.errstate(all="ignore"):
            lost: Array = self._pair(values, [np.abs(w) for w in test.weights]) * np.maximum(1.0, reach) * big**2
        return CANCELLED * lost

    def _kink(self, along: Callable[[Array], tuple[Array, Array]], unit: Array) -> Array:
        """Whether the gap of the one-sided slopes does not shrink with the step, as it does where the map is smooth."""
        middle, noise = along(0 * unit)
        gaps, doubts = [], []
        with np.errstate(all="ignore"):
            for s in BLACK_BOX_STEPS:
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


def _largest(a: Array, points: int) -> Array:
    out: Array = np.abs(np.broadcast_to(a, (*a.shape[:-1], points))).reshape(-1, points).max(axis=0, initial=0.0)
    return out


def rounding_noise(function: Evaluation, arrays: Sequence[Array]) -> list[Array]:
    """Measured rounding errors of a function's values, entry by entry; all float arguments move."""
    moving = tuple(k for k, a in enumerate(arrays) if a.dtype.kind == "f")
    return _Bench(function, list(arrays), moving).noise


def entries(
    forward: Evaluation,
    inputs: Sequence[Array],
    directions: Sequence[Array],
    shapes: Sequence[tuple[int, ...]],
    mode: Mode,
    wrt: Sequence[int],
) -> tuple[Array, Array]:
    """The derivative at one point (points axis of size 1), entry by entry of the result, with errors.

    Args:
        shapes: of the rule's results, without a points axis.

    Returns:
        values and errors of the first `LOCALISED` entries over all results; the error is infinite where one-sided
        slopes grow as the step shrinks.
    """
    sizes = [int(np.prod(s)) for s in shapes]
    n = min(sum(sizes), LOCALISED)
    local = _Bench(forward, [np.repeat(a, n, axis=-1) for a in inputs], tuple(wrt))
    given = [np.repeat(d, n, axis=-1) for d in directions]
    units = [np.zeros((*s, n)) for s in shapes]
    start = 0
    for u, size in zip(units, sizes, strict=True):
        for k in range(max(0, min(size, n - start))):
            u.reshape(size, n)[k, start + k] = 1.0
        start += size
    tangents, weights = (units, given) if mode == "vjp" else (given, units)
    unit = local.steps(tangents)

    def along(t: Array) -> tuple[Array, Array]:
        return local._pair(local.at(tangents, t), weights), local._pair_noise(weights)

    found = [central(one_by_one(along), s * unit, np.float64) for s in BLACK_BOX_STEPS]
    errors = np.stack([f.error for f in found])
    best = np.argmin(np.where(np.isfinite(errors), errors, np.inf), axis=0)
    value, error = np.stack([f.value for f in found])[best, np.arange(n)], errors[best, np.arange(n)]
    middle, noise = along(0 * unit)
    with np.errstate(all="ignore"):
        first, last = (
            np.abs(along(s * unit)[0] - middle) / (s * unit) for s in (BLACK_BOX_STEPS[0], BLACK_BOX_STEPS[-1])
        )
        diverges = last > 2 * first + 8 * noise / (BLACK_BOX_STEPS[-1] * unit)
    return value, np.where(diverges, np.inf, error)


def place(k: int, shapes: Sequence[tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    """Result and index in it of the k-th entry over all results."""
    sizes = [int(np.prod(s)) for s in shapes]
    a = int(np.searchsorted(np.cumsum(sizes), k, side="right"))
    at = k - sum(sizes[:a])
    return a, tuple(int(i) for i in np.unravel_index(at, shapes[a])) if shapes[a] else ()


def _localise(bench: _Bench, p: int, directions: Sequence[Array], result: Sequence[Array], mode: Mode) -> Outcome:
    """The worst entry of a refused point, by differences along single entries."""
    shapes = [r.shape[:-1] for r in result]
    here = [a[..., p : p + 1] for a in bench.inputs]
    given = [np.broadcast_to(d, (*d.shape[:-1], bench.points))[..., p : p + 1] for d in directions]
    value, error = entries(bench.forward, here, given, shapes, mode, bench.wrt)
    got = np.concatenate([r[..., p].reshape(-1) for r in result])[: value.size]
    with np.errstate(all="ignore"):
        off = np.abs(got - value) / (np.abs(got) + np.abs(value))
        off = np.where(np.isfinite(off) & (np.abs(got - value) > error), off, 0.0)
    k = int(np.argmax(off))
    a, entry = place(k, shapes)
    return Outcome(
        Status.REFUTED,
        argument=a,
        entry=entry,
        got=repr(float(got[k])),
        expected=repr(float(value[k])),
        got_value=float(got[k]),
        expected_value=float(value[k]),
        note="black box",
    )
