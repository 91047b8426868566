"""Branches that only a call takes are suspected of code that has a way to tell that it is traced.

`isinstance(x, jax.core.Tracer)`, a look at `jax.config`, `try: float(x)`: such code is called plainly at every size.
Other JAX code does under trace what it does in a call, since a tracer stands for any value.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

TELLING = frozenset(
    (
        *("isinstance", "issubclass", "type", "hasattr", "getattr", "callable", "__class__", "__dict__", "dir", "vars"),
        *("str", "repr", "format", "id", "config", "Tracer", "is_concrete", "ensure_compile_time_eval"),
    )
)
"""Names by which code learns what its arguments are, or how JAX is set."""

LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "torch", "ml_dtypes")
"""Packages whose code does in a call what it does under trace, or is not the user's to mend."""
OURS = "backprove.harness"

MOST = 200
"""Functions that are looked at; code that reaches more counts as able to tell."""


@functools.lru_cache(maxsize=256)
def may_tell_tracing(call: Any) -> bool:
    """Whether code, or a function that it reaches, looks at types or settings, formats values or catches errors."""
    todo, seen = [call], set()
    while todo:
        found = todo.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if len(seen) > MOST:
            return True
        own = isinstance(found, FunctionType) and not _is_from(found, OURS)
        if own and any(map(_tells, _codes(found.__code__))):
            return True
        todo += [f for f in _reached(found) if not any(_is_from(f, library) for library in LIBRARIES)]
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Code and all that is defined inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _tells(code: CodeType) -> bool:
    names = {*code.co_names, *code.co_freevars}
    return bool(
        names & TELLING
        or getattr(code, "co_exceptiontable", b"\0")
        or any(i.opname.startswith("FORMAT") for i in dis.get_instructions(code))
    )


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
        names = {n for code in _codes(found.__code__) for n in code.co_names}
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
