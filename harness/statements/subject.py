"""A `Subject` is what is judged as a whole: a rule of a user, a theorem of the catalogue, later an engine.

It knows its own claims, where it is stated and how a test imports it, so that nothing beyond this room asks which kind
of subject it has. A new kind is a class with these members, its word in `results.Kind`, and a line in `loading.FINDERS`
that says how it is found again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from backprove.harness.core.arrays import Code
from backprove.harness.core.results import Kind, SubjectResult
from backprove.harness.statements.claims import Claim
from backprove.harness.statements.own_points import OwnPoint
from backprove.strategies.array import ArraySpec


class Subject(Protocol):
    """What the campaign and the judge need of a subject."""

    kind: ClassVar[Kind]
    """How records and ids call it: "rule" or "theorem"."""
    is_user_code: ClassVar[bool]
    """Whether its functions are a user's.

    Their traces are held against real calls, and laws that need no oracle are judged beside their claims; functions of
    the catalogue share traces, examples and compiled programs instead, between claims, formats and runs.
    """

    @property
    def name(self) -> str:
        """How reports call it."""

    @property
    def inputs(self) -> Mapping[str, ArraySpec]:
        """The inputs, in order, that the functions of all its claims take."""

    @property
    def where(self) -> Code | None:
        """Hypothesis over several inputs."""

    @property
    def batched(self) -> bool:
        """Whether its functions accept one extra leading axis of points."""

    @property
    def own_points(self) -> Sequence[OwnPoint]:
        """Points that its user names, which are judged before anything that is drawn."""

    @property
    def flat(self) -> Subject:
        """The subject with one input per array."""

    def named_claims(self) -> list[tuple[str, Claim]]:
        """What it claims, each with the name that reports give it."""

    def record(self) -> SubjectResult:
        """The record of its result, in which nothing is judged yet."""

    def import_line(self) -> str:
        """Code that imports it as `rule`, with methods `jvp` and `vjp`, in a test; "" where no test needs it."""
