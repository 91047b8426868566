"""Finite differences judge what no number system can run: they are the oracle of last resort.

Forward and rule are only called, in float64. Along random directions and single entries, central differences with one
Richardson step are taken at three step sizes; each carries a truncation estimate and a rounding estimate, from noise
that is measured (`bench.py`). A rule is refused only where it is off by `BLACK_BOX_MARGIN` times the error at all
three step sizes, by more than cancellation inside it could cause (`CANCELLED`) and conditioning forces, and the point
does not look like a kink. Where nothing can be told, smaller steps are tried; where code narrows inside, larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, largest
from backprove.harness.core.formats import Mode
from backprove.harness.core.thresholds.called_code import (
    BLACK_BOX_STEPS,
    COARSE_SAME,
    COARSE_SHARE,
    COARSE_TESTS,
    FINE_STEPS,
    NOT_ADDITIVE,
    RANDOM_DIRECTIONS,
    SINGLE_ENTRIES,
)
from backprove.harness.oracles.bench import Bench, Evaluation, Test
from backprove.harness.oracles.conditioning import forced_changes
from backprove.harness.oracles.differences import central, one_by_one
from backprove.harness.oracles.near_ties import nearly_tied
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.resolution import Narrowing, resolution
from backprove.harness.oracles.vectors import dyadic

EXAMINED = 4
"""Refused points of a batch at which steps of coarse values are looked for; the others are left open."""
ADDITIVE_TRIES = 3
"""Pairs of directions along which a refused point is held to have a derivative."""
LOCALISED = 128
"""Entries among which a refused point is localised."""

NOTHING = "black box: the rule gives zero, as it should"
FLAT_HERE = "black box: the map is flat here, and differences tell no more"
BESIDE = "black box: the rule is beside the differences by the same share at most points, in values of half precision"
HALF_TELLS = "black box: agrees as far as values of half precision tell"
TOO_INACCURATE = "black box: the differences are too inaccurate to tell"
APART = "black box: rule and differences are apart, but not far enough to tell"
LIKE_A_KINK = "black box: the one-sided slopes differ, which looks like a kink"
EXPLAINED = "black box: conditioning, or steps of the values, explain the distance from the differences"


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
    bench = Bench(forward, list(inputs), tuple(wrt))
    n = bench.points
    doubt = list(noise) if noise is not None else [np.zeros(r.shape) for r in result]
    case = _Case(bench, _spread_out(directions, n), _spread_out(result, n), _spread_out(doubt, n), mode, rule, seed)
    out = _look(case)
    narrows = bench.coarse | bench.single
    fast = np.array(
        [p for p, o in enumerate(out) if o.note in (TOO_INACCURATE, APART) and not narrows[p]], dtype=np.int64
    )
    if fast.size:  # the map may bend too fast for these steps
        for p, o in zip(fast.tolist(), _look(case.at(fast, FINE_STEPS)), strict=True):
            out[p] = o if o.status in (Status.AGREES, Status.REFUTED) else out[p]
    return out


@dataclass(frozen=True)
class _Case:
    """What is judged at the points of a bench; arrays have all of its points. For the names see `judge`."""

    bench: Bench
    directions: list[Array]
    result: list[Array]
    doubt: list[Array]
    mode: Mode
    rule: Evaluation | None
    seed: int

    @property
    def moving(self) -> tuple[int, ...]:
        """Positions of the rule's arguments that are float numbers."""
        n = len(self.bench.inputs)
        return (*self.bench.wrt, *(n + k for k in range(len(self.directions))))

    def at(self, chosen: Array, steps: Sequence[float] = BLACK_BOX_STEPS) -> _Case:
        """The same at some of the points."""
        directions, result, doubt = (
            [a[..., chosen] for a in arrays] for arrays in (self.directions, self.result, self.doubt)
        )
        return _Case(self.bench.part(chosen, steps), directions, result, doubt, self.mode, self.rule, self.seed)


def _spread_out(arrays: Sequence[Array], points: int) -> list[Array]:
    return [np.broadcast_to(a, (*a.shape[:-1], points)) for a in arrays]


