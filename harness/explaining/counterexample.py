"""From a failing point to what a person reads: values, message, id for replay, and a test to paste."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from backprove.harness.core.results import Counterexample
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.replay import encode_id, payload_of
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.derivative import BoundDerivative
from backprove.harness.judging.examination import Finding
from backprove.harness.judging.judge import Failure, Judge
from backprove.harness.numbers.balls.balls import Undecided, lift
from backprove.harness.oracles.exact import Status, vector

Array = NDArray[Any]

SHOWN_REGIONS = {"tiny": "ordinary", "extreme": "large"}
MAX_JACOBIAN = 16


def hexadecimal(a: Array) -> Any:
    """Nested list of hexadecimal floats (integers and masks as they are)."""
    if a.dtype.kind != "f":
        return a.tolist()
    return np.vectorize(float.hex, otypes=[object])(a).tolist() if a.size else a.tolist()


def build(judge: Judge, *, kind: str, name: str, file: str = "", reference: str = "") -> Counterexample:
    """The counterexample of a judge that found a failure.

    Args:
        kind: "rule" or "theorem".
        name, file: of the rule or theorem, for replay.
        reference: Python code that imports the rule as `rule`, for the test to paste.
    """
    failure = judge.failure
    assert failure is not None
    point, finding, binder = failure.point, failure.finding, judge.binder
    bound = judge.bound([a.shape for a in point.arrays])
    inputs = dict(zip(binder.specs, point.arrays, strict=True))
    directions = point.directions
    if getattr(bound, "unit", False):
        directions = tuple(np.ones_like(d) for d in directions)
    names = bound.direction_names if bound is not None else ()
    tangents, cotangents = _split(binder, bound.mode if bound is not None else "", names, directions)
    at_kink = failure.outcome is not None and failure.outcome.status is Status.KINK_REFUTED
    region = "kink" if at_kink else SHOWN_REGIONS.get(point.region, point.region)
    expected: Any = list(finding.expected) if isinstance(finding.expected, tuple) else finding.expected
    draft = Counterexample(
        id="",
        property=binder.name,
        dtype=judge.plan.dtype,
        inputs={k: a.tolist() for k, a in inputs.items()},
        inputs_hex={k: hexadecimal(a) for k, a in inputs.items()},
        tangents=tangents,
        cotangents=cotangents,
        argument=finding.argument,
        entry=list(finding.entry),
        got=finding.got,
        expected=expected,
        oracle=finding.oracle,
        region=region,
        test=paste_test(judge, failure, name, reference) if reference else "",
        message=sentence(failure, inputs, tangents, cotangents),
        jacobians=jacobians(bound, point.arrays) if isinstance(bound, BoundDerivative) else None,
    )
    identifier = encode_id(payload_of(None, draft, kind=kind, name=name, file=file))
    return Counterexample(**{**draft.__dict__, "id": identifier})


def _split(
    binder: Binder, mode: str, names: Sequence[str], directions: Sequence[Array]
) -> tuple[dict[str, Any], dict[str, Any]]:
    named = {n: d.tolist() for n, d in zip(names, directions, strict=True)}
    if mode == "jvp":
        return named, {}
    if mode == "pairing":
        return (
            {k: v for k, v in named.items() if k.startswith("tangent")},
            {k: v for k, v in named.items() if not k.startswith("tangent")},
        )
    return {}, named


def number(value: Any) -> str:
    return "none" if value is None else repr(float(value))


def sentence(
    failure: Failure, inputs: Mapping[str, Array], tangents: Mapping[str, Any], cotangents: Mapping[str, Any]
) -> str:
    """What is wrong, where, with both values and their sides."""
    f = failure.finding
    given = [f"{k} = {a.tolist()}" for k, a in inputs.items()]
    given += [f"{k if k.startswith('tangent') else f'tangent of {k}'} = {v}" for k, v in tangents.items()]
    given += [f"{k} = {v}" for k, v in cotangents.items()]
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
    return f"{text} The rule gives {number(f.got)} for {place or 'the result'}{right}."


def rule_reference(rule: Any) -> str:
    """Code that imports the rule as `rule` in a test beside its file, with one argument per array."""
    return _imported(rule) + ("" if rule.flat is rule else "\n\nrule = rule.flat  # one argument per array")


def _imported(rule: Any) -> str:
    file = rule.source[0]
    for module in list(sys.modules.values()):
        if file and getattr(module, "__file__", None) == file:
            stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
            for variable, value in list(vars(module).items()):
                if value is rule:
                    return (
                        f"from {stem} import {variable} as rule" if variable != "rule" else f"from {stem} import rule"
                    )
                if isinstance(value, dict):
                    for key, item in value.items():
                        if item is rule:
                            return f"from {stem} import {variable}\n\nrule = {variable}[{key!r}]"
    return "rule = ...  # the rule under test"


def paste_test(judge: Judge, failure: Failure, name: str, reference: str) -> str:
    """A pytest test that fails on this rule and passes on a right one."""
    f, point, binder = failure.finding, failure.point, judge.binder
    bound = judge.bound([a.shape for a in point.arrays])
    mode = bound.mode if bound is not None else ""
    if mode not in ("vjp", "jvp") or not _shows(f):
        return _whole_check(judge, name, reference)
    head = ["import numpy as np", "", reference, "", "", f"def test_{_identifier(name)}_{mode}():"]
    arguments = []
    for k, a in zip(binder.specs, point.arrays, strict=True):
        arguments.append(_identifier(k))
        head.append(f"    {_identifier(k)} = {_literal(a, judge.plan.dtype)}")
    several = len(point.directions) > 1
    for i, d in enumerate(point.directions):
        short = (
            f"d_{_identifier(bound.direction_names[i])}"
            if bound is not None and mode == "jvp"
            else f"g{i}"
            if several
            else "g"
        )
        variable = short if short not in binder.specs else f"direction_{i}"
        arguments.append(variable)
        head.append(f"    {variable} = {_literal(d, judge.plan.dtype)}")
    call = f"rule.{mode}({', '.join(arguments)})"
    if _raised(f):
        return "\n".join([*head, f"    {call}  # {f.what}", ""])
    assert f.got is not None and f.expected is not None  # else the whole check was written
    names = bound.result_names if isinstance(bound, BoundDerivative) else ()
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


def _raised(finding: Finding) -> bool:
    return finding.verdict is Verdict.ERROR and " raised " in finding.what


def _shows(finding: Finding) -> bool:
    """Whether one call, or one entry of its result, is enough to tell the wrong rule from a right one."""
    got, expected = finding.got, finding.expected
    if got is None or expected is None:
        return _raised(finding)
    # At a kink every entry may lie within its own range and the whole outside the generalized derivative.
    return not (isinstance(expected, tuple) and expected[0] <= got <= expected[1])


def _whole_check(judge: Judge, name: str, reference: str) -> str:
    """A test that checks the rule as a whole, in the format and with the accuracy of this run."""
    accuracy = "" if judge.plan.accuracy is None else f", accuracy={judge.plan.accuracy:g}"
    call = f'bp.assert_rule(rule, dtypes=["{judge.plan.dtype}"]{accuracy})'
    return f"import backprove as bp\n\n{reference}\n\n\ndef test_{_identifier(name)}():\n    {call}\n"


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_") or "rule"


def _literal(a: Array, dtype: str) -> str:
    kind = str(a.dtype) if a.dtype.kind != "f" else dtype if dtype != "bfloat16" else "float32"
    return f"np.array({a.tolist()!r}, dtype={kind!r})"


def jacobians(bound: BoundDerivative, arrays: Sequence[Array]) -> dict[str, Any] | None:
    """The rule's Jacobian and the true one at a point, rows by output entry, columns by input entry.

    None where they are large, or the exact layer cannot evaluate one of them.
    """
    x = [a[..., None] for a in arrays]
    rows = sum(int(np.prod(s)) for s in bound.output_shapes)
    columns = sum(int(np.prod(bound.signature[i][0])) for i in bound.wrt)
    if bound.problem is None or not 0 < rows <= MAX_JACOBIAN or not 0 < columns <= MAX_JACOBIAN or bound.unit:
        return None
    ctx.prec = 192
    balls = [lift(a) if a.dtype.kind == "f" else a for a in x]
    mine, true = [], []
    try:
        for unit in _units(bound.direction_shapes):
            given = [lift(u) for u in unit]
            mine.append(_flat(bound.problem.rule.balls([*balls, *given])))
            true.append(_flat(vector(bound.problem, balls, given)))
    except Undecided:
        return None
    found = {"rule": np.array(mine, dtype=float), "true": np.array(true, dtype=float)}
    if bound.mode == "jvp":
        found = {k: v.T for k, v in found.items()}
    return {k: [[float(v) if np.isfinite(v) else None for v in row] for row in m] for k, m in found.items()}


def _units(shapes: Sequence[tuple[int, ...]]) -> list[list[Array]]:
    out = []
    for k, shape in enumerate(shapes):
        for j in np.ndindex(shape):
            unit = [np.zeros((*s, 1)) for s in shapes]
            unit[k][(*j, 0)] = 1.0
            out.append(unit)
    return out


def _flat(values: Sequence[Array]) -> list[float]:
    """All entries as floats, NaN where one is not finite; code may return integers where balls are expected."""
    flat = [v for a in values for v in a.ravel()]
    return [float(v) if not isinstance(v, arb) else float(v.mid()) if v.is_finite() else np.nan for v in flat]


def spot_values(bound: BoundDerivative, arrays: Sequence[Array]) -> dict[str, Any] | None:
    """Rule and truth at a point with all-ones direction, for the report's table of spot values."""
    if bound.problem is None or bound.unit:
        return None
    ctx.prec = 192
    balls = [lift(a[..., None]) if a.dtype.kind == "f" else a[..., None] for a in arrays]
    ones = [np.ones(s) for s in bound.direction_shapes]
    given = [lift(o[..., None]) for o in ones]
    try:
        got = bound.problem.rule.balls([*balls, *given])
        expected = vector(bound.problem, balls, given)
    except Undecided:
        return None
    return {
        "inputs": {n: a.tolist() for n, a in zip(bound.input_names, arrays, strict=True)},
        "cotangent" if bound.mode == "vjp" else "tangent": ones[0].tolist()
        if len(ones) == 1
        else [o.tolist() for o in ones],
        "got": _flat(got),
        "expected": _flat(expected),
    }
