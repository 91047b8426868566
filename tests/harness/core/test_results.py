"""The records of a run: each reads back the same, and a wrong type in any field is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backprove.harness.core.evidence import Approximation, Evidence, LeftOut, SizeSeen
from backprove.harness.core.handwritten import Cover, Handwritten, Span, Survey, Unread
from backprove.harness.core.records import Malformed, Record, from_json, from_plain, to_json, to_plain
from backprove.harness.core.results import (
    BINS,
    Counterexample,
    Kind,
    LayerTally,
    PropertyResult,
    RunResult,
    Spot,
    SubjectResult,
)
from backprove.harness.core.verdicts import Verdict

SPOT: Spot = {"inputs": {"x": [1.0]}, "cotangent": 1.0, "got": [1.0], "expected": [None]}
POINT = Counterexample(
    "id", "vjp", "float64", {"x": [[1.0, 2], [None, True]], "k": 3}, {"x": [["0x1p0"]], "k": 3}, {"x": 1.0},
    {"out": [1.0]}, "x", [0, 1], 0.5, [0.0, 1.0], "balls", "tie", "test", "message", {"rule": [[1.0, None]]},
    "example 2",
)  # fmt: skip
TALLY = LayerTally(4, 1, 2, 1, 1, 1, 0.5, "note")
EVIDENCE = Evidence(
    {"n=3": SizeSeen("full", 3, {"exact": 2})}, {"n=1": LeftOut("reason", "text", True)}, {"wide": 2}, {"wide": 1},
    "advice", 4, 3, True, {"plain": 2}, Approximation(4.0, "the reference", 0.5), "unasked",
)  # fmt: skip
PROPERTY = PropertyResult(
    "vjp", "float64", Verdict.FALSIFIED, 10, 2.5, POINT, "reason", "lossy", 20.0, "large", {"exact": TALLY},
    list(range(BINS)), {"kink": 1}, {"n=3": 2}, {"tie": 3}, ["note"], ["finding"], ["key"], 0.25,
    EVIDENCE,
)  # fmt: skip
SUBJECT = SubjectResult(
    "rule", "r", "rules.py", [PROPERTY, PropertyResult("jvp", "float32")], "statement", "hypotheses", "kind", "latex",
    "words", ["a"], ["b"],
    {"file": "r.py", "line": 3, "spots": [SPOT]},
    "code", "diagnosis", {"mutants": 3, "equivalent": 1, "killed": 1, "survivors": ["s"]}, {"vjp": "traced"},
    "softmax", "2026-11-30 12:00 UTC",
)  # fmt: skip
SURVEY = Survey(
    "package", "/folder", 3, [Unread("b.py", "why")],
    [Handwritten("f", "jax.custom_vjp", "a.py", 4, [Span("map", 4, 6, "text")], [Cover("r", "by identity")])],
)  # fmt: skip
RUN = RunResult(
    "check", "0.1.0", 7, [SUBJECT], {"python": "3.11"}, {"points": 10, "dtypes": ["float64"], "accuracy": None},
    {"documented": {"declared": 4, "executable": 3, "covered": 2, "holds": 1}},
    [{"name": "n", "module": "m", "executable": False, "why_not": "w", "covered_by": ["r"]}],
    "2026-11-21T12:00:00Z", 1.5, True, {"passed": False, "reasons": ["reason"]}, 1, SURVEY,
)  # fmt: skip


@pytest.mark.parametrize("record", [POINT, TALLY, PROPERTY, SUBJECT, RUN], ids=lambda r: type(r).__name__)
def test_every_record_reads_back_the_same(record: Record) -> None:
    again = from_json(to_json(record), type(record))
    assert again == record and to_json(again) == to_json(record)
    assert all(getattr(record, name) for name in record.__struct_fields__), "a field that is empty proves nothing"


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything below `data`."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = data.copy()
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("path", list(places(to_plain(RUN))), ids=lambda p: ".".join(map(str, p)))
def test_a_wrong_type_at_any_place_is_refused(path: tuple[Any, ...]) -> None:
    """No field holds an object that has a key of no meaning."""
    with pytest.raises(Malformed):
        from_plain(changed(to_plain(RUN), path, {"no such key": [{}]}), RunResult)


@pytest.mark.parametrize("name", RunResult.__struct_fields__)
def test_a_missing_field_is_refused(name: str) -> None:
    data = to_plain(RUN)
    del data[name]
    with pytest.raises(Malformed, match="missing"):
        from_plain(data, RunResult)


@pytest.mark.parametrize(
    ("name", "value"),
    [("points", -1), ("points", 2**60), ("points", 1.0), ("grade", "good"), ("histogram", [0]), ("verdict", "true")],
)
def test_a_value_that_no_run_gives_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Malformed, match=rf"at `\$\.{name}`"):
        from_plain(changed(to_plain(PROPERTY), (name,), value), PropertyResult)


@pytest.mark.parametrize(("kind", "file"), [("rule", "rules.py"), ("theorem", "")])
def test_code_of_a_user_is_found_in_its_file_and_a_theorem_by_its_name(kind: Kind, file: str) -> None:
    assert SubjectResult(kind, "square", "rules.py").file == file
