"""The printed script completes commands and options; bash runs it, of the other shells what it names is looked at."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from backprove.harness.cli.main import COMMANDS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_names_every_command_and_its_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, "fail-under", "catalogue"):
        assert word in script, word


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [(["ver"], {"verify"}), (["c"], {"check", "coverage", "completion"}), (["coverage", "--fail"], {"--fail-under"})],
)
def test_bash_completes(line: list[str], expected: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = " ".join(["backprove", *line])
    call = f'{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(line)}; _shtab_backprove; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "invalid choice: 'csh'" in capsys.readouterr().err
