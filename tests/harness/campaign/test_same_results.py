"""The engine itself gives the same bytes, apart from times and host facts, on every executor, whatever is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.campaign.test_campaign_safety import alive, children, linux
from tests.harness.campaign.test_executors import cluster, environment, results, started, until
from tests.harness.campaign.test_mpi import QUIET, mpi_or_skip, mpiexec

ARGUMENTS = ["verify", "--only", "reluDerivCLM*", "--points", "200", "--dtype", "float64"]
"""Three cheap theorems."""


class Place:
    """A folder for runs of the engine; nothing that one keeps helps the next, and every process hashes differently."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.out, self.home = folder / "out", folder / "home"
        more = {"BACKPROVE_HOME": str(self.home), "BACKPROVE_CACHE": "off", "JAX_PLATFORMS": "cpu"}
        self.env = environment(root, PYTHONHASHSEED="random", **more)

    def arguments(self, executor: str) -> list[str]:
        return ["backprove", *ARGUMENTS, "--executor", executor, "--out", str(self.out)]

    def command(self, executor: str) -> list[str]:
        return [sys.executable, "-m", *self.arguments(executor)]

    def run(self, command: list[str], **more: str) -> bytes:
        done = subprocess.run(command, env=self.env | more, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return self.found()

    def found(self) -> bytes:
        run = results(self.out)
        assert len(run["subjects"]) == 3 and run["seed"] == 0 and not run["partial"]
        return json.dumps(run).encode()


@pytest.fixture
def place(root: Path, tmp_path: Path) -> Place:
    return Place(root, tmp_path)


@pytest.fixture(scope="module")
def serial(root: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = Place(root, tmp_path_factory.mktemp("serial"))
    found = place.run(place.command("serial"))
    environment = json.loads((place.out / "results.json").read_text())["environment"]
    assert {"python", "jax", "numpy", "system", "cores"} <= set(environment)
    return found


@pytest.mark.parametrize("executor", ["process:1", "process:2"])
def test_one_process_and_two(executor: str, place: Place, serial: bytes) -> None:
    assert place.run(place.command(executor)) == serial


@linux
def test_two_workers_of_dask_of_which_one_is_killed(place: Place, serial: bytes, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with cluster(tmp_path, place.env, 2) as (address, workers):
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)
        with started(place.command(f"dask:{address}"), place.env, tmp_path / "run.log") as process:
            # stopped with an item that it cannot finish any more, and killed once the other has finished one
            [item] = until(lambda: children(workers[0].pid))
            os.kill(workers[0].pid, signal.SIGSTOP)
            until(lambda: [p for p in place.home.rglob("*.json") if p.name != "costs.json"])
            os.kill(workers[0].pid, signal.SIGKILL)
            assert process.wait(timeout=120) == 0, (tmp_path / "run.log").read_text()
        until(lambda: not alive(item))
    assert place.found() == serial


def test_mpi(place: Place, serial: bytes) -> None:
    mpi_or_skip()
    assert place.run(mpiexec(3, "-m", *place.arguments("mpi")), **QUIET) == serial
