"""The command line: options, exit statuses, what is printed and what stays on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from backprove.harness.campaign import workers
from backprove.harness.cli import mutate, options, replay, verify
from backprove.harness.cli.main import main
from backprove.harness.cli.session import exit_words
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Exit, Verdict
from backprove.harness.explaining.replay import Payload, encode_id

DATA = Path(__file__).parents[2] / "data"
WRONG, RIGHT = DATA / "logsoftmax_wrong.py", DATA / "logsoftmax_right.py"

HERE = ("--executor", "serial")
"""The stubs live in this process."""


def write_reports(run: RunResult, out: Path) -> list[Path]:
    """As much of the report as these tests need."""
    from backprove.reports.summary import results_json

    file = out / "results.json"
    file.write_text(results_json(run))
    return [file]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, the stand-in for the engine, and no page to write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKPROVE_HOME", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p] + [str(DATA)])
    monkeypatch.setattr(workers, "ENGINE", "fake_engine")
    monkeypatch.setattr(verify, "THEOREMS", "fake_engine")
    monkeypatch.setattr(replay, "EVALUATE", "fake_engine")
    stub = ModuleType("backprove.reports.write")
    stub.__dict__["write_reports"] = write_reports
    monkeypatch.setitem(sys.modules, "backprove.reports.write", stub)


def theorems(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Let `verify` see three theorems of which the stand-in thinks as `words` say."""
    import fake_engine  # type: ignore[import-not-found]

    stub = ModuleType("stated")
    stub.__dict__["load"] = lambda: fake_engine.load(words)
    monkeypatch.setitem(sys.modules, "stated", stub)
    monkeypatch.setattr(verify, "THEOREMS", "stated")


def read(file: str) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not strict JSON")

    return json.loads(Path(file).read_text(), parse_constant=refuse)


def test_the_command_line_starts_without_what_reads_records() -> None:
    code = "import sys; from backprove.harness.cli import main; print('msgspec' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_main_process_does_not_import_what_its_workers_do() -> None:
    code = (
        "import sys; sys.path.append(sys.argv.pop())\n"
        "from backprove.harness.campaign import workers\n"
        "from backprove.harness.cli import main, verify\n"
        "workers.ENGINE = verify.THEOREMS = 'fake_engine'\n"
        "status = main.main(['verify', '--executor', 'process:1'])\n"
        "print(sorted({'fake_engine', 'numpy', 'jax', 'hypothesis'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(DATA)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]" and "3 " in run.stdout


def test_help_starts_at_once_without_numpy() -> None:
    code = (
        "import sys; from backprove.harness.cli.main import main; status = main(['--help'])\n"
        "assert not {'numpy', 'jax', 'pandas', 'rich', 'hypothesis'} & set(sys.modules); sys.exit(status)"
    )
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=DATA.parents[1], capture_output=True, text=True, check=False
        )
        times.append(time.perf_counter() - started)
        assert done.returncode == 0 and "verify" in done.stdout, done.stderr
    assert min(times) < 1.0  # 0.1 s on an idle machine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "--pionts", "100"], "no option --pionts; did you mean --points?"),
        (["check", "--sed", "1", str(WRONG)], "no option --sed; did you mean --seed?"),
        (["verfy"], "no command 'verfy'; did you mean verify?"),
        (["--versoin"], "no option --versoin; did you mean --version?"),
        ([], "no command given"),
        (["check"], "required: FILE"),
        (["verify", "--points", "1.5"], "expected a positive whole number such as 10000 or 1e7, got '1.5'"),
        (["verify", "--points", "0"], "positive whole number"),
        (["verify", "--timeout", "-1"], "positive number"),
        (["verify", "--dtype", "float"], "invalid choice: 'float'"),
        (["verify", "--seed", "-1"], "--seed must not be negative"),
        (["verify", "--executor", "cloud"], "--executor 'cloud' is unknown"),
        (["verify", "--executor", "process:0"], "--executor 'process:0' is unknown"),
        (["check", "missing.py"], "missing.py does not exist"),
        (["check", str(DATA)], "is a folder"),
        (["check", f"{DATA}/no_rule.py"], "no rule found"),
        (["check", f"{DATA}/wrong_parameters.py"], "wrong number of parameters"),
        (["check", f"{DATA}/several_rules.py::nothing"], "no rule is called 'nothing'"),
        (["replay", "nonsense"], "is not an id"),
        (["report"], "give a folder of results"),
        (["report", "no_such_folder"], "no_such_folder"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in out + err


def test_a_wrong_rule_is_refused_in_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(WRONG), "--json", "out.json", "--points", "1e2", "--dtype", "float64"]) == 1
    out = capsys.readouterr().out
    for part in ("rule        vjp", "logsoftmax  falsified", "z[0, 1]", "exit status 1: something is falsified"):
        assert part in out, out
    found = read("out.json")
    assert (found["ok"], found["exit"], found["seed"]) == (False, 1, 0)
    [rule] = found["rules"]
    assert (rule["name"], rule["verdict"]) == ("logsoftmax", "falsified")
    assert [(p["dtype"], p["points"]) for p in rule["properties"]] == [("float64", 100)]
    assert rule["properties"][0]["counterexample"]["entry"] == [0, 1]


