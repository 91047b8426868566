"""This module writes the test to paste: it fails on the wrong rule and passes on a right one."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.large_arrays import statements
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Violation
from backprove.harness.judging.judge import Judge
from backprove.harness.judging.single_points import Failure


def paste_test(judge: Judge, failure: Failure, name: str, reference: str) -> str:
    """A pytest test that fails on this rule and passes on a right one."""
    f, point, binder = failure.violation, failure.point, judge.binder
    claim_at = judge.claim_at([a.shape for a in point.arrays])
    mode = claim_at.mode if claim_at is not None else ""
    if mode not in ("vjp", "jvp") or not _shows(f, judge.plan.dtype):
        return _whole_check(judge, name, reference)
    head = ["import numpy as np", "", reference, "", "", f"def test_{_identifier(name)}_{mode}():"]
    arguments, made = [], list[list[str] | None]()
    for k, a in zip(binder.specs, point.arrays, strict=True):
        arguments.append(_identifier(k))
        made.append(_made(_identifier(k), a, judge.plan.dtype))
    several = len(point.directions) > 1
    for i, d in enumerate(point.directions):
        short = (
            f"d_{_identifier(claim_at.direction_names[i])}"
            if claim_at is not None and mode == "jvp"
            else f"g{i}"
            if several
            else "g"
        )
        variable = short if short not in binder.specs else f"direction_{i}"
        arguments.append(variable)
        made.append(_made(variable, d, judge.plan.dtype))
    if None in made:
        return _whole_check(judge, name, reference)
    head += [f"    {line}" for lines in made for line in lines or ()]
    call = f"rule.{mode}({', '.join(arguments)})"
    if f.raised:
        return "\n".join([*head, f"    {call}  # {f.what}", ""])
    assert f.got is not None and f.expected is not None  # else the whole check was written
    names = claim_at.result_names if isinstance(claim_at, DerivativeAt) else ()
    which = f"[{names.index(f.argument)}]" if len(names) > 1 else ""
    entry = f"[{', '.join(map(str, f.entry))}]" if f.entry else ""
    head.append(f"    got = float(np.asarray({call}{which}){entry})")
    if isinstance(f.expected, tuple):
        head.append(
            f"    assert {f.expected[0]!r} <= got <= {f.expected[1]!r}  # the generalized derivative at this kink"
        )
    else:
        gap = abs(f.got - f.expected) if np.isfinite(f.got) else abs(f.expected) or 1.0
        head.append(f"    assert abs(got - {f.expected!r}) <= {gap / 2!r}  # half the distance of the wrong value")
    return "\n".join([*head, ""])


ROUNDINGS = 8
"""Roundings of the expected value that the assertion leaves to a right rule, at least."""


def _shows(violation: Violation, dtype: str) -> bool:
    """Whether one call, or one entry of its result, is enough to tell the wrong rule from a right one."""
    got, expected = violation.got, violation.expected
    if got is None or expected is None:
        return violation.raised
    if not isinstance(expected, tuple) and np.isfinite(got):
        # as floats both may be equal, or so near that a right rule is no nearer
        return abs(got - expected) > 2 * ROUNDINGS * float(FORMATS[dtype].ulp(np.array(expected)))
    # At a kink every entry may lie within its own range and the whole outside the generalized derivative.
    return not (isinstance(expected, tuple) and expected[0] <= got <= expected[1])


def _whole_check(judge: Judge, name: str, reference: str) -> str:
    """A test that checks the rule as a whole, in the format and with the accuracy of this run."""
    accuracy = "" if judge.plan.accuracy is None else f", accuracy={judge.plan.accuracy:g}"
    call = f'bp.assert_rule(rule, dtypes=["{judge.plan.dtype}"]{accuracy})'
    return f"import backprove as bp\n\n{reference}\n\n\ndef test_{_identifier(name)}():\n    {call}\n"


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_") or "rule"


def _made(name: str, a: Array, dtype: str) -> list[str] | None:
    """Statements that make an array of a point; None where it is too large to be written."""
    kind = str(a.dtype) if a.dtype.kind != "f" else dtype if dtype != "bfloat16" else "float32"
    return statements(name, a, kind)
