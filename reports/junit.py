"""JUnit XML in the dialect that GitHub, GitLab and Jenkins read: one test case per theorem, property and dtype."""

from __future__ import annotations

import re
import shlex
from xml.etree import ElementTree as ET

from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.text import decimal, entry_name, expected_words, relative, ulps

# XML 1.0 has no way to write these characters, escaped or not.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def to_junit(run: RunResult) -> str:
    """The run as JUnit XML.

    `falsified` and `inaccurate` are failures, `error` is an error, `inconclusive` is skipped. Suites are modules.
    """
    root = ET.Element("testsuites", name=_legal(f"backprove {run.command}"))
    modules: dict[str, list[SubjectResult]] = {}
    for subject in run.subjects:
        modules.setdefault(subject.module or run.command, []).append(subject)
    for module, subjects in modules.items():
        suite = ET.SubElement(root, "testsuite", name=_legal(module))
        if run.started:
            suite.set("timestamp", _legal(run.started))
        for subject in subjects:
            for result in subject.properties:
                _case(suite, subject, result)
        _totals(suite, [p for s in subjects for p in s.properties])
    _totals(root, [p for s in run.subjects for p in s.properties])
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, subject: SubjectResult, result: PropertyResult) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_legal(subject.name),
        name=_legal(f"{result.name} [{result.dtype}]"),
        time=f"{result.seconds:.3f}",
    )
    if subject.source.get("file"):
        case.set("file", _legal(relative(str(subject.source["file"]))))
        case.set("line", _legal(str(subject.source.get("line", 1))))
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("points", str(result.points)),
        ("grade_factor", ulps(result.grade_factor)),
        ("grade", result.grade or ""),
    ):
        ET.SubElement(properties, "property", name=name, value=_legal(value))
    text = _legal(_details(subject, result))
    message = _legal(_message(result))
    if result.verdict is Verdict.ERROR:
        ET.SubElement(case, "error", type="error", message=message).text = text
    elif result.verdict.fails:
        ET.SubElement(case, "failure", type=result.verdict.value, message=message).text = text
    elif result.verdict is Verdict.INCONCLUSIVE:
        ET.SubElement(case, "skipped", message=message)


def _message(result: PropertyResult) -> str:
    said = result.counterexample.message if result.counterexample else ""
    return f"{result.verdict}: {said or result.reason or result.name}"


def _details(subject: SubjectResult, result: PropertyResult) -> str:
    c = result.counterexample
    lines = [_message(result)]
    if subject.diagnosis:
        lines.append(f"diagnosis: {subject.diagnosis}")
    if c:
        lines += [f"{k} = {decimal(v)}" for k, v in {**c.inputs, **c.tangents, **c.cotangents}.items()]
        if c.oracle:  # else there are no two values: the code raised, or answered in another form
            lines.append(
                f"{entry_name(c.argument, c.entry)}: got {decimal(c.got)}, "
                f"expected {expected_words(c.expected)} ({c.oracle})"
            )
        lines += [f"region: {c.region}", f"replay: backprove replay {shlex.quote(c.id)}"]
    return "\n".join(lines)


def _totals(element: ET.Element, results: list[PropertyResult]) -> None:
    verdicts = [r.verdict for r in results]
    element.set("tests", str(len(verdicts)))
    element.set("failures", str(sum(v in (Verdict.FALSIFIED, Verdict.INACCURATE) for v in verdicts)))
    element.set("errors", str(verdicts.count(Verdict.ERROR)))
    element.set("skipped", str(verdicts.count(Verdict.INCONCLUSIVE)))
    element.set("time", f"{sum(r.seconds for r in results):.3f}")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
