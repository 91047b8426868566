"""Records hold what a run produces; they are stored as JSON and read again by the reports.

Everything here is data. Records of one property merge by sums, maxima and first-in-order, so that the same work in
any order gives the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from msgspec import Meta, field

from backprove.harness.core.evidence import Evidence
from backprove.harness.core.handwritten import Handwritten, Survey
from backprove.harness.core.records import FrozenRecord, Record, nested
from backprove.harness.core.verdicts import Verdict, worst

SCHEMA = 1

HISTOGRAM_EDGES = tuple(range(-4, 20))
"""log10 of the error in ulps at the edges of the histogram bins; the first bin holds exact results, too."""

BINS = len(HISTOGRAM_EDGES) + 1


Kind: TypeAlias = Literal["rule", "theorem", "own theorem"]
"""Theorems are the catalogue's, own theorems a user's."""


def is_user_code(kind: Kind) -> bool:
    """Whether subjects of that kind are a user's, found in a file; the catalogue's are found by name."""
    return kind != "theorem"


def noun(kind: Kind) -> str:
    """What messages call a subject of that kind."""
    return "rule" if kind == "rule" else "theorem"


Number: TypeAlias = float | int | bool | None
"""A number of any dtype; None: not finite."""

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Histogram: TypeAlias = Annotated[list[Count], Meta(min_length=BINS, max_length=BINS)]

if TYPE_CHECKING:  # what `tolist` gives
    Numbers: TypeAlias = Any
    HexNumbers: TypeAlias = Any
else:
    Numbers = nested(Number)
    HexNumbers = nested(str | int | bool)


class NotCovered(TypedDict):
    """A catalogue entry without a property of its own, and the theorems through which it is reached all the same.

    `family`: of functions that it is about; `page`: where its source is documented.
    """

    name: str
    module: str
    executable: bool
    why_not: str
    covered_by: list[str]
    family: NotRequired[str]
    page: NotRequired[str]


class CoverageCounts(TypedDict):
    """How many entries a catalogue has, and how far they are covered."""

    declared: Count
    executable: Count
    covered: Count
    holds: Count


class Gate(TypedDict):
    """Whether a run passes the configured gate, and why not."""

    passed: bool
    reasons: list[str]


class Mutation(TypedDict):
    """How many broken variants of a theorem's rules there were, were equal to the rule and were refused."""

    mutants: Count
    equivalent: Count
    killed: Count
    survivors: list[str]


class Direction(TypedDict, total=False):
    """The one of the two that the rule takes."""

    tangent: Numbers
    cotangent: Numbers


class Spot(Direction):
    """Values of rule and truth at a point that is easy to check by hand, along ones."""

    inputs: dict[str, Numbers]
    got: list[Number]
    expected: list[Number]


class Source(TypedDict, total=False):
    """Where a rule or an entry stands, `page` where what it states is documented; spot values of a refused rule."""

    file: str
    line: Count
    page: str
    spots: list[Spot]


class Counterexample(FrozenRecord, frozen=True):
    """A minimal failing input.

    Attributes:
        id: for `backprove replay`.
        property: name of the violated property.
        dtype: format of the inputs.
        inputs: name -> nested list of decimal numbers (each prints so that it reads back as the same number).
        inputs_hex: the same as hexadecimal floats.
        tangents: name -> nested list, where the property has tangents.
        cotangents: name -> nested list, where it has cotangents.
        argument: the argument (or output) whose entry is wrong.
        entry: index of the wrong entry in it.
        got: the rule's value at that entry (None: not finite or not a number; see message).
        expected: what it should be; `[low, high]` where any value between is right.
        oracle: which side `expected` comes from, in words.
        region: kink, tie, zero, saturated, large or ordinary.
        test: source of a pytest test that fails on this rule.
        message: one or two plain sentences.
        jacobians: for the report, {"rule": rows, "true": rows} at small inputs.
        example: the user's own point from which it was found ("example 2"); "" where it was drawn.
    """

    id: str
    property: str
    dtype: str
    inputs: dict[str, Numbers]
    inputs_hex: dict[str, HexNumbers]
    tangents: dict[str, Numbers]
    cotangents: dict[str, Numbers]
    argument: str
    entry: list[int]
    got: Number
    expected: Number | list[Number]
    oracle: str
    region: str
    test: str = ""
    message: str = ""
    jacobians: dict[str, list[list[Number]]] | None = None
    example: str = ""


