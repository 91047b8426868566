"""`import_line_of` writes the code that names a rule in another file: `from losses import huber as rule`."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from backprove.harness.statements.source_code.self_contained import self_contained

DEPTH = 3
"""Containers inside containers that are looked through."""
LONGEST = 1000
"""Entries of a container up to which it is looked through."""


def import_line_of(rule: object, file: str, line: int) -> str:
    """Code that imports an object as `rule`: stated in a module by itself, in a container, or returned by a function.

    What no import reaches is copied with all that it names.

    Args:
        file, line: where it is stated; its folder is taken for importable.
    """
    stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
    for module in list(sys.modules.values()):
        if file and getattr(module, "__file__", None) == file:
            for variable, value in list(vars(module).items()):
                for path in _paths(value, rule, DEPTH):
                    if path:
                        return f"from {stem} import {variable}\n\nrule = {variable}{path}"
                    return f"from {stem} import {variable}{'' if variable == 'rule' else ' as rule'}"
    maker = _maker(file, line)
    if maker:
        return f"from {stem} import {maker}\n\nrule = {maker}()"
    copied = self_contained(file, line)
    if copied:
        return copied
    where = f", stated in line {line} of {stem}.py" if file and line else ""
    return f"rule = ...  # put the rule under test here{where}"


def _paths(value: Any, rule: object, depth: int) -> Iterator[str]:
    """How the rule is reached from a value: "" for itself, `["name"]`, `[0]`, `.attribute`."""
    if value is rule:
        yield ""
        return
    entries: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        entries = [(f"[{k!r}]", v) for k, v in list(value.items()) if isinstance(k, (str, int))]
    elif isinstance(value, (list, tuple)):
        entries = [(f"[{k}]", v) for k, v in enumerate(value)]
    elif not isinstance(value, (type, ModuleType)) and depth < DEPTH and type(value).__module__ != "builtins":
        held = getattr(value, "__dict__", None)
        entries = [(f".{k}", v) for k, v in list(held.items())] if isinstance(held, dict) else []
    if depth and len(entries) <= LONGEST:
        for step, entry in entries:
            for path in _paths(entry, rule, depth - 1):
                yield step + path


def _maker(file: str, line: int) -> str:
    """The function of the file, with no arguments it needs, that returns what is stated in the line; else ""."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ""
    for f in tree.body:
        if not isinstance(f, ast.FunctionDef) or not f.lineno <= line <= (f.end_lineno or 0):
            continue
        needed = len(f.args.posonlyargs) + len(f.args.args) - len(f.args.defaults)
        named = sum(d is None for d in f.args.kw_defaults)
        stated = {
            t.id
            for a in f.body
            if isinstance(a, ast.Assign) and a.lineno <= line <= (a.end_lineno or 0)
            for t in a.targets
            if isinstance(t, ast.Name)
        }
        for r in f.body:
            if not isinstance(r, ast.Return) or needed or named:
                continue
            here = r.lineno <= line <= (r.end_lineno or 0) and isinstance(r.value, ast.Call)
            if here or (isinstance(r.value, ast.Name) and r.value.id in stated):
                return f.name
    return ""
