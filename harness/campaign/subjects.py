"""A subject, a rule or a theorem, is judged as a whole here: all its claims at every dtype, then what is said of them
together.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from backprove.harness.campaign.parts import merge_parts, parts_of, refused
from backprove.harness.core.cache import Cache, cache_of
from backprove.harness.core.collector import few_collections
from backprove.harness.core.errors import UsageError
from backprove.harness.core.evidence_words import is_black_box
from backprove.harness.core.files import short_hash
from backprove.harness.core.forks import CameBackTwice
from backprove.harness.core.guard import guarded, in_its_place, interrupts, was_interrupted
from backprove.harness.core.printed import Printed, captured
from backprove.harness.core.results import PropertyResult, Spot, SubjectResult
from backprove.harness.core.texts import with_readable_texts
from backprove.harness.core.threads import one_thread
from backprove.harness.core.thresholds.coverage import DRAWN_EXAMPLES
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.counterexample import build
from backprove.harness.explaining.jacobians import spot_values
from backprove.harness.frontends.black_box import BLACK_BOX
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.binders import binders_of, small_claim
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.drawing.examples import USERS_SHAPES, Examples
from backprove.harness.judging.drawing.own_points import check_directions
from backprove.harness.judging.judge import Judge, Progress
from backprove.harness.statements.rule import Rule
from backprove.harness.statements.subject import Subject
from backprove.strategies.points import DrawnPoint


@interrupts()
def run(
    subject: Subject,
    *,
    points: int,
    dtypes: Sequence[str],
    seed: int = 0,
    accuracy: float | None = None,
    progress: Progress | None = None,
) -> SubjectResult:
    """Judge every property of a subject at every dtype.

    User code is judged at each dtype by itself: the others change nothing. The catalogue's dtypes share their traces
    and examples, unless the run is so large that it has parts.
    """
    with captured() as (printed, outside), one_thread(), few_collections():
        step = None if progress is None else outside(progress)
        options: dict[str, Any] = {"points": points, "seed": seed, "accuracy": accuracy, "progress": step}
        found = _run(subject, dtypes, options)
    _tell_printed(printed, found.properties)
    return with_readable_texts(found) if subject.is_user_code else found


def _run(subject: Subject, dtypes: Sequence[str], options: dict[str, Any]) -> SubjectResult:
    parts = parts_of(options["points"])
    if not subject.is_user_code and parts == 1:
        return conclude(subject, _judged(subject, dtypes, 0, first=dtypes[0], **options))
    merged = []
    failed: dict[str, DrawnPoint] = {}
    for dtype in dtypes:
        found: dict[int, list[PropertyResult]] = {}
        for part in range(parts):
            found[part] = _judged(subject, [dtype], part, first=dtypes[0], failed=failed, **options)
            if refused(found[part]):
                break
        merged += merge_parts(found)
    return conclude(subject, merged)


def _tell_printed(printed: Printed, properties: Sequence[PropertyResult]) -> None:
    """Show once, and shortened, what the code printed."""
    if printed.words and properties:
        properties[0].remark(f"the code {printed.words}")


@interrupts()
def judge_part(
    subject: Subject,
    *,
    dtype: str,
    part: int,
    points: int,
    dtypes: Sequence[str],
    seed: int = 0,
    accuracy: float | None = None,
    progress: Progress | None = None,
) -> list[PropertyResult]:
    """Judge every property at one of the dtypes of a run, over one part of the points (`campaign/parts.py`)."""
    with captured() as (printed, outside), one_thread():
        step = None if progress is None else outside(progress)
        options: dict[str, Any] = {"points": points, "seed": seed, "accuracy": accuracy, "progress": step}
        found = _judged(subject, [dtype], part, first=dtypes[0], **options)
    if not part:
        _tell_printed(printed, found)
    return [with_readable_texts(p) for p in found] if subject.is_user_code else found


def conclude(subject: Subject, properties: Sequence[PropertyResult]) -> SubjectResult:
    """The result of a subject whose properties are judged: grades, and for a user's rule what is wrong with it."""
    record = subject.flat.record()
    record.properties = list(properties)
    if not subject.is_user_code:
        _grade_findings(record)
        return record
    try:
        _describe(subject, record)
    except UsageError:
        raise
    except BaseException as why:
        if was_interrupted(why):
            raise
        for p in record.properties:
            p.notes.append(f"the report says less than it might: {_in_words(why)}")
    return record


def _describe(subject: Subject, record: SubjectResult) -> None:
    """Enter what is said of the judged properties of a user's rule together."""
    binders = binders_of(subject)
    by_name = {b.name: b for b in binders}
    record.properties = [p for p in record.properties if p.name not in by_name or _says_something(by_name[p.name], p)]
    for p in record.properties:
        if isinstance(subject, Rule) and p.name == "vjp":
            p.evidence.unasked = subject.unasked
    _grade_findings(record)
    _front_ends(binders, record)
    record.source["spots"] = _spots(binders, record)
    if record.verdict.fails:
        from backprove.harness.explaining.diagnosis import diagnose

        record.diagnosis = diagnose(binders, record)