class LayerTally(Record):
    """What one layer (exact, autodiff, differences, rounding, wide, compiled, ...) saw of a property.

    `checked = agreed + cleared + refuted + undecided`; `suspicious` counts what it sent on to the exact layer.
    `worst` is its worst disagreement (ulps for float layers; bits of the gap for the exact layer), None if it has none.
    """

    checked: Count = 0
    agreed: Count = 0
    suspicious: Count = 0
    cleared: Count = 0
    refuted: Count = 0
    undecided: Count = 0
    worst: float | None = None
    note: str = ""

    def enter(self, accepted: bool, refused: bool, suspicious: bool) -> None:
        """Count one point that the layer judged."""
        self.checked += 1
        self.agreed += accepted
        self.refuted += refused
        self.cleared += accepted and suspicious
        self.undecided += not (accepted or refused)

    def merge(self, other: LayerTally) -> None:
        for name in ("checked", "agreed", "suspicious", "cleared", "refuted", "undecided"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.worst is not None:
            self.worst = other.worst if self.worst is None else max(self.worst, other.worst)
        self.note = self.note or other.note


class PropertyResult(Record):
    """One property of one rule or theorem at one dtype.

    Attributes:
        points: evaluations of the claim.
        max_ulp: worst distance of the float result from the exact one, in ulps, inside the declared range.
        grade: stable, lossy or lost (None where nothing was graded).
        grade_factor: worst error in multiples of what conditioning forces.
        grade_region: where that was, in words.
        layers: layer name -> tally.
        histogram: counts of the error in ulps per bin of `HISTOGRAM_EDGES`.
        counts: points by what happened to them: kink, outside_domain, balls_only, undecided, unsupported, discarded.
        shapes: points by shape, e.g. {"n=3": 2000}.
        regions: points by region.
        notes: remarks that change no verdict.
        findings: what a reader should know although it holds.
        finding_keys: one per finding; what says the same of several points, or in several parts, has the same key.
        evidence: what the verdict rests on.
    """

    name: str
    dtype: str
    verdict: Verdict = Verdict.INCONCLUSIVE
    points: Count = 0
    max_ulp: float | None = None
    counterexample: Counterexample | None = None
    reason: str = ""
    grade: Literal["stable", "lossy", "lost"] | None = None
    grade_factor: float | None = None
    grade_region: str | None = None
    layers: dict[str, LayerTally] = field(default_factory=dict)
    histogram: Histogram = field(default_factory=lambda: [0] * BINS)
    counts: dict[str, Count] = field(default_factory=dict)
    shapes: dict[str, Count] = field(default_factory=dict)
    regions: dict[str, Count] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    finding_keys: list[str] = field(default_factory=list)
    seconds: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)

    def layer(self, name: str) -> LayerTally:
        return self.layers.setdefault(name, LayerTally())

    def remark(self, text: str, key: str = "") -> None:
        """Add a finding, unless there is one of the same key (without one: the same text)."""
        if (key or text) not in self.finding_keys:
            self.findings.append(text)
            self.finding_keys.append(key or text)

    def count(self, what: str, n: int = 1) -> None:
        if n:
            self.counts[what] = self.counts.get(what, 0) + int(n)


