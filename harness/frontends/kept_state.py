"""Kept state is what code leaves behind for its next call: a workspace in a dict, an attribute, a cache.

Code that may keep something is called for real before it is traced, so that what it keeps are real arrays. For JAX
code such a call is dear, since XLA compiles every operation at every new shape; most code cannot keep anything.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from backprove.harness.frontends.reached_code import LIBRARIES, MOST, OURS, codes

KEEPING = frozenset(
    (
        *("append", "appendleft", "extend", "insert", "setdefault", "update", "put", "push", "__setitem__"),
        *("setattr", "getattr", "globals", "locals", "vars", "__dict__", "eval", "exec", "__import__", "import_module"),
    )
)
"""Names by which code may keep something, or reach what cannot be followed here."""
STORING = frozenset(("STORE_GLOBAL", "STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE"))
"""Instructions that store in something that may outlive a call."""

INPUTS = "backprove.strategies"
"""What a stated input is made of: rules that adapters make hold such objects."""
PLAIN = (int, float, complex, bool, str, bytes, type(None))


def may_keep(call: Any) -> bool:
    """Whether a callable may leave something behind for its next call; also where that cannot be told.

    Args:
        call: a function, or whatever can be called.
    """
    try:
        return _may_keep(call)
    except Exception:  # an object of the user's that cannot be looked at
        return True


def _may_keep(call: Any) -> bool:
    todo: list[Any] = [call]
    seen: dict[int, Any] = {}
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, PLAIN):
            continue
        seen[id(found)] = found
        if len(seen) > MOST or isinstance(found, (functools._lru_cache_wrapper, functools.cached_property)):
            return True
        if isinstance(found, FunctionType) and not _is_ours(found):
            if _known(found.__module__):
                continue
            if any(map(_keeps, codes(found.__code__))):
                return True
        todo += _held(found)
    return False


def _keeps(code: CodeType) -> bool:
    """Whether the instructions of a function store something, or import code that is not a library's."""
    if KEEPING & {*code.co_names, *code.co_freevars}:
        return True
    for i in dis.get_instructions(code):
        if i.opname in STORING or (i.opname == "STORE_DEREF" and i.argval in code.co_freevars):
            return True
        if i.opname == "IMPORT_NAME" and not _known(str(i.argval)):
            return True
    return False


def _held(found: Any) -> Iterator[Any]:
    """What a callable, or an object that it reaches, holds or names."""
    if isinstance(found, FunctionType):
        yield from (c.cell_contents for c in found.__closure__ or () if _is_filled(c))
        yield from (*(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).values())
        if not _is_ours(found):
            names = {n for code in codes(found.__code__) for n in code.co_names}
            for value in (found.__globals__[n] for n in names & found.__globals__.keys()):
                is_module = isinstance(value, ModuleType)
                yield from _named(value, names) if is_module else (value,)
    elif isinstance(found, MethodType):
        yield from (found.__func__, found.__self__)
    elif isinstance(found, functools.partial):
        yield from (found.func, found.args, found.keywords)
    elif isinstance(found, (staticmethod, classmethod)):
        yield found.__func__
    elif isinstance(found, property):
        yield from (found.fget,)
    elif isinstance(found, dict):
        yield from found.values()
    elif isinstance(found, (tuple, list, set, frozenset)):
        yield from found
    elif isinstance(found, type):
        if not _known(found.__module__):
            yield from (*vars(found).values(), *found.__bases__)
    elif not isinstance(found, (ModuleType, BuiltinFunctionType)):
        yield type(found)
        if callable(found) or not _known(type(found).__module__):
            yield from getattr(found, "__dict__", {}).values()
    if callable(found) and not isinstance(found, type):
        yield getattr(found, "__wrapped__", None)


def _named(module: ModuleType, names: set[str]) -> Iterator[Any]:
    """What code may name of a module of the user's."""
    if not _known(module.__name__):
        yield from (vars(module)[n] for n in names & vars(module).keys() if not isinstance(vars(module)[n], ModuleType))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_ours(found: FunctionType) -> bool:
    return _is_in(found.__module__, OURS)


def _known(module: str | None) -> bool:
    """Whether a module is Python's, one of the libraries or ours: its code keeps nothing of what it is given."""
    return f"{module}.".partition(".")[0] in _KNOWN or any(_is_in(module, p) for p in (OURS, INPUTS))


def _is_in(module: str | None, package: str) -> bool:
    return f"{module}.".startswith(package + ".")


_KNOWN = frozenset(sys.stdlib_module_names - {"__main__"}) | frozenset(LIBRARIES)
