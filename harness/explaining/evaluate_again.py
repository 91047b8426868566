"""One failing point is evaluated again from its payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.explaining.counterexample import sentence
from backprove.harness.explaining.replay import Payload
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.binders import rule_binders, theorem_binders
from backprove.harness.judging.judge import Failure, Judge
from backprove.harness.judging.sampling import Plan
from backprove.strategies.points import DrawnPoint, PointSpace


def replay(payload: Payload) -> str:
    """Evaluate one failing point again; what is wrong there, or "" when nothing is.

    Raises:
        UsageError: when the rule or theorem, or its property, is not found, or the point does not fit its inputs.
    """
    binders, where = _subject_of(payload)
    binder = next((b for b in binders if b.name == payload.property), None)
    if binder is None:
        known = ", ".join(b.name for b in binders)
        raise UsageError(f"replay: {payload.name} has no property {payload.property!r} (it has: {known})")
    if payload.dtype not in FORMATS:
        raise UsageError(f"replay: there is no dtype {payload.dtype!r}; there are {', '.join(FORMATS)}")
    judge = Judge(binder, where, Plan(payload.dtype, 1))
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
    text = sentence(Failure(violation, point, outcome), inputs, payload.tangents, payload.cotangents)
    return f"{payload.name}, {payload.property}, {payload.dtype}: {violation.verdict}\n{text}"


def _subject_of(payload: Payload) -> tuple[list[Binder], Callable[..., Any] | None]:
    if payload.kind == "theorem":
        from backprove.harness.statements.theorem import REGISTRY

        theorem = REGISTRY.theorems.get(payload.name)
        if theorem is None:
            raise UsageError(f"replay: there is no theorem {payload.name}")
        return theorem_binders(theorem), theorem.where
    from backprove.harness.statements.loading import load_rules

    found = [f.rule for f in load_rules(payload.file) if f.rule.name == payload.name]
    if not found:
        raise UsageError(f"replay: {payload.file} has no rule named {payload.name!r}")
    return rule_binders(found[0]), found[0].flat.where


def _from_hex(value: Any, dtype: str) -> np.ndarray[Any, Any]:
    if dtype != "float":
        return np.asarray(value, dtype=bool if dtype == "bool" else np.int64)

    def read(v: Any) -> Any:
        return [read(i) for i in v] if isinstance(v, list) else float.fromhex(v)

    return np.asarray(read(value), dtype=np.float64)
