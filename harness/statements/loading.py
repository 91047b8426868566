"""Loading finds the rules and the theorems in a user's file."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from backprove.harness.core.errors import UsageError

# `Rule` needs NumPy, which the command line starts without: the file is run in another process.
if TYPE_CHECKING:
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule
    from backprove.harness.statements.subject import Subject


LARGEST = 50_000_000
"""Bytes of the largest file that is run."""


@dataclass(frozen=True)
class Found:
    """A rule and where it was found: `variable`, and `key` where the variable is a dict."""

    rule: Rule
    variable: str
    key: object = None

    @property
    def label(self) -> str:
        """How the file calls it: `rule` or `RULES['logsoftmax']`."""
        return self.variable if self.key is None else f"{self.variable}[{self.key!r}]"


def split_target(target: str) -> tuple[Path, str | None]:
    """`FILE` or `FILE::NAME` as path and name."""
    file, separator, name = target.partition("::")
    if separator and not name:
        raise UsageError(f"{target}: no name after '::'; write FILE::NAME, or FILE for all its rules")
    return Path(file), name or None


def load_rules(target: str) -> list[Found]:
    """The rules that `FILE[::NAME]` names, in the order of the file.

    Raises:
        UsageError: when the file cannot be read or run, holds no rule, or NAME names none or several.
    """
    path, name = split_target(target)
    module = import_file(path)
    found = find_rules(module)
    if not found:
        there = len(find_theorems(module))
        hint = f"; its theorems, {there} in all, are checked by backprove verify {path}" if there else ""
        raise UsageError(f"{path}: no rule found; state one at module level, as in rule = bp.Rule(...){hint}")
    return found if name is None else select(found, name, path)


def load_theorems(target: str) -> list[OwnTheorem]:
    """The theorems that `FILE[::NAME]` names, in the order of the file; NAME is a variable or a theorem's name.

    Raises:
        UsageError: when the file cannot be read or run, holds no theorem, states one name twice, or NAME names none.
    """
    path, name = split_target(target)
    module = import_file(path)
    found = find_theorems(module)
    if not found:
        hint = f"; its rules are checked by backprove check {path}" if find_rules(module) else ""
        raise UsageError(f'{path}: no theorem found; state one, as in bp.theorem("name", bp.Equality(...), ...){hint}')
    places: dict[str, int] = {}
    for t in found:
        if t.name in places:
            raise UsageError(f"{path}: theorem {t.name!r} is stated twice, in lines {places[t.name]} and {t.source[1]}")
        places[t.name] = t.source[1]
    if name is None:
        return found
    chosen = [t for t in found if t is vars(module).get(name)] or [t for t in found if t.name == name]
    if not chosen:
        raise UsageError(f"{path}: no theorem is called {name!r}; the file has {', '.join(map(repr, places))}")
    return chosen


def select(found: list[Found], name: str, path: Path) -> list[Found]:
    """The rule called `name`: a variable (all rules of it where it is a dict), else a dict key, else a rule's name.

    Raises:
        UsageError: when there is none, or more than one rule has that key or name.
    """
    by_variable = [f for f in found if f.variable == name]
    if by_variable:
        return by_variable
    by_key = [f for f in found if f.key is not None and str(f.key) == name]
    matches = by_key or [f for f in found if f.rule.name == name]
    if len(matches) > 1:
        labels = ", ".join(f.label for f in matches)
        raise UsageError(f"{path}: {name!r} is ambiguous, it may be {labels}; use the name of a variable")
    if not matches:
        there = ", ".join(f"{f.label} ({f.rule.name!r})" for f in found)
        raise UsageError(f"{path}: no rule is called {name!r}; the file has {there}")
    return matches


def find_rules(module: ModuleType) -> list[Found]:
    """The rules at module level and in module-level dicts; a rule reachable in two ways is found once."""
    from backprove.harness.statements.rule import Rule

    seen: dict[int, Found] = {}
    items = [(n, v) for n, v in vars(module).items() if not n.startswith("__")]
    for variable, value in items:
        if isinstance(value, Rule):
            seen.setdefault(id(value), Found(value, variable))
    for variable, value in items:
        if isinstance(value, dict):
            for key, rule in value.items():
                if isinstance(rule, Rule):
                    seen.setdefault(id(rule), Found(rule, variable, key))
    return list(seen.values())


def find_theorems(module: ModuleType) -> list[OwnTheorem]:
    """The theorems that the module states, then those at module level or in module-level dicts; each is found once."""
    from backprove.harness.statements.own_theorem import STATED, OwnTheorem

    values = [v for n, v in vars(module).items() if not n.startswith("__")]
    inside = [v for value in values if isinstance(value, dict) for v in value.values()]
    found = [t for t in (*vars(module).get(STATED, ()), *values, *inside) if isinstance(t, OwnTheorem)]
    return list({id(t): t for t in found}.values())


def import_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own name, with its folder first on the import path.

    Raises:
        UsageError: when it does not exist, is no file, does not parse or raises; with the user's own lines.
    """
    from backprove.harness.statements.own_theorem import STATED

    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a Python file that states rules or theorems")
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a Python file that states rules or theorems")
    if not path.is_file():
        raise UsageError(f"{path} is a pipe or a device; give a Python file that states rules or theorems")
    if path.stat().st_size > LARGEST:
        raise UsageError(
            f"{path} has {path.stat().st_size:,} bytes; a Python file that states rules or theorems has at most "
            f"{LARGEST:,}"
        )
    resolved = path.resolve()
    try:
        code = compile(resolved.read_bytes(), str(resolved), "exec", dont_inherit=True)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None
    except SyntaxError as e:
        line = f"\n    {e.text.strip()}" if e.text else ""
        raise UsageError(f"{path}, line {e.lineno}: this is not Python: {e.msg}{line}") from None
    except (ValueError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: this is not Python source: {e}") from None
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:8]
    name = f"backprove_user_{resolved.stem}_{digest}"
    module = ModuleType(name)
    module.__file__ = str(resolved)
    module.__dict__[STATED] = []
    module.__spec__ = importlib.util.spec_from_file_location(name, resolved)
    sys.modules[name] = module
    folder = str(resolved.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        exec(code, module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as e:
        del sys.modules[name]
        raise UsageError(_import_failure(path, resolved, e)) from None
    return module


def _import_failure(path: Path, resolved: Path, error: BaseException) -> str:
    """The message of an exception at import: the user's own lines of the traceback, no other."""
    what = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    if isinstance(error, UsageError):
        what = str(error)
    elif isinstance(error, SystemExit):
        what = f'the file calls exit ({error.code!r}); put that under if __name__ == "__main__":'
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(resolved)]
    lines = [f"    line {f.lineno}, in {f.name}: {f.line}" for f in own]
    return "\n".join([f"{path} cannot be imported: {what}", *lines])


def find_subject(kind: str, name: str, file: str) -> Subject:
    """The subject that the id of a failing point names.

    Args:
        kind: see `results.Kind`.
        file: of a rule or theorem of a user; those of the catalogue are among what is stated by now.

    Raises:
        UsageError: when there is no such subject, or the file cannot be read.
    """
    finder = FINDERS.get(kind)
    if finder is None:
        raise UsageError(f"replay: {name} is a {kind!r}; known are {', '.join(FINDERS)}")
    return finder(name, file)


def _rule_of_file(name: str, file: str) -> Subject:
    found = [f.rule for f in load_rules(file) if f.rule.name == name]
    if not found:
        raise UsageError(f"replay: {file} has no rule named {name!r}")
    return found[0]


def _theorem(name: str, file: str) -> Subject:
    from backprove.harness.statements.theorem import REGISTRY

    found = REGISTRY.theorems.get(name)
    if found is None:
        raise UsageError(f"replay: there is no theorem {name}")
    return found


def _theorem_of_file(name: str, file: str) -> Subject:
    found = [t for t in load_theorems(file) if t.name == name]
    if not found:
        raise UsageError(f"replay: {file} states no theorem named {name!r}")
    return found[0]


FINDERS: dict[str, Callable[[str, str], Subject]] = {
    "rule": _rule_of_file,
    "theorem": _theorem,
    "own theorem": _theorem_of_file,
}
"""How a subject is found again, by its kind, from its name and file."""
