"""`theorem(...)` enters a documented theorem: one call per theorem, close to its formula.

The name ties the entry to the catalogue, where statement, hypotheses, module and kind of property stand.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import ClassVar

from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import Kind, SubjectResult
from backprove.harness.statements.claims import Claim
from backprove.harness.statements.own_points import OwnPoint
from backprove.strategies.array import ArraySpec


@dataclass(frozen=True)
class Theorem:
    """An executable theorem.

    Attributes:
        name: full name in the catalogue.
        inputs: the variables of the statement, in the order in which the claims' functions take them.
        claims: what is checked; the theorem holds when all hold.
        where: hypothesis over several inputs: `where(*inputs) -> bool`, NumPy, one point.
        latex: the statement for the report.
        words: the property in one sentence, for readers who skip formulas.
        rests_on: names of theorems used.
        covers: names of catalogue entries, not executable on their own, that this one reaches.
        source: file and line of the entry.
        statement, hypotheses: what the catalogue would say, for a theorem that stands in no list of it.
    """

    kind: ClassVar[Kind] = "theorem"
    is_user_code: ClassVar[bool] = False
    batched: ClassVar[bool] = False
    own_points: ClassVar[tuple[OwnPoint, ...]] = ()
    code = ""

    name: str
    inputs: dict[str, ArraySpec]
    claims: tuple[Claim, ...]
    where: Code | None = None
    latex: str = ""
    words: str = ""
    rests_on: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    source: tuple[str, int] = ("", 0)
    statement: str = ""
    hypotheses: str = ""

    @property
    def flat(self) -> Theorem:
        return self

    def named_claims(self) -> list[tuple[str, Claim]]:
        """The claims under their names; of several with one name each has its number."""
        names = [c.name for c in self.claims]
        return [
            (c.name if names.count(c.name) == 1 else f"{c.name} {names[: i + 1].count(c.name)}", c)
            for i, c in enumerate(self.claims)
        ]

    def record(self) -> SubjectResult:
        """The record of the theorem's result, in which nothing is judged yet."""
        return SubjectResult(self.kind, self.name)

    def import_line(self) -> str:
        """Nothing: the test of a theorem is its entry."""
        return ""


@dataclass
class Registry:
    """All theorems that the code states, by name."""

    theorems: dict[str, Theorem] = field(default_factory=dict)

    def add(self, theorem: Theorem) -> Theorem:
        if theorem.name in self.theorems:
            first = self.theorems[theorem.name].source
            raise UsageError(f"theorem {theorem.name} is stated twice: at {first[0]}:{first[1]} and {theorem.source}")
        self.theorems[theorem.name] = theorem
        return theorem


REGISTRY = Registry()


def theorem(
    name: str,
    *claims: Claim,
    inputs: dict[str, ArraySpec],
    where: Code | None = None,
    latex: str = "",
    words: str = "",
    statement: str = "",
    hypotheses: str = "",
    rests_on: tuple[str, ...] | list[str] = (),
    covers: tuple[str, ...] | list[str] = (),
    registry: Registry = REGISTRY,
) -> Theorem:
    """State a theorem and register it.

    Args:
        name: full name in the catalogue, or the part after `Proofs.Autograd.`.
        claims: one or more claims over the same inputs.
        inputs: name -> `array(...)`.
        where: domain hypothesis over several inputs, evaluated in NumPy at single points.
        latex, words, rests_on, covers: see `Theorem`; `rests_on` and `covers` may be short names too.
        statement, hypotheses: for a theorem that stands in no list of the catalogue: what it would say there.

    Raises:
        UsageError: if no claim is given or the name is taken.
    """
    if not claims:
        raise UsageError(f"theorem {name}: no claim given")
    frame = sys._getframe(1)
    source = (frame.f_code.co_filename, frame.f_lineno)
    full = [_full(n) for n in (name, *rests_on, *covers)]
    k = 1 + len(rests_on)
    return registry.add(
        Theorem(
            full[0],
            inputs,
            claims,
            where,
            latex,
            words,
            tuple(full[1:k]),
            tuple(full[k:]),
            source,
            statement,
            hypotheses,
        )
    )


def _full(name: str) -> str:
    """Names with a namespace of their own stand as they are; `x` and `TapeNodes.x` are in Proofs.Autograd."""
    return f"Proofs.Autograd.{name}" if "." not in name or name.startswith("TapeNodes.") else name
