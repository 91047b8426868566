"""Progress: plain lines in logs, a bar on a terminal."""

from __future__ import annotations

import io

from backprove.harness.campaign.progress import Bar, Lines, make_progress
from backprove.harness.core.texts import printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_few_plain_lines() -> None:
    log = io.StringIO()
    progress = make_progress("rules", 3, log)
    assert isinstance(progress, Lines)
    with progress:
        for name in ("a", "b", "c"):
            for step in range(100):
                progress.update(name, step, 100)
            progress.finished(name, "falsified" if name == "b" else "holds")
    assert log.getvalue() == "3/3 rules, 1 refused, 0 s\n"


def test_a_log_hears_of_a_long_run() -> None:
    log = io.StringIO()
    progress = Lines("rules", 2, log, interval=0.0)
    progress.update("slow", 1, 2)
    assert log.getvalue() == "0/2 rules, 0 s, at slow\n"


def test_a_terminal_gets_a_bar_that_moves_within_a_rule() -> None:
    terminal = Terminal()
    progress = make_progress("rules", 2, terminal)
    assert isinstance(progress, Bar)
    with progress:
        progress.update("a", 1, 2)
        assert progress.bar.tasks[0].completed == 0.5
        progress.finished("a", "holds")
        progress.finished("b", "error")
        assert progress.bar.tasks[0].completed == 2
    assert "2/2 rules, 1 refused" in terminal.getvalue()


HOSTILE = "[red]a[/red]\x1b[31m\r\n\u202e\ud800 é"
SHOWN = r"[red]a[/red]\x1b[31m\r\n\u202e\ud800 é"


def test_a_name_is_shown_in_one_line_whatever_it_holds() -> None:
    log, terminal = io.StringIO(), Terminal()
    Lines("rules", 2, log, interval=0.0).update(HOSTILE, 1, 2)
    assert log.getvalue() == f"0/2 rules, 0 s, at {SHOWN}\n"
    bar = Bar("rules", 2, terminal)
    bar.bar.console.width = 200
    with bar:
        bar.update(HOSTILE, 1, 2)
    assert SHOWN in terminal.getvalue() and "\x1b[31m" not in terminal.getvalue()
    assert printable("two words, é") == "two words, é"


def test_steps_without_a_total_count_nothing() -> None:
    progress = Lines("rules", 1, io.StringIO())
    progress.update("a", 3, 0)
    assert progress.completed == 0
