"""The executor of MPI with the stand-in for the engine: the results of serial, and what a lost process costs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.campaign.test_campaign_safety import PARTS, POINTS, Campaign, children, ended, linux
from tests.harness.campaign.test_executors import FAKE, environment, results, until

QUIET = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}
"""What Open MPI, 4 and 5, wants to be told as root, in a container, on few cores; others do not look."""


def mpi_or_skip() -> None:
    pytest.importorskip("mpi4py")
    library = subprocess.run([sys.executable, "-c", "from mpi4py import MPI"], capture_output=True, check=False)
    if shutil.which("mpiexec") is None or library.returncode:
        pytest.skip("no MPI is installed")


def mpiexec(processes: int, *program: str) -> list[str]:
    return ["mpiexec", "-n", str(processes), sys.executable, "-m", "mpi4py.futures", *program]


def below(pid: int) -> Iterator[int]:
    for child in children(pid):
        yield child
        yield from below(child)


def ranks(pid: int) -> dict[int, int]:
    """Rank -> process of a job started as `pid`."""
    found = {}
    for process in below(pid):
        place = Path("/proc") / str(process)
        if b"mpi4py.futures" in place.joinpath("cmdline").read_bytes():
            pairs = (p.partition(b"=") for p in place.joinpath("environ").read_bytes().split(b"\0"))
            env = {name: value for name, _, value in pairs}
            rank = env.get(b"OMPI_COMM_WORLD_RANK") or env.get(b"PMI_RANK")
            if rank is not None and place.joinpath("cmdline").read_bytes().startswith(os.fsencode(sys.executable)):
                found[int(rank)] = process
    return found


def test_mpi_gives_the_results_of_serial(root: Path, tmp_path: Path) -> None:
    mpi_or_skip()
    env = environment(root, BACKPROVE_HOME=str(tmp_path / "home"), FAKE_WORDS="true,part 1 false,true", **QUIET)
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    arguments = [str(program), "verify", "--points", "5e5", "--out"]
    serial = [sys.executable, *arguments, str(tmp_path / "serial"), "--executor", "serial"]
    assert subprocess.run(serial, env=env, capture_output=True, check=False).returncode == 1
    mpi = mpiexec(3, *arguments, str(tmp_path / "mpi"), "--executor", "mpi")
    done = subprocess.run(mpi, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert json.dumps(results(tmp_path / "mpi")) == json.dumps(results(tmp_path / "serial"))
    run = [sys.executable, str(program), "verify", "--executor", "mpi"]
    for wrong in (run, ["mpiexec", "-n", "2", *run]):
        done = subprocess.run(wrong, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode != 0 and "must be started as 'mpiexec -n N" in done.stderr


@linux
def test_a_lost_process_of_mpi_ends_the_job_and_the_run_goes_on(root: Path, tmp_path: Path) -> None:
    """MPI itself ends all processes when one dies; what had finished is kept whole, for any executor to go on from."""
    mpi_or_skip()
    campaign = Campaign(root, tmp_path)
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    arguments = [str(program), "verify", "--points", POINTS, "--out", str(campaign.out), "--executor", "mpi"]
    env = campaign.env | QUIET | {"FAKE_HOLD": "6"}
    campaign.held.touch()
    pipe = subprocess.PIPE
    job = subprocess.Popen(mpiexec(3, *arguments), env=env, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)
    with ended(job):
        until(lambda: len(campaign.kept()) > 2)
        os.kill(ranks(job.pid)[2], signal.SIGKILL)
        job.communicate(timeout=60)
    assert job.returncode != 0 and 2 < len(campaign.kept()) < 3 * PARTS
    # the main process may have the time to write what there is, before MPI kills it too
    assert not (campaign.out / "results.json").exists() or results(campaign.out)["partial"]
    campaign.check_files()
    status, text = campaign.run()  # with --resume, and without MPI
    assert status == 1, text
    assert not list(campaign.home.rglob("*.tmp"))
    assert len(results(campaign.out)["subjects"]) == 3
    counts = Counter(campaign.log.read_text().splitlines())
    assert sum(counts.values()) - len(counts) <= 2 + 2, counts
