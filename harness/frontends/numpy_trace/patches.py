"""This module replaces NumPy's allocators while user code runs on numbers that an ordinary array cannot hold.

`out = np.zeros(n); out[perm] = g` fails where `g` is traced or exact, since a float64 array takes floats only. While
`patched(host)` is active in a thread, the float arrays that this thread gets from `np.zeros`, `np.full`, `np.array`
and the like are handed to the host, which returns a container of its own; other threads notice nothing. Compiled code
that looks `np.empty` up, as NumPy's random generators do, writes into the memory that it gets: it sees NumPy as it was.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.random  # NumPy loads its generators late; here they are compiled modules that are known
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import is_float
from backprove.harness.frontends.numpy_trace import scipy_functions
from backprove.harness.frontends.numpy_trace.substitutes import Substitutes


class Host(Protocol):
    """What the patches need of a front end."""

    def holds(self, value: object) -> bool:
        """Whether `value` is a number or an array of the front end."""

    def adopt(self, array: Array, initialised: bool) -> object:
        """A fresh array of the front end with the values of `array` (not a number where it is not initialised)."""

    def convert(self, value: object, dtype: DTypeLike | None, copy: bool) -> object:
        """`np.array(value, dtype)` where `value` is of the front end or a nested sequence with such entries."""

    def finfo(self, dtype: DTypeLike) -> object:
        """`np.finfo(dtype)`."""

    def call(self, function: Code, args: tuple[Any, ...], kwargs: Options) -> object:
        """A function of SciPy's with arguments of the front end."""


Options = dict[str, Any]
"""Keyword arguments of a call of NumPy."""

Handler = Callable[[Host, Code, tuple[Any, ...], Options], object]
"""What answers a call of a function of NumPy: the host, the function, its arguments."""

ALLOCATORS = ("zeros", "ones", "full", "empty", "eye", "identity", "zeros_like", "ones_like", "full_like", "empty_like")
CONVERTERS = ("array", "asarray", "asanyarray", "ascontiguousarray")

_lock = threading.RLock()
_originals: dict[str, Code] = {}
_compiled: list[tuple[ModuleType, str]] = []
_seen: set[str] = set()
_users = 0
_stack = threading.local()


def _host() -> Host | None:
    hosts: list[Host | None] = getattr(_stack, "hosts", [])
    return hosts[-1] if hosts else None


@contextmanager
def _pushed(host: Host | None) -> Iterator[None]:
    if not hasattr(_stack, "hosts"):
        _stack.hosts = []
    _stack.hosts.append(host)
    try:
        yield
    finally:
        _stack.hosts.pop()


def suspended() -> AbstractContextManager[None]:
    """A context in which this thread sees NumPy's own functions, for library code called on the way."""
    return _pushed(None)


@contextmanager
def patched(host: Host, code: object = None) -> Iterator[None]:
    """Hand what NumPy's allocators return in this thread to `host`; nests, and restores NumPy at the end.

    Args:
        code: what runs meanwhile; SciPy's functions among its global names are handed to `host` too.
    """
    global _users  # noqa: PLW0603 - the number of threads inside decides when NumPy is restored
    with _lock:
        if _users == 0:
            _install()
        _substitutes.enter(code)
        _users += 1
    try:
        with _pushed(host):
            yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _substitutes.leave()
                _restore()


def _install() -> None:
    _find_compiled()
    unpatched = ModuleType(np.__name__)
    unpatched.__dict__.update(np.__dict__)
    for module, name in _compiled:
        setattr(module, name, unpatched)
    for name, replacement in _REPLACEMENTS.items():
        _originals[name] = getattr(np, name)
        setattr(np, name, replacement)


def _restore() -> None:
    for name, original in _originals.items():
        setattr(np, name, original)
    _originals.clear()
    for module, name in _compiled:
        setattr(module, name, np)


def _find_compiled() -> None:
    """Enter in `_compiled` every compiled module loaded since the last call, and its name for NumPy."""
    for key in sys.modules.keys() - _seen:
        _seen.add(key)
        module = sys.modules.get(key)
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if module is not None and isinstance(loader, ExtensionFileLoader):
            _compiled.extend((module, name) for name, value in vars(module).items() if value is np)


def _replacement(original: Code, handler: Handler) -> Code:
    # kept by reference after the patch (`from numpy import zeros` inside the code), it behaves as the original
    def call(*args: object, **kwargs: object) -> object:
        host = _host()
        return original(*args, **kwargs) if host is None else handler(host, original, args, kwargs)

    return functools.update_wrapper(call, original, updated=())


def _allocate(host: Host, original: Code, args: tuple[Any, ...], kwargs: Options) -> object:
    if original.__name__ == "full" and any(map(host.holds, (*args[1:2], kwargs.get("fill_value")))):
        options = {"shape": None, "fill_value": None, "dtype": None, **kwargs}
        options.update(zip(("shape", "fill_value", "dtype"), args, strict=False))
        with _pushed(host):
            out = np.zeros(options["shape"], options["dtype"] or getattr(options["fill_value"], "dtype", float))
        out[...] = options["fill_value"]
        return out
    result = original(*args, **kwargs)
    if type(result) is np.ndarray and (result.dtype.kind in "Oc" or is_float(result.dtype)):
        return host.adopt(result, not original.__name__.startswith("empty"))
    return result


def _convert(host: Host, original: Code, args: tuple[Any, ...], kwargs: Options) -> object:
    value = args[0] if args else kwargs.get("object", kwargs.get("a"))
    if not _contains(host, value):
        return original(*args, **kwargs)
    dtype = args[1] if len(args) > 1 else kwargs.get("dtype")
    copy = original.__name__ == "array" and kwargs.get("copy", True) is True
    return host.convert(value, dtype, copy)


def _contains(host: Host, value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_contains(host, v) for v in value)
    return host.holds(value)


def _finfo(host: Host, original: Code, args: tuple[Any, ...], kwargs: Options) -> object:
    with suspended():
        return host.finfo(*args, **kwargs)


_REPLACEMENTS: dict[str, Code] = {
    name: _replacement(getattr(np, name), handler)
    for handler, names in ((_allocate, ALLOCATORS), (_convert, CONVERTERS), (_finfo, ("finfo",)))
    for name in names
}


def _called(host: Host, original: Code, args: tuple[Any, ...], kwargs: Options) -> object:
    if not _contains(host, [*args, *kwargs.values()]):
        return original(*args, **kwargs)
    return host.call(original, args, kwargs)


_substitutes = Substitutes(scipy_functions.FUNCTIONS, lambda original: _replacement(original, _called))


def substituted(code: Code) -> Code:
    """What is called in place of a function of SciPy's while `patched`; any other code itself."""
    return _substitutes.of(code)
