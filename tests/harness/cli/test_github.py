"""What GitHub Actions is told: annotations that no name or message can break out of, and the step summary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backprove.harness.cli import github
from backprove.harness.cli.main import main
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
HOSTILE = "a\n::set-env name=X::y\r\n%0A::error::z\u2028##[error]w, :"


def subject(name: str, verdict: Verdict, file: str = "", *, reason: str = "", finding: str = "") -> SubjectResult:
    result = PropertyResult("vjp", "float64", verdict, 10, reason=reason, findings=[finding] if finding else [])
    return SubjectResult("rule", name, properties=[result], source={"file": file, "line": 7} if file else {})


def run_of(*subjects: SubjectResult) -> RunResult:
    return RunResult("check", "0", 0, list(subjects))


def test_levels_follow_the_verdict_worst_first(tmp_path: Path) -> None:
    run = run_of(
        subject("plain", Verdict.HOLDS),
        subject("noted", Verdict.HOLDS, finding="it is lost"),
        subject("open", Verdict.INCONCLUSIVE),
        subject("wrong", Verdict.FALSIFIED, str(tmp_path / "src" / "mine.py"), reason="off by two"),
        subject("broken", Verdict.ERROR, "/elsewhere/theirs.py", reason="raised"),
    )
    assert github.annotation_lines(run, {"GITHUB_WORKSPACE": str(tmp_path)}) == [
        "::error file=/elsewhere/theirs.py,line=7,title=backprove%3A broken::broken is error.%0Avjp, float64: raised",
        "::error file=src/mine.py,line=7,title=backprove%3A wrong::wrong is falsified.%0Avjp, float64: off by two",
        "::warning title=backprove%3A open::open is inconclusive: no layer could tell",
        "::notice title=backprove%3A noted::noted holds. Worth knowing:%0Ait is lost",
    ]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_names_and_messages_cannot_break_out(verdict: Verdict) -> None:
    hostile = subject(HOSTILE, verdict, f"/{HOSTILE}.py", reason=HOSTILE, finding=HOSTILE)
    hostile.diagnosis = HOSTILE
    (line,) = github.annotation_lines(run_of(hostile), {})
    assert len(line.splitlines()) == 1
    command, properties, message = re.fullmatch(r"::(\w+) (.*?)::(.*)", line).groups()  # type: ignore[union-attr]
    assert command in ("error", "warning", "notice")
    assert [p.partition("=")[0] for p in properties.split(",")] == ["file", "line", "title"]
    assert ":" not in properties
    assert re.search("%(?!25|0A|0D|3A|2C)", properties + message) is None


def test_what_github_would_hide_is_counted() -> None:
    lines = github.annotation_lines(run_of(*(subject(f"r{k}", Verdict.FALSIFIED) for k in range(13))), {})
    assert len(lines) == github.SHOWN
    assert "(3 more of this kind" in lines[-1]


def test_nothing_is_said_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = tmp_path / "summary.md"
    github.announce(run_of(subject("wrong", Verdict.FALSIFIED)), {"GITHUB_STEP_SUMMARY": str(summary)})
    with github.commands_stopped({}):
        print("text")
    assert capsys.readouterr().out == "text\n"
    assert not summary.exists()


def test_free_text_is_printed_with_commands_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with github.commands_stopped({"GITHUB_ACTIONS": "true"}):
        print(HOSTILE)
    first, *_, last = capsys.readouterr().out.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert last == f"::{token}::"


def test_the_summary_is_appended_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "summary.md"
    file.write_text("of an earlier command\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    github.announce(run_of(subject("wrong", Verdict.FALSIFIED)), environ)
    text = file.read_text()
    assert text.startswith("of an earlier command\n# wrong is falsified")
    monkeypatch.setattr(github, "SUMMARY_LIMIT", len(text))
    github.announce(run_of(subject("wrong", Verdict.FALSIFIED)), environ)
    assert file.read_text() == text + "\nThe results of a further run of backprove do not fit into this summary; " + (
        "the log has them.\n"
    )


def test_a_summary_that_cannot_be_written_changes_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}
    github.announce(run_of(subject("wrong", Verdict.FALSIFIED)), environ)
    out = capsys.readouterr()
    assert out.out.startswith("::error title=")
    assert "cannot be written" in out.err


def test_the_command_annotates_the_line_of_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (DATA / "logsoftmax_wrong.py").read_text()
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert main(["check", "mine.py", "--points", "50", "--dtype", "float64"]) == 1
    lines = capsys.readouterr().out.splitlines()
    place = source[: source.index("bp.Rule(")].count("\n") + 1
    [annotation] = [line for line in lines if line.startswith("::error")]
    assert annotation.startswith(
        f"::error file=mine.py,line={place},title=backprove%3A logsoftmax::logsoftmax is falsified."
    )
    assert "%0AAgain: backprove replay " in annotation
    tokens = [f"::{line.rpartition('::')[2]}::" for line in lines if line.startswith("::stop-commands::")]
    assert len(tokens) >= 2 and all(t in lines for t in tokens)
    assert lines[0].startswith("::stop-commands::") and lines.index(annotation) > lines.index(tokens[0])
    assert "logsoftmax is falsified" in (tmp_path / "summary.md").read_text()
