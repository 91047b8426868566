"""Run everything that a theorem or a rule claims, at every dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from backprove.harness.campaign.parts import merge_parts, parts_of, refused
from backprove.harness.core.cache import Cache, cache_of
from backprove.harness.core.results import PropertyResult, Source, Spot, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.counterexample import build
from backprove.harness.explaining.jacobians import spot_values
from backprove.harness.explaining.pasted_test import rule_reference
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.binders import rule_binders, small_claim, theorem_binders
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examples import USERS_SHAPES, Examples
from backprove.harness.judging.judge import Judge, Progress
from backprove.harness.judging.sampling import DRAWN_EXAMPLES, Plan
from backprove.harness.statements.laws import Law
from backprove.harness.statements.theorem import Theorem

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule


def run_rule(
    rule: Rule,
    *,
    points: int,
    dtypes: Sequence[str],
    seed: int = 0,
    accuracy: float | None = None,
    progress: Progress | None = None,
) -> SubjectResult:
    """Judge every property of a user's rule at every dtype, each dtype by itself: the others change nothing."""
    return conclude(rule, _every_part(rule, progress, points=points, dtypes=dtypes, seed=seed, accuracy=accuracy))


def _subject_of_rule(rule: Rule) -> SubjectResult:
    source: Source = {"file": rule.source[0], "line": rule.source[1]}
    return SubjectResult("rule", rule.name, module=rule.source[0], source=source, code=rule.code)


def _says_something(binder: Binder, result: PropertyResult) -> bool:
    """A law beside the claims that cannot be evaluated (JAX differentiates the map only once) is no verdict."""
    return not isinstance(binder.claim, Law) or result.points > 0 or result.verdict.fails


def _concluded_rule(subject: SubjectResult, binders: Sequence[Binder]) -> SubjectResult:
    """What is said of a rule once all its properties are judged."""
    _grade_findings(subject)
    _front_ends(binders, subject)
    subject.source["spots"] = _spots(binders, subject)
    if subject.verdict.fails:
        from backprove.harness.explaining.diagnosis import diagnose

        subject.diagnosis = diagnose(binders, subject)
    return subject


def run_theorem(
    theorem: Theorem,
    *,
    points: int,
    dtypes: Sequence[str],
    seed: int = 0,
    accuracy: float | None = None,
    progress: Progress | None = None,
) -> SubjectResult:
    """Judge every claim of a theorem at every dtype."""
    if parts_of(points) > 1:
        merged = _every_part(theorem, progress, points=points, dtypes=dtypes, seed=seed, accuracy=accuracy)
        return conclude(theorem, merged)
    subject = SubjectResult("theorem", theorem.name)
    cache = cache_of(theorem.name)
    binders = theorem_binders(theorem, cache)
    examples = Examples(theorem.inputs, seed, DRAWN_EXAMPLES, cache)
    for k, dtype in enumerate(dtypes):
        plan = Plan(dtype, points, seed, accuracy, further_dtype=k > 0)
        for binder in binders:
            subject.properties.append(_judge(binder, theorem.where, plan, progress, subject, "", examples))
    cache.save()
    _grade_findings(subject)
    return subject


def judge_part(
    of: Rule | Theorem,
    *,
    dtype: str,
    part: int,
    points: int,
    dtypes: Sequence[str],
    seed: int = 0,
    accuracy: float | None = None,
    progress: Progress | None = None,
) -> list[PropertyResult]:
    """Judge every property of a large run at one of its dtypes, over one part of the points (`parts.py`)."""
    further_dtype = list(dtypes).index(dtype) > 0
    plan = Plan(dtype, points, seed, accuracy, further_dtype, part, parts_of(points))
    if isinstance(of, Theorem):
        subject, reference, cache = SubjectResult("theorem", of.name), "", cache_of(of.name)
        binders = theorem_binders(of, cache)
        drawn = Examples(of.inputs, seed, DRAWN_EXAMPLES, cache)
    else:
        reference, of = rule_reference(of), of.flat
        subject, cache, binders = _subject_of_rule(of), Cache(), rule_binders(of)
        drawn = Examples(of.inputs, seed, DRAWN_EXAMPLES, new_shapes=USERS_SHAPES)
    if part:  # one compiled program for each claim and dtype is enough
        for b in binders:
            b.leave_out_compiled()
    found = [_judge(b, of.where, plan, progress, subject, reference, drawn) for b in binders]
    cache.save()
    return found


def conclude(of: Rule | Theorem, properties: Sequence[PropertyResult]) -> SubjectResult:
    """The result of a large run from its merged parts, all dtypes one after the other."""
    if isinstance(of, Theorem):
        subject = SubjectResult("theorem", of.name, properties=list(properties))
        _grade_findings(subject)
        return subject
    subject, binders = _subject_of_rule(of.flat), rule_binders(of)
    by_name = {b.name: b for b in binders}
    subject.properties = [p for p in properties if _says_something(by_name[p.name], p)]
    return _concluded_rule(subject, binders)


def _every_part(
    of: Rule | Theorem, progress: Progress | None, *, points: int, dtypes: Sequence[str], **options: Any
) -> list[PropertyResult]:
    """All parts of a large run, one after the other."""
    merged = []
    for dtype in dtypes:
        found: dict[int, list[PropertyResult]] = {}
        for part in range(parts_of(points)):
            found[part] = judge_part(
                of, dtype=dtype, part=part, points=points, dtypes=dtypes, progress=progress, **options
            )
            if refused(found[part]):
                break
        merged += merge_parts(found)
    return merged


def _judge(
    binder: Binder,
    where: Callable[..., Any] | None,
    plan: Plan,
    progress: Progress | None,
    subject: SubjectResult,
    reference: str,
    examples: Examples,
) -> PropertyResult:
    started = perf_counter()
    judge = Judge(binder, where, plan, progress, examples)
    result = judge.run()
    if judge.failure is not None:
        file = subject.module if subject.kind == "rule" else ""
        result.counterexample = build(judge, kind=subject.kind, name=subject.name, file=file, reference=reference)
    result.seconds = perf_counter() - started
    return result


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
            worst.findings.append(
                f"{name} holds over the reals but is {worst.grade} in {dtypes}: the error is up to "
                f"{worst.grade_factor:.3g} times what conditioning forces ({worst.grade_region})"
            )


def _front_ends(binders: Sequence[Binder], subject: SubjectResult) -> None:
    for binder in binders:
        claim_at = small_claim(binder, "float64")
        if claim_at is not None:
            subject.front_end.update(claim_at.front_ends)


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
