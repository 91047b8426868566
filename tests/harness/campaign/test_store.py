"""The store of the last runs: whole files only, whatever ends a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backprove.harness.campaign.store import KEPT_RUNS, Store, run_name
from backprove.harness.core.files import digest_of_files, fingerprint
from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict


def subject(name: str, points: int = 10) -> SubjectResult:
    return SubjectResult("rule", name, "rules.py", [PropertyResult("vjp", "float64", Verdict.HOLDS, points, 1.0)])


def part(points: int) -> list[PropertyResult]:
    return [PropertyResult("vjp", "float64", Verdict.HOLDS, points)]


def files(home: Path) -> list[Path]:
    return sorted(p for p in (home / "runs").rglob("*") if p.is_file())


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    store = Store(home)
    assert store.begin("run", resume=True) == {}
    store.add("run", subject("a"))
    store.add("run", subject("b"))
    again = Store(home)
    assert again.begin("run", resume=True) == {"a": subject("a"), "b": subject("b")}
    assert again.begin("other", resume=True) == {}
    assert again.begin("run", resume=False) == {}
    assert again.begin("run", resume=True) == {}


def test_parts_are_kept_until_their_rule_is_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.begin("run", resume=False)
    store.add_part("run", ("a", "float64", 0), part(5), seed=3)
    store.add_part("run", ("a", "float64", 10), part(6), seed=3)
    store.add_part("run", ("b", "float32", 0), part(7), seed=3)
    keys = {("a", "float64", 0): part(5), ("a", "float64", 10): part(6), ("b", "float32", 0): part(7)}
    assert Store(tmp_path).parts("run") == keys
    record = json.loads(files(tmp_path)[0].read_text())
    assert record["seed"] == 3 and {"python", "numpy", "jax", "backprove"} <= set(record["versions"])
    store.add("run", subject("a", 11), seed=3)
    assert set(store.parts("run")) == {("b", "float32", 0)}
    assert store.begin("run", resume=True) == {"a": subject("a", 11)}


def test_what_is_damaged_or_left_behind_is_ignored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.begin("run", resume=False)
    store.add("run", subject("a"))
    store.add("run", subject("b"))
    first = files(tmp_path)[0]
    first.write_text(first.read_text()[:-20])  # a power cut
    (tmp_path / "runs" / "run" / ".b.json.1.tmp").write_text("{")
    (tmp_path / "runs" / "run" / "c.json").write_text("[1, 2]")
    (tmp_path / "runs" / "run" / "d.json").write_text("[" * 200_000)
    (tmp_path / "runs" / "run" / "e.json").write_bytes(b"\xff")
    assert len(Store(tmp_path).begin("run", resume=True)) == 1
    assert not list((tmp_path / "runs").rglob("*.tmp"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema":1', '"schema":2'),
        ('"schema":1,', ""),
        ('"points":10', '"points":"10"'),
        ('"points":10', '"points":-1'),
        ('"points":10,', ""),
        ('"points":10', '"points":10,"further":0'),
        ('"max_ulp":1.0', '"max_ulp":NaN'),
        ('"max_ulp":1.0', '"max_ulp":1e999'),
        ('"verdict":"holds"', '"verdict":"true"'),
        ('"histogram":[0,', '"histogram":['),
    ],
)
def test_a_record_that_is_not_as_it_was_written_is_set_aside(tmp_path: Path, old: str, new: str) -> None:
    store = Store(tmp_path)
    store.begin("run", resume=False)
    store.add("run", subject("a"))
    (file,) = files(tmp_path)
    text = file.read_text()
    assert store.begin("run", resume=True) == {"a": subject("a")} and old in text
    file.write_text(text.replace(old, new))
    assert store.begin("run", resume=True) == {}


def test_a_full_disk_leaves_whole_files_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.begin("run", resume=False)
    store.add("run", subject("a"))

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as f:
            f.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", half)
        store.add("run", subject("b"))
        store.add_part("run", ("c", "float64", 0), part(5))
    err = capsys.readouterr().err
    assert err.count("warning") == 1 and "No space left on device" in err
    assert [json.loads(f.read_text())["name"] for f in files(tmp_path)] == ["a"]
    store.add("run", subject("b"))  # there is room again
    assert set(store.begin("run", resume=True)) == {"a", "b"}


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
    store.add("run", subject("a"))
    store.add_costs({"a": 1.0})
    assert store.crash("traceback") is None
    assert capsys.readouterr().err.count("warning") == 1


def test_costs_are_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.costs() == {}
    store.add_costs({"a": 1.0, "b": 2.0})
    store.add_costs({"b": 3.0})
    assert Store(tmp_path).costs() == {"a": 1.0, "b": 3.0}
    for broken in ("[]", '{"a": "1.0"}', '{"a": NaN}', "[" * 200_000):
        (tmp_path / "costs.json").write_text(broken)
        assert store.costs() == {}


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


def test_the_fingerprint_is_of_code_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rules.py"
    file.write_text("x = 1\n")
    first = fingerprint(file)
    assert first == fingerprint(file) != fingerprint()
    file.write_text("x = 2\n")
    assert first != fingerprint(file)
    file.write_text("x = 1\n")
    monkeypatch.setattr("backprove.harness.core.files.versions", lambda: {"jax": "0.1"})
    assert first != fingerprint(file)
