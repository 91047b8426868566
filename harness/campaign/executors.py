"""This module makes the executors that `--executor` names (`serial`, `process:2`, `dask:...`, `mpi`) and decides
between them.

Each is a `concurrent.futures.Executor`. None runs a user's code in its own process: what is submitted to it is
`workers.run_isolated`, which hands the item to a worker process beside it and stops that when it hangs. So the
threads of `process:N` wait for N worker processes, and each thread of a Dask or MPI worker has one of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from backprove.harness.core.errors import UsageError

ACCEPTED = "serial, process, process:N with N at least 1, dask:ADDRESS (such as dask:tcp://host:8786), or mpi"

CONNECT = 5.0
"""Seconds in which a Dask scheduler must answer, and have its first worker."""

JOINING = 256
"""Items that a Dask scheduler is given at a time, at least."""


@dataclass(frozen=True)
class ExecutorSpec:
    """What `--executor` says.

    Attributes:
        kind: serial, process, dask or mpi.
        count: processes, of `process`.
        address: of the scheduler, of `dask`.
    """

    kind: str
    count: int = 1
    address: str = ""

    @property
    def remote(self) -> bool:
        """Whether items may run on other machines, with code of their own."""
        return self.kind in ("dask", "mpi")


def parse_executor(spec: str) -> ExecutorSpec:
    """The executor that `spec` names.

    Raises:
        UsageError: when there is no such executor, or the package that it needs is not installed.
    """
    kind, separator, value = spec.partition(":")
    if kind in ("serial", "mpi") and not separator:
        found = ExecutorSpec(kind)
    elif kind == "process" and not separator:
        found = ExecutorSpec(kind, os.cpu_count() or 1)
    elif kind == "process" and value.isascii() and value.isdigit() and int(value) > 0:
        found = ExecutorSpec(kind, int(value))
    elif kind == "dask" and value:
        found = ExecutorSpec(kind, address=value)
    else:
        raise UsageError(f"--executor {spec!r} is unknown; expected {ACCEPTED}")
    for needed, package in (("dask", "distributed"), ("mpi", "mpi4py")):
        if kind == needed and find_spec(package) is None:
            raise UsageError(
                f"--executor {spec} needs {package}, which is not installed: pip install 'backprove[{needed}]'"
            )
    return found


@contextlib.contextmanager
def open_executor(spec: ExecutorSpec) -> Iterator[tuple[Executor, int]]:
    """The executor, shut down afterwards; what has not started then never does.

    Returns:
        The executor, and how many items it should be given at a time: enough that no worker waits, and few enough that
        what is submitted later does not wait for long.

    Raises:
        UsageError: when the scheduler does not answer or has no worker, or MPI cannot be used.
    """
    if spec.kind == "dask":
        with _dask(spec.address) as opened:
            yield opened
        return
    executor: Executor = SerialExecutor()
    at_once = 1
    if spec.kind == "process":
        executor, at_once = ThreadPoolExecutor(spec.count, thread_name_prefix="backprove-item"), 2 * spec.count
    elif spec.kind == "mpi":
        executor, at_once = _mpi()
    try:
        yield executor, at_once
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class SerialExecutor(Executor):
    """Runs what is submitted at once, in the thread that submits; interruptions go through."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as e:
            future.set_exception(e)
        return future


@contextlib.contextmanager
def _dask(address: str) -> Iterator[tuple[Executor, int]]:
    distributed: Any = import_module("distributed")  # has no types to speak of
    spec = f"--executor dask:{address}"
    try:
        client = distributed.Client(address, timeout=CONNECT)
    except (OSError, ValueError, TypeError) as e:  # TimeoutError is an OSError
        why = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(
            f"{spec}: no Dask scheduler answers there ({why}); start one with 'dask scheduler' and give the address "
            "that it prints"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError:
            raise UsageError(f"{spec}: the scheduler has no worker; start some with 'dask worker {address}'") from None
        executor = client.get_executor(pure=False)
        try:
            # Further workers may join later.
            yield executor, max(2 * sum(client.nthreads().values()), JOINING)
        finally:
            executor.shutdown(wait=False)
    finally:
        client.close(timeout=CONNECT)


def _mpi() -> tuple[Executor, int]:
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError) as e:
        why = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(f"--executor mpi: mpi4py finds no MPI library ({why}); install Open MPI or MPICH") from None
    # Alone there is nobody to work; without mpi4py.futures every process would run everything.
    if MPI.COMM_WORLD.Get_size() == 1 or "mpi4py.futures" not in sys.orig_argv:
        raise UsageError(
            "--executor mpi must be started as 'mpiexec -n N python -m mpi4py.futures -m backprove ...', where N is "
            "one more than the number of workers"
        )
    return MPIPoolExecutor(main=False), 2 * MPI.COMM_WORLD.Get_size()
