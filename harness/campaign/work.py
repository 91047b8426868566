"""A work item is what one call of an executor does; this module holds it and the code that does it.

A small run has one item per rule or theorem. A large one (`parts`) has one per dtype and part of the points, and one
that concludes from their results. A request and its answer are records (`messages`), the same for every executor.
"""

from __future__ import annotations

import importlib
import platform
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from backprove.harness.campaign import messages
from backprove.harness.core.collector import few_collections
from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import from_plain, to_plain
from backprove.harness.core.results import Kind, PropertyResult, Source, SubjectResult, is_user_code, noun
from backprove.harness.core.verdicts import Verdict
from backprove.harness.statements.statement import Statement, statements

LONGEST, TRACEBACK = 300, 20_000
"""Characters of the line that says how the engine failed, and of its traceback, which code of a user may fill."""


@dataclass(frozen=True)
class Job:
    """One rule or theorem of a file, or one theorem of the catalogue.

    Attributes:
        name: the rule's or theorem's name.
        target: `FILE[::NAME]` of the user, or the module whose `load()` gives the catalogue's theorems by name.
        place: position among the rules, or the theorems, of the file.
        claims: names of the claims, for a result when the worker is lost.
        source: {"file", "line"} of the rule.
        code: its text.
        weight: expected cost beside that of others; what is expected to take longest starts first.
        fingerprint: of the code that it rests on, where that is not the whole run's.
    """

    kind: Kind
    name: str
    target: str = ""
    place: int = 0
    claims: tuple[str, ...] = ()
    source: tuple[str, int] = ("", 0)
    code: str = ""
    weight: float = 1.0
    fingerprint: str = ""


@dataclass(frozen=True)
class Item:
    """One piece of work of a job.

    Attributes:
        do: "run"; "part", of which `dtype` and `part` say which; or "conclude", from the parts' merged results.
        dtype: format of a part.
        part: which part of the points.
    """

    job: Job
    do: messages.Do = "run"
    dtype: str = ""
    part: int = 0

    def request(
        self,
        engine: str,
        options: messages.EngineOptions,
        fingerprint: str = "",
        properties: Sequence[PropertyResult] = (),
    ) -> messages.Work:
        """What to ask of a worker; `properties` are merged results to conclude from, the others as in `Work`."""
        job = self.job
        place = (job.kind, job.name, job.target, job.place)
        return messages.Work(self.do, *place, engine, fingerprint, options, self.dtype, self.part, list(properties))


