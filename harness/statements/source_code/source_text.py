"""The source text of a rule is found here: where it is stated, and the code of its functions and of what they call."""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # NumPy takes long to import
    from backprove.harness.core.arrays import Code


def call_site() -> FrameType | None:
    """The innermost frame outside the engine (and `dataclasses.replace`): where the user states the rule."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(
        ("backprove.harness.", "dataclasses")
    ):
        frame = frame.f_back
    return frame


def source_text_of(site: FrameType | None, functions: list[Code]) -> str:
    """Text of `functions` and of those they name in their own file, then of the statement at `site`."""
    blocks: dict[tuple[str, int], str] = {}
    for function in functions:
        for f in _with_callees(function):
            try:
                lines, start = inspect.getsourcelines(f)
            except Exception:  # no source, or code of a user that answers no question
                continue
            blocks.setdefault((inspect.getsourcefile(f) or "", start), inspect.cleandoc("\n" + "".join(lines)))
    if site is not None:
        where = inspect.getframeinfo(site).positions
        if where is not None and where.lineno and where.end_lineno:
            lines = linecache.getlines(site.f_code.co_filename)[where.lineno - 1 : where.end_lineno]
            stated = range(where.lineno, where.end_lineno + 1)
            # A lambda inside the statement is shown with it.
            blocks = {k: v for k, v in blocks.items() if not _inside(k, site.f_code.co_filename, stated)}
            if lines:
                blocks[(site.f_code.co_filename, where.lineno)] = "".join(lines)
    return "\n\n".join(text.strip("\n") for text in blocks.values())


def _inside(key: tuple[str, int], file: str, lines: range) -> bool:
    return key[0] == file and key[1] in lines


def _file(function: FunctionType) -> str:
    return function.__code__.co_filename


def _unwrapped(function: Code) -> Code:
    """The function inside wrappers; the given one where an object answers no question about itself."""
    try:
        inner: Code = inspect.unwrap(getattr(function, "func", function))
        return inner
    except Exception:  # code of a user
        return function


def _with_callees(function: Code, depth: int = 3) -> Iterator[Code]:
    """The functions of the same file that `function` names, innermost first, then `function`."""
    plain = _unwrapped(function)
    if inspect.isfunction(plain) and depth:
        for name in plain.__code__.co_names:
            callee = plain.__globals__.get(name)
            if inspect.isfunction(callee) and callee is not plain and _file(callee) == _file(plain):
                yield from _with_callees(callee, depth - 1)
    yield plain
