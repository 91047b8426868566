"""Reached code is what a function names, holds or defines: the functions that are the user's as much as it is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
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
    todo: list[Any] = [call]
    seen: set[int] = set()
    while todo and len(seen) < MOST:
        found = todo.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, FunctionType) and not _is_from(found, OURS):
            yield from codes(found.__code__)
        todo += [f for f in _reached(found) if not any(_is_from(f, library) for library in LIBRARIES)]


def codes(code: CodeType) -> Iterator[CodeType]:
    """Code and all that is defined inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def _is_from(found: Any, package: str) -> bool:
    module = getattr(found, "__module__", None)
    return isinstance(module, str) and (module == package or module.startswith(package + "."))


def _reached(found: Any) -> Iterator[Any]:
    """Functions and callable objects that a callable holds or names."""
    held: list[Any] = []
    if isinstance(found, FunctionType):
        for cell in found.__closure__ or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:  # not filled yet
                continue
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
