"""The report of one rule, and the message that a newcomer understands."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from backprove.harness.core.results import Counterexample, LayerTally, PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.report import Report

POINT = Counterexample(
    id="eJabc",
    property="vjp",
    dtype="float64",
    inputs={"z": [[0.0, 0.0]]},
    inputs_hex={"z": [["0x0.0p+0", "0x0.0p+0"]]},
    tangents={},
    cotangents={"out": [[1.0, 0.0]]},
    argument="z",
    entry=[0, 1],
    got=0.0,
    expected=-0.5,
    oracle="ball arithmetic",
    region="tie",
    test="def test_logsoftmax():\n    assert False",
    message="The cotangent of z is wrong.",
)


def refused() -> Report:
    properties = [
        PropertyResult(
            "vjp", "float64", Verdict.FALSIFIED, 1000, 1e15, POINT, layers={"exact": LayerTally(50, 3, refuted=47)}
        ),
        PropertyResult("vjp", "float32", Verdict.FALSIFIED, 1000),
        PropertyResult(
            "reference", "float64", Verdict.HOLDS, 1000, 2e300, grade="lost", grade_factor=1e9, grade_region="x > 37"
        ),
    ]
    return Report(SubjectResult("rule", "logsoftmax", properties=properties, diagnosis="subtract exp(out) * sum(g)"))


def test_a_refusal_says_all_that_is_known() -> None:
    report = refused()
    text = str(report)
    for part in (
        "logsoftmax: falsified (the formula is wrong over the reals)",
        "vjp, float64: falsified (also in float32)",
        "The cotangent of z is wrong.",
        "at z              [[0.0, 0.0]]",
        "[[0x0.0p+0, 0x0.0p+0]]",
        "cotangent of out  [[1.0, 0.0]]",
        "z[0, 1]   (region: tie)",
        "0.0 (0x0.0p+0)",
        "-0.5 (-0x1.0000000000000p-1)   by ball arithmetic",
        "backprove replay eJabc",
        "  def test_logsoftmax():",
        "Likely mistake: subtract exp(out) * sum(g)",
        "vjp, float64: falsified in 1,000 points\n    refuted in balls at 47 points",
        "reference, float64: holds in 1,000 points, lost for x > 37 (error up to 1e+09 times what conditioning forces)",
    ):
        assert part in text, (part, text)
    assert "ulp" not in text, "neither of a wrong formula nor of a point where the problem itself loses the digits"
    assert text.endswith("Checks that hold: 1 of 3, 3,000 points in all.")
    assert not report.ok and report.verdict is Verdict.FALSIFIED
    assert report.counterexamples == [POINT]
    assert report.diagnosis == "subtract exp(out) * sum(g)"


def test_values_that_are_not_finite_and_ranges_are_said_in_words() -> None:
    report = refused()
    point = report.counterexamples[0]
    fields = asdict(point) | {"got": None, "expected": [-1.0, 1.0], "region": "kink"}
    report.properties[0].counterexample = Counterexample(**fields)
    text = str(report)
    assert "not a finite number" in text
    assert "any value from -1.0 (-0x1.0000000000000p+0) to 1.0 (0x1.0000000000000p+0)" in text


def test_nothing_is_said_twice() -> None:
    report = refused()
    point = report.counterexamples[0]
    report.properties[0].reason = "is wrong."
    report.properties[0].counterexample = replace(point, expected=[0.5, 0.5], cotangents={})
    text = str(report)
    assert text.count("is wrong.") == 1 and "any value" not in text and "0.5 (0x1" in text


def test_what_holds_is_short() -> None:
    report = Report(SubjectResult("rule", "exp", properties=[PropertyResult("vjp", "float32", Verdict.HOLDS, 10)]))
    assert report.ok
    assert str(report).splitlines() == [
        "exp: holds (no violation found)",
        "  vjp, float32: holds in 10 points",
        "Checks that hold: 1 of 1, 10 points in all.",
    ]


def test_nothing_at_all_is_not_ok() -> None:
    assert not Report(SubjectResult("rule", "empty")).ok


def test_the_reason_stands_where_there_is_no_counterexample() -> None:
    p = PropertyResult("vjp", "float64", Verdict.ERROR, reason="the rule ended the Python process: exit status 7")
    assert "ended the Python process: exit status 7" in str(Report(SubjectResult("rule", "crash", properties=[p])))


def test_a_report_is_a_table() -> None:
    frame = refused().to_dataframe()
    assert len(frame) == 3


def test_one_point_is_a_point() -> None:
    result = PropertyResult("vjp", "float64", Verdict.FALSIFIED, 1)
    text = str(Report(SubjectResult("rule", "r", properties=[result])))
    assert "float64: falsified in 1 point\n" in text and text.endswith("0 of 1, 1 point in all.")
