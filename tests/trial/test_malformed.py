"""Files, options and ids that are not what they should be are wrong use or passed over, never an internal error."""

from __future__ import annotations

import base64
import json
import random
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.campaign import workers
from backprove.harness.campaign.finding import find_jobs
from backprove.harness.cli import options
from backprove.harness.cli.main import build_parser, main
from backprove.harness.cli.verify import _checked_gate, gate_config
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.replay import Payload, decode_id, encode_id
from backprove.reports.summary import load_run, results_json
from backprove.reports.write import write_reports

DATA = Path(__file__).parents[1] / "data"


def a_run() -> RunResult:
    subject = SubjectResult("rule", "twice", "twice.py", [PropertyResult("vjp", "float64", Verdict.HOLDS, 10, 0.5)])
    return RunResult("check", "1", 0, [subject])


def spoiled(text: str) -> Iterator[str | bytes]:
    """A text of JSON cut short, with a value of another kind at every place, and what is no JSON at all."""
    yield from (text[:k] for k in range(0, len(text), max(len(text) // 12, 1)))
    yield from ("[" * 200_000, '{"a":' * 50_000, "null", "[]", "{}", "1e999", "NaN", '"\\ud800"', b"\xff\xfe\0\0")

    def elsewhere(value: Any, depth: int = 0) -> Iterator[Any]:
        if isinstance(value, dict) and depth < 4:
            for key, part in value.items():
                yield {k: v for k, v in value.items() if k != key}
                yield from (value | {key: other} for other in ("x", -1, None, [[]], {"no": 1}) if other != part)
                yield from (value | {key: p} for p in elsewhere(part, depth + 1))
        elif isinstance(value, list) and value and depth < 4:
            yield from ([p, *value[1:]] for p in elsewhere(value[0], depth + 1))

    found = [json.dumps(v) for v in elsewhere(json.loads(text))]
    yield from random.Random(0).sample(found, min(len(found), 60))


STORED = list(spoiled(results_json(a_run())))


@pytest.mark.parametrize("group", range(4))
def test_a_broken_earlier_report_is_set_aside(group: int, tmp_path: Path) -> None:
    for i, content in enumerate(STORED[group::4]):
        out = tmp_path / str(i)
        out.mkdir()
        for name in ("results.json", "previous.json", "history.jsonl"):
            (out / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        assert (out / "index.html") in write_reports(a_run(), out)
        assert load_run(out).subjects[0].name == "twice"


def test_a_stored_run_that_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    refused = 0
    for content in STORED:
        (tmp_path / "results.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            load_run(tmp_path)
        except UsageError as e:
            refused += 1
            assert "results.json" in str(e)
    assert refused > len(STORED) / 2


GATES = [
    "tool=5", "[tool]\nbackprove=3", "[tool.backprove]\nfail_under='x'", "[tool.backprove]\nfail_under=nan",
    "[tool.backprove]\nfail_under=true", "[tool.backprove]\nfail_under=101", "[tool.backprove]\nfail_under=[1]",
    "[tool.backprove]\ninconclusive_limit=2", "[tool.backprove]\ninconclusive_limit='1'",
    "[tool.backprove]\nfail_on='falsified'", "[tool.backprove]\nfail_on=[1]", "[tool.backprove]\nfail_on=['holds']",
    "[tool.backprove]\nfail_on=[['a']]", "[tool.backprove]\nbaseline=5", "[tool.backprove]\nbaseline=['a']",
    "[tool.backprove]\nbaseline='nowhere'", "[tool.backprove]\nbaseline='pyproject.toml'",
    "[tool.backprove]\nunknown=1", "[tool.backprove", "\0", "[[tool]]\nbackprove=1", "[tool.backprove]\nfail_under=-1",
]  # fmt: skip


@pytest.mark.parametrize("content", GATES)
def test_a_gate_is_refused_before_the_run(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text(content)
    with pytest.raises(UsageError):
        _checked_gate(gate_config(Path("pyproject.toml")))


def ids() -> list[str]:
    """Damaged ids, and whole ones whose content is not a point."""
    whole = encode_id(Payload("rule", "r", "r.py", "vjp", "float64", {"x": ["0x1.0p+0"]}, {}, {"out": [1.0]}))
    found = [whole[:k] for k in range(0, len(whole), 9)] + [
        whole + "A",
        whole[::-1],
        "x" * 17,
        "x0123456789abcdef",
        "",
        " ",
    ]
    found += ["\0", "é", "\ud800", "=" * 40, "A" * 100_000]
    plain = json.loads(zlib.decompress(base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4))))
    wrong: list[Any] = [[], None, 5, {}, {**plain, "inputs": 3}, {**plain, "kind": []}, {**plain, "name": None}]
    wrong += [
        {**plain, "more": 1},
        {**plain, "inputs": {"x": {"y": 1}}},
        {**plain, "tangents": [1]},
        {**plain, "file": 0},
    ]
    texts = [json.dumps(w).encode() for w in wrong] + [b"\xff", b"[" * 100_000, b"x" * (1 << 21)]
    return found + [base64.urlsafe_b64encode(zlib.compress(t)).decode().rstrip("=") for t in texts]


def test_what_is_no_id_is_wrong_use() -> None:
    for identifier in ids():
        with pytest.raises(UsageError):
            decode_id(identifier)


@pytest.mark.parametrize(
    ("file", "name", "property_", "dtype"),
    [
        ("nowhere.py", "r", "vjp", "float64"),
        ("/dev/zero", "r", "vjp", "float64"),
        ("", "r", "vjp", "float64"),
        ("r.py", "other", "vjp", "float64"),
    ],
)
def test_an_id_that_names_something_else(
    file: str, name: str, property_: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backprove.harness.statements.loading import find_subject

    monkeypatch.chdir(tmp_path)
    Path("r.py").write_text(
        "import numpy as np, backprove as bp\n"
        "r = bp.Rule('r', forward=np.sin, vjp=lambda x, g: g, inputs={'x': bp.array('n')})\n"
    )
    with pytest.raises(UsageError):
        find_subject("rule", name, file)


OPTIONS = [
    ["--points", "0"], ["--points", "-1"], ["--points", "1.5"], ["--points", "1e300"], ["--points", "nan"],
    ["--points", "x"], ["--points", ""], ["--points"], ["--dtype", "float8"], ["--dtype", ""], ["--seed", "x"],
    ["--seed", "-1"], ["--seed", "1e3"], ["--profile", "fast"], ["--accuracy", "0"], ["--accuracy", "inf"],
    ["--accuracy", "x"], ["--executor", "threads"], ["--executor", "process:0"], ["--executor", "process:x"],
    ["--executor", "process:-1"], ["--executor", "process:1e3"], ["--executor", "dask"], ["--executor", "dask:"],
    ["--executor", ""], ["--timeout", "0"], ["--timeout", "-1"], ["--timeout", "nan"], ["--timeout", "x"],
    ["--out", "file/below"], ["--out", "file"], ["--json", "."], ["--json", "file/x.json"], ["--json", "no/where.json"],
    ["--json", "x" * 5000], ["--out", "x" * 5000], ["--json", "a\0b"], ["--out", "a\0b"], ["--unknown"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", OPTIONS, ids=lambda a: " ".join(a)[:20].replace("\0", "0"))
def test_options_that_make_no_sense(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert main(["check", "rules.py", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("backprove") and "Traceback" not in err
    assert not Path(".backprove").exists()


FILES = [
    "", "x = 1", "1/0", "import no_such_module", "def f(:", "\0", "raise SystemExit(3)", "raise KeyboardInterrupt",
    "import os; os._exit(0)", "import backprove as bp; r = bp.Rule('r')",
    "import backprove as bp; r = bp.Rule(3, forward=3)",
    "# coding: nothing\nx = 1", "import sys; sys.stdout.close()",
    "class E(BaseException):\n  def __str__(self): 1/0\nraise E",
    "raise ValueError('\\ud800\\x1b[31m')", "import sys; sys.setrecursionlimit(60)", "import json; json.dumps = None",
]  # fmt: skip


def test_files_that_state_no_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(DATA)])
    monkeypatch.setattr(workers, "ENGINE", "fake_engine")
    worker = workers.Worker()
    for i, content in enumerate(FILES):
        file = tmp_path / f"rules{i}.py"
        file.write_bytes(content.encode())
        with pytest.raises(UsageError, match=f"rules{i}.py"):
            find_jobs(worker, str(file), timeout=20)
    worker.stop()


def test_there_are_as_many_as_are_promised() -> None:
    _, commands = build_parser()
    assert options.MOST_POINTS > 1e9 and commands
    assert 3 * len(STORED) + len(GATES) + len(ids()) + len(OPTIONS) + len(FILES) >= 250
