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

from tests.harness.test_executors import FAKE, environment, results, until

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

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")


class Campaign:
    """Runs of one campaign with the stand-in for the engine, in a folder of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.home, self.out, self.log = folder / "home", folder / "out", folder / "log"
        self.env = environment(root, BACKPROVE_HOME=str(self.home), FAKE_LOG=str(self.log), FAKE_WORDS=WORDS)
        self.folder = folder
        self.program = FAKE

    def start(self, *options: str, seconds: float = 0.0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", self.program, "verify", "--points", POINTS, "--executor", "process:2"]
        command += ["--out", str(self.out), "--resume", *options]
        env = self.env | {"FAKE_SECONDS": str(seconds)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def run(self, *options: str) -> tuple[int, str]:
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


def test_the_same_bytes_from_one_process_and_from_two(root: Path, tmp_path: Path) -> None:
    """The engine itself, with another hash seed in each run and nothing kept from earlier ones."""
    env = environment(root, BACKPROVE_CACHE="off", JAX_PLATFORMS="cpu")
    only = "logSoftmax?[jv]p"
    command = [sys.executable, "-m", "backprove", "verify", "--only", only, "--points", "100", "--dtype", "float32"]
    found = []
    for seed, executor in (("1", "serial"), ("2", "process:2")):
        out, more = tmp_path / seed, {"PYTHONHASHSEED": seed, "BACKPROVE_HOME": str(tmp_path / f"home {seed}")}
        run = [*command, "--executor", executor, "--out", str(out)]
        done = subprocess.run(run, env=env | more, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.dumps(results(out)))
        assert json.loads(found[0])["subjects"]
    assert found[0] == found[1]


@linux
def test_a_killed_worker_costs_nothing_but_its_item(campaign: Campaign, expected: Any) -> None:
    with ended(campaign.start(seconds=0.2)) as process:
        until(lambda: len(campaign.kept()) > 2)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == 1 and results(campaign.out) == expected
    counts = Counter(campaign.log.read_text().splitlines())
    assert sum(counts.values()) - len(counts) <= 1


@linux
def test_after_a_killed_main_process_the_run_goes_on(campaign: Campaign, expected: Any) -> None:
    with ended(campaign.start(seconds=0.1)) as process:
        until(lambda: len(campaign.kept()) > 4)
        workers = children(process.pid)
        process.kill()
    assert len(workers) == 2 and not (campaign.out / "results.json").exists()
    until(lambda: not any(map(alive, workers)), 20)
    campaign.finish(expected, again=2 + 2)  # those under way, and those done but not yet stored


@pytest.mark.parametrize("moment", ["start", "first", "later"])
def test_an_interruption_at_any_moment(campaign: Campaign, expected: Any, moment: str) -> None:
    with ended(campaign.start(seconds=0.1)) as process:
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
    with ended(campaign.start(seconds=0.1)) as process:
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
    with ended(campaign.start(seconds=0.1)) as process:
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
