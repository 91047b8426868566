"""The one line of evidence of a theorem or rule."""

from __future__ import annotations

from backprove.harness.core.results import LayerTally, PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.evidence import evidence_line


def judged(name: str, dtype: str, points: dict[str, int], layer: str = "exact") -> PropertyResult:
    p = PropertyResult(name, dtype, Verdict.HOLDS, 10_000)
    for size, n in points.items():
        p.evidence.at(size, {layer: n}, "full")
    return p


def test_points_and_sizes_from_fewest_to_most() -> None:
    results = [judged("vjp", "float64", {"n=2": 30, "n=3": 11}), judged("vjp", "float32", {"n=3": 5})]
    assert evidence_line(SubjectResult("rule", "r", "", results)) == "judged in balls at 5 to 41 points of 1 to 2 sizes"


def test_whoever_judged_and_whatever_was_left_out_is_named() -> None:
    results = [judged("vjp", "float64", {"n=2": 30}), judged("vjp", "float32", {"n=2": 9}, "black box")]
    results += [PropertyResult("jvp", "float64")]
    for p in results[:2]:
        p.evidence.leave_out("n=1", "forward raises ValueError", "all of it", empty=False)
    assert evidence_line(SubjectResult("rule", "r", "", results)) == (
        "judged in balls at 30 points of 1 size and as a black box, by differences, at 9 points of 1 size; "
        "nobody judged jvp in float64; 1 size left out: forward raises ValueError at n=1"
    )


def test_what_is_refuted_is_summed() -> None:
    results = [
        PropertyResult("vjp", d, Verdict.FALSIFIED, 7, layers={"exact": LayerTally(7, refuted=n)})
        for d, n in (("float64", 3), ("float32", 1))
    ]
    assert evidence_line(SubjectResult("rule", "r", "", results)) == "refuted in balls at 4 points"


def test_nothing_is_claimed_where_nobody_judged() -> None:
    assert evidence_line(SubjectResult("rule", "r")) == ""
    assert evidence_line(SubjectResult("rule", "r", "", [PropertyResult("a", "float64")])) == "no point was judged"
