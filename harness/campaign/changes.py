"""A `Snapshot` tells what code has changed in the process that ran it, so that the next rule gets a fresh one.

before = Snapshot.taken()
np.cos = np.sin
before.changes()          # ("numpy.cos",)

It sees functions of NumPy, JAX, torch and the standard library that were replaced, the environment, the working
directory, limits, signal handlers, the floating-point state, and threads and processes that go on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

MODULES = (
    "builtins", "math", "cmath", "random", "json", "os", "sys", "time", "pickle", "warnings",
    "numpy", "numpy.linalg", "numpy.fft", "numpy.random",
    "scipy.special", "scipy.linalg", "jax", "jax.numpy", "jax.lax", "jax.nn", "jax.random",
    "torch", "torch.nn.functional", "torch.linalg", "msgspec", "flint",
)  # fmt: skip
"""Modules whose public names are compared where they are imported; what they gain is no change."""

MOVING = {
    "sys": {
        "exc_info",
        "last_exc",
        "last_type",
        "last_value",
        "last_traceback",
        "ps1",
        "ps2",
        "stdout",
        "path_importer_cache",
    },
    "torch": {"_dynamo"},
}
"""Public names that the interpreter itself changes."""


SET_BY_LIBRARIES = ("TF_", "XLA_", "JAX_", "TPU_", "GRPC_", "KMP_", "OMP_", "TORCH", "PYTORCH_", "LIBTPU", "CUDA_")
"""Beginnings of variables that JAX and torch set when they are imported, which a rule may be the first to do."""


@dataclass(frozen=True)
class Snapshot:
    """The state of this process.

    Attributes:
        names: `module.name` -> identity of the object.
        facts: further state, by the words that name it.
    """

    names: dict[str, tuple[int, Any]]
    facts: dict[str, Any]

    @staticmethod
    def taken() -> Snapshot:
        """The state now."""
        return Snapshot(dict(_names()), dict(_facts()))

    def changes(self) -> tuple[str, ...]:
        """What is another now, in words; `()` where nothing is."""
        modules = {name.rpartition(".")[0] for name in self.names}
        now = {name: found for module in modules for name, found in _names_of(module)}
        changed = [n for n, (identity, _) in self.names.items() if n not in now or now[n][0] != identity]
        facts = dict(_facts())
        changed += [words for words, value in self.facts.items() if facts.get(words) != value]
        return tuple(sorted(changed))


def _names() -> Iterator[tuple[str, tuple[int, Any]]]:
    for module in MODULES:
        yield from _names_of(module)


def _names_of(module: str) -> Iterator[tuple[str, tuple[int, Any]]]:
    """The functions and classes of a module; objects are kept, so that no other one gets their identity."""
    found = sys.modules.get(module)
    if not isinstance(found, ModuleType):
        return
    for name, value in list(vars(found).items()):
        if not name.startswith("_") and callable(value) and name not in MOVING.get(module, ()):
            yield f"{module}.{name}", (id(value), value)


def _facts() -> Iterator[tuple[str, Any]]:
    yield "the environment", {k: v for k, v in os.environ.items() if not k.startswith(SET_BY_LIBRARIES)}
    with contextlib.suppress(OSError):
        yield "the working directory", os.getcwd()
    yield "threads that go on", threading.active_count()
    yield "the recursion limit", sys.getrecursionlimit()
    yield "handlers of signals", _handlers()
    with contextlib.suppress(ImportError):
        import resource

        kinds = ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_STACK", "RLIMIT_FSIZE", "RLIMIT_NPROC")
        yield "limits of resources", [resource.getrlimit(getattr(resource, k)) for k in kinds if hasattr(resource, k)]
    if "numpy" in sys.modules:
        yield "the floating-point state", sys.modules["numpy"].geterr()
    if "jax" in sys.modules:
        yield "settings of JAX", dict(sys.modules["jax"].config.values)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        yield "settings of torch", (str(torch.get_default_dtype()), torch.is_grad_enabled(), torch.get_num_threads())


def _handlers() -> list[Any]:
    found = []
    for number in signal.valid_signals():
        with contextlib.suppress(ValueError, OSError):
            found.append(signal.getsignal(number))
    return found
