"""`code_constants` reads the numbers of Python code from its code objects, of the functions it calls too.

A branch such as `if float(x[0]) > 777.7` or `if x.shape[0] == BLOCK` leaves no literal in a trace: a traced program has
one side of it alone. The numbers stand in the code, in what it closes over, in its defaults and in its module.
"""

from __future__ import annotations

import dis
import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from backprove.harness.core.guard import attribute

DEPTH = 6
"""Calls that are followed from a function on."""
FUNCTIONS = 200
"""Functions that are read at most."""
SMALL = 16
"""Entries of an array up to which it is read as constants."""
WINDOW = 6
"""Instructions between a number and the comparison that takes it."""
EXACT = 2**53
"""Integers up to here are floats too."""
SIZED = {"shape", "size", "len", "ndim", "numel"}
"""Names by which code asks for a size."""
COMPARING = ("COMPARE_OP", "CONTAINS_OP", "IS_OP")
LIBRARIES = ("numpy", "jax", "jaxlib", "scipy", "torch", "autograd", "mygrad", "flint", "hypothesis", "ml_dtypes")
"""Packages whose code is not the user's; the standard library and this package are neither."""


@dataclass(frozen=True)
class CodeConstants:
    """Numbers of code.

    Attributes:
        numbers: floats wherever they stand, and integers that are compared; ascending.
        sizes: integers that code which asks for a shape, a size or a length compares something with, or divides by with
            remainder; ascending.
        others: its other integers from 4 on, such as those of slices and ranges; ascending.
    """

    numbers: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


def code_constants(functions: Iterable[Callable[..., Any]]) -> CodeConstants:
    """The numbers of the functions, and of the functions of the same packages that they call; never raises."""
    reader = _Reader()
    for f in functions:
        reader.read(f, DEPTH)
    numbers = reader.floats | {float(k) for k in reader.compared if abs(k) < EXACT}
    if not reader.asks_for_sizes:
        return CodeConstants(tuple(sorted(numbers)))
    others = {k for k in reader.integers - reader.compared if k >= 4}
    return CodeConstants(tuple(sorted(numbers)), tuple(sorted(reader.compared)), tuple(sorted(others)))


class _Reader:
    """Collects what it reads."""

    def __init__(self) -> None:
        self.floats: set[float] = set()
        self.integers: set[int] = set()
        self.compared: set[int] = set()
        self.asks_for_sizes = False
        self._seen: dict[int, Any] = {}

    def read(self, thing: Any, depth: int) -> None:
        """A function, a method, or an object that can be called or that holds such."""
        if depth < 0 or id(thing) in self._seen or len(self._seen) > FUNCTIONS:
            return
        self._seen[id(thing)] = thing  # kept alive, so that no other object has its id
        if isinstance(thing, FunctionType):
            self._function(thing, depth)
        elif isinstance(thing, MethodType):
            self.read(thing.__func__, depth)
            self._held_by(thing.__self__, depth)
        elif isinstance(thing, functools.partial):
            for held in (thing.func, *thing.args, *thing.keywords.values()):
                self._value(held, depth, is_users=True)
        elif isinstance(thing, type):
            for held in vars(thing).values():
                self._value(getattr(held, "__func__", held), depth - 1, is_users=_is_users(thing.__module__))
        elif callable(thing) and not isinstance(thing, ModuleType):
            self._held_by(thing, depth)
            wrapped = attribute(thing, "__wrapped__")
            if wrapped is not None:
                self.read(wrapped, depth)
            if _is_users(type(thing).__module__):
                self.read(type(thing).__call__, depth)

    def _held_by(self, thing: Any, depth: int) -> None:
        users = _is_users(type(thing).__module__)
        held = dict(getattr(thing, "__dict__", {}))
        held |= {n: getattr(thing, n, None) for n in getattr(type(thing), "__slots__", ()) if isinstance(n, str)}
        for value in held.values():
            self._value(value, depth - 1, is_users=users)

    def _value(self, value: Any, depth: int, is_users: bool) -> None:
        """What a name stands for: a number is kept where it is a user's, a function is read."""
        if callable(value) and not isinstance(value, np.generic):
            if not _is_library(value):
                self.read(value, depth)
        elif is_users:
            for number in _numbers(value):
                self._number(number, compared=False)

    def _function(self, f: FunctionType, depth: int) -> None:
        users = _is_users(f.__module__)
        names = _names_of(f)
        for value in names.values():
            self._value(value, depth - 1, is_users=False)
        wrapped = getattr(f, "__wrapped__", None)
        if wrapped is not None:
            self.read(wrapped, depth)
        if users:
            self._code(f.__code__, names, f.__globals__, depth)

    def _code(self, code: CodeType, names: Mapping[str, Any], module: Mapping[str, Any], depth: int) -> None:
        instructions = list(dis.get_instructions(code))
        self.asks_for_sizes |= bool(SIZED & set(code.co_names))
        for k, instruction in enumerate(instructions):
            value = self._loaded(instruction, names, module)
            compared = _is_compared(instructions[k + 1 : k + 1 + WINDOW])
            for number in _numbers(value):
                self._number(number, compared)
            if isinstance(value, CodeType):
                self._code(value, names, module, depth)
            elif instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and callable(value) and not _is_library(value):
                self.read(value, depth - 1)

    @staticmethod
    def _loaded(instruction: dis.Instruction, names: Mapping[str, Any], module: Mapping[str, Any]) -> Any:
        name = instruction.opname
        if name.startswith(("LOAD_CONST", "LOAD_SMALL_INT", "RETURN_CONST")):
            return instruction.argval
        if name in ("LOAD_GLOBAL", "LOAD_NAME"):
            return module.get(instruction.argval)
        if name.startswith(("LOAD_DEREF", "LOAD_FAST", "LOAD_CLASSDEREF")) and isinstance(instruction.argval, str):
            return names.get(instruction.argval)
        return None

    def _number(self, number: float, compared: bool) -> None:
        if isinstance(number, int):
            (self.compared if compared else self.integers).add(number)
        elif math.isfinite(number):
            self.floats.add(float(number))


