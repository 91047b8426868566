"""A `Snapshot` tells what code has changed in the process that ran it, so that the next rule gets a fresh one.

before = Snapshot.taken()
np.cos = np.sin
before.changes()          # ("numpy.cos",)

It sees functions and classes of this package that were replaced, public ones of `MODULES`, the environment, the working
directory, the import path, limits, timers, signal handlers, the floating-point state, and threads that go on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
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

OWN = "backprove."
"""Beginning of the names of this package's modules, whose classes are watched too."""

REPLACED_BY_LIBRARIES = ("torch.manual_seed",)
"""Functions that a library wraps itself when a part of it is first used."""

SET_BY_LIBRARIES = ("TF_", "XLA_", "JAX_", "TPU_", "GRPC_", "KMP_", "OMP_", "TORCH", "PYTORCH_", "LIBTPU", "CUDA_")
"""Beginnings of variables that JAX and torch set when they are imported, which a rule may be the first to do."""


@dataclass(frozen=True)
class Snapshot:
    """The state of this process.

    Attributes:
        namespaces: what modules and the classes of this package hold, by name.
        facts: further state, by the words that name it.
    """

    namespaces: dict[str, dict[str, object]]
    facts: dict[str, Any]

    @staticmethod
    def taken() -> Snapshot:
        """The state now."""
        return Snapshot({name: dict(found) for name, found in _namespaces()}, dict(_facts()))

    def changes(self) -> tuple[str, ...]:
        """What is another now, in words; `()` where nothing is. A traceback to be dumped later is called off."""
        faulthandler.cancel_dump_traceback_later()
        now = dict(_namespaces())
        changed = [
            f"{name}.{key}"
            for name, before in self.namespaces.items()
            for key, value in before.items()
            if now.get(name, {}).get(key) is not value and _is_watched(name, key, value)
        ]
        facts = dict(_facts())
        changed += [words for words, value in self.facts.items() if facts.get(words) != value]
        return tuple(sorted(changed))


def _namespaces() -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, module in list(sys.modules.items()):
        if name in MODULES and isinstance(module, ModuleType):
            yield name, vars(module)
        elif name.startswith(OWN) and isinstance(module, ModuleType):
            yield name, vars(module)
            for key, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == name:
                    yield f"{name}.{key}", vars(value)


def _is_watched(name: str, key: str, value: object) -> bool:
    """Whether it matters that this name holds something else now: functions and classes do, values may move."""
    if name.startswith(OWN):
        return callable(value) or isinstance(value, (property, staticmethod, classmethod))
    return not key.startswith("_") and callable(value) and f"{name}.{key}" not in REPLACED_BY_LIBRARIES


def _facts() -> Iterator[tuple[str, Any]]:
    yield "the environment", {k: v for k, v in os.environ.items() if not k.startswith(SET_BY_LIBRARIES)}
    with contextlib.suppress(OSError):
        yield "the working directory", os.getcwd()
    yield "threads that go on", threading.active_count()
    yield "the recursion limit", sys.getrecursionlimit()
    yield "the switch interval", sys.getswitchinterval()
    yield "tracing", (sys.gettrace(), sys.getprofile())
    yield "the import path", list(sys.path)
    yield "handlers of signals", _handlers()
    if hasattr(signal, "getitimer"):
        kinds = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
        yield "timers", [signal.getitimer(k) != (0.0, 0.0) for k in kinds]
    if hasattr(os, "getpriority"):
        yield "the priority", os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(ImportError):
        import resource

        names = ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_STACK", "RLIMIT_FSIZE", "RLIMIT_NPROC")
        yield "limits of resources", [resource.getrlimit(getattr(resource, k)) for k in names if hasattr(resource, k)]
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
