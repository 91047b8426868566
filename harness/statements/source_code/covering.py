"""Covering tells which hand-written rules of a package a rule puts under test.

covering(bp.from_jax(pkg.softplus, ...), survey)          {3: "its derivative is under test"}

Decided is by the object itself where its module is loaded, else by file and line of its code. A rule covers

- what it was made of (`from_jax`, `from_torch`, `from_call`), also inside `functools.partial`, `jax.jit` and others;
- what its forward, jvp or vjp is, or wraps;
- what its jvp or vjp names in its own code: the function, or one that states its derivative, such as the `bwd` of
  `f.defvjp(fwd, bwd)` or the `backward` of a class.

A forward that only calls a function says nothing of that function's rule.
"""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol

from backprove.harness.core.guard import attribute
from backprove.harness.core.handwritten import Handwritten, Role, Span, Survey

MOST = 50
"""Wrappers around one function that are looked through."""

MADE, IS, NAMES, STATES = (
    "its derivative is under test",
    "it is the {0}, or what the {0} wraps",
    "the {0} calls it",
    "the {0} is, or calls, a function that states its derivative",
)
GLOBALS, CELLS = ("LOAD_GLOBAL", "LOAD_NAME"), ("LOAD_DEREF", "LOAD_CLASSDEREF")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")


class Functions(Protocol):
    """What is looked at of a rule."""

    @property
    def forward(self) -> Any: ...
    @property
    def jvp(self) -> Any: ...
    @property
    def vjp(self) -> Any: ...


def covering(rule: Functions, survey: Survey) -> dict[int, str]:
    """Positions of the hand-written rules that `rule` covers, each with how that is known."""
    found: dict[int, str] = {}
    for label, function in (("jvp", rule.jvp), ("vjp", rule.vjp), ("forward", rule.forward)):
        if function is None:
            continue
        for held, made in _wrapped(function):
            for k, handwritten in enumerate(survey.rules):
                how = _how(held, handwritten, label, made)
                if how:
                    found.setdefault(k, how)
    return found


def _how(held: Any, handwritten: Handwritten, label: str, made: bool) -> str:
    """How an object that the function called `label` holds covers a hand-written rule; "" where it does not."""
    if is_it(held, handwritten):
        return MADE if made else IS.format(label)
    if label == "forward" or not isinstance(held, FunctionType):
        return ""
    if _states(held, handwritten):
        return STATES.format(label)
    for named in _named(held):
        for inside, _ in _wrapped(named):
            if is_it(inside, handwritten):
                return MADE if made else NAMES.format(label)
            if isinstance(inside, FunctionType) and _states(inside, handwritten):
                return STATES.format(label)
    return ""


def is_it(found: Any, handwritten: Handwritten) -> bool:
    """Whether an object is the one that a piece of source defines."""
    if not _is_framework_object(found):
        return False
    at_place = _at(handwritten)
    if at_place is found:
        return True
    if _is_framework_object(at_place):  # another object has that name
        return False
    if isinstance(found, type):
        return f"{found.__module__}.{found.__qualname__}" == handwritten.name or any(
            _lies_in(f, handwritten, "map") for f in map(_plain, vars(found).values()) if isinstance(f, FunctionType)
        )
    fun = attribute(found, "fun")
    return any(isinstance(f, FunctionType) and _lies_in(f, handwritten, "map") for f, _ in _wrapped(fun))


def _is_framework_object(found: Any) -> bool:
    if isinstance(found, type):
        torch = sys.modules.get("torch")
        return torch is not None and issubclass(found, torch.autograd.Function)
    kind = type(found)
    return kind.__module__.partition(".")[0] == "jax" and kind.__name__ in ("custom_jvp", "custom_vjp")


def _at(handwritten: Handwritten) -> Any:
    """What has the name of a hand-written rule in the modules that are loaded, wrappers taken off; None: nothing."""
    parts = handwritten.name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        if found is None:
            continue
        for part in parts[cut:]:
            found = attribute(found, part)
        return next((f for f, _ in _wrapped(found) if _is_framework_object(f)), found)
    return None


def _states(function: FunctionType, handwritten: Handwritten) -> bool:
    """Whether a function is one of those that state the derivative."""
    if handwritten.kind == "torch.autograd.Function":
        roles: tuple[Role, ...] = ("map", "rule")
        return function.__name__ in ("backward", "jvp", "vjp") and any(
            _lies_in(function, handwritten, r) for r in roles
        )
    return _lies_in(function, handwritten, "rule")


def _lies_in(function: FunctionType, handwritten: Handwritten, role: Role) -> bool:
    code = function.__code__
    return any(_holds(s, code) for s in handwritten.spans if s.role == role) and _same_file(
        code.co_filename, handwritten.file
    )


def _holds(span: Span, code: CodeType) -> bool:
    return span.first <= code.co_firstlineno <= span.last


def _same_file(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def _plain(value: Any) -> Any:
    """The function in a static or class method."""
    return attribute(value, "__func__") or value


def _wrapped(function: Any) -> Iterator[tuple[Any, bool]]:
    """A function and all that it wraps, outermost first, and whether it is what a rule was made of."""
    todo: list[tuple[Any, bool]] = [(function, False)]
    seen: list[Any] = []
    while todo and len(seen) < MOST:
        found, made = todo.pop(0)
        if found is None or any(found is s for s in seen):
            continue
        seen.append(found)
        yield found, made
        own = attribute(found, "__dict__")
        if isinstance(own, Mapping) and own.get("under_test") is not None:
            todo.append((own["under_test"], True))
        for name in ("func", "__wrapped__", "__func__", "__self__", "call"):
            value = attribute(found, name)
            if callable(value):
                todo.append((value, made))


def _named(function: FunctionType) -> Iterator[Any]:
    """What a function's own code names: globals, what it closes over, and attributes of these."""
    codes = [function.__code__]
    for code in codes:
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
    for code in codes:
        value: Any = None
        for i in dis.get_instructions(code):
            if i.opname in GLOBALS:
                value = function.__globals__.get(i.argval)
            elif i.opname in CELLS:  # of another function's locals nothing is known
                value = _contents(cells[i.argval]) if i.argval in cells else None
            elif i.opname in ATTRIBUTES and (isinstance(value, (ModuleType, type)) or _is_framework_object(value)):
                value = attribute(value, str(i.argval))
            else:
                continue
            if callable(value):
                yield value


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