def _names_of(f: FunctionType) -> dict[str, Any]:
    """What the names of a function stand for that it closes over, or has defaults for."""
    found: dict[str, Any] = {}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    defaults = f.__defaults__ or ()
    places = f.__code__.co_varnames[: f.__code__.co_argcount]
    found |= dict(zip(places[len(places) - len(defaults) :], defaults, strict=True))
    return found | (f.__kwdefaults__ or {})


def _is_compared(following: Sequence[dis.Instruction]) -> bool:
    """Whether one of the next instructions compares, or takes a remainder."""
    for instruction in following:
        if instruction.opname in COMPARING or instruction.argrepr in ("%", "//", "&"):
            return True
        if instruction.opname.startswith(("STORE", "RETURN", "POP_JUMP")):
            return False
    return False


def _numbers(value: Any) -> Iterator[float]:
    """The numbers of a value, of short tuples, sets and arrays too; integers stay integers."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or value is None:
        return
    if isinstance(value, (int, np.integer)):
        yield int(value)
    elif isinstance(value, (float, np.floating)):
        yield float(value)
    elif isinstance(value, (tuple, list, frozenset, set)) and len(value) <= SMALL:
        for entry in value:
            if not isinstance(entry, (tuple, list, frozenset, set)):
                yield from _numbers(entry)
    elif isinstance(value, np.ndarray) and value.size <= SMALL and value.dtype.kind in "fiu":
        for entry in value.reshape(-1).tolist():
            yield from _numbers(entry)


def _top(module: object) -> str:
    return module.split(".")[0] if isinstance(module, str) else ""


def _is_users(module: object) -> bool:
    top = _top(module)
    return bool(top) and top not in (*LIBRARIES, "backprove", "builtins") and top not in sys.stdlib_module_names


def _is_library(value: Any) -> bool:
    """Whether a callable is a library's, which is not read; objects of a library may hold code of a user."""
    if isinstance(value, (functools.partial, MethodType)):
        return False
    top = _top(getattr(value, "__module__", None))
    if isinstance(value, (FunctionType, type)):
        return top in LIBRARIES or top in sys.stdlib_module_names
    return _top(type(value).__module__) == "builtins"
