"""Ids of failing points."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprove.harness.campaign.store import Store
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import Counterexample, PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.replay import LONGEST, decode_id, encode_id, payload_of


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


def payload(subject: SubjectResult) -> dict[str, Any]:
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


@pytest.mark.parametrize("value", [{}, [], 3, {"name": "a", "property": "vjp", "dtype": "float64"}])
def test_an_id_without_a_point_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="inputs, tangents, cotangents is missing"):
        decode_id(forged(value))
