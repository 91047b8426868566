"""`self_contained` copies the statement of a rule with all that it names, for rules that no import reaches.

A rule that a test function states is local to it; its functions, and the imports of its file, are copied beside it.
"""

from __future__ import annotations

import ast
import builtins
import linecache

STATING = ("Rule", "from_jax", "from_torch", "from_fwd_bwd", "replace")
"""Calls that make a rule."""
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom


def self_contained(file: str, line: int) -> str:
    """Code that makes the rule stated in a line of a file, as `rule`; "" where it names something that is not at hand.

    Arguments of an enclosing function are not at hand, nor is what a loop or a condition defines.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ""
    around = _enclosing(tree, line)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.lineno <= line <= (n.end_lineno or 0)]
    stating = [c for c in calls if _called(c) in STATING]
    if not stating:
        return ""
    call = min(stating, key=lambda c: (c.end_lineno or 0) - c.lineno)
    scopes = [tree.body, *(f.body for f in around)]
    arguments = {a.arg for f in around for a in ast.walk(f.args) if isinstance(a, ast.arg)}
    needed: dict[int, Definition] = {}
    if not _gather(call, scopes, arguments, needed):
        return ""
    parts = sorted(needed.values(), key=lambda d: d.lineno)
    imports = [p for p in parts if isinstance(p, ast.Import | ast.ImportFrom)]
    others = [p for p in parts if not isinstance(p, ast.Import | ast.ImportFrom)]
    texts = [*(ast.unparse(p) for p in imports), *(f"\n{ast.unparse(p)}" for p in others)]
    return "\n".join([*texts, f"\nrule = {ast.unparse(call)}"]).strip()


def _called(call: ast.Call) -> str:
    f = call.func
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def _enclosing(tree: ast.Module, line: int) -> list[ast.FunctionDef]:
    """The functions around a line, the outermost first."""
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.lineno <= line <= (n.end_lineno or 0)]


def _gather(node: ast.AST, scopes: list[list[ast.stmt]], arguments: set[str], needed: dict[int, Definition]) -> bool:
    """Collect the definitions of all that a piece of code names; False where one is missing."""
    for name in _free(node):
        if name in arguments:
            return False
        found = next((d for body in reversed(scopes) if (d := _definition(body, name)) is not None), None)
        if found is None:
            if hasattr(builtins, name):
                continue
            return False
        if id(found) not in needed:
            needed[id(found)] = found
            if not _gather(found, scopes, arguments, needed):
                return False
    return True


def _definition(body: list[ast.stmt], name: str) -> Definition | None:
    """The one statement of a body that defines a name; None where there is none, or several."""
    found = [s for s in body if isinstance(s, Definition) and name in _defined(s)]
    return found[0] if len(found) == 1 else None


def _defined(statement: Definition) -> list[str]:
    """The names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [a.asname or a.name.split(".")[0] for a in statement.names]
    if isinstance(statement, ast.AnnAssign):
        return [statement.target.id] if isinstance(statement.target, ast.Name) and statement.value else []
    return [t.id for t in statement.targets if isinstance(t, ast.Name)]


def _free(node: ast.AST) -> list[str]:
    """Names that a piece of code reads and does not define itself, as far as one can tell without running it."""
    read, own = [], set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name):
            if isinstance(n.ctx, ast.Load):
                read.append(n.id)
            elif n is not node:
                own.add(n.id)
        elif isinstance(n, ast.arg):
            own.add(n.arg)
        elif isinstance(n, ast.FunctionDef | ast.ClassDef):
            own.add(n.name)
        elif isinstance(n, ast.Import | ast.ImportFrom):
            own |= {a.asname or a.name.split(".")[0] for a in n.names}
    return [n for n in dict.fromkeys(read) if n not in own]