def _judged(
    subject: Subject,
    dtypes: Sequence[str],
    part: int,
    *,
    first: str,
    points: int,
    seed: int,
    accuracy: float | None,
    progress: Progress | None,
    failed: dict[str, DrawnPoint] | None = None,
) -> list[PropertyResult]:
    """Every property at `dtypes`, over one part of the points; the properties of one dtype stand together.

    Args:
        failed: by property: the minimal point at which it was falsified at an earlier dtype; entered here.
        first: the first dtype of the run; at any other one the catalogue sees fewer special points.
    """
    flat, reference = subject.flat, subject.import_line()
    cache = Cache() if subject.is_user_code else cache_of(subject.name)
    try:
        binders = binders_of(subject, None if subject.is_user_code else cache)
    except UsageError:
        raise
    except BaseException as why:
        if was_interrupted(why):
            raise
        if not subject.is_user_code:
            raise
        return [_stopped(name, dtype, why) for dtype in dtypes for name, _ in flat.named_claims()]
    examples = (
        Examples(flat.inputs, seed, DRAWN_EXAMPLES, new_shapes=USERS_SHAPES)
        if subject.is_user_code
        else Examples(flat.inputs, seed, DRAWN_EXAMPLES, cache)
    )
    if not part:
        check_directions(flat.own_points, binders, dtypes[0])
    if part:  # one compiled program for each claim and dtype is enough
        for binder in binders:
            binder.leave_out_compiled()
    found = []
    for dtype in dtypes:
        plan = Plan(dtype, points, seed, accuracy, dtype != first, part, parts_of(points))
        own = flat.own_points
        for b in binders:
            judge = Judge(b, _guarded_where(b, flat.where), plan, progress, examples, own)
            judge.known = (failed or {}).get(b.name)
            found.append(_judge(judge, flat.record(), reference))
            if failed is not None and judge.failure and judge.failure.violation.verdict is Verdict.FALSIFIED:
                failed.setdefault(b.name, judge.failure.point)
    cache.save()
    return found


def _says_something(binder: Binder, result: PropertyResult) -> bool:
    """A law beside the claims that cannot be evaluated (JAX differentiates the map only once) is no verdict."""
    return not binder.is_aside or result.points > 0 or result.verdict.fails


def _guarded_where(binder: Binder, where: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The domain condition, which raises nothing that cannot be shown."""
    return where if where is None or not binder.is_user_code else guarded(where)


def _judge(judge: Judge, record: SubjectResult, reference: str) -> PropertyResult:
    started = perf_counter()
    binder, plan = judge.binder, judge.plan
    try:
        result = judge.run()
    except UsageError:
        raise
    except BaseException as why:
        if was_interrupted(why):
            raise
        if not binder.is_user_code:
            raise
        result = _stopped(binder.name, plan.dtype, why)
    else:
        _show_failure(judge, result, record, reference)
    result.seconds = perf_counter() - started
    return result


def _show_failure(judge: Judge, result: PropertyResult, record: SubjectResult, reference: str) -> None:
    """Give the result its counterexample; of a user's rule trouble on the way is a note, and the verdict stays."""
    if judge.failure is None:
        return
    try:
        result.counterexample = build(judge, record, reference)
    except BaseException as why:
        if was_interrupted(why):
            raise
        if not judge.binder.is_user_code:
            raise
        result.notes.append(f"no counterexample is shown: {_in_words(why)}")


def _stopped(name: str, dtype: str, why: BaseException) -> PropertyResult:
    """A property that an exception kept from being judged; by one of ours nothing is said of the rule."""
    result = PropertyResult(name, dtype)
    result.verdict, result.reason = Verdict.ERROR, f"the rule {why}"
    if not isinstance(why, CameBackTwice):
        result.reason = f"backprove itself failed here, please report it as {report_id(why)}: {_in_words(why)}"
    return result


def report_id(why: BaseException) -> str:
    """Eight digits that are the same for a failure at the same place: `KeyError` and the functions on the way."""
    frames = [f"{Path(f.filename).name}:{f.name}" for f in traceback.extract_tb(why.__traceback__)[-6:]]
    return short_hash("\n".join([type(why).__name__, *frames]))[:8]


def _in_words(why: BaseException) -> str:
    shown = in_its_place(why)
    return f"{type(shown).__name__}: {str(shown)[:200]}"


def _grade_findings(subject: SubjectResult) -> None:
    """One finding for each property that holds and loses digits, at whatever dtypes."""
    for name in dict.fromkeys(p.name for p in subject.properties):
        losing = [
            p
            for p in subject.properties
            if p.name == name and p.verdict is Verdict.HOLDS and p.grade in ("lossy", "lost")
        ]
        if losing:
            worst = max(losing, key=lambda p: (p.grade == "lost", p.grade_factor or 0.0))
            dtypes = " and ".join(dict.fromkeys(p.dtype for p in losing))
            worst.remark(
                f"{name} holds over the reals but is {worst.grade} in {dtypes}: the error is up to "
                f"{worst.grade_factor:.3g} times what conditioning forces ({worst.grade_region})"
            )


def _front_ends(binders: Sequence[Binder], subject: SubjectResult) -> None:
    for binder in binders:
        claim_at = small_claim(binder, "float64")
        if claim_at is None:
            continue
        judged = [p for p in subject.properties if p.name == binder.name]
        opaque = bool(judged) and all(is_black_box(p) for p in judged)
        found = dict.fromkeys(claim_at.front_ends, BLACK_BOX.name) if opaque else claim_at.front_ends
        subject.front_end.update(found)


def _spots(binders: Sequence[Binder], subject: SubjectResult) -> list[Spot]:
    """Values of refused derivative rules at 1, 2, 3, ... with a direction of ones: numbers to check by hand."""
    refused = {p.name for p in subject.properties if p.verdict is Verdict.FALSIFIED}
    out = []
    for binder in binders:
        claim_at = small_claim(binder, "float64") if binder.name in refused else None
        plain = all(
            s.kind is None and s.dtype == "float" and s.low is None and s.high is None for s in binder.specs.values()
        )
        if isinstance(claim_at, DerivativeAt) and plain:
            arrays = [1.0 + np.arange(int(np.prod(s)), dtype=float).reshape(s) for s, _ in claim_at.signature]
            found = spot_values(claim_at, arrays)
            if found is not None:
                out.append(found)
    return out