def test_a_right_rule_passes_in_the_default_formats_and_writes_a_report_where_asked() -> None:
    assert main(["check", str(RIGHT), "--out", "report"]) == 0
    run = read("report/results.json")
    assert [p["dtype"] for p in run["subjects"][0]["properties"]] == ["float64", "float32"]
    assert run["subjects"][0]["properties"][0]["points"] == 10_000
    assert "logsoftmax_backward" in run["subjects"][0]["code"] and run["partial"] is False
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", f"{DATA}/wrong_shape.py"], 1),
        (["check", f"{DATA}/forward_raises.py"], 6),
        (["check", f"{DATA}/several_rules.py::doubled"], 0),
        (["check", f"{DATA}/several_rules.py", "--only", "d*"], 0),
        (["check", f"{DATA}/several_rules.py", "--only", "nothing*"], 5),
        (["check", f"{DATA}/several_rules.py::RULES", "--executor", "process:2"], 1),
        (["verify", "--only", "nothing*"], 5),
        (["verify", "--only", "sumExp_pos", "--timeout", "60"], 0),
        (["verify", "--only", "Proofs.*logSoftmaxVec"], 0),
        (["list"], 0),
        (["list", "--only", "nothing*"], 5),
        (["--version"], 0),
    ],
)
def test_exit_statuses(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    assert "Traceback" not in "".join(capsys.readouterr())


def test_verify_tells_modules_failures_coverage_and_where_the_report_lies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--points", "50", "--json", "out.json"]) == 1
    out, err = capsys.readouterr()
    for part in ("theorems  holds", "1 falsified", "coverage, documented: 3 of", "report: reports/out/index.html"):
        assert part in out, out
    assert "Proofs.Autograd.sumExp_ne_zero: falsified" in out and "3/3 theorems, 1 refused" in err
    assert "\x1b" not in out + err
    found = read("out.json")
    assert [t["name"].rsplit(".")[-1] for t in found["theorems"]] == ["sumExp_pos", "sumExp_ne_zero", "logSoftmaxVec"]
    assert [p["dtype"] for p in found["theorems"][0]["properties"]] == ["float64", "float32", "bfloat16"]
    assert found["coverage"]["documented"]["holds"] == 2
    assert read("reports/out/results.json")["subjects"][0]["statement"]


def test_an_interruption_keeps_what_was_found_and_the_run_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    theorems(monkeypatch, "true", "interrupt", "true")
    assert main(["verify", *HERE]) == 4
    run = read("reports/out/results.json")
    assert run["partial"] is True and run["exit"] == 4
    assert [s["name"] for s in run["subjects"]] == ["Proofs.Autograd.sumExp_pos"]
    theorems(monkeypatch, "bug", "true", "true")  # the first one is not run again
    assert main(["verify", "--resume", *HERE]) == 0
    assert len(read("reports/out/results.json")["subjects"]) == 3
    assert main(["verify", *HERE]) == 3


def test_an_internal_error_is_one_subjects_error_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theorems(monkeypatch, "true", "bug", "true")
    assert main(["verify", *HERE]) == 3
    out, err = capsys.readouterr()
    assert "a mistake of backprove" in out and "the engine has a mistake" in out and "Traceback" not in out + err
    [file] = Path(".backprove").glob("crash-*.txt")
    assert "Traceback" in file.read_text() and str(file) in out
    found = read("reports/out/results.json")["subjects"]
    assert [s["properties"][0]["verdict"] for s in found] == ["holds", "error", "holds"]
    assert main(["check", f"{DATA}/several_rules.py::other"]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_found_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    for arguments in (["--out", "file/below"], ["--out", "file"], ["--json", "file/x.json"], ["--json", "."]):
        assert main(["check", str(WRONG), *arguments]) == 2
        out, err = capsys.readouterr()
        assert arguments[1] in err and out == ""
    assert not Path(".backprove").exists()


def test_profiles() -> None:
    _, commands = __import__("backprove.harness.cli.main", fromlist=["x"]).build_parser()

    def resolved(*arguments: str, **environ: str) -> options.RunOptions:
        return options.resolve(commands["check"].parse_args(["f.py", *arguments]), ("float64",), environ)

    assert (resolved().profile, resolved().points, resolved().seed) == ("dev", 10_000, 0)
    assert (resolved(CI="true").profile, resolved(CI="true").points) == ("ci", 10_000)
    assert resolved("--profile", "nightly", CI="true").points == 1_000_000
    assert resolved("--profile", "nightly", "--points", "1e7").points == 10_000_000
    assert resolved("--dtype", "float16", "--dtype", "float32").dtypes == ("float16", "float32")
    assert resolved("--executor", "process:3").executor.count == 3
    assert resolved("--accuracy", "16").engine["accuracy"] == 16.0


def test_replay_says_whether_the_point_still_fails(capsys: pytest.CaptureFixture[str]) -> None:
    point = Payload("rule", "twice", "twice.py", "vjp", "float64", {"x": ["0x1.0p+0"]}, {}, {"out": [1.0]})
    assert main(["replay", encode_id(point)]) == 1
    assert "still 3.0, expected 2.0" in capsys.readouterr().out
    assert main(["replay", encode_id(replace(point, property="jvp"))]) == 0
    assert "twice, jvp, float64: this point passes now" in capsys.readouterr().out


def test_mutate_tells_what_survives(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    survivor = {"name": "relu", "mutants": 4, "equivalent": 1, "killed": 2, "survivors": ["0.5 -> 0.25"]}
    stub = ModuleType("mutants")
    stub.__dict__["run"] = lambda only, catalogue: {"rules": [survivor] if only is None else []}
    monkeypatch.setitem(sys.modules, "mutants", stub)
    monkeypatch.setattr(mutate, "MUTATE", "mutants")
    assert main(["mutate", "--json", "out.json"]) == 1
    out = capsys.readouterr().out
    assert "survivor of relu: 0.5 -> 0.25" in out and "2 of 3 broken variants refused" in out
    assert read("out.json")["rules"] == [survivor]
    assert main(["mutate", "--only", "nothing"]) == 5


def test_stored_results_are_reported_and_compared_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(WRONG), "--out", "old"]) == 1
    assert main(["check", str(RIGHT), "--out", "new"]) == 0
    capsys.readouterr()
    assert main(["report", "new"]) == 0
    assert capsys.readouterr().out.strip() == "new/results.json"
    assert main(["report", "--diff", "old", "new"]) == 0
    assert "logsoftmax" in capsys.readouterr().out


def test_list_names_what_covers_each_declaration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--only", "sumExp*"]) == 0
    out = capsys.readouterr().out
    assert "sumExp_pos" in out and "its own property" in out and "documented: 3 of" in out


def test_a_gate_in_pyproject_fails_a_run_that_is_past_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[tool.backprove]\nfail_under = 100\n")
    assert main(["verify", "--only", "sumExp_pos"]) == 6
    assert "gate:" in capsys.readouterr().out
    Path("pyproject.toml").write_text("[tool.backprove\n")
    assert main(["verify"]) == 2


def test_what_is_inconclusive_is_not_said_to_hold() -> None:
    open_ = SubjectResult("rule", "r", properties=[PropertyResult("vjp", "float64", Verdict.INCONCLUSIVE)])
    right = SubjectResult("rule", "s", properties=[PropertyResult("vjp", "float64", Verdict.HOLDS, 3)])
    assert exit_words(Exit.OK, RunResult("check", "0", 0, [right, open_])) == "nothing failed, 1 inconclusive"
    assert exit_words(Exit.OK, RunResult("check", "0", 0, [right])) == "all holds"
