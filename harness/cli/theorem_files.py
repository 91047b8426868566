"""Theorem files are what `backprove verify` judges: files of the user, or the catalogue where none is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backprove.harness.core.errors import UsageError

if TYPE_CHECKING:
    from backprove.harness.campaign.work import Job
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.statements.statement import Statement
    from backprove.rules.catalogue import Catalogue

PREFIX = "Proofs.Autograd."
"""Namespace of the catalogue's declarations, which names on the command line may leave out."""


@dataclass(frozen=True)
class Theorems:
    """What a run of `verify` may judge.

    Attributes:
        statements: by full name.
        jobs: by the same names.
        catalogues: lists of declarations, of which the run says how far they are covered.
        further: names that need stand in none of them.
        fingerprint: of the code.
        decides: what else decides the results of a run, for its name in the store.
    """

    statements: Mapping[str, Statement]
    jobs: Mapping[str, Job]
    catalogues: Sequence[Catalogue]
    further: frozenset[str] = frozenset()
    fingerprint: str = ""
    decides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def beside(self) -> list[str]:
        """Names of theorems that no catalogue declares."""
        return [n for n in self.statements if not any(n in c.entries for c in self.catalogues)]


def of_catalogue(statements: Mapping[str, Statement], module: str) -> Theorems:
    """The theorems of this package.

    Args:
        module: whose `load()` gives them.
    """
    from backprove.harness.campaign.work import Job
    from backprove.harness.core.files import fingerprint
    from backprove.rules.catalogue import NAMES, Catalogue

    jobs = {n: Job("theorem", n, module, weight=t.weight) for n, t in statements.items()}
    return Theorems(statements, jobs, [Catalogue.load(n) for n in NAMES], fingerprint=fingerprint())


def of_files(targets: Sequence[str], catalogue: Path | None, workers: Workers, timeout: float | None) -> Theorems:
    """The theorems of the user's files, found in a worker.

    Args:
        targets: `FILE[::NAME]` each.
        catalogue: a list of declarations to be covered.
        timeout: seconds that running a file may take.

    Raises:
        UsageError: when a file cannot be read or run or holds no theorem, when two state one name, and when a theorem
            rests on something or covers something that is unknown.
    """
    from backprove.harness.campaign.finding import find_theorems
    from backprove.harness.campaign.work import Job
    from backprove.harness.core.files import fingerprint
    from backprove.harness.statements.loading import split_target
    from backprove.rules.catalogue import NAMES, Catalogue, coverage

    given = [] if catalogue is None else [read_catalogue(catalogue)]
    statements: dict[str, Statement] = {}
    jobs: dict[str, Job] = {}
    unseen: set[str] = set()
    for target in dict.fromkeys(targets):
        with workers.one() as worker:
            found = find_theorems(worker, target, timeout=timeout)
        path, name = split_target(target)
        code = fingerprint(path)
        if name is not None:  # they may rest on others of the same file
            unseen |= {other for t in found for other in t.rests_on}
        for place, t in enumerate(found):
            if t.name in statements:
                first = "{}:{}".format(*statements[t.name].source)
                raise UsageError(f"theorem {t.name!r} is stated twice: at {first} and {t.source[0]}:{t.source[1]}")
            statements[t.name] = t
            jobs[t.name] = Job(
                "own theorem", t.name, target, place, t.claims, t.source, t.code, t.weight, fingerprint=code
            )
    known = frozenset(n for name in NAMES for n in Catalogue.load(name).entries) | unseen
    listed = frozenset(n for c in given for n in c.entries)
    further = (known | frozenset(statements)) - listed
    if given:
        coverage(given, statements, further)
    else:
        _check_rests_on(statements, known)
    paths = [split_target(t)[0] for t in dict.fromkeys(targets)]
    texts = [hashlib.sha256(catalogue.read_bytes()).hexdigest()] if catalogue else []
    decides = {"targets": [str(p.resolve()) for p in paths], "catalogue": texts}
    return Theorems(statements, jobs, given, further, fingerprint(*paths), decides)


def _check_rests_on(statements: Mapping[str, Statement], known: frozenset[str]) -> None:
    from backprove.harness.core.names import did_you_mean

    for name, t in statements.items():
        for other in t.rests_on:
            if other not in statements and other not in known:
                near = did_you_mean(other, statements) or did_you_mean(other, known)
                raise UsageError(
                    f"theorem {name!r} ({t.source[0]}:{t.source[1]}) rests on {other!r}, which no file given "
                    f"states{near}"
                )


def read_catalogue(file: Path) -> Catalogue:
    """The list of declarations in a TOML file of the user, called as the file.

    Raises:
        UsageError: when it cannot be read or is malformed.
    """
    from backprove.rules.catalogue import Catalogue

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise UsageError(f"--catalogue {file} cannot be read ({why})") from None
    found = Catalogue.parse(file.stem, text)
    if not found.entries:
        raise UsageError(
            f'--catalogue {file} has no entry; an [[entry]] has at least name = "..." and statement = "..."'
        )
    return found
