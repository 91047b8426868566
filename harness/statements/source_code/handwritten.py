"""The source of a package tells its hand-written derivative rules; nothing of it is imported.

survey("mypackage").rules       every jax.custom_jvp, jax.custom_vjp and torch.autograd.Function, with file and line
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from backprove.harness.core.handwritten import Handwritten, HandwrittenKind, Span, Survey
from backprove.harness.statements.source_code.modules import (
    Definition,
    Module,
    Modules,
    canonical,
    dotted_name,
    files_of,
    held,
)

REGISTERS = ("defjvp", "defjvps", "defvjp")
"""Methods that give a function of JAX its derivative."""

DERIVATIVES = ("backward", "vjp", "jvp")
"""Methods that give a function of torch its derivative; it needs one of them beside `forward`."""

WORDS = (b"custom_jvp", b"custom_vjp", *(w.encode() for w in (*REGISTERS, *DERIVATIVES)))
"""A file that holds none of these holds no hand-written rule."""

LONGEST = 200
"""Lines of one span that are kept."""


def survey(package: str) -> Survey:
    """All hand-written rules in the source of a package, subpackages included.

    Found are decorated functions (plainly, or through `functools.partial`), calls such as `f = jax.custom_vjp(g)`, and
    subclasses of `torch.autograd.Function` that have a forward and a derivative, their own or a base class's; also
    inside functions and classes, and under whatever names the package imports these.

    Raises:
        UsageError: when there is no such package, or it has no Python source.
    """
    home, files = files_of(package)
    modules = Modules(files)
    rules = [r for m in modules.with_any(*WORDS) for r in (*_of_jax(m, modules), *_of_torch(m, modules))]
    rules.sort(key=lambda r: (r.file, r.line))
    return Survey(package, str(home), len(files) - len(modules.unread), modules.unread, rules)


def _span(module: Module, role: str, node: ast.AST) -> Span:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])  # type: ignore[attr-defined]
    last: int = node.end_lineno or first  # type: ignore[attr-defined]
    kept = min(last, first + LONGEST - 1)
    more = f"\n... {last - kept} more lines" if last > kept else ""
    return Span("map" if role == "map" else "rule", first, last, module.text(first, kept) + more)


# -- JAX ---------------------------------------------------------------------------------------------------------------


def _of_jax(module: Module, modules: Mapping[str, Module]) -> Iterator[Handwritten]:
    found: dict[tuple[str, str], Handwritten] = {}
    for scope, node in module.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kinds = [k for d in node.decorator_list if (k := _kind(d, module, modules))]
            if kinds:
                found.setdefault((scope, node.name), _rule(module, scope, node.name, kinds[0], node, node))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            call = node.value
            if isinstance(call, ast.Call) and (kind := _kind(call.func, module, modules)) and _name(target):
                wrapped = _wrapped(module, scope, call)
                key = (scope, _name(target))
                found[key] = _rule(module, scope, _name(target), kind, node, wrapped)
    assigned = {r.line for r in found.values()}
    for scope, node in module.nodes:
        if isinstance(node, ast.Call) and node.lineno not in assigned and (kind := _kind(node.func, module, modules)):
            if not node.args or _is_decorator(module, node):
                continue
            wrapped = _wrapped(module, scope, node)
            name = wrapped.name if isinstance(wrapped, Definition) else "<lambda>"
            found.setdefault((scope, f"{name}@{node.lineno}"), _rule(module, scope, name, kind, node, wrapped))
    _register(module, found)
    yield from found.values()


def _rule(
    module: Module, scope: str, name: str, kind: HandwrittenKind, stated: ast.AST, wrapped: ast.AST | None
) -> Handwritten:
    whole = ".".join(p for p in (module.name, scope, name) if p)
    spans = [_span(module, "map", stated if wrapped is None else wrapped)]
    if wrapped is not None and wrapped is not stated:
        spans.append(_span(module, "rule", stated))
    line: int = stated.lineno  # type: ignore[attr-defined]
    return Handwritten(whole, kind, str(module.file), line, spans)


def _kind(node: ast.expr, module: Module, modules: Mapping[str, Module]) -> HandwrittenKind | None:
    """The decorator that an expression is, `functools.partial` of one included."""
    if isinstance(node, ast.Call):
        inner = held(node, module.names)
        if inner is not None:
            return _kind(inner, module, modules)
        return _kind(node.func, module, modules) if not node.args and node.keywords else None
    dotted = dotted_name(node, module.names)
    if dotted is None:
        return None
    top, _, rest = canonical(dotted, modules).partition(".")
    if top == "jax" and rest.rpartition(".")[2] in ("custom_jvp", "custom_vjp"):
        return "jax.custom_jvp" if rest.endswith("jvp") else "jax.custom_vjp"
    return None


def _wrapped(module: Module, scope: str, call: ast.Call) -> ast.AST | None:
    """The function that a call of the decorator is given, where it stands in this file."""
    given = call.args[0] if call.args else None
    if isinstance(given, ast.Name):
        return module.defined(given.id, scope)
    return given if isinstance(given, ast.Lambda) else None


def _is_decorator(module: Module, call: ast.Call) -> bool:
    return any(call is d for ds in module.scopes.values() for n in ds.values() for d in n.decorator_list)


def _register(module: Module, found: Mapping[tuple[str, str], Handwritten]) -> None:
    """Add the functions that `defvjp` and its like register, and the lines that do."""
    for scope, node in module.nodes:
        for d in getattr(node, "decorator_list", ()):
            owner = _owner(d.func if isinstance(d, ast.Call) else d, scope, found)
            if owner is not None:
                owner.spans.append(_span(module, "rule", node))
        if isinstance(node, ast.Call) and (owner := _owner(node.func, scope, found)):
            for given in (*node.args, *(k.value for k in node.keywords)):
                defined = module.defined(given.id, scope) if isinstance(given, ast.Name) else None
                if defined is not None:
                    owner.spans.append(_span(module, "rule", defined))
            owner.spans.append(_span(module, "rule", node))


def _owner(node: ast.AST, scope: str, found: Mapping[tuple[str, str], Handwritten]) -> Handwritten | None:
    if not (isinstance(node, ast.Attribute) and node.attr in REGISTERS and _name(node.value)):
        return None
    parts = scope.split(".") if scope else []
    for cut in range(len(parts), -1, -1):
        owner = found.get((".".join(parts[:cut]), _name(node.value)))
        if owner is not None:
            return owner
    return None


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


# -- torch -------------------------------------------------------------------------------------------------------------


def _of_torch(module: Module, modules: Mapping[str, Module]) -> Iterator[Handwritten]:
    for scope, names in module.scopes.items():
        for node in names.values():
            if isinstance(node, ast.ClassDef):
                methods = _methods(module, scope, node, modules, ())
                if methods is not None and "forward" in methods and methods.keys() & set(DERIVATIVES):
                    whole = ".".join(p for p in (module.name, scope, node.name) if p)
                    spans = [_span(module, "map", node)]
                    inherited = [m for n, m in methods.items() if n in DERIVATIVES and m not in node.body]
                    spans += [_span(module, "rule", m) for m in inherited if m in module.statements]
                    yield Handwritten(whole, "torch.autograd.Function", str(module.file), node.lineno, spans)


def _methods(
    module: Module, scope: str, node: ast.ClassDef, modules: Mapping[str, Module], seen: tuple[ast.ClassDef, ...]
) -> dict[str, ast.stmt] | None:
    """What a class and its bases inside the package define, by name; None where it is no `torch.autograd.Function`."""
    if node in seen:
        return None
    inherited: list[dict[str, ast.stmt] | None] = []
    for base in node.bases:
        local = module.defined(base.id, scope) if isinstance(base, ast.Name) else None
        if isinstance(local, ast.ClassDef) and local is not node:
            inherited.append(_methods(module, scope, local, modules, (*seen, node)))
            continue
        dotted = dotted_name(base, module.names)
        whole = None if dotted is None else canonical(dotted, modules)
        if whole is None:
            continue
        if _is_function(whole):
            inherited.append({})
            continue
        home, _, name = whole.rpartition(".")
        other = modules.get(home)
        found = other.defined(name, "") if other is not None else None
        if other is not None and isinstance(found, ast.ClassDef) and found is not node:
            inherited.append(_methods(other, "", found, modules, (*seen, node)))
    known = [m for m in inherited if m is not None]
    if not known:
        return None
    found_here: dict[str, ast.stmt] = {}
    for methods in reversed(known):
        found_here |= methods
    found_here |= {n.name: n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    found_here |= {
        t.id: n for n in node.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    return found_here


def _is_function(dotted: str) -> bool:
    parts = dotted.split(".")
    return (
        parts[0] == "torch" and "autograd" in parts and parts[-1] in ("Function", "InplaceFunction", "NestedIOFunction")
    )
