"""Passed results of users' rules are kept, and taken over while nothing that they rest on has changed.

kept = read("rules.py", options)        # what an earlier run of the same options left
kept.results                            # {"softplus": its result, which says when it was judged}
write("rules.py", options, jobs, used, judged)

A result rests on the files that its worker has read, this package and the versions of all installed packages
(`core/used_files.py`), and the options. Results that do not hold are never kept. Records are data, and no code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import field
from msgspec.structs import replace

from backprove.harness.campaign.finding import jobs_of
from backprove.harness.campaign.messages import EngineOptions, FoundRule
from backprove.harness.campaign.work import Job
from backprove.harness.core.cache import folder, is_ours
from backprove.harness.core.files import write_whole
from backprove.harness.core.records import Malformed, Record, from_json, to_json
from backprove.harness.core.results import SubjectResult
from backprove.harness.core.used_files import installed, unchanged
from backprove.harness.core.verdicts import Verdict


class KeptResult(Record):
    """A passed result, and what it rests on: path -> digest."""

    subject: SubjectResult
    used: dict[str, str]


class Kept(Record):
    """What a run of one file leaves.

    Attributes:
        rules: all that the file states, in its order.
        used: what these rest on: path -> digest.
        passed: results by the name of the rule.
    """

    rules: list[FoundRule] = field(default_factory=list)
    used: dict[str, str] = field(default_factory=dict)
    passed: dict[str, KeptResult] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, SubjectResult]:
        """The results that still stand, by name."""
        return {name: kept.subject for name, kept in self.passed.items() if unchanged(kept.used)}

    def jobs(self, target: str) -> list[Job] | None:
        """The rules of the file without running it; None where it may state others now."""
        return jobs_of(self.rules, target) if self.rules and unchanged(self.used) else None


def read(target: str, options: EngineOptions) -> Kept:
    """What an earlier run with the same options left; an empty record where there is nothing, or nothing whole."""
    with contextlib.suppress(OSError, Malformed):
        file = _file(target, options)
        if file is not None:
            with file.open("rb") as stream:
                if is_ours(stream.fileno()):  # nobody else says that a rule has passed
                    return from_json(stream.read(), Kept)
    return Kept()


def write(
    target: str,
    options: EngineOptions,
    rules: Sequence[FoundRule],
    used: Mapping[str, str],
    judged: Mapping[str, tuple[SubjectResult, Mapping[str, str]]],
) -> None:
    """Keep what has passed beside what still stands; a disk that cannot be written costs the next run its time only.

    Args:
        rules, used: all rules of the file, and what they rest on.
        judged: results of this run with what they rest on, by name.
    """
    file = _file(target, options)
    if file is None or not rules:
        return
    stated = Counter(r.name for r in rules)
    passed = {name: kept for name, kept in read(target, options).passed.items() if unchanged(kept.used)}
    today = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    for name, (subject, rests_on) in judged.items():
        passed.pop(name, None)
        if subject.verdict is Verdict.HOLDS and stated[name] == 1:
            passed[name] = KeptResult(replace(subject, judged_on=today), dict(rests_on))
    kept = Kept(list(rules), dict(used), {n: p for n, p in passed.items() if n in stated})
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, to_json(kept).encode(), private=True)


def _file(target: str, options: EngineOptions) -> Path | None:
    """Where the results of a file at these options are kept; None where nothing is."""
    home = folder()
    if home is None:
        return None
    path, _, name = target.partition("::")
    key = to_json([os.path.realpath(path), name, options, installed()], sort_keys=True)
    return home / "passed" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