def _look(case: _Case) -> list[Outcome]:
    """One outcome per point of what differences with the steps of the bench tell."""
    bench = case.bench
    n = bench.points
    agreed, against, refuted, kink, sharp = (np.zeros(n, dtype=bool) for _ in range(5))
    tied = nearly_tied(bench.moving, min(BLACK_BOX_STEPS))
    tests = _tests(case)
    objections: list[Array] = []
    shares: list[Array] = []
    for test in tests:
        c = bench.compare(test, case.result, case.doubt)
        shares.append(c.share)
        agreed |= c.told & c.near
        sharp |= c.told & c.near & ~c.blind
        against |= c.told & ~c.near
        objections.append(c.far & ~c.kink & ~tied)
        refuted |= objections[-1]
        kink |= c.far & (c.kink | tied)
    excused = np.zeros(n, dtype=bool)
    if refuted.any():
        chosen = np.flatnonzero(refuted)
        refuted[:] = False
        for steps in (False, True):  # the first look is cheap, the second is not
            stands = _stands(case, tests, objections, chosen, steps)
            excused[chosen[~stands]] = True
            chosen = chosen[stands][:EXAMINED]
            if not chosen.size:
                break
        additive = np.array([_is_additive(case.at(np.array([p]))) for p in chosen.tolist()], dtype=bool)
        refuted[chosen[additive]], kink[chosen[~additive]] = True, True
    known = np.stack(shares)
    beside, same = _is_beside(known), np.flatnonzero(np.isfinite(known).any(axis=0))
    if same.size and _is_one_share(known):
        refuted[same[0]] = True
    out, zero = [], ~any_entry([r != 0 for r in case.result], n)
    for p in range(n):
        if refuted[p]:
            out.append(_localise(case, p))
        elif kink[p]:
            out.append(Outcome(Status.UNDECIDED, note=LIKE_A_KINK))
        elif excused[p]:
            out.append(Outcome(Status.UNDECIDED, note=EXPLAINED))
        elif beside and bench.coarse[p]:
            out.append(Outcome(Status.UNDECIDED, note=BESIDE))
        elif agreed[p] and not against[p]:
            seen = FLAT_HERE if not sharp[p] else HALF_TELLS if bench.coarse[p] else ""
            out.append(Outcome(Status.AGREES, note=NOTHING if zero[p] else seen))
        else:
            out.append(Outcome(Status.UNDECIDED, note=APART if against[p] else TOO_INACCURATE))
    return out


def _is_additive(case: _Case) -> bool:
    """Whether the slope along the sum of two directions is the sum of their slopes, at one point.

    The median of equal numbers has a slope along every line, and no derivative: what it gives along a line is odd.
    """
    bench, rng = case.bench, np.random.Generator(np.random.Philox(key=[47, 53]))
    shapes = [a.shape for a in bench.moving]
    outputs = [f.shape for f in bench.centre]
    for _ in range(ADDITIVE_TRIES):
        u, v = ([dyadic(rng, s) * m for s, m in zip(shapes, bench.magnitudes, strict=True)] for _ in range(2))
        weights = case.directions if case.mode == "vjp" else [dyadic(rng, s) for s in outputs]
        gaps = []
        for scale in (bench.scales[0], bench.scales[-1]):
            along = [bench.slope(t, weights, scale) for t in (u, v, [a + b for a, b in zip(u, v, strict=True)])]
            size = sum(abs(s) for s, _ in along)
            gap, doubt = abs(along[0][0] + along[1][0] - along[2][0]), sum(e for _, e in along)
            gaps.append((gap - doubt) / size if size > 0 else 0.0)
        if min(gaps) > NOT_ADDITIVE and gaps[-1] > 0.5 * gaps[0]:
            return False
    return True


def _is_beside(shares: Array) -> bool:
    """Whether the rule is off by the same share at most points where code narrows to half precision.

    One difference tells little there, since values are rounded; many do, since roundings go both ways.
    """
    known = shares[np.isfinite(shares)]
    return known.size >= COARSE_TESTS and bool(abs(np.median(known)) > COARSE_SHARE)


def _is_one_share(shares: Array) -> bool:
    """Whether the rule is off to one side, and by a similar share, at nine in ten points where code narrows.

    That is a wrong factor: roundings to half precision go both ways, and so do shares where the map bends too fast.
    """
    told = np.isfinite(shares).any(axis=0)
    if np.count_nonzero(told) < COARSE_SAME:
        return False
    known = np.nanmedian(shares[:, told], axis=0)  # tests of one point share its roundings
    low, median, high = np.percentile(known, [10, 50, 90])
    return bool(abs(median) > COARSE_SHARE and min(low * np.sign(median), high * np.sign(median)) > COARSE_SHARE / 2)


def _stands(case: _Case, tests: Sequence[Test], objections: Sequence[Array], chosen: Array, steps: bool) -> Array:
    """Whether the refusals at some points stand beside the conditioning there and the steps of coarse values.

    Conditioning moves what the rule gives, and the values whose differences are taken.
    """
    local = case.at(chosen)
    bench = local.bench
    bench.scales = case.bench.scales[:, chosen]
    below = np.zeros(chosen.size, dtype=bool)
    if steps:
        nearby = [bench.at(bench.magnitudes, t * bench.scales[0]) for t in (1.0, -1.0)]
        narrow = Narrowing.of(bench.forward, bench.inputs, bench.wrt, bench.magnitudes)
        bench.jumps = resolution(bench.forward, bench.inputs, bench.wrt, nearby, narrow.units)
        bench.short = largest(narrow.units, chosen.size)
        below |= narrow.underflows
        if case.rule is not None:
            arguments = Bench(case.rule, [*bench.inputs, *local.directions], local.moving)
            below |= Narrowing.of(case.rule, arguments.inputs, arguments.wrt, arguments.magnitudes).underflows
    doubts = local.doubt
    if case.rule is not None:
        forced = forced_changes(case.rule, bench.inputs, local.directions, local.result, bench.wrt)
        doubts = [a + b for a, b in zip(doubts, forced, strict=True)]
        moved = forced_changes(bench.forward, bench.inputs, [], bench.centre, bench.wrt)
        bench.noise = [np.maximum(a, b) for a, b in zip(bench.noise, moved, strict=True)]
    out = np.zeros(chosen.size, dtype=bool)
    for test, objected in zip(tests, objections, strict=True):
        if not objected[chosen].any():
            continue
        some = Test(*(case.bench.here(a, chosen) for a in (test.tangents, test.weights, test.partners)))
        out |= objected[chosen] & bench.compare(some, local.result, doubts).far
    return out & ~below


