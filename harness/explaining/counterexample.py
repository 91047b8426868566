"""A counterexample is built from a failing point: values in decimal and hexadecimal, message, id for replay, test to
paste.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.large_arrays import in_words
from backprove.harness.core.results import Counterexample, SubjectResult
from backprove.harness.explaining.jacobians import jacobians
from backprove.harness.explaining.pasted_test import paste_test
from backprove.harness.explaining.replay import encode_id, payload_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.judge import Judge
from backprove.harness.judging.single_points import Failure
from backprove.harness.oracles.problem import Status
from backprove.strategies.tangent_spaces import tangent_of

SHOWN_REGIONS = {"tiny": "ordinary", "extreme": "large"}


def hexadecimal(a: Array) -> Any:
    """Nested list of hexadecimal floats (integers and masks as they are)."""
    if a.dtype.kind != "f":
        return a.tolist()
    return np.vectorize(float.hex, otypes=[object])(a).tolist() if a.size else a.tolist()


def build(judge: Judge, subject: SubjectResult, reference: str = "") -> Counterexample:
    """The counterexample of a judge that found a failure.

    Args:
        subject: the record of the rule or theorem, for replay.
        reference: Python code that imports the rule as `rule`, for the test to paste.
    """
    assert judge.failure is not None
    failure = _along_tangents(judge, judge.failure)
    point, violation, binder = failure.point, failure.violation, judge.binder
    claim_at = judge.claim_at([a.shape for a in point.arrays])
    inputs = dict(zip(binder.specs, point.arrays, strict=True))
    directions = point.directions
    if claim_at is not None and claim_at.unit:
        directions = tuple(np.ones_like(d) for d in directions)
    names = claim_at.direction_names if claim_at is not None else ()
    named = list(zip(names, directions, strict=True))
    first = claim_at.tangents if claim_at is not None else 0
    tangents, cotangents = dict(named[:first]), dict(named[first:])
    at_kink = failure.outcome is not None and failure.outcome.status is Status.KINK_REFUTED
    region = "kink" if at_kink else SHOWN_REGIONS.get(point.region, point.region)
    expected: Any = list(violation.expected) if isinstance(violation.expected, tuple) else violation.expected
    draft = Counterexample(
        id="",
        property=binder.name,
        dtype=judge.plan.dtype,
        inputs={k: a.tolist() for k, a in inputs.items()},
        inputs_hex={k: hexadecimal(a) for k, a in inputs.items()},
        tangents={k: a.tolist() for k, a in tangents.items()},
        cotangents={k: a.tolist() for k, a in cotangents.items()},
        argument=violation.argument,
        entry=list(violation.entry),
        got=violation.got,
        expected=expected,
        oracle=violation.oracle,
        region=region,
        test=paste_test(judge, failure, subject.name, reference) if reference else "",
        message=sentence(failure, inputs, tangents, cotangents),
        jacobians=jacobians(claim_at, point.arrays) if isinstance(claim_at, DerivativeAt) else None,
        example=failure.example,
    )
    return replace(draft, id=encode_id(payload_of(subject, draft)))


def _along_tangents(judge: Judge, failure: Failure) -> Failure:
    """The failure with the tangents of structured inputs that the rule was given, not what they were made of."""
    point, specs = failure.point, judge.binder.specs
    claim_at = judge.claim_at([a.shape for a in point.arrays])
    if claim_at is None or claim_at.tangents == 0:
        return failure
    inputs = dict(zip(specs, point.arrays, strict=True))
    directions = list(point.directions)
    for k, name in enumerate(claim_at.direction_names[: claim_at.tangents]):
        of = name.partition("of ")[2] or name
        if of in specs:
            rounded = FORMATS[judge.plan.dtype].round
            directions[k] = rounded(tangent_of(specs[of], inputs[of], directions[k]))
    return dataclasses.replace(failure, point=dataclasses.replace(point, directions=tuple(directions)))


def _shown(a: Array) -> str:
    return in_words(a.tolist()) or str(a.tolist())


def number(value: Any) -> str:
    return "none" if value is None else repr(float(value))


def sentence(
    failure: Failure, inputs: Mapping[str, Array], tangents: Mapping[str, Array], cotangents: Mapping[str, Array]
) -> str:
    """What is wrong, where, with both values and their sides."""
    f = failure.violation
    given = [f"{k} = {_shown(a)}" for k, a in inputs.items()]
    given += [f"{f'tangent of {k}' if k in inputs else k} = {_shown(a)}" for k, a in tangents.items()]
    given += [f"{k} = {_shown(a)}" for k, a in cotangents.items()]
    place = f"{f.argument}{list(f.entry) if f.entry else ''}" if f.argument else ""
    text = f"At {', '.join(given)}: {f.what}."
    if f.got is None:
        return text
    if isinstance(f.expected, tuple):
        low, high = f.expected
        right = number(low) if low == high else f"between {number(low)} and {number(high)}"
    else:
        right = number(f.expected)
    right = f"; {right} is right ({f.oracle})" if f.expected is not None else ""
    if f.argument == "forward":  # a claim about the values of forward itself
        return f"{text} It gives {number(f.got)}{f' at {list(f.entry)}' if f.entry else ''}{right}."
    return f"{text} The rule gives {number(f.got)} for {place or 'the result'}{right}."
