"""A `Statement` is a theorem's entry as plain data, for a process that does not import the code that checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backprove.harness.core.records import FrozenRecord

if TYPE_CHECKING:
    from backprove.harness.statements.theorem import Theorem


class Statement(FrozenRecord, frozen=True):
    """The descriptive part of a `Theorem`; see there.

    Attributes:
        weight: a guess at the cost of its run beside that of others, for theorems that have not run yet.
        claims: their names.
        code: the text of a theorem of a user.
    """

    name: str
    latex: str
    words: str
    rests_on: tuple[str, ...]
    covers: tuple[str, ...]
    source: tuple[str, int]
    weight: float
    statement: str = ""
    hypotheses: str = ""
    claims: tuple[str, ...] = ()
    code: str = ""

    @staticmethod
    def of(theorem: Theorem) -> Statement:
        axes = sum(len(spec.dims) for spec in theorem.inputs.values())
        t = theorem
        return Statement(
            t.name,
            t.latex,
            t.words,
            t.rests_on,
            t.covers,
            t.source,
            len(t.claims) * (1.0 + axes),
            t.statement,
            t.hypotheses,
            tuple(name for name, _ in t.named_claims()),
            t.code,
        )


def statements(theorems: Mapping[str, Theorem]) -> dict[str, Statement]:
    """The statements of theorems, by name."""
    return {name: Statement.of(t) for name, t in theorems.items()}