class SubjectResult(Record):
    """One theorem or one rule of a user, with all its properties.

    Attributes:
        name: full name (`Proofs.Autograd.logSoftmaxVjp`, or the rule's name).
        module: module in the catalogue; for what stands in no catalogue the file it came from.
        statement, hypotheses, kind_of_claim, family, latex: from the catalogue and the theorem's entry.
        property_words: the property in one sentence.
        rests_on: names of the theorems that this one uses.
        covers: names of non-executable catalogue entries reached through this one.
        source: of the rule or entry; `code` is its text.
        diagnosis: the mistake in words where one explains the refusal.
        mutation: of the last `backprove mutate`, if any.
        judged_on: when, where this is the kept result of an earlier run.
    """

    kind: Kind
    name: str
    module: str = ""
    properties: list[PropertyResult] = field(default_factory=list)
    statement: str = ""
    hypotheses: str = ""
    kind_of_claim: str = ""
    latex: str = ""
    property_words: str = ""
    rests_on: list[str] = field(default_factory=list)
    covers: list[str] = field(default_factory=list)
    source: Source = field(default_factory=Source)
    code: str = ""
    diagnosis: str | None = None
    mutation: Mutation | None = None
    front_end: dict[str, str] = field(default_factory=dict)
    family: str = ""
    judged_on: str = ""

    @property
    def is_user_code(self) -> bool:
        """Whether this is the result of code of a user."""
        return is_user_code(self.kind)

    @property
    def file(self) -> str:
        """The file in which code of a user is found; "" for what is found by its name."""
        return (self.source.get("file", "") or self.module) if self.is_user_code else ""

    @property
    def verdict(self) -> Verdict:
        return worst(p.verdict for p in self.properties)

    @property
    def points(self) -> int:
        """The smallest count over its dtypes (each dtype: the smallest over its properties)."""
        return min((p.points for p in self.properties), default=0)

    @property
    def max_ulp(self) -> float | None:
        return max((p.max_ulp for p in self.properties if p.max_ulp is not None), default=None)

    @property
    def worst_factor(self) -> float | None:
        """The worst error of the properties in multiples of what conditioning forces; None where none was graded."""
        return max((p.grade_factor for p in self.properties if p.grade_factor is not None), default=None)

    @property
    def findings(self) -> list[str]:
        return list(dict.fromkeys(f for p in self.properties for f in p.findings))


class RunResult(Record, tag_field="schema", tag=SCHEMA):
    """A whole run of `verify` or `check`.

    Attributes:
        command: "verify", "check" or "coverage".
        environment: versions and machine class (name -> text).
        options: the resolved options of the run.
        coverage: as in `verify --json`, computed from the catalogue; None for `check`.
        not_covered: executable catalogue entries without a property, and the non-executable ones with `why_not`.
        partial: whether the run was cut short.
        gate: where one is configured.
        survey: the hand-written rules of a package, for a run of `coverage`.
    """

    command: str
    version: str
    seed: int
    subjects: list[SubjectResult] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Number | str | list[str]] = field(default_factory=dict)
    coverage: dict[str, CoverageCounts] | None = None
    not_covered: list[NotCovered] = field(default_factory=list)
    started: str = ""
    seconds: float = 0.0
    partial: bool = False
    gate: Gate | None = None
    exit: int = 0
    survey: Survey | None = None

    def verdict_of(self, rule: Handwritten) -> Verdict | None:
        """The worst verdict of the rules that cover a hand-written one; None where none has been judged."""
        names = {c.rule for c in rule.covered_by}
        said = [s.verdict for s in self.subjects if s.name in names]
        return worst(said) if said else None

    @property
    def noun(self) -> str:
        """What its subjects are called: those of the catalogue are theorems, those of a file rules."""
        return "theorem" if self.is_of_catalogue else "rule"

    @property
    def is_of_catalogue(self) -> bool:
        """Whether this is a run of the catalogue, which has a coverage and a map."""
        return self.command == "verify"

    @property
    def ok(self) -> bool:
        return bool(self.subjects) and all(s.verdict is Verdict.HOLDS for s in self.subjects)
