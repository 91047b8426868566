"""Modules of a package are read here without importing them: files, syntax trees, and what names in them stand for.

read("pkg.ops", file).names       {"cv": "jax.custom_vjp", "np": "numpy", "Base": "pkg.ops.Base"}
"""

from __future__ import annotations

import ast
import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from backprove.harness.core.errors import UsageError
from backprove.harness.core.handwritten import Unread

STEPS = 20
"""Modules of the package through which one name is followed: they may import it from each other in a circle."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass
class Module:
    """One file of a package.

    Attributes:
        name: of the module.
        nodes: of its syntax tree, each with the qualified name of its scope.
        names: what each name stands for, dotted; names of all scopes are in one table.
        scopes: qualified name of a scope ("" the module) -> what is defined in it.
    """

    name: str
    file: Path
    lines: list[str]
    nodes: list[tuple[str, ast.AST]]
    names: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, dict[str, Definition]] = field(default_factory=dict)

    @cached_property
    def statements(self) -> set[ast.AST]:
        """The nodes of its syntax tree."""
        return {node for _, node in self.nodes}

    def text(self, first: int, last: int) -> str:
        """The lines from `first` to `last`."""
        return "\n".join(self.lines[first - 1 : last])

    def defined(self, name: str, scope: str) -> Definition | None:
        """What `name` is at `scope`: looked for there, then further out."""
        parts = scope.split(".") if scope else []
        for cut in range(len(parts), -1, -1):
            found = self.scopes.get(".".join(parts[:cut]), {}).get(name)
            if found is not None:
                return found
        return None


def files_of(package: str) -> tuple[Path, dict[str, Path]]:
    """The folder that a package lies in, and the file of each of its modules by name; nothing is imported.

    Raises:
        UsageError: when there is no such package, or it has no Python source.
    """
    if not all(part.isidentifier() for part in package.split(".")):
        raise UsageError(
            f"coverage: {package!r} is no name of a package; write it as in an import, such as mypackage.ops"
        )
    top, *below = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None:
        raise UsageError(
            f"coverage: there is no package {top!r} to import; install it (pip install -e .), "
            "or name its folder in PYTHONPATH"
        )
    places = [Path(p) for p in spec.submodule_search_locations or ()]
    single = Path(spec.origin) if not places and spec.origin and spec.origin.endswith(".py") else None
    for part in below:
        single = next((f for p in places if (f := p / f"{part}.py").is_file()), None)
        places = [p / part for p in places if (p / part).is_dir()]
    found = dict(_modules(package, places)) if places else {}
    if single is not None:
        found.setdefault(package, single)
    if not found:
        raise UsageError(f"coverage: {package!r} has no Python source here; give a package or module that has")
    roots = [*places, single] if single is not None else places
    return roots[0].parents[len(below)], found


def _modules(package: str, places: list[Path]) -> Iterator[tuple[str, Path]]:
    for place in places:
        for file in sorted(_python_files(place)):
            parts = file.relative_to(place).with_suffix("").parts
            if all(p.isidentifier() for p in parts):
                names = parts[:-1] if parts[-1] == "__init__" else parts
                yield ".".join((package, *names)), file


def _python_files(place: Path) -> Iterator[Path]:
    """The Python files below a folder; links are followed, each folder once."""
    seen: set[str] = set()
    for folder, below, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield from (Path(folder, f) for f in files if f.endswith(".py"))


class Modules(Mapping[str, Module]):
    """The modules of a package by name, each read when it is first asked for.

    Attributes:
        unread: files that were asked for and cannot be read.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._read: dict[str, Module | Unread] = {}

    def __getitem__(self, name: str) -> Module:
        if name not in self._read:
            self._read[name] = read(name, self._files[name])
        found = self._read[name]
        if isinstance(found, Unread):
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    @property
    def unread(self) -> list[Unread]:
        return [m for m in self._read.values() if isinstance(m, Unread)]

    def with_any(self, *words: bytes) -> Iterator[Module]:
        """The modules whose source holds one of the words; the others are not parsed."""
        for name, file in self._files.items():
            try:
                source = file.read_bytes()
            except OSError as e:
                self._read[name] = Unread(str(file), e.strerror or str(e))
                continue
            if any(word in source for word in words) and (found := self.get(name)) is not None:
                yield found


def read(name: str, file: Path) -> Module | Unread:
    """The module of a file, or why it cannot be read."""
    try:
        source = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in texts that are none
            tree = ast.parse(source, str(file))
    except OSError as e:
        return Unread(str(file), e.strerror or str(e))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        where = f"line {e.lineno}: " if isinstance(e, SyntaxError) and e.lineno else ""
        return Unread(str(file), f"{where}{e.msg if isinstance(e, SyntaxError) else e}")
    module = Module(name, file, source.decode("utf-8", "replace").splitlines(), list(_scoped(tree, "")))
    for scope, node in module.nodes:
        if isinstance(node, Definition):
            module.scopes.setdefault(scope, {})[node.name] = node
    module.names = names_of(module.nodes, name, file.name == "__init__.py")
    return module


def _scoped(tree: ast.AST, outermost: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node below with the qualified name of its scope, in the order of the source."""
    todo = [(outermost, tree)]
    while todo:
        scope, node = todo.pop()
        if node is not tree:
            yield scope, node
            if isinstance(node, Definition):
                scope = qualified(scope, node)
        todo += [(scope, child) for child in reversed(list(ast.iter_child_nodes(node)))]


def qualified(scope: str, node: Definition) -> str:
    """The scope inside a definition, called as Python calls what is defined there."""
    name = f"{scope}.{node.name}" if scope else node.name
    return name if isinstance(node, ast.ClassDef) else f"{name}.<locals>"


def names_of(nodes: Sequence[tuple[str, ast.AST]], module: str, is_package: bool = False) -> dict[str, str]:
    """What the names of a module stand for: imports, classes and functions, and other names given to these."""
    found: dict[str, str] = {}
    for _, node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            found.update({a.asname or a.name: f"{base}.{a.name}" for a in node.names})
    found |= {n.name: f"{module}.{n.name}" for scope, n in nodes if not scope and isinstance(n, Definition)}
    for _, node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Call):
                value = held(value, found) or value
            dotted = dotted_name(value, found)
            if dotted is not None and dotted != f"{module}.{node.targets[0].id}":
                found.setdefault(node.targets[0].id, dotted)
    return found


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


def dotted_name(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """What an expression stands for, dotted; None where it is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        base = dotted_name(node.value, names)
        return None if base is None else f"{base}.{node.attr}"
    if isinstance(node, ast.Subscript):  # a generic class
        return dotted_name(node.value, names)
    return None


def held(call: ast.Call, names: Mapping[str, str]) -> ast.expr | None:
    """The function in `functools.partial(function, ...)`; None where the call is another."""
    return call.args[0] if call.args and dotted_name(call.func, names) == "functools.partial" else None


def canonical(dotted: str, modules: Mapping[str, Module]) -> str:
    """A dotted name followed through the modules of the package to where it comes from."""
    for _ in range(STEPS):
        parts = dotted.split(".")
        cut = next((c for c in range(len(parts) - 1, 0, -1) if ".".join(parts[:c]) in modules), 0)
        if not cut:
            return dotted
        known = modules[".".join(parts[:cut])].names.get(parts[cut])
        further = dotted if known is None else ".".join([known, *parts[cut + 1 :]])
        if further == dotted:
            return dotted
        dotted = further
    return dotted
