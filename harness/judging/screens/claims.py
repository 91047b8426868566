"""Each kind of claim has a screen here, which names the bulk points that need the layers with error bounds.

A screen runs programs in plain floats, a hundred times cheaper than those layers. It lets a point pass where all that
must be equal over the reals is equal in float64 to 2**13 unit roundoffs of whole results, and what the code computes in
a shorter format is within a few roundings of float64. It gives no verdict: what it does not let pass meets the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.screen import AGREEMENT, FORMULA_SHARE
from backprove.harness.judging.screens.screen import Beside, ClaimPrograms, Screen, Screened
from backprove.harness.judging.screens.short_formats import Short
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.runs import DIRECT_RUNS, ManyRuns
from backprove.harness.programs.program import Program
from backprove.harness.programs.retype import widened
from backprove.strategies.cotangents import normal_entries


class ClaimScreen(Protocol):
    """The screen of one claim at its sizes and dtype."""

    def look(self, inputs: Sequence[Array], directions: Sequence[Array], rng: np.random.Generator) -> Screened:
        """Screen points.

        Args:
            inputs, directions: float64 (or integer) arrays, shape + points (P, or 1 where nothing varies).
            rng: for directions of the other mode.
        """


class DerivativeScreen:
    """Rule against JAX's derivative in its own mode and against differences.

    Args:
        forward, rule, autodiff: programs in the dtype under test, the last one JAX's derivative of the first; None
            where there is none.
        mode: of the rule, "vjp" or "jvp".
        moving: positions of the differentiated inputs.
        shapes: of the results that the rule must have.
        further_dtype: an earlier format of the same run has judged the formula: differences are left out, and the
            formula may be off by `FORMULA_SHARE` of a rounding of the format.
        slack: share of a result by which it may be off; differences cannot tell a larger one.

    Raises:
        UnsupportedPrimitive, ValueError: where there is no screen: code that cannot be traced, control flow, maps that
            JAX does not differentiate, outputs that are no floats, and primitives whose results depend on the format
            itself.
    """

    def __init__(
        self,
        forward: Program | None,
        rule: Program | None,
        autodiff: Program | None,
        *,
        dtype: str,
        mode: str,
        moving: tuple[int, ...],
        shapes: tuple[tuple[int, ...], ...],
        further_dtype: bool = False,
        slack: float = 0.0,
    ) -> None:
        if forward is None or rule is None or autodiff is None or not moving:
            raise UnsupportedPrimitive("code that cannot be traced or differentiated", "the screen")
        if any(v.dtype not in FORMATS for v in (*forward.outputs, *rule.outputs)):
            raise UnsupportedPrimitive("an output without floats", "the screen")
        if tuple(v.shape for v in rule.outputs) != shapes:
            raise UnsupportedPrimitive("a result of the wrong shape", "the screen")
        self.dtype, self.mode = dtype, mode
        wide = dtype == "float64"
        f, r, a = (p if wide else widened(p) for p in (forward, rule, autodiff))
        forth = self.mode == "jvp"
        self.programs = ClaimPrograms(
            f,
            jvp=r if forth else None,
            vjp=None if forth else r,
            jax_jvp=a if forth else None,
            jax_vjp=None if forth else a,
            moving=moving,
        )
        n, m = len(forward.inputs), len(moving)
        self.shapes = [f.inputs[i].shape for i in moving] if self.mode == "vjp" else [v.shape for v in f.outputs]
        given = range(n + m, n + m + len(f.outputs)) if self.mode == "vjp" else range(n, n + m)
        self.short = None if wide else Short([forward, rule], [range(n), [*range(n), *given]], dtype)
        self._agreement = max(_agreement(dtype, further_dtype), slack)
        self._differences = not further_dtype and slack <= AGREEMENT * FORMATS["float64"].u
        self._runs = 0
        self._screen: Screen | None = None

    def look(self, inputs: Sequence[Array], directions: Sequence[Array], rng: np.random.Generator) -> Screened:
        """See `ClaimScreen`: directions of the other mode are normal numbers."""
        count = max(a.shape[-1] for a in (*inputs, *directions))
        full = [np.broadcast_to(a, (*a.shape[:-1], count)) for a in inputs]
        given = [np.broadcast_to(a, (*a.shape[:-1], count)) for a in directions]
        drawn = [normal_entries(s, count, rng) for s in self.shapes]
        tangents, cotangents = (drawn, given) if self.mode == "vjp" else (given, drawn)
        return self._at(count).run(full, tangents, cotangents)

    def _at(self, count: int) -> Screen:
        """The screen for a run of `count` points: of as many, or linked to what fits the cache."""
        self._runs += 1
        linked = self._runs > DIRECT_RUNS
        found = self._screen
        if found is None or linked != found.linked or (not linked and found.points != count):
            points = 0 if linked else count
            found = self._screen = Screen(
                self.programs,
                "float64",
                points,
                linked=linked,
                short=self.short,
                differences=self._differences,
                agreement=self._agreement,
            )
        return found


class EqualityScreen:
    """Both sides of an identity in float64; in a shorter format each side against its float64 results.

    Args:
        sides: programs in the dtype under test; None where there is none.
        over_reals: nothing is claimed of floats, since what a law computes there is nobody's code.
        further_dtype, slack: see `DerivativeScreen`.

    Raises:
        UnsupportedPrimitive, ValueError: where there is no screen, see `DerivativeScreen`.
    """

    def __init__(
        self,
        sides: Sequence[Program | None],
        *,
        dtype: str,
        over_reals: bool = False,
        further_dtype: bool = False,
        slack: float = 0.0,
    ) -> None:
        programs = _programs(sides)
        if tuple(v.shape for v in programs[0].outputs) != tuple(v.shape for v in programs[1].outputs):
            raise UnsupportedPrimitive("sides of different shapes", "the screen")
        places = [range(len(p.inputs)) for p in programs]
        wide = dtype == "float64" or over_reals
        self.wide = ManyRuns([widened(p) for p in programs], places)
        self.short = None if wide else Short(programs, places, dtype)
        self.limit = max(_agreement(dtype, further_dtype), slack)

    def look(self, inputs: Sequence[Array], directions: Sequence[Array], rng: np.random.Generator) -> Screened:
        """See `ClaimScreen`."""
        given = _full([*inputs, *directions])
        count = given[0].shape[-1]
        with np.errstate(all="ignore"):
            left, right = self.wide(given)
            agree = Beside(left, right).compare(self.limit, np.zeros(count))
            nothing = np.zeros(count, bool)
            seen = Screened(count, nothing, ~agree, ~agree, nothing, autodiff=int((~agree).sum()))
            if self.short is not None:
                _, close = self.short.look(given, [left, right])
                apart = ~(close[0] & close[1])
                seen.suspicious |= apart
                seen.rounding = int(apart.sum())
        return seen


class PositivityScreen:
    """The value in its own format: what is positive there is positive.

    Raises:
        UnsupportedPrimitive: where there is no screen, see `DerivativeScreen`.
    """

    def __init__(self, value: Program | None, nonzero: bool) -> None:
        (self.program,), self.nonzero = _programs([value]), nonzero

    def look(self, inputs: Sequence[Array], directions: Sequence[Array], rng: np.random.Generator) -> Screened:
        """See `ClaimScreen`."""
        given = _full(inputs)
        count = given[0].shape[-1]
        (value,) = Floats().run(self.program, given)
        fine = np.isfinite(value) & ((value != 0) if self.nonzero else (value > 0))
        lost = np.logical_not(np.asarray(fine).reshape(-1, count).all(axis=0))
        nothing = np.zeros(count, bool)
        return Screened(count, nothing, np.asarray(lost), np.asarray(lost), nothing)


def _agreement(dtype: str, further_dtype: bool) -> float:
    """By which share of the size of a result two results may differ in float64."""
    strict = AGREEMENT * FORMATS["float64"].u
    return max(strict, FORMULA_SHARE * FORMATS[dtype].u) if further_dtype else strict


def _programs(sides: Sequence[Program | None]) -> list[Program]:
    programs = [p for p in sides if p is not None]
    if len(programs) < len(sides) or any(v.dtype not in FORMATS for p in programs for v in p.outputs):
        raise UnsupportedPrimitive("code that cannot be traced, or outputs without floats", "the screen")
    if not programs[0].inputs:
        raise UnsupportedPrimitive("an identity of no inputs", "the screen")
    return programs


def _full(arrays: Sequence[Array]) -> list[Array]:
    """All arrays with the same number of points."""
    count = max(a.shape[-1] for a in arrays)
    return [np.broadcast_to(a, (*a.shape[:-1], count)) for a in arrays]
