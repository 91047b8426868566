"""An `Examination` holds what the layers saw of a batch of points; all kinds of claims give one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import Directions
from backprove.harness.core.guard import EndedByCode
from backprove.harness.core.results import LayerTally
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import shapes_of
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.screens.claims import ClaimScreen
from backprove.harness.oracles.problem import Outcome
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class Violation:
    """A violation at one point.

    Attributes:
        verdict: error, falsified or inaccurate.
        what: one sentence, without the numbers.
        argument: name of the argument or output whose entry is wrong.
        entry: index in it.
        got, expected: the values there (expected: a pair where any value between is right).
        oracle: where `expected` comes from, in words.
        raised: the call of the function under test raised an exception at the point.
    """

    verdict: Verdict
    what: str
    argument: str = ""
    entry: tuple[int, ...] = ()
    got: float | None = None
    expected: float | tuple[float, float] | None = None
    oracle: str = ""
    raised: bool = False


@dataclass
class Examination:
    """Per point: violations and what the layers could tell. Arrays have one entry per point.

    Attributes:
        violations: None where nothing wrong was seen.
        outcomes: what the exact layer said (None: not asked).
        outside: the float forward map is not finite; nothing is claimed.
        balls_only: the error bound is infinite; only the exact layer could judge.
        ulps: distance of the float result from the exact one (NaN: not measured).
        factor: error in multiples of what conditioning forces (NaN: not graded).
        lost: graded points without a correct digit.
        layers: tallies of this batch by layer.
        notes: how the points were judged, e.g. a layer that had to be skipped and why.
        doubts: layer -> points at which it objected.
        assumed: layers of these that assume their error.
        asked, answered: see `Evidence`.
        agreed: points at which a layer that compares in bulk agreed, so that nothing else need be asked.
        calls: how the user's own code was called, in words -> how often.
        approximated: units that are granted to an approximation, and of what; None where the claim is of none.
        findings: what a reader should know although it is no violation: key -> text. Texts that say the same of
            several points have the same key, and the first is kept.
    """

    violations: list[Violation | None]
    outcomes: list[Outcome | None]
    outside: Array
    balls_only: Array
    ulps: Array
    factor: Array
    lost: Array
    layers: dict[str, LayerTally] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    findings: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, Array] = field(default_factory=dict)
    assumed: set[str] = field(default_factory=set)
    calls: dict[str, int] = field(default_factory=dict)
    approximated: tuple[float, str] | None = None
    asked: int = 0
    answered: int = 0
    agreed: Array = field(init=False)

    def __post_init__(self) -> None:
        self.agreed = np.zeros(self.outside.size, dtype=bool)

    @staticmethod
    def empty(points: int) -> Examination:
        def no() -> Array:
            return np.zeros(points, dtype=bool)

        def nan() -> Array:
            return np.full(points, np.nan)

        return Examination([None] * points, [None] * points, no(), no(), nan(), nan(), no())

    def part(self, index: Array) -> Examination:
        """An examination of some of the points that counts, notes and remarks where this one does."""
        out = Examination.empty(index.size)
        out.outside, out.layers = self.outside[index], self.layers
        out.notes, out.findings, out.calls = self.notes, self.findings, self.calls
        return out

    def layer(self, name: str) -> LayerTally:
        return self.layers.setdefault(name, LayerTally())

    def called(self, how: str, times: int) -> None:
        """Count calls of the user's own code; see `core/evidence.py` for `how`."""
        if times:
            self.calls[how] = self.calls.get(how, 0) + times

    def doubt(self, layer: str, points: Array, *, assumed: bool = False) -> None:
        """Enter objections of a layer (a truth value per point).

        Args:
            assumed: the layer assumes its error, or knows nothing of the code's inside.
        """
        self.doubts[layer] = self.doubts[layer] | points if layer in self.doubts else points.copy()
        self.assumed |= {layer} if assumed else set()

    def supersede(self, index: Array) -> None:
        """Drop objections of layers that assume their error at some points: what judged them there knows its own."""
        for layer in self.assumed:
            self.doubts[layer][index] = False

    def enter_part(self, part: Examination, index: Array) -> None:
        """Enter objections and agreement at the points of `part`."""
        self.agreed[index] |= part.agreed
        for layer, points in part.doubts.items():
            here = np.zeros(self.outside.size, dtype=bool)
            here[index] = points
            self.doubt(layer, here, assumed=layer in part.assumed)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def remark(self, text: str, key: str = "") -> None:
        """Enter a finding, unless there is one of the same key (without one: the same text)."""
        self.findings.setdefault(key or text, text)


class ClaimAt(Protocol):
    """A claim at fixed sizes and one dtype."""

    input_names: tuple[str, ...]
    direction_names: tuple[str, ...]
    direction_shapes: tuple[tuple[int, ...], ...]
    tangents: int
    """How many of the directions are tangents: the first ones. The others are cotangents."""
    unit: bool
    """The claim is of a gradient: its cotangent is 1, whatever directions are drawn."""

    kink_budget: int
    """Kinks that may still be examined at these sizes; each costs as much as hundreds of smooth points."""

    contract_settled: bool
    """The contract of the code is not looked at: a formula is known to be wrong, of which a smaller point is sought."""

    @property
    def mode(self) -> Directions:
        """What its directions are: tangents ("jvp"), cotangents ("vjp"), both in that order ("pairing"), none ("")."""

    @property
    def specials(self) -> list[float]:
        """Constants of the programs, around which points are planted."""

    @property
    def compiled(self) -> Sequence[FunctionAt]:
        """The functions that XLA compiles for a spot check."""

    @property
    def is_its_program(self) -> bool:
        """Whether the code is what its programs say: other code is called as it is, by the layers alone."""

    @property
    def traced(self) -> Sequence[Program | None]:
        """Programs of all functions of the claim, of its inputs or of inputs and directions; None for other code."""

    @property
    def programs(self) -> Sequence[Program | None]:
        """What mutation may break, in the order of the claim's functions; empty for a law, whose code is of rules."""

    def with_programs(self, other: Mapping[int, Program]) -> ClaimAt:
        """The same claim with other programs in the places given."""

    def screen(self, *, further_dtype: bool = False) -> ClaimScreen | None:
        """The screen of the claim; None where there is none."""

    @property
    def front_ends(self) -> dict[str, str]:
        """How each function of the claim is evaluated, see `frontends/function.py`."""

    def examine(
        self,
        inputs: Sequence[Array],
        directions: Sequence[Array],
        exact: Array,
        *,
        cap: int = 256,
        compared: Array | None = None,
    ) -> Examination:
        """Look at a batch of points.

        Args:
            inputs, directions: float64 (or integer) arrays, shape + points.
            exact: which points meet the exact layer in any case; suspicious ones are added, up to `cap`.
            compared: which points are compared in the wide format (None: all).
        """


class Unsupported(Exception):
    """The claim cannot be evaluated at these sizes (forward raises, or nothing is defined there).

    Args:
        text: what happened, in full.
        reason: in a few words, the same at all sizes where it happens.
        ends: the code raises there what ends the program that calls it.
    """

    def __init__(self, text: str, reason: str, *, ends: bool = False) -> None:
        super().__init__(text)
        self.reason, self.ends = reason, ends

    @classmethod
    def raising(cls, label: str, signature: Signature, why: Exception) -> Unsupported:
        """The code called `label` raises `why` at the shapes of `signature`."""
        name = type(why).__name__
        text = f"{label} raises at shapes {shapes_of(signature)}: {name}: {why}"
        return cls(text, f"{label} raises {name}", ends=isinstance(why, EndedByCode))
