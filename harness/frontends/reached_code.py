"""Reached code is what a function names, holds or defines: the functions that are the user's as much as it is."""

from __future__ import annotations

import contextlib
import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "torch", "ml_dtypes")
"""Packages whose code is not the user's to mend."""
OURS = "backprove.harness"

MOST = 200
"""Functions that are looked at."""


def reached_code(call: Any) -> Iterator[CodeType]:
    """Code of the functions that a callable reaches, itself first, with all that is defined inside; `MOST` at most.

    Args:
        call: a function, or whatever can be called.
    """
    for found in _walk(call):
        is_own = found is call or not any(_is_from(found, library) for library in LIBRARIES)
        if isinstance(found, FunctionType) and is_own and not _is_from(found, OURS):
            yield from codes(found.__code__)


def named_packages(call: Any) -> set[str]:
    """Packages of all that a callable and the functions that it reaches are, hold, name or import."""
    found: set[str] = set()
    for reached in _walk(call):
        found |= _packages(reached)
        if isinstance(reached, FunctionType) and not any(_is_from(reached, p) for p in (*LIBRARIES, OURS)):
            inside = [*codes(reached.__code__)]
            names = {n for code in inside for n in code.co_names} & reached.__globals__.keys()
            for value in (*(reached.__globals__[n] for n in names), *_cells(reached)):
                found |= _packages(value)
            for i in (i for code in inside for i in dis.get_instructions(code) if i.opname == "IMPORT_NAME"):
                found.add(str(i.argval).partition(".")[0])
    return found


def _packages(value: Any) -> set[str]:
    """Where a value and its type come from."""
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return {whole.partition(".")[0] for whole in (module, type(value).__module__) if isinstance(whole, str)}


def _walk(call: Any) -> Iterator[Any]:
    """What a callable reaches, itself first, libraries' functions without what these reach; `MOST` at most."""
    todo: list[Any] = [call]
    seen: set[int] = set()
    while todo and len(seen) < MOST:
        found = todo.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            if found is call or not any(_is_from(found, library) for library in LIBRARIES):
                todo += _reached(found)


def codes(code: CodeType) -> Iterator[CodeType]:
    """Code and all that is defined inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def _is_from(found: Any, package: str) -> bool:
    module = getattr(found, "__module__", None)
    return isinstance(module, str) and (module == package or module.startswith(package + "."))


def _cells(function: FunctionType) -> Iterator[Any]:
    """What a function holds."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            yield cell.cell_contents


def _reached(found: Any) -> Iterator[Any]:
    """Functions and callable objects that a callable holds or names."""
    held: list[Any] = []
    if isinstance(found, FunctionType):
        held += _cells(found)
        names = {n for code in codes(found.__code__) for n in code.co_names}
        if not _is_from(found, OURS):
            held += [found.__globals__[n] for n in names & found.__globals__.keys()]
    elif isinstance(found, MethodType):
        held += [found.__func__, found.__self__]
    elif isinstance(found, functools.partial):
        held += [found.func, *found.args, *found.keywords.values()]
    elif not isinstance(found, type):
        held += [vars(type(found)).get("__call__"), *getattr(found, "__dict__", {}).values()]
    held.append(getattr(found, "__wrapped__", None) if callable(found) else None)
    for value in held:
        if callable(value) and not isinstance(value, type):
            yield value
