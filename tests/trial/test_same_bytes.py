"""A misbehaving rule among others changes nothing: every executor gives the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.campaign.test_executors import FAKE, cluster, environment, results
from tests.harness.campaign.test_mpi import QUIET, mpi_or_skip, mpiexec

RULES = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("misbehaving", {file!r})
found = importlib.util.module_from_spec(spec)
spec.loader.exec_module(found)
NAMES = ("leaves with 1", "patches np.cos", "forks twice", "writes everywhere")
RULES = {{k: r for k, r in found.RULES.items() if k.endswith(NAMES)}}
del found
"""
"""Four rules that misbehave, each with a right and a wrong one after it."""


class Place:
    """A folder with the rules, in which an executor runs them with the stand-in for the engine."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        file = Path(__file__).parent / "misbehaving.py"
        (folder / "rules.py").write_text(RULES.format(file=str(file)))
        self.env = environment(root, BACKPROVE_HOME=str(folder / "home"), PYTHONHASHSEED="random")

    def arguments(self, executor: str) -> list[str]:
        return [
            "-c",
            FAKE,
            "check",
            str(self.folder / "rules.py"),
            "--dtype",
            "float64",
            "--executor",
            executor,
            "--out",
            str(self.out),
        ]

    def run(self, command: list[str], **more: str) -> bytes:
        done = subprocess.run(
            command, env=self.env | more, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 1, done.stderr
        run = results(self.out)
        run["options"] = None
        text = json.dumps(run).replace(str(self.folder), "")
        verdicts = {s["name"]: s["properties"][0]["verdict"] for s in run["subjects"]}
        assert len(verdicts) == 12 and verdicts["leaves with 1"] == "error"
        assert {v for n, v in verdicts.items() if n.startswith("right after")} == {"holds"}
        assert {v for n, v in verdicts.items() if n.startswith("wrong after")} == {"falsified"}
        return text.encode()


@pytest.fixture
def place(root: Path, tmp_path: Path) -> Place:
    return Place(root, tmp_path)


@pytest.fixture(scope="module")
def serial(root: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = Place(root, tmp_path_factory.mktemp("serial"))
    return place.run([sys.executable, *place.arguments("serial")])


@pytest.mark.parametrize("executor", ["process:1", "process:2", "process:7"])
def test_processes(executor: str, place: Place, serial: bytes) -> None:
    assert place.run([sys.executable, *place.arguments(executor)]) == serial


def test_dask(place: Place, serial: bytes) -> None:
    pytest.importorskip("distributed")
    with cluster(place.folder, place.env, 2) as (address, _):
        assert place.run([sys.executable, *place.arguments(f"dask:{address}")]) == serial


def test_mpi(place: Place, serial: bytes) -> None:
    mpi_or_skip()
    assert place.run(mpiexec(3, *place.arguments("mpi")), **QUIET) == serial
