"""The catalogue of documented declarations, and how much of it the stated theorems cover.

Two lists come with the package: `documented` (the declarations of the four reference pages) and `library` (the rest
of the library); a user may bring one. An entry names a declaration; a `theorem(...)` of the same name makes it
executable. Coverage is counted from the lists, never written by hand.
"""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Literal, Protocol, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec import Meta

from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import FrozenRecord
from backprove.harness.core.results import CoverageCounts, NotCovered
from backprove.harness.core.verdicts import Verdict

NAMES = ("documented", "library")
Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class Entry(FrozenRecord, frozen=True):
    """One declaration of the catalogue; only `name` and `statement` must be given.

    Attributes:
        name: full name of the declaration.
        statement: the claim in plain mathematics.
        module: module that declares it.
        kind: "def", "theorem" or "open" (listed there as not proved yet).
        property: what sort of claim it is, e.g. "adjointness".
        family: which family of functions it is about, e.g. "softmax".
        executable: whether it can be checked on its own.
        hypotheses: where it holds, and known traps.
        why_not: why it is not executable ("" where it is).
        test: advice on how to check it.
        also_named: another name it went by, perhaps with a remark in parentheses.
    """

    name: Text
    statement: Text
    module: str = ""
    kind: Literal["def", "theorem", "open"] = "theorem"
    property: str = ""
    family: str = ""
    executable: bool = True
    hypotheses: str = ""
    why_not: str = ""
    test: str = ""
    also_named: str = ""

    def __post_init__(self) -> None:
        if self.executable == bool(self.why_not):
            need = "an executable entry has no why_not" if self.executable else "executable = false needs why_not"
            raise ValueError(f"{self.name}: {need}")


class _File(FrozenRecord, frozen=True):
    """What a list says: a table `conventions`, an array `entry`, and `pages`, where its declarations are documented."""

    pages: Annotated[str, Meta(pattern=r"^(https://\S+/)?$")] = ""
    conventions: dict[str, str] = msgspec.field(default_factory=dict)
    entry: list[Entry] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Catalogue:
    """One list of entries.

    Attributes:
        name: "documented", "library", or that of a user's file.
        entries: entry by full name, in the order of the file.
        conventions: the library's conventions at kinks, poles and empty shapes (name -> sentence).
        pages: address below which every module has a page of its own, with its declarations ("": there is none).
    """

    name: str
    entries: Mapping[str, Entry]
    conventions: Mapping[str, str] = field(default_factory=dict)
    pages: str = ""

    def page(self, entry: Entry) -> str:
        """Where the source of a declaration is documented; "" where the list names no place."""
        if not self.pages:
            return ""
        return f"{self.pages}{quote(entry.module.replace('.', '/'))}.html#{quote(entry.name)}"

    @classmethod
    def load(cls, name: str) -> Catalogue:
        """The list `name` as it is installed with the package.

        Raises:
            UsageError: if there is no such list or its file is malformed.
        """
        if name not in NAMES:
            raise UsageError(f"there is no catalogue {name!r}; there are {' and '.join(map(repr, NAMES))}")
        return _load(name)

    @classmethod
    def parse(cls, name: str, text: str) -> Catalogue:
        """The list written in `text` (TOML: `pages`, a table `conventions` and an array `entry`).

        Raises:
            UsageError: on text that is not TOML, on a missing, unknown or mistyped key, or a name that stands twice.
        """
        try:
            file = msgspec.convert(tomllib.loads(text), _File)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"catalogue {name}: not readable as TOML: {error}") from None
        except msgspec.ValidationError as error:
            raise UsageError(f"catalogue {name}: {error}") from None
        entries = {e.name: e for e in file.entry}
        if len(entries) < len(file.entry):
            twice = next(n for n, count in Counter(e.name for e in file.entry).items() if count > 1)
            raise UsageError(f"catalogue {name}: {twice} stands twice; remove one of the two entries")
        return cls(name, MappingProxyType(entries), MappingProxyType(file.conventions), file.pages)


@cache
def _load(name: str) -> Catalogue:
    file = resources.files("backprove.rules") / "catalogue" / f"{name}.toml"
    return Catalogue.parse(name, file.read_text(encoding="utf-8"))


class Stated(Protocol):
    """What coverage needs of a theorem: a `Theorem` or its `Statement`."""

    @property
    def rests_on(self) -> tuple[str, ...]: ...
    @property
    def covers(self) -> tuple[str, ...]: ...
    @property
    def source(self) -> tuple[str, int]: ...
    @property
    def statement(self) -> str: ...


