"""Results as a table: one row per theorem or rule, property and dtype."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from backprove.harness.core.evidence import WAYS_TO_CALL
from backprove.harness.core.evidence_words import is_black_box, judged, left_out
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.reports.text import decimal, entry_name

if TYPE_CHECKING:
    import pandas as pd

TEXT = (
    "kind",
    "name",
    "module",
    "property",
    "dtype",
    "verdict",
    "grade",
    "grade_region",
    "reason",
    "findings",
    "layers",
    "judged_by",
    "left_out",
    "counterexample",
    "entry",
    "oracle",
    "region",
    "inputs",
    "message",
)
"""Columns of text; all others hold numbers."""

COUNTS = ("kink", "outside_domain", "balls_only", "undecided", "unsupported", "discarded")
"""What may have happened to a point; one column each."""

# A spreadsheet takes a cell that starts like this for a formula (the last four are the full-width forms).
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def rows(run: RunResult) -> list[dict[str, Any]]:
    """The rows of the table as plain records; absent values are None."""
    return [_row(s, p) for s in run.subjects for p in s.properties]


def _row(subject: SubjectResult, result: PropertyResult) -> dict[str, Any]:
    c = result.counterexample
    expected = to_plain(c.expected) if c else None
    low, high = expected if isinstance(expected, list) and len(expected) == 2 else (expected, expected)
    return {
        "kind": subject.kind,
        "name": subject.name,
        "module": subject.module,
        "property": result.name,
        "dtype": result.dtype,
        "verdict": result.verdict.value,
        "points": result.points,
        "max_ulp": to_plain(result.max_ulp),
        "grade": result.grade,
        "grade_factor": to_plain(result.grade_factor),
        "grade_region": result.grade_region,
        "reason": result.reason,
        "findings": "; ".join(result.findings),
        "layers": ", ".join(result.layers),
        "judged_by": "black box" if is_black_box(result) else "balls" if judged(result, "exact") else "floats",
        "sizes": sum(1 for s in result.evidence.sizes.values() if s.extent != "empty" and s.decided),
        "sizes_left_out": len(result.evidence.left_out),
        "left_out": "; ".join(left_out(result)),
        **{f"calls_{how}": result.evidence.calls.get(how, 0) for how in WAYS_TO_CALL},
        "suspicious": sum(result.evidence.suspicious.values()),
        "uncleared": sum(result.evidence.uncleared.values()),
        "refuted": sum(t.refuted for t in result.layers.values()),
        **{name: result.counts.get(name, 0) for name in COUNTS},
        "seconds": to_plain(result.seconds),
        "counterexample": c.id if c else None,
        "entry": entry_name(c.argument, c.entry) if c else None,
        "got": _number(to_plain(c.got)) if c else None,
        "expected_low": _number(low),
        "expected_high": _number(high),
        "oracle": c.oracle if c else None,
        "region": c.region if c else None,
        "inputs": ", ".join(f"{k} = {decimal(v)}" for k, v in c.inputs.items()) if c else None,
        "message": c.message if c else None,
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def columns() -> list[str]:
    """Names of the columns, in order."""
    return list(_row(SubjectResult("rule", ""), PropertyResult("", "")))


def to_dataframe(run: RunResult) -> pd.DataFrame:
    """The run as a data frame with one row per theorem or rule, property and dtype.

    `max_ulp` is in ulps, `grade_factor` in multiples of the error that conditioning forces, `seconds` in seconds.
    """
    import pandas as pd

    frame = pd.DataFrame(rows(run), columns=columns())
    for name in frame.columns.difference(list(TEXT)):
        if name in ("max_ulp", "grade_factor", "seconds", "got", "expected_low", "expected_high"):
            frame[name] = frame[name].astype("float64")
        else:
            frame[name] = frame[name].astype("int64")
    return frame


def to_csv(run: RunResult) -> str:
    """The same table as CSV (RFC 4180 quoting, final newline).

    A text cell that a spreadsheet would take for a formula gets a leading apostrophe; numbers stay numbers.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = columns()
    writer.writerow(names)
    for row in rows(run):
        writer.writerow([_harmless(row[n]) if n in TEXT else row[n] for n in names])
    return out.getvalue()


def _harmless(value: str | None) -> str:
    text = (value or "").replace("\0", "")
    return "'" + text if text.lstrip(" ").startswith(_FORMULA) else text
