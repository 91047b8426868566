"""Whatever ends a campaign loses at most the items under way and leaves no broken file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.campaign.test_executors import FAKE, environment, results, until

POINTS = "1e6"
WORDS = "true,true part 1 false,true"
PARTS = 5 * 3
"""Parts of each of the three theorems at three dtypes."""

FULL = """
import pathlib

def half(path, content, *_, **__):
    data = content.encode() if isinstance(content, str) else content
    with path.open("wb") as f:
        f.write(data[: len(data) // 2])
    if data:
        raise OSError(28, "No space left on device", str(path))

pathlib.Path.write_text = pathlib.Path.write_bytes = half
"""
"""Every file that is written gets half of its content, and then the disk is full."""

FULL_REPORT = FULL.replace("if data:", "if path.name.startswith('.results.json'):").replace(
    "data[: len(data) // 2]", "data"
)
"""The same from the results on: the store has room, the reports have not."""

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")


class Campaign:
    """Runs of one campaign with the stand-in for the engine, in a folder of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.home, self.out, self.log = folder / "home", folder / "out", folder / "log"
        self.env = environment(root, BACKPROVE_HOME=str(self.home), FAKE_LOG=str(self.log), FAKE_WORDS=WORDS)
        self.folder, self.held = folder, folder / "hold"
        self.program = FAKE

    def start(self, *options: str, hold: int | None = None) -> subprocess.Popen[str]:
        """Start the campaign; all parts after the first `hold` wait until `go_on`, so that it cannot end too early."""
        if hold is not None:
            self.held.touch()
        # a shell that starts the tests in the background has them ignore interrupts
        heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        command = [sys.executable, "-c", heard + self.program, "verify", "--points", POINTS, "--executor", "process:2"]
        command += ["--out", str(self.out), "--resume", *options]
        env = self.env | {"FAKE_HOLD": str(hold)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def go_on(self) -> None:
        self.held.unlink(missing_ok=True)

    def run(self, *options: str) -> tuple[int, str]:
        """The campaign to its end; its exit status and what it printed."""
        self.go_on()
        process = self.start(*options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def kept(self) -> list[Path]:
        return [p for p in self.home.rglob("*.json") if p.name != "costs.json"]

    def check_files(self) -> None:
        """Everything that a reader might open is whole."""
        for file in (*self.home.rglob("*.json"), *self.out.rglob("*.json")):
            json.loads(file.read_text())

    def finish(self, expected: Any, again: int) -> None:
        """Resume to the end: the results of an undisturbed run, and at most `again` items done twice."""
        self.check_files()
        status, text = self.run()
        assert status == 1, text
        assert results(self.out) == expected
        assert not list(self.home.rglob("*.tmp"))
        counts = Counter(self.log.read_text().splitlines())
        assert sum(counts.values()) - len(counts) <= again, counts


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture(scope="module")
def expected(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The results of one process that nothing disturbs."""
    campaign = Campaign(root, tmp_path_factory.mktemp("undisturbed"))
    status, text = campaign.run("--executor", "serial")
    assert status == 1, text
    run = results(campaign.out)
    assert [len(s["properties"]) for s in run["subjects"]] == [3, 3, 3] and not run["partial"]
    assert [p["points"] for p in run["subjects"][1]["properties"]] == [400_000] * 3
    assert len(campaign.log.read_text().splitlines()) == 2 * PARTS + 3 * 2
    return run


@pytest.fixture
def campaign(root: Path, tmp_path: Path) -> Campaign:
    return Campaign(root, tmp_path)


@linux
def test_a_killed_worker_costs_nothing_but_its_item(campaign: Campaign, expected: Any) -> None:
    with ended(campaign.start(hold=6)) as process:
        until(lambda: len(campaign.kept()) > 2)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        campaign.go_on()
        process.communicate(timeout=60)
    assert process.returncode == 1 and results(campaign.out) == expected
    counts = Counter(campaign.log.read_text().splitlines())
    assert sum(counts.values()) - len(counts) <= 1


@linux
def test_after_a_killed_main_process_the_run_goes_on(campaign: Campaign, expected: Any) -> None:
    with ended(campaign.start(hold=8)) as process:
        until(lambda: len(campaign.kept()) > 4)
        workers = children(process.pid)
        process.kill()
    assert len(workers) == 2 and not (campaign.out / "results.json").exists()
    until(lambda: not any(map(alive, workers)), 20)
    campaign.finish(expected, again=2 + 2)  # those under way, and those done but not yet stored


@pytest.mark.parametrize("moment", ["start", "first", "later"])
def test_an_interruption_at_any_moment(campaign: Campaign, expected: Any, moment: str) -> None:
    with ended(campaign.start(hold=16)) as process:
        if moment == "start":
            time.sleep(0.5)
        else:
            until(lambda: len(campaign.kept()) > (0 if moment == "first" else 12))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode != 0 and (moment == "start" or "Traceback" not in out + err)
    assert moment == "start" or process.returncode == 4
    campaign.finish(expected, again=2 + 2)


def test_a_time_limit_gives_a_partial_report(campaign: Campaign, expected: Any) -> None:
    # by one worker: parts that wait must not keep the first theorem from its end
    with ended(campaign.start("--executor", "process:1", hold=PARTS + 1)) as process:
        # the finished theorems are records of their own
        until(lambda: any(p.parent.parent.name == "runs" for p in campaign.kept()))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 4 and "partial: " in out and "--resume goes on from there" in out
    partial = results(campaign.out)
    assert partial["partial"] is True and partial["exit"] == 4
    assert 0 < len(partial["subjects"]) < 3
    assert all(s in expected["subjects"] for s in partial["subjects"])
    campaign.finish(expected, again=2 + 2)


def test_a_full_disk(campaign: Campaign, expected: Any) -> None:
    with ended(campaign.start(hold=8)) as process:
        until(lambda: len(campaign.kept()) > 4)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    before = {p: p.read_bytes() for p in campaign.kept()}
    reports = {p: p.read_bytes() for p in campaign.out.rglob("*") if p.is_file()}

    campaign.program = FULL + FAKE
    status, text = campaign.run()
    assert status == 2 and "Traceback" not in text
    assert text.count("cannot be written (") == 1 and "cannot write reports to" in text
    assert {p: p.read_bytes() for p in before if p.exists()} == before
    assert {p: p.read_bytes() for p in reports} == reports
    assert not list(campaign.home.rglob("*.tmp"))
    campaign.program = FAKE
    campaign.log.unlink()
    campaign.finish(expected, again=0)


def test_what_was_found_is_printed_where_its_report_cannot_be_written(campaign: Campaign) -> None:
    campaign.program = FULL + FAKE
    process = campaign.start("--executor", "serial")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "sumExp_ne_zero: falsified" in out
    assert "exit status 2: wrong use, or a file that cannot be read or written" in out and "report:" not in out
    assert err.count("warning") == 1 and "--resume" not in err  # nothing could be kept
    campaign.program = FULL_REPORT + FAKE
    status, text = campaign.run("--executor", "serial")
    assert status == 2 and f"the results are kept in {campaign.home}, and the same command with --resume" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_on_a_full_disk_does_not_end_the_run(campaign: Campaign, expected: Any) -> None:
    """As of `backprove verify >log 2>&1`; the results are kept and written, and the status tells."""
    command = [sys.executable, "-c", FAKE, "verify", "--points", POINTS, "--executor", "serial"]
    command += ["--out", str(campaign.out)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=campaign.env, cwd=campaign.folder, stdout=full, stderr=full, check=False)
        assert done.returncode == 2 and results(campaign.out) == expected
        done = subprocess.run(
            [*command, "--resume"], env=campaign.env, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.returncode == 1 and b"sumExp_ne_zero: falsified" in done.stdout


def test_a_run_cut_short_before_anything_finished_is_marked_too(campaign: Campaign) -> None:
    with ended(campaign.start(hold=4)) as process:
        until(campaign.kept)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    partial = results(campaign.out)
    assert partial["partial"] is True and partial["exit"] == 4 and partial["subjects"] == []
    assert "partial: 0 theorems ran before the end" in out and "report: " in out
    assert "cut short" in (campaign.out / "index.html").read_text()