@dataclass(frozen=True)
class Coverage:
    """Which entries are reached by a stated theorem, and through which ones.

    Attributes:
        catalogues: the lists that were counted, in order.
        reached_by: name of each covered entry -> names of the theorems that reach it; an executable entry is
            reached by the theorem of its own name, any other by the theorems that name it in `covers`.
    """

    catalogues: tuple[Catalogue, ...]
    reached_by: Mapping[str, tuple[str, ...]]

    @property
    def not_covered(self) -> list[NotCovered]:
        """Executable entries without a property, and all others with the reason and what reaches them, in order."""
        return [
            self._not_covered(catalogue, entry)
            for catalogue in self.catalogues
            for entry in catalogue.entries.values()
            if not (entry.executable and entry.name in self.reached_by)
        ]

    def _not_covered(self, catalogue: Catalogue, entry: Entry) -> NotCovered:
        out: NotCovered = {
            "name": entry.name,
            "module": entry.module,
            "executable": entry.executable,
            "why_not": entry.why_not,
            "covered_by": list(self.reached_by.get(entry.name, ())),
            "family": entry.family,
        }
        if page := catalogue.page(entry):
            out["page"] = page
        return out


def coverage(
    catalogues: Iterable[Catalogue], theorems: Mapping[str, Stated], further: Collection[str] = ()
) -> Coverage:
    """Which entries of `catalogues` the stated `theorems` (by full name) reach.

    Args:
        further: names that may stand in no catalogue, beside those of theorems with a statement of their own.

    Raises:
        UsageError: if any other theorem, or a name in its `covers` or `rests_on`, is in no catalogue; if a theorem
            states an entry that is not executable on its own, or covers one that is; if two catalogues share a name.
    """
    lists = tuple(catalogues)
    entries: dict[str, Entry] = {}
    for catalogue in lists:
        for name, entry in catalogue.entries.items():
            if name in entries:
                raise UsageError(f"{name} stands in two catalogues; remove it from {catalogue.name}")
            entries[name] = entry
    reached: dict[str, list[str]] = {}
    beside = {*further, *(name for name, t in theorems.items() if t.statement)} - set(entries)
    for name, theorem in theorems.items():
        if name not in beside and not _find(entries, name, f"theorem {name} ({_place(theorem)})").executable:
            raise UsageError(
                f"theorem {name} ({_place(theorem)}): the catalogue has it as not executable "
                f"({entries[name].why_not}); name it in the covers of a theorem that uses it"
            )
        if name not in beside:
            reached.setdefault(name, []).append(name)
        for other in theorem.rests_on:
            if other not in beside:
                _find(entries, other, f"rests_on of {name} ({_place(theorem)})", beside)
        for other in theorem.covers:
            if _find(entries, other, f"covers of {name} ({_place(theorem)})").executable:
                raise UsageError(
                    f"covers of {name} ({_place(theorem)}): {other} is executable; state it as a theorem of its own"
                )
            reached.setdefault(other, []).append(name)
    return Coverage(lists, MappingProxyType({n: tuple(by) for n, by in reached.items()}))


def coverage_counts(found: Coverage, verdicts: Mapping[str, Verdict]) -> dict[str, CoverageCounts]:
    """Counts per catalogue, by its name.

    Args:
        found: what `coverage` returned.
        verdicts: verdict by theorem name. A covered entry holds when all theorems that reach it hold; a theorem
            without a verdict has not held.
    """

    def holds(name: str) -> bool:
        return all(verdicts.get(by) is Verdict.HOLDS for by in found.reached_by[name])

    counts: dict[str, CoverageCounts] = {}
    for catalogue in found.catalogues:
        covered = [n for n in catalogue.entries if n in found.reached_by]
        counts[catalogue.name] = {
            "declared": len(catalogue.entries),
            "executable": sum(e.executable for e in catalogue.entries.values()),
            "covered": len(covered),
            "holds": sum(map(holds, covered)),
        }
    return counts


def _find(entries: Mapping[str, Entry], name: str, where: str, beside: Collection[str] = ()) -> Entry:
    if name in entries:
        return entries[name]
    renamed = [e.name for e in entries.values() if e.also_named.split(" ")[0] == name]
    last = name.rsplit(".", 1)[-1]
    same_end = [n for n in entries if n.rsplit(".", 1)[-1] == last]
    close = renamed or same_end or difflib.get_close_matches(name, [*entries, *beside], n=3, cutoff=0.8)
    hint = f"; did you mean {' or '.join(close[:3])}?" if close else ""
    raise UsageError(f"{where}: {name} is not in the catalogue{hint}")


def _place(theorem: Stated) -> str:
    file, line = theorem.source
    return f"{file}:{line}" if file else "place unknown"