class Server:
    """Answers requests: loaded files and theorems, and one method per kind of request.

    Args:
        progress: called with (name, done, total) at every step.
    """

    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self._progress = progress
        self._files: dict[tuple[Kind, str], list[Any]] = {}
        self._checked: set[tuple[str, str]] = set()

    def answer(self, request: messages.Request) -> messages.Answer:
        """What is asked for.

        Raises:
            UsageError: when the user's file or rule is at fault, or this machine has other code than the main process.
        """
        if isinstance(request, messages.Load):
            return self._found(request.target, request.examples)
        if isinstance(request, messages.State):
            own = is_user_code(request.kind)
            found = self._stated(request.target) if own else stated(request.target)
            return messages.Stated(list(found.values()))
        if isinstance(request, messages.Cover):
            return self._covered(request)
        if isinstance(request, messages.Again):
            if request.prepare:
                importlib.import_module(request.prepare).load()
            return messages.SeenAgain(importlib.import_module(request.evaluate).replay(request.payload))
        self._check_code(request)
        engine = importlib.import_module(request.engine)
        subject = self._subject(request)
        if request.do == "prepare":
            return messages.Ready()
        with few_collections():
            return self._result(engine, subject, request)

    def _result(self, engine: Any, subject: Any, request: messages.Work) -> messages.Answer:
        options = cast(dict[str, Any], dict(request.options))
        subject = with_examples(subject, options.pop("examples", None))
        if request.do == "part":
            part = engine.judge_part(subject, dtype=request.dtype, part=request.part, **options, progress=self._step)
            return messages.JudgedPart(part)
        if request.do == "conclude":
            return messages.Judged(engine.conclude(subject, request.properties))
        return messages.Judged(engine.run(subject, **options, progress=self._step))

    def _found(self, target: str, examples: messages.Examples) -> messages.Found:
        rules = self._of_file("rule", target)
        for rule in rules:
            with_examples(rule, examples)
        return messages.Found(
            [messages.FoundRule(r.name, tuple(n for n, _ in r.named_claims()), r.source, r.code) for r in rules]
        )

    def _stated(self, file: str) -> dict[str, Statement]:
        return statements({t.name: t for t in self._of_file("own theorem", file)})

    def _covered(self, request: messages.Cover) -> messages.Covered:
        from backprove.harness.statements.source_code.covering import covering

        rules = self._of_file("rule", request.target)
        by_rule = [covering(rule, request.survey) for rule in rules]
        return messages.Covered([(i, k, how) for i, found in enumerate(by_rule) for k, how in found.items()])

    def _of_file(self, kind: Kind, target: str) -> list[Any]:
        """The rules or theorems of a user's file, which is run once for each."""
        from backprove.harness.statements.loading import load_rules, load_theorems

        if (kind, target) not in self._files:
            found = [f.rule for f in load_rules(target)] if kind == "rule" else load_theorems(target)
            self._files[kind, target] = list(found)
        return self._files[kind, target]

    def _subject(self, request: messages.Work) -> Any:
        if is_user_code(request.kind):
            return self._of_file(request.kind, request.target)[request.place]
        return importlib.import_module(request.target).load()[request.name]

    def _step(self, name: str, done: int, total: int) -> None:
        self._progress(name, int(done), int(total))

    def _check_code(self, request: messages.Work) -> None:
        """Results of different code must not be merged, nor those of different versions of what it rests on."""
        from backprove.harness.core.files import fingerprint
        from backprove.harness.statements.loading import split_target

        wanted, target = request.fingerprint, request.target
        if not wanted or (wanted, target) in self._checked:
            return
        file = split_target(target)[0] if is_user_code(request.kind) else None
        what = f"backprove{f', {file}' if file else ''} or a package it rests on"
        here = f"on the worker {platform.node()}"
        if file is not None and not Path(file).is_file():
            raise UsageError(f"{file} does not exist {here}; give all machines the same files at the same paths")
        if fingerprint(*([file] if file else [])) != wanted:
            raise UsageError(
                f"{what} differs {here} from that of the main process; install the same versions on all machines"
            )
        self._checked.add((wanted, target))


def with_examples(subject: Any, examples: messages.Examples | None) -> Any:
    """The subject with those of the points that are its own.

    Raises:
        UsageError: where one does not fit it.
    """
    own = (examples or {}).get(subject.name, [])
    if not own:
        return subject
    from backprove.harness.statements.own_points import Named

    return subject.with_examples([Named(e["point"], str(e["label"])) for e in own])


def stated(target: str) -> dict[str, Statement]:
    """The statements of all theorems that the module `target` gives, by name."""
    return statements(importlib.import_module(target).load())


def run_here(request: messages.Request, progress: Callable[[str, int, int], None] | None = None) -> messages.Answer:
    """Answer one request in this process, as a worker would; exceptions are those of the engine."""
    answer = Server(progress or (lambda *_: None)).answer(request)
    return from_plain(to_plain(answer), type(answer))


def failure_of(why: Exception, changed: tuple[str, ...] = ()) -> messages.EngineFailed:
    """What is said of an exception of the engine, also of one whose text raises.

    Args:
        changed: see `changes.Snapshot`.
    """
    from backprove.harness.core.guard import in_its_place

    name, said = type(why).__name__, in_its_place(why)
    try:
        text = "".join(traceback.format_exception(why))
    except Exception:
        text = f"{name}\n"
    return messages.EngineFailed(f"{name}: {said}"[:LONGEST], text[:TRACEBACK], changed)


def lost(job: Job, dtypes: Sequence[str], reason: str) -> SubjectResult:
    """The result of a job whose worker was lost: every claim is an `error`, with the reason."""
    text = f"the {noun(job.kind)} {reason}"
    names = job.claims or ("run",)
    properties = [PropertyResult(n, d, verdict=Verdict.ERROR, reason=text) for n in names for d in dtypes]
    source: Source = {"file": job.source[0], "line": job.source[1]}
    return SubjectResult(job.kind, job.name, job.target.partition("::")[0], properties, source=source, code=job.code)
