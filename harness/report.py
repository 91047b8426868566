"""A `Report` is the result of checking one rule, and writes the message that a newcomer understands."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from backprove.harness.core.arguments import as_given
from backprove.harness.core.errors import UsageError
from backprove.harness.core.evidence_words import accuracy, meaning, rests_on
from backprove.harness.core.large_arrays import short
from backprove.harness.core.results import Counterexample, PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict, exit_status

if TYPE_CHECKING:
    import pandas as pd


class Report:
    """What `check` found out about one rule.

    ```python
    import numpy as np
    import backprove as bp

    rule = bp.Rule("sine", forward=np.sin, vjp=lambda x, g: -g * np.cos(x), inputs={"x": bp.array("n")})
    report = bp.check(rule, points=20)
    assert not report.ok and report.verdict == "falsified"
    assert "opposite sign" in report.diagnosis or report.counterexamples
    print(report)
    ```

    Attributes:
        subject: the full record behind the report.
        options: points, dtypes, seed and accuracy of the check.
    """

    def __init__(self, subject: SubjectResult, options: dict[str, Any] | None = None) -> None:
        self.subject = subject
        self.options = dict(options or {})

    @property
    def ok(self) -> bool:
        """Whether every property holds."""
        return self.verdict is Verdict.HOLDS

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the properties."""
        return self.subject.verdict

    @property
    def properties(self) -> list[PropertyResult]:
        """One result per property and dtype."""
        return self.subject.properties

    @property
    def counterexamples(self) -> list[Counterexample]:
        """The minimal failing inputs, one per property and dtype that has one."""
        return [p.counterexample for p in self.properties if p.counterexample is not None]

    @property
    def diagnosis(self) -> str | None:
        """The mistake in words where one explains the refusal."""
        return self.subject.diagnosis

    def __repr__(self) -> str:
        return f"<Report {self.subject.name}: {self.verdict}, {len(self.properties)} properties>"

    def __str__(self) -> str:
        head = f"{self.subject.name}: {self.verdict} ({meaning(self.properties)})"
        blocks = [f"{head}, as on {self.subject.judged_on}"] if self.subject.judged_on else [head]
        if self.subject.property_words:
            blocks.append(f"  Statement: {self.subject.property_words}")
        if self.diagnosis:
            blocks.append(f"  Likely mistake: {self.diagnosis}")
        blocks += _failures(self.subject)
        blocks += [f"  Worth knowing: {f}" for f in self.subject.findings]
        blocks.append(_counts(self.properties))
        return "\n".join(blocks)

    def _repr_html_(self) -> str:
        """The report as a notebook shows it."""
        from backprove.reports.notebook import to_notebook_html

        blocks = [block.partition("\n") for block in _failures(self.subject)]
        return to_notebook_html(self.subject, [(head.strip(), dedent(text)) for head, _, text in blocks])

    def to_dataframe(self) -> pd.DataFrame:
        """One row per property and dtype."""
        from backprove.reports.frame import to_dataframe

        return to_dataframe(self._run())

    def write(self, directory: str | Path) -> list[Path]:
        """Write the HTML page and the tables of this report into `directory`; returns the files written."""
        from backprove.reports.write import write_reports

        if not isinstance(directory, (str, os.PathLike)):
            raise UsageError(f'Report.write: expected a folder such as "reports", got {as_given(directory)}')
        return write_reports(self._run(), Path(directory))

    def _run(self) -> RunResult:
        from backprove.harness.core.environment import describe
        from backprove.harness.core.version import __version__

        seed = int(self.options.get("seed", 0))
        status = int(exit_status(p.verdict for p in self.properties))
        return RunResult("check", __version__, seed, [self.subject], describe(), dict(self.options), exit=status)


def _failures(subject: SubjectResult) -> list[str]:
    """One block per property that does not hold; further dtypes of the same property are named, not repeated."""
    blocks: list[str] = []
    by_name: dict[tuple[str, Verdict], list[PropertyResult]] = {}
    for p in subject.properties:
        if p.verdict is not Verdict.HOLDS:
            by_name.setdefault((p.name, p.verdict), []).append(p)
    for (name, verdict), results in by_name.items():
        shown = next((p for p in results if p.counterexample is not None), results[0])
        others = [p.dtype for p in results if p is not shown]
        also = f" (also in {', '.join(others)})" if others else ""
        lines = [f"  {name}, {shown.dtype}: {verdict}{also}"]
        point = shown.counterexample
        reason = shown.reason if point is None else shown.reason.removeprefix(f"{point.example}: ")
        if reason and (point is None or reason not in point.message):
            lines.append(f"    {shown.reason}")
        if point is not None:
            lines += [f"    {line}" if line else "" for line in _explain(point)]
        blocks.append("\n".join(lines))
    return blocks


def _explain(c: Counterexample) -> list[str]:
    rows: list[tuple[str, str]] = []
    if c.example:
        rows.append(("found by", f"{c.example}, then made as small as it stays wrong"))
    for name, value in c.inputs.items():
        rows.append((f"at {name}", f"{_show(value)}"))
        if name in c.inputs_hex:
            rows.append(("", f"{_show(c.inputs_hex[name])}"))
    for word, values in (("tangent", c.tangents), ("cotangent", c.cotangents)):
        rows += [(n if n.startswith(word) else f"{word} of {n}", _show(value)) for n, value in values.items()]
    entry = f"[{', '.join(map(str, c.entry))}]" if c.entry else ""
    rows.append(("wrong at", f"{c.argument or 'the result'}{entry}   (region: {c.region})"))
    if c.oracle:  # where the code raised or answered in another shape there are no two values to compare
        rows.append(("got", _both(c.got)))
        rows.append(("expected", f"{_both(c.expected)}   by {c.oracle}"))
    width = max(len(label) for label, _ in rows)
    out = [c.message] if c.message else []
    out += [f"{label:<{width}}  {text}" for label, text in rows]
    if c.id:
        out.append(f"{'again':<{width}}  backprove replay {c.id}")
    if c.test:
        out += ["A test to paste:", *(f"  {line}" for line in c.test.strip("\n").splitlines())]
    return out


def _both(value: Any) -> str:
    """A number in decimal and hexadecimal; `[low, high]` is a range; None has no finite value."""
    if value is None:
        return "not a finite number"
    if isinstance(value, (list, tuple)) and len(value) == 2:
        if value[0] == value[1]:
            return _both(value[0])
        return f"any value from {_both(value[0])} to {_both(value[1])}"
    if isinstance(value, float):
        return f"{value!r} ({value.hex()})"
    return _show(value)


def _show(value: Any) -> str:
    return short(value) if isinstance(value, (list, tuple)) else str(value)


def _points(n: int) -> str:
    return f"{n:,} point{'' if n == 1 else 's'}"


def _counts(properties: list[PropertyResult]) -> str:
    lines: list[str] = []
    for name in dict.fromkeys(p.name for p in properties):
        cells = []
        for p in (p for p in properties if p.name == name):
            own = p.counts.get("examples", 0)
            given = f", {own} example{'s' * (own > 1)} among them" if own else ""
            graded = f", {accuracy(p)}" if accuracy(p) else ""
            cells.append((f"{p.dtype}: {p.verdict} in {_points(p.points)}{given}{graded}", rests_on(p)))
        for cell, rests in cells:
            lines += [f"  {name}, {cell}", *([f"    {rests}"] if rests else [])]
    held = sum(1 for p in properties if p.verdict is Verdict.HOLDS)
    lines.append(f"Checks that hold: {held} of {len(properties)}, {_points(sum(p.points for p in properties))} in all.")
    return "\n".join(lines)
