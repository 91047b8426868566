"""This module evaluates one failing point again, from the payload of its id."""

from __future__ import annotations

from typing import Any

import numpy as np

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.explaining.counterexample import sentence
from backprove.harness.explaining.replay import Payload
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.judge import Judge
from backprove.harness.judging.single_points import Failure
from backprove.harness.statements.loading import find_subject
from backprove.strategies.points import DrawnPoint, PointSpace


def replay(payload: Payload) -> str:
    """Evaluate one failing point again; what is wrong there, or "" when nothing is.

    Raises:
        UsageError: when the rule or theorem, or its property, is not found, or the point does not fit its inputs.
    """
    subject = find_subject(payload.kind, payload.name, payload.file)
    binders = binders_of(subject)
    binder = next((b for b in binders if b.name == payload.property), None)
    if binder is None:
        known = ", ".join(b.name for b in binders)
        raise UsageError(f"replay: {payload.name} has no property {payload.property!r} (it has: {known})")
    if payload.dtype not in FORMATS:
        raise UsageError(f"replay: there is no dtype {payload.dtype!r}; there are {', '.join(FORMATS)}")
    judge = Judge(binder, subject.flat.where, Plan(payload.dtype, 1))
    specs = binder.specs.values()
    try:
        arrays = tuple(_from_hex(v, s.dtype) for v, s in zip(payload.inputs.values(), specs, strict=True))
        directions = [np.asarray(v, dtype=float) for v in {**payload.tangents, **payload.cotangents}.values()]
    except (TypeError, ValueError, OverflowError) as e:
        raise UsageError(f"replay: the point does not fit the inputs of {payload.name} ({e})") from None
    space = PointSpace(dict(binder.specs), payload.dtype)
    point = DrawnPoint(space, {}, arrays, tuple(directions))
    violation, outcome = judge.probe(point)
    if violation is None:
        return ""
    inputs = dict(zip(binder.specs, arrays, strict=True))
    tangents, cotangents = (
        {k: np.asarray(v, dtype=float) for k, v in named.items()} for named in (payload.tangents, payload.cotangents)
    )
    text = sentence(Failure(violation, point, outcome), inputs, tangents, cotangents)
    return f"{payload.name}, {payload.property}, {payload.dtype}: {violation.verdict}\n{text}"


def _from_hex(value: Any, dtype: str) -> np.ndarray[Any, Any]:
    if dtype != "float":
        return np.asarray(value, dtype=bool if dtype == "bool" else np.int64)

    def read(v: Any) -> Any:
        return [read(i) for i in v] if isinstance(v, list) else float.fromhex(v)

    return np.asarray(read(value), dtype=np.float64)
