"""A `Survey` lists the hand-written derivative rules of a package, and which rules of a run cover each.

Everything here is data, stored with the results of `backprove coverage`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from backprove.harness.core.records import FrozenRecord, Record

HandwrittenKind: TypeAlias = Literal["jax.custom_jvp", "jax.custom_vjp", "torch.autograd.Function"]

Role: TypeAlias = Literal["map", "rule"]

LineNumber: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class Span(FrozenRecord, frozen=True):
    """Lines of a file that belong to a hand-written rule.

    Attributes:
        role: "map", the function whose derivative it is (of torch the class, with all that stands in it); "rule", a
            function that states the derivative, or the line that registers it.
        first, last: numbers of the lines.
        text: what stands there.
    """

    role: Role
    first: LineNumber
    last: LineNumber
    text: str


class Cover(FrozenRecord, frozen=True):
    """A rule of a run that covers a hand-written one.

    Attributes:
        rule: its name.
        how: how that is known, in words.
    """

    rule: str
    how: str


class Handwritten(Record):
    """One hand-written derivative rule of a package.

    Attributes:
        name: module and qualified name; `<locals>` where it stands inside a function.
        file, line: where it stands.
        spans: its source, the map first.
        covered_by: rules of the run that put it under test.
    """

    name: str
    kind: HandwrittenKind
    file: str
    line: LineNumber
    spans: list[Span]
    covered_by: list[Cover] = field(default_factory=list)


class Unread(FrozenRecord, frozen=True):
    """A file of the package in which nothing can be looked for."""

    file: str
    why: str


class Survey(Record):
    """What the source of a package holds.

    Attributes:
        package: its name.
        home: folder that it lies in.
        files: how many files were read.
        unread: those that could not be.
        rules: in the order of files and lines.
    """

    package: str
    home: str
    files: LineNumber
    unread: list[Unread]
    rules: list[Handwritten]

    def place(self, rule: Handwritten) -> str:
        """File and line as reports show them, from the folder of the package on."""
        return f"{self.shown(rule.file)}:{rule.line}"

    def shown(self, file: str) -> str:
        """A file from the folder of the package on."""
        return file.removeprefix(self.home).lstrip("/\\")

    @property
    def covered(self) -> list[Handwritten]:
        """Those that a rule of the run covers."""
        return [r for r in self.rules if r.covered_by]

    @property
    def percent(self) -> float | None:
        """The share that is covered, in percent; None where there is nothing to cover."""
        return 100 * len(self.covered) / len(self.rules) if self.rules else None
