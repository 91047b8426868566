"""Ids of failing points, and the store of the last runs."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprove.harness.errors import UsageError
from backprove.harness.replay import (
    KEPT_RUNS,
    LONGEST,
    Store,
    decode_id,
    digest_of_files,
    encode_id,
    payload_of,
    run_name,
)
from backprove.harness.result import Counterexample, PropertyResult, SubjectResult
from backprove.harness.verdict import Verdict


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
        decode_id(identifier, store)
    store.begin("run", resume=False)
    store.add("run", subject)
    assert decode_id(identifier, Store(tmp_path)) == payload(subject)


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


def test_an_interrupted_run_is_resumed_without_its_broken_line(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "home")
    assert store.begin("run", resume=True) == {}
    store.add("run", failing("a", [1.0]))
    store.add("run", failing("b", [2.0]))
    [file] = (tmp_path / "deep" / "home" / "runs").iterdir()
    file.write_text(file.read_text()[:-20])
    again = Store(tmp_path / "deep" / "home")
    assert list(again.begin("run", resume=True)) == ["a"]
    again.add("run", failing("b", [2.0]))
    assert again.begin("run", resume=True) == {"a": failing("a", [1.0]), "b": failing("b", [2.0])}
    assert again.begin("run", resume=False) == {}
    assert again.begin("run", resume=True) == {}


def test_the_store_keeps_the_last_runs_and_stays_out_of_version_control(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for k in range(KEPT_RUNS + 3):
        store.begin(f"run{k}", resume=False)
    assert len(list((tmp_path / "runs").iterdir())) == KEPT_RUNS
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_a_store_that_cannot_be_written_only_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "home")
    assert store.begin("run", resume=True) == {}
    store.add("run", failing("a", [1.0]))
    assert store.crash("traceback") is None
    assert capsys.readouterr().err.count("warning") == 1


def test_the_home_of_the_store_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPROVE_HOME", str(tmp_path / "elsewhere"))
    assert Store().home == tmp_path / "elsewhere"


def test_the_digest_of_a_folder_sees_every_file_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a.py").write_text("x = 1\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = digest_of_files(tmp_path / "link")
    assert before == digest_of_files(tmp_path / "real")
    (tmp_path / "real" / "deep" / "a.py").write_text("x = 2\n")
    assert before != digest_of_files(tmp_path / "link")


def test_a_run_is_named_by_what_decides_it() -> None:
    assert run_name(points=10, seed=0) == run_name(seed=0, points=10) != run_name(points=11, seed=0)
    assert LONGEST < 500
