"""Arguments that a public function does not have, lacks or is given in the wrong way are told in a sentence.

@worded("check")
def check(rule, *, points=10_000): ...

check(rule, point=3)        UsageError: check: there is no argument 'point'; did you mean points?
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from backprove.harness.core.errors import UsageError
from backprove.harness.core.names import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
ALIKE = 0.65
"""Likeness that an argument must have to be suggested: they are short, and few."""

_ADDRESS = re.compile(r"( object)? at 0x[0-9a-f]+")

LONGEST = 100
"""Characters of a value that a message shows."""


def worded(who: str, skipped: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: where the call does not fit the signature, a `UsageError` says how.

    Args:
        who: the start of the message.
        skipped: leading parameters that the caller does not write, such as `self`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*arguments: P.args, **keywords: P.kwargs) -> R:
            __tracebackhide__ = True
            try:
                signature.bind(*arguments, **keywords)
            except TypeError:
                raise UsageError(_misfit(who, signature, skipped, arguments, keywords)) from None
            return function(*arguments, **keywords)

        return call

    return decorate


def _misfit(
    who: str, signature: inspect.Signature, skipped: int, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> str:
    parameters = list(signature.parameters.values())[skipped:]
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    positional = [p.name for p in parameters if p.kind in POSITIONAL]
    given = len(arguments) - skipped
    takes = f"it takes {', '.join(named)}"
    unknown = [k for k in keywords if k not in named]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        near = did_you_mean(unknown[0], named, ALIKE)
        return f"{who}: there is no argument {unknown[0]!r}{near or f'; {takes}'}"
    if given > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        by_name = next((f"{n}=..." for n in named if n not in positional), "")
        write = f"; write the others by name, as in {by_name}" if by_name else ""
        most = f"{', '.join(positional)} alone" if positional else "none"
        return f"{who}: {given} arguments are given by position, which may be {most}{write}"
    twice = [n for n in positional[:given] if n in keywords]
    if twice:
        return f"{who}: {twice[0]} is given by position and by name"
    missing = [
        p.name
        for p in parameters
        if p.default is p.empty and p.name in named and p.name not in keywords and p.name not in positional[:given]
    ]
    return f"{who}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; {takes}"


def as_given(value: Any) -> str:
    """A value as a message shows it: descriptions and rules as they are stated, anything else by its `repr`, cut."""
    stated = getattr(value, "as_stated", None) if not isinstance(value, type) else None
    if isinstance(stated, str):
        return stated
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isfunction(value):
        return "a lambda" if value.__name__ == "<lambda>" else f"the function {value.__name__}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(as_given, value))
        text = f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    elif type(value) is dict:
        text = "{" + ", ".join(f"{k!r}: {as_given(v)}" for k, v in value.items()) + "}"
    else:
        try:
            text = _ADDRESS.sub("", " ".join(repr(value).split()))
        except Exception:  # code of a user
            text = f"an object of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
