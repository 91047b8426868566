"""A `Snapshot` tells what code has changed in the process that ran it, so that the next rule gets a fresh one.

before = Snapshot.taken()
np.cos = np.sin
before.changes()          # ("numpy.cos",)

It sees public functions and classes of `MODULES` that were replaced, the environment, the working directory, limits,
signal handlers, the floating-point state, and threads that go on.
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

REPLACED_BY_LIBRARIES = ("torch.manual_seed",)
"""Functions that a library wraps itself when a part of it is first used."""

SET_BY_LIBRARIES = ("TF_", "XLA_", "JAX_", "TPU_", "GRPC_", "KMP_", "OMP_", "TORCH", "PYTORCH_", "LIBTPU", "CUDA_")
"""Beginnings of variables that JAX and torch set when they are imported, which a rule may be the first to do."""


@dataclass(frozen=True)
class Snapshot:
    """The state of this process.

    Attributes:
        names: `module.name` -> the function or class.
        facts: further state, by the words that name it.
    """

    names: dict[str, object]
    facts: dict[str, Any]

    @staticmethod
    def taken() -> Snapshot:
        """The state now."""
        return Snapshot(dict(_names()), dict(_facts()))

    def changes(self) -> tuple[str, ...]:
        """What is another now, in words; `()` where nothing is."""
        modules = {name.rpartition(".")[0] for name in self.names}
        now = {name: value for module in modules for name, value in _names_of(module)}
        changed = [n for n, found in self.names.items() if now.get(n) is not found]
        facts = dict(_facts())
        changed += [words for words, value in self.facts.items() if facts.get(words) != value]
        return tuple(sorted(changed))


def _names() -> Iterator[tuple[str, object]]:
    for module in MODULES:
        yield from _names_of(module)


def _names_of(module: str) -> Iterator[tuple[str, object]]:
    """The functions and classes of a module."""
    found = sys.modules.get(module)
    if not isinstance(found, ModuleType):
        return
    for name, value in list(vars(found).items()):
        if not name.startswith("_") and callable(value) and f"{module}.{name}" not in REPLACED_BY_LIBRARIES:
            yield f"{module}.{name}", value


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