def _tests(case: _Case) -> list[Test]:
    bench, given = case.bench, case.directions
    rng = np.random.Generator(np.random.Philox(key=[case.seed, 29]))
    n = bench.points
    free = [r.shape for r in case.result]
    sizes = [int(np.prod(s[:-1])) for s in free]
    chosen: list[list[Array]] = []
    for _ in range(RANDOM_DIRECTIONS):
        chosen.append([np.repeat(dyadic(rng, (*s[:-1], 1)), n, axis=-1) for s in free])
    picked = rng.permutation(sum(sizes))[:SINGLE_ENTRIES]
    chosen += [_single(free, int(k)) for k in np.sort(picked)]
    if case.mode == "jvp":
        return [Test(given, c, c) for c in chosen]
    scaled = [[c * m for c, m in zip(some, bench.magnitudes, strict=True)] for some in chosen]
    return [Test(s, given, s) for s in scaled]


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


def rounding_noise(function: Evaluation, arrays: Sequence[Array]) -> list[Array]:
    """Measured rounding errors of a function's values, entry by entry; all float arguments move."""
    moving = tuple(k for k, a in enumerate(arrays) if a.dtype.kind == "f")
    return Bench(function, list(arrays), moving).noise


def entries(
    forward: Evaluation,
    inputs: Sequence[Array],
    directions: Sequence[Array],
    shapes: Sequence[tuple[int, ...]],
    mode: Mode,
    wrt: Sequence[int],
    steps: Sequence[float] = BLACK_BOX_STEPS,
) -> tuple[Array, Array]:
    """The derivative at one point (points axis of size 1), entry by entry of the result, with errors.

    Args:
        shapes: of the rule's results, without a points axis.
        steps: of the differences, relative to the point.

    Returns:
        values and errors of the first `LOCALISED` entries over all results; the error is infinite where one-sided
        slopes grow as the step shrinks.
    """
    sizes = [int(np.prod(s)) for s in shapes]
    n = min(sum(sizes), LOCALISED)
    local = Bench(forward, [np.repeat(a, n, axis=-1) for a in inputs], tuple(wrt), steps)
    given = [np.repeat(d, n, axis=-1) for d in directions]
    units = [np.zeros((*s, n)) for s in shapes]
    start = 0
    for u, size in zip(units, sizes, strict=True):
        for k in range(max(0, min(size, n - start))):
            u.reshape(size, n)[k, start + k] = 1.0
        start += size
    tangents, weights = (units, given) if mode == "vjp" else (given, units)
    unit = local.unit(tangents)

    def along(t: Array) -> tuple[Array, Array]:
        return local._pair(local.at(tangents, t), weights), local._pair_noise(weights)

    scales = local.scales
    found = [central(one_by_one(along), s * unit, np.float64) for s in scales]
    errors = np.stack([f.error for f in found])
    best = np.argmin(np.where(np.isfinite(errors), errors, np.inf), axis=0)
    value, error = np.stack([f.value for f in found])[best, np.arange(n)], errors[best, np.arange(n)]
    middle, noise = along(0 * unit)
    with np.errstate(all="ignore"):
        first, last = (np.abs(along(s * unit)[0] - middle) / (s * unit) for s in (scales[0], scales[-1]))
        diverges = last > 2 * first + 8 * noise / (scales[-1] * unit)
    return value, np.where(diverges, np.inf, error)


def place(k: int, shapes: Sequence[tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    """Result and index in it of the k-th entry over all results."""
    sizes = [int(np.prod(s)) for s in shapes]
    a = int(np.searchsorted(np.cumsum(sizes), k, side="right"))
    at = k - sum(sizes[:a])
    return a, tuple(int(i) for i in np.unravel_index(at, shapes[a])) if shapes[a] else ()


def _localise(case: _Case, p: int) -> Outcome:
    """The worst entry of a refused point, by differences along single entries."""
    bench = case.bench
    shapes = [r.shape[:-1] for r in case.result]
    here = [a[..., p : p + 1] for a in bench.inputs]
    given = [d[..., p : p + 1] for d in case.directions]
    value, error = entries(bench.forward, here, given, shapes, case.mode, bench.wrt, bench.steps)
    got = np.concatenate([r[..., p].reshape(-1) for r in case.result])[: value.size]
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
