"""`Evidence` records what a verdict rests on: which layers judged how many points of which sizes, and what objects.

evidence.at("n=3", {"exact": 30}, full=True)
evidence.leave_out("n=1", "forward raises ValueError", "forward raises at shapes [1]: ValueError: ...")
evidence.verdict(points=33)      inconclusive, "forward raises ValueError at n=1, a size of the stated domain"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from backprove.harness.core.records import Record
from backprove.harness.core.thresholds.called_code import ENOUGH_AGREED
from backprove.harness.core.verdicts import Verdict

DECIDING_LAYERS = ("exact", "autodiff", "differences", "wide", "black box", "screen")
"""Layers whose agreement makes a verdict `holds`; the rounding bound alone says nothing of the formula."""

SHOWN_SIZES = 5
"""Sizes named in a sentence; the others are counted."""

Count = Annotated[int, Meta(ge=0, le=2**53)]

Extent = Literal["full", "thin", "empty"]
"""Of the arrays of one size: two entries or more along every axis that the domain leaves free, one along some, none."""


WAYS_TO_CALL = ("plain", "jitted", "layouts")
"""How a user's own code is called beside what the layers evaluate: as it is, under `jax.jit`, and with arguments in
other layouts of memory."""


class SizeSeen(Record):
    """What was judged at one size.

    Attributes:
        extent: see `Extent`.
        inside: points at which forward has a value.
        agreed: layer that decides -> points at which it agreed.
    """

    extent: Extent
    inside: Count = 0
    agreed: dict[str, Count] = field(default_factory=dict)

    @property
    def decided(self) -> int:
        """Points at which layers that decide agreed; one that several agreed at counts several times."""
        return sum(self.agreed.values())


class LeftOut(Record):
    """A size of the stated domain at which nothing could be evaluated.

    Attributes:
        reason: in a few words, the same for all sizes that have it: "forward raises ValueError".
        text: what was raised, in full.
        empty: the arrays have no entries, where code may raise.
        ends: what is raised ends the program that calls the code, as `SystemExit` does: no code may, at no size.
    """

    reason: str
    text: str
    empty: bool
    ends: bool = False


class Approximation(Record):
    """How near an approximation came.

    Attributes:
        units: so many units of what rounding the inputs forces are granted.
        of: what is approximated, in words.
        worst: the largest gap that balls measured, in these units; None where none did.
    """

    units: float
    of: str
    worst: float | None = None


class Evidence(Record):
    """What the verdict of one property at one dtype rests on.

    Attributes:
        sizes: what was judged, by size ("m=3, n=5").
        left_out: sizes at which nothing could be evaluated.
        suspicious: layer -> points at which it objected.
        uncleared: layer -> of these, the points at which no layer that can tell cleared the objection.
        advice: the dims that forward seems to take where it raises at others, in words.
        calls: one of `WAYS_TO_CALL` -> calls of the user's own code.
        approximation: how near an approximation came, where the claim is of one.
        asked, answered: points at which differences were asked about code that can only be called, and of these those
            at which they could tell and agreed; points where rule and differences are zero are in neither.
        beside: the property is a law beside the claims of its subject, which say of sizes what there is to say.
        unasked: what is not judged unless it is asked for, and how to ask.
    """

    sizes: dict[str, SizeSeen] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    suspicious: dict[str, Count] = field(default_factory=dict)
    uncleared: dict[str, Count] = field(default_factory=dict)
    advice: str = ""
    asked: Count = 0
    answered: Count = 0
    beside: bool = False
    calls: dict[str, Count] = field(default_factory=dict)
    approximation: Approximation | None = None
    unasked: str = ""

    # -- entering ------------------------------------------------------------------------------------------------------

    def at(self, size: str, agreed: Mapping[str, int], extent: Extent, inside: int = 0) -> None:
        """Enter points inside the domain, and those at which layers agreed."""
        here = self.sizes.setdefault(size, SizeSeen(extent))
        here.inside += inside
        for layer, n in agreed.items():
            if n and layer in DECIDING_LAYERS:
                here.agreed[layer] = here.agreed.get(layer, 0) + n

    def leave_out(self, size: str, reason: str, text: str, *, empty: bool, ends: bool = False) -> None:
        """Enter a size at which nothing could be evaluated; what was entered first stays."""
        self.left_out.setdefault(size, LeftOut(reason, text, empty, ends))

    def object(self, layer: str, suspicious: int, uncleared: int) -> None:
        """Enter objections of one layer."""
        for counts, n in ((self.suspicious, suspicious), (self.uncleared, uncleared)):
            if n:
                counts[layer] = counts.get(layer, 0) + n

    def call(self, how: str, times: int) -> None:
        """Enter calls of the user's own code."""
        self.calls[how] = self.calls.get(how, 0) + times

    def approximate(self, units: float, of: str, worst: float | None) -> None:
        """Enter how near an approximation came at some points."""
        known = [w for w in (worst, self.approximation.worst if self.approximation else None) if w is not None]
        self.approximation = Approximation(units, of, max(known, default=None))

    def ask(self, asked: int, answered: int) -> None:
        """Enter points at which differences were asked about a black box, and those at which they agreed."""
        self.asked += asked
        self.answered += answered

    def merge(self, other: Evidence) -> None:
        """Add what another part of the same property saw."""
        for size, seen in other.sizes.items():
            self.at(size, seen.agreed, seen.extent, seen.inside)
        for size, left in other.left_out.items():
            self.left_out.setdefault(size, left)
        for layer in {**other.suspicious, **other.uncleared}:
            self.object(layer, other.suspicious.get(layer, 0), other.uncleared.get(layer, 0))
        for how, times in other.calls.items():
            self.call(how, times)
        if other.approximation is not None:
            self.approximate(other.approximation.units, other.approximation.of, other.approximation.worst)
        self.advice = self.advice or other.advice
        self.ask(other.asked, other.answered)
        self.beside = self.beside or other.beside

    # -- what follows --------------------------------------------------------------------------------------------------

    def verdict(self, points: int, note: str = "") -> tuple[Verdict, str]:
        """`holds`, or `inconclusive` and why, where no violation was found; `error` where code ends its caller.

        Args:
            points: evaluations of the claim.
            note: why nothing could be evaluated, where that is known.
        """
        ended = next((left.text for left in self.left_out.values() if left.ends and not left.empty), "")
        if ended:
            return Verdict.ERROR, f"{ended}, which ends the program that calls it"
        missing = self._missing(points, note)
        return (Verdict.INCONCLUSIVE, "; ".join(missing)) if missing else (Verdict.HOLDS, "")

    def _missing(self, points: int, note: str) -> list[str]:
        """What keeps the claim from being held, in words; empty where nothing does."""
        found = [] if self.beside else self._raising()
        if not points:
            return found or [f"no point could be evaluated{': ' if note else ''}{note}"]
        if not any(s.decided for s in self.sizes.values()):
            return [*found, "no layer could judge a single point"]
        if not self.beside and not self._has("full"):
            sizes = listed([size for size, s in self.sizes.items() if s.decided])
            one = "arrays with a single entry along an axis" if self._has("thin") else "empty arrays"
            found.append(
                f"only {one} could be judged ({sizes}); a claim that holds was judged on arrays of two entries or more"
            )
        in_balls = any("exact" in s.agreed for s in self.sizes.values())
        if self.answered < min(ENOUGH_AGREED, self.asked / 2) and not in_balls:
            found.append(
                f"the code can only be called; differences agree at {self.answered:,} of {self.asked:,} points only, "
                "and at the others conditioning, coarse values or a kink nearby leave nothing to be told"
            )
        return found + self._objections()

    def _has(self, extent: Extent) -> bool:
        return any(s.extent == extent and s.decided for s in self.sizes.values())

    def _raising(self) -> list[str]:
        """Sizes of the stated domain, with entries, at which nothing could be evaluated."""
        sizes = {size: left for size, left in self.left_out.items() if not left.empty}
        if not sizes:
            return []
        said = [f"{_where(reason, group)}" for reason, group in self.grouped(sizes).items()]
        first = next(iter(sizes.values()))
        domain = "which the stated domain contains" if len(sizes) == 1 else "all of which the stated domain contains"
        return [f"{', '.join(said)}, {domain} ({first.text})" + (f"; {self.advice}" if self.advice else "")]

    def _objections(self) -> list[str]:
        said = [
            f"{name} object{'' if name == 'differences' else 's'} at {n:,} point{'s' * (n > 1)}"
            for name, n in self.uncleared.items()
        ]
        return [f"{' and '.join(said)}, and no layer that can tell cleared it"] if said else []

    @staticmethod
    def grouped(sizes: Mapping[str, LeftOut]) -> dict[str, list[str]]:
        """The sizes by reason."""
        groups: dict[str, list[str]] = {}
        for size, left in sizes.items():
            groups.setdefault(left.reason, []).append(size)
        return groups


def _where(reason: str, sizes: list[str]) -> str:
    return f"{reason} at {listed(sizes)}"


def listed(sizes: list[str]) -> str:
    """Sizes in a sentence; those of several names in brackets."""
    shown = [f"({s})" if "," in s and len(sizes) > 1 else s for s in sizes[:SHOWN_SIZES]]
    more = len(sizes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
