"""Functions written in Python, as SciPy's `logsumexp` is, are replaced wherever modules hold them, and put back.

NumPy dispatches its own functions on duck arrays; these it does not know. `from scipy.special import logsumexp` leaves
the function in the module of the code, so that every loaded module is searched for it, again when it has grown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import CellType
from typing import Any

from backprove.harness.core.arrays import Code

Namespace = dict[str, Any]


class Substitutes:
    """Replacements of functions in all namespaces that hold them.

    Args:
        names: the functions by module and name; modules that nobody has imported have none.
        replace: makes the replacement of a function.
    """

    def __init__(self, names: Mapping[str, Mapping[str, object]], replace: Callable[[Code], Code]) -> None:
        self._names, self._replace = names, replace
        self._known: dict[int, tuple[Code, Code]] = {}
        self._modules: list[object] = []
        self._namespaces: list[Namespace] = []
        self._sizes: list[int] = []
        self._places: dict[tuple[int, str], tuple[Namespace, Code]] = {}
        self._put: list[tuple[Namespace, str, Any]] = []
        self._cells: list[tuple[CellType, Any]] = []

    def enter(self, code: object) -> None:
        """Put the replacements in place, in the global names of `code` too."""
        for module, names in self._names.items():
            loaded = sys.modules.get(module)
            for name in names if loaded is not None else ():
                function = getattr(loaded, name, None)
                if function is None or id(function) in self._known:
                    continue
                if not any(function is made for _, made in self._known.values()):
                    self._known[id(function)] = function, self._replace(function)
        if not self._known:
            return
        self._look_where_names_are_new()
        self._find(getattr(code, "__globals__", {}))
        for cell in getattr(code, "__closure__", None) or ():
            self._replace_in(cell)
        for (_, name), (namespace, function) in self._places.items():
            if namespace.get(name) is function and function is not None:
                namespace[name] = self._known[id(function)][1]
                self._put.append((namespace, name, function))

    def _look_where_names_are_new(self) -> None:
        """Search the modules, of which there are thousands, that have other names than at the last look."""
        modules: list[object] = list(sys.modules.values())
        known: dict[int, int] = {}
        if modules != self._modules:
            known = {id(names): size for names, size in zip(self._namespaces, self._sizes, strict=True)}
            self._modules = modules
            self._namespaces = [vars(m) for m in modules if isinstance(getattr(m, "__dict__", None), dict)]
            self._sizes = [known.get(id(names), -1) for names in self._namespaces]
        sizes = list(map(len, self._namespaces))
        if sizes != self._sizes:
            for names, size, before in zip(self._namespaces, sizes, self._sizes, strict=True):
                if size != before:
                    self._find(names)
            self._sizes = sizes

    def leave(self) -> None:
        """Put the functions themselves back."""
        while self._put:
            namespace, name, function = self._put.pop()
            namespace[name] = function
        while self._cells:
            cell, function = self._cells.pop()
            cell.cell_contents = function

    def of(self, code: Code) -> Code:
        """The replacement of a function, and any other code itself."""
        known = self._known.get(id(code))
        return known[1] if known is not None and known[0] is code else code

    def _replace_in(self, cell: CellType) -> None:
        """A variable of the function around the code; an empty one has no contents yet."""
        try:
            held = cell.cell_contents
        except ValueError:
            return
        known = self._known.get(id(held))
        if known is not None and known[0] is held:
            self._cells.append((cell, held))
            cell.cell_contents = known[1]

    def _find(self, names: Namespace) -> None:
        for name, value in list(names.items()):
            known = self._known.get(id(value))
            if known is not None and known[0] is value:
                self._places[id(names), name] = names, value
