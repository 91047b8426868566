"""The executors: what their names mean, what is said when one cannot be had, and the same results from each."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.campaign import executors
from backprove.harness.campaign.executors import ExecutorSpec, SerialExecutor, open_executor, parse_executor
from backprove.harness.cli.main import main
from backprove.harness.core.errors import UsageError

DATA = Path(__file__).parents[2] / "data"

FAKE = """
import sys
from backprove.harness.campaign import workers
from backprove.harness.cli.main import main
from backprove.harness.cli import verify

workers.ENGINE = verify.THEOREMS = "fake_engine"
sys.exit(main(sys.argv[1:]))
"""
"""The command line with the stand-in for the engine."""


def environment(root: Path, **more: str) -> dict[str, str]:
    """So that processes started anywhere find the package and the stand-in."""
    paths = [str(root), str(DATA), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def results(folder: Path) -> Any:
    """The stored run without times and host facts."""
    run = json.loads((folder / "results.json").read_text())
    for name in ("started", "seconds", "environment"):
        del run[name]
    for subject in run["subjects"]:
        for p in subject["properties"]:
            del p["seconds"]
    return run


# -- names -------------------------------------------------------------------------------------------------------------


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: True)
    assert parse_executor("serial") == ExecutorSpec("serial")
    assert parse_executor("process") == ExecutorSpec("process", os.cpu_count() or 1)
    assert parse_executor("process:3") == ExecutorSpec("process", 3)
    assert parse_executor("dask:tcp://host:8786") == ExecutorSpec("dask", address="tcp://host:8786")
    assert parse_executor("mpi").remote and not parse_executor("process:2").remote


WRONG = [
    "",
    "cloud",
    "serial:1",
    "process:",
    "process:0",
    "process:-1",
    "process:²",
    "process:x",
    "dask",
    "dask:",
    "mpi:4",
]


@pytest.mark.parametrize("spec", WRONG)
def test_what_is_no_name_is_told_what_is(spec: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--executor {spec!r} is unknown; expected serial, process,")):
        parse_executor(spec)


@pytest.mark.parametrize(("spec", "extra"), [("dask:tcp://host:1", "dask"), ("mpi", "mpi")])
def test_a_missing_package_is_named_with_its_extra(spec: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=re.escape(f"pip install 'backprove[{extra}]'")):
        parse_executor(spec)


def test_serial_runs_at_once_and_lets_interruptions_through() -> None:
    executor = SerialExecutor()
    assert executor.submit(pow, 2, 3).result() == 8
    assert isinstance(executor.submit(pow, 0, -1).exception(), ZeroDivisionError)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.submit(interrupted)


# -- dask --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(ready: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `ready` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def cluster(tmp_path: Path, env: dict[str, str], workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler of its own process, and workers; gives its address and theirs."""
    file, python = tmp_path / "scheduler.json", sys.executable
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    log = tmp_path / "dask.log"
    with contextlib.ExitStack() as stack:
        stack.enter_context(started([python, "-m", "distributed.cli.dask_scheduler", *options], env, log))
        address = until(
            lambda: (
                file.exists() and file.read_text().rstrip().endswith("}") and json.loads(file.read_text())["address"]
            )
        )
        worker = [python, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1"]
        worker += ["--no-dashboard", "--local-directory", str(tmp_path)]
        logs = [tmp_path / f"worker{k}.log" for k in range(workers)]
        yield address, [stack.enter_context(started(worker, env, log)) for log in logs]


def test_dask_with_a_worker_killed_on_the_way_gives_the_results_of_serial(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    env = environment(root, BACKPROVE_HOME=str(tmp_path / "home"), FAKE_SECONDS="0.3")
    arguments = ["verify", "--points", "5e5", "--dtype", "float64", "--dtype", "float32"]
    command = [sys.executable, "-c", FAKE, *arguments]
    serial = [*command, "--executor", "serial", "--out", str(tmp_path / "serial")]
    assert subprocess.run(serial, env=env | {"FAKE_SECONDS": "0"}, capture_output=True, check=False).returncode == 0
    with cluster(tmp_path, env, 2) as (address, (first, _)):
        dask = [*command, "--executor", f"dask:{address}", "--out", str(tmp_path / "dask")]
        with started(dask, env, tmp_path / "run.log") as process:
            until(lambda: list((tmp_path / "home" / "runs").rglob("parts-*/*.json")))
            os.kill(first.pid, signal.SIGKILL)
            assert process.wait(timeout=90) == 0, (tmp_path / "run.log").read_text()
    assert results(tmp_path / "dask") == results(tmp_path / "serial")
    assert len(results(tmp_path / "dask")["subjects"]) == 3


def test_a_scheduler_that_does_not_answer_or_has_no_worker(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "CONNECT", 1.0)
    monkeypatch.chdir(tmp_path)
    for address in ("tcp://127.0.0.1:9", "127.0.0.1:9", "nonsense://x", "tcp://no.such.host.invalid:8786", "::::"):
        begun = time.monotonic()
        assert main(["check", str(DATA / "logsoftmax_right.py"), "--executor", f"dask:{address}"]) == 2
        assert time.monotonic() - begun < 30
        out, err = capsys.readouterr()
        assert f"--executor dask:{address}: no Dask scheduler answers there" in err and "Traceback" not in out + err
    with (
        cluster(tmp_path, environment(root), 0) as (address, _),
        pytest.raises(UsageError, match="the scheduler has no worker; start some with 'dask worker"),
        open_executor(parse_executor(f"dask:{address}")),
    ):
        pass
