"""Ids of failing points."""

from __future__ import annotations

import base64
import json
import math
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprove.harness.campaign.store import Store
from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import Counterexample, PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.replay import LONGEST, Payload, decode_id, encode_id, payload_of


def failing(name: str, values: list[float], identifier: str = "") -> SubjectResult:
    hexes = [float.hex(v) for v in values]
    point = Counterexample(
        identifier,
        "vjp",
        "float64",
        {"x": values},
        {"x": hexes},
        {},
        {"out": [1.0]},
        "x",
        [0],
        1.0,
        2.0,
        "balls",
        "tie",
    )
    properties = [PropertyResult("vjp", "float64", Verdict.FALSIFIED, 10, 1.0, point)]
    return SubjectResult("rule", name, "rules.py", properties)


def payload(subject: SubjectResult) -> Payload:
    point = subject.properties[0].counterexample
    assert point is not None
    return payload_of(subject, point)


@given(st.lists(st.floats(), max_size=3), st.text(max_size=10))
def test_a_small_point_lies_in_its_id(values: list[float], name: str) -> None:
    p = payload(failing(name, values))
    identifier = encode_id(p)
    assert len(identifier) <= LONGEST < 500
    assert identifier[0] in "ex"  # no dash, which the command line would take for an option
    if not identifier.startswith("x"):
        assert decode_id(identifier) == p


def test_a_large_point_is_found_in_the_store(tmp_path: Path) -> None:
    subject = failing("big", [1.0 / (k + 1) for k in range(200)])
    identifier = encode_id(payload(subject))
    assert len(identifier) == 17 and identifier.startswith("x")
    subject = failing("big", [1.0 / (k + 1) for k in range(200)], identifier)
    store = Store(tmp_path)
    with pytest.raises(UsageError, match="is not in the store"):
        decode_id(identifier, store.subjects(), str(tmp_path))
    store.begin("run", resume=False)
    store.add("run", subject)
    assert decode_id(identifier, Store(tmp_path).subjects()) == payload(subject)


def forged(value: Any) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(value).encode())).decode().rstrip("=")


@pytest.mark.parametrize("damaged", ["", "hello", "eJ", "ümlaut", forged("x" * 4_000_000), forged({})[:-6]])
def test_what_is_no_id_is_refused(damaged: str) -> None:
    with pytest.raises(UsageError, match="is not an id"):
        decode_id(damaged)


POINT = to_plain(payload(failing("a", [1.0])))


def test_an_id_that_somebody_else_made_is_as_good() -> None:
    assert to_plain(decode_id(forged(POINT))) == POINT


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "missing required field `kind`"),
        ([], "Expected `object`, got `array`"),
        ({**POINT, "kind": "lemma"}, "Invalid enum value 'lemma'"),
        ({**POINT, "inputs": None}, "Expected `object`, got `null`"),
        ({**POINT, "inputs": {"x": [1.5]}}, "got `float`"),
        ({**POINT, "inputs": {"x": {}}}, "got `object`"),
        ({**POINT, "cotangents": {"out": ["1.0"]}}, "got `str`"),
        ({**POINT, "cotangents": {"out": [math.nan]}}, "NaN"),
        ({**POINT, "further": 0}, "unknown field `further`"),
    ],
)
def test_an_id_without_a_point_is_refused(value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"names no point .*{said}"):
        decode_id(forged(value))


def test_an_id_of_deep_nesting_is_refused() -> None:
    deep = base64.urlsafe_b64encode(zlib.compress(b"[" * 200_000)).decode().rstrip("=")
    with pytest.raises(UsageError, match="names no point"):
        decode_id(deep)
