"""Records hold what a run produces; they are stored as JSON and read again by the reports.

Everything here is data. Records of one property merge by sums, maxima and first-in-order, so that the same work in
any order gives the same result.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backprove.harness.core.verdicts import Verdict, worst

SCHEMA = 1

HISTOGRAM_EDGES = tuple(range(-4, 20))
"""log10 of the error in ulps at the edges of the histogram bins; the first bin holds exact results, too."""


@dataclass(frozen=True)
class Counterexample:
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
    """

    id: str
    property: str
    dtype: str
    inputs: dict[str, Any]
    inputs_hex: dict[str, Any]
    tangents: dict[str, Any]
    cotangents: dict[str, Any]
    argument: str
    entry: list[int]
    got: Any
    expected: Any
    oracle: str
    region: str
    test: str = ""
    message: str = ""
    jacobians: dict[str, Any] | None = None


@dataclass
class LayerTally:
    """What one layer (exact, autodiff, differences, rounding, wide, compiled, ...) saw of a property.

    `checked = agreed + cleared + refuted + undecided`; `suspicious` counts what it sent on to the exact layer.
    `worst` is its worst disagreement (ulps for float layers; bits of the gap for the exact layer), None if it has none.
    """

    checked: int = 0
    agreed: int = 0
    suspicious: int = 0
    cleared: int = 0
    refuted: int = 0
    undecided: int = 0
    worst: float | None = None
    note: str = ""

    def merge(self, other: LayerTally) -> None:
        for name in ("checked", "agreed", "suspicious", "cleared", "refuted", "undecided"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.worst is not None:
            self.worst = other.worst if self.worst is None else max(self.worst, other.worst)
        self.note = self.note or other.note


@dataclass
class PropertyResult:
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
    """

    name: str
    dtype: str
    verdict: Verdict = Verdict.INCONCLUSIVE
    points: int = 0
    max_ulp: float | None = None
    counterexample: Counterexample | None = None
    reason: str = ""
    grade: str | None = None
    grade_factor: float | None = None
    grade_region: str | None = None
    layers: dict[str, LayerTally] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * (len(HISTOGRAM_EDGES) + 1))
    counts: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, int] = field(default_factory=dict)
    regions: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    finding_keys: list[str] = field(default_factory=list)
    seconds: float = 0.0

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


@dataclass
class SubjectResult:
    """One theorem or one rule of a user, with all its properties.

    Attributes:
        kind: "theorem" or "rule".
        name: full name (`Proofs.Autograd.logSoftmaxVjp`, or the rule's name).
        module: module in the catalogue; for a rule the file it came from.
        statement, hypotheses, kind_of_claim, latex: from the catalogue and the theorem's entry.
        property_words: the property in one sentence.
        rests_on: names of the theorems that this one uses.
        covers: names of non-executable catalogue entries reached through this one.
        source: {"file": ..., "line": ...} of the rule or entry; `code` is its text.
        diagnosis: the mistake in words where one explains the refusal.
        mutation: {"mutants", "equivalent", "killed", "survivors"} of the last `backprove mutate`, if any.
    """

    kind: str
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
    source: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    diagnosis: str | None = None
    mutation: dict[str, Any] | None = None
    front_end: dict[str, str] = field(default_factory=dict)

    @property
    def is_user_code(self) -> bool:
        """Whether this is the result of a user's rule."""
        return self.kind == "rule"

    @property
    def file(self) -> str:
        """The file in which a user's rule is found; "" for what is found by its name."""
        return self.module if self.is_user_code else ""

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
    def findings(self) -> list[str]:
        return list(dict.fromkeys(f for p in self.properties for f in p.findings))


@dataclass
class RunResult:
    """A whole run of `verify` or `check`.

    Attributes:
        command: "verify" or "check".
        environment: versions and machine class (name -> text).
        options: the resolved options of the run.
        coverage: as in `verify --json`, computed from the catalogue; None for `check`.
        not_covered: executable catalogue entries without a property, and the non-executable ones with `why_not`:
            a list of {"name", "module", "executable", "why_not", "covered_by": [names]}.
        partial: whether the run was cut short.
        gate: {"passed": bool, "reasons": [..]} where a gate is configured.
    """

    command: str
    version: str
    seed: int
    subjects: list[SubjectResult] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    coverage: dict[str, dict[str, int]] | None = None
    not_covered: list[dict[str, Any]] = field(default_factory=list)
    started: str = ""
    seconds: float = 0.0
    partial: bool = False
    gate: dict[str, Any] | None = None
    exit: int = 0

    @property
    def ok(self) -> bool:
        return bool(self.subjects) and all(s.verdict is Verdict.HOLDS for s in self.subjects)


def to_plain(value: Any) -> Any:
    """Records, verdicts and numbers as strict JSON data (not finite becomes null)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Verdict):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def property_from_plain(data: Mapping[str, Any]) -> PropertyResult:
    d = dict(data)
    d["verdict"] = Verdict(d["verdict"])
    d["layers"] = {k: LayerTally(**v) for k, v in d["layers"].items()}
    d["counterexample"] = Counterexample(**d["counterexample"]) if d["counterexample"] else None
    return PropertyResult(**d)


def subject_from_plain(data: Mapping[str, Any]) -> SubjectResult:
    d = dict(data)
    d["properties"] = [property_from_plain(p) for p in d["properties"]]
    return SubjectResult(**d)


def run_from_plain(data: Mapping[str, Any]) -> RunResult:
    d = {k: v for k, v in data.items() if k != "schema"}
    d["subjects"] = [subject_from_plain(s) for s in d["subjects"]]
    return RunResult(**d)
