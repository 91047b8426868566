"""A rule is validated when it is stated, and says what it claims."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

from backprove.harness.core.errors import UsageError
from backprove.harness.statements.claims import Adjointness, Derivative, Equality
from backprove.harness.statements.rule import Rule
from backprove.strategies.array import array


def twice(x: Any) -> Any:
    return 2 * x


def twice_jvp(x: Any, dx: Any) -> Any:
    return 2 * dx


def twice_vjp(x: Any, g: Any) -> Any:
    return 2 * g


def stated(**changes: Any) -> Rule:
    given: dict[str, Any] = {"forward": twice, "vjp": twice_vjp, "inputs": {"x": array("n")}}
    return Rule("twice", **(given | changes))


def test_a_rule_keeps_what_it_was_given_and_where_it_was_stated() -> None:
    rule = stated(jvp=twice_jvp)
    assert (rule.forward, rule.jvp, rule.vjp) == (twice, twice_jvp, twice_vjp)
    assert rule.differentiable == ("x",)
    file, line = rule.source
    assert file == __file__ and line > 0
    assert "def twice_vjp(x: Any, g: Any)" in rule.code and "def twice(x" in rule.code


def helper(out: Any, g: Any) -> Any:
    return 2 * g


def test_the_text_of_a_lambda_comes_with_the_statement_and_what_it_calls() -> None:
    rule = Rule("twice", forward=twice, vjp=lambda x, g: helper(twice(x), g), inputs={"x": array("n")})
    assert rule.code.count("lambda x, g: helper(twice(x), g)") == 1
    assert rule.code.count("def helper(") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vjp": None}, "give jvp, vjp or both"),
        ({"forward": 3}, "forward must be a function, got 3"),
        ({"vjp": "twice_vjp"}, "vjp must be a function"),
        ({"inputs": [array("n")]}, "inputs must map argument names"),
        ({"inputs": {"x": "n"}}, r"write bp.array\('n'\)"),
        ({"inputs": {1: array("n")}}, "must be strings, got 1"),
        ({"inputs": {}}, "no input is differentiable"),
        ({"inputs": {"x": array("n", dtype="int64")}}, "no input is differentiable"),
        ({"inputs": {"x": array("n"), "i": array("m", kind="index", high="k")}}, "high='k', which is no dimension"),
        ({"forward": lambda x, y: x}, "forward.*one argument per input"),
        ({"vjp": lambda x: x}, "vjp.*at least 2"),
        ({"jvp": lambda x: x}, "jvp.*one tangent per differentiable input .x., 2 in all"),
        ({"jvp": lambda x, dx, more: x}, "jvp.*wrong number"),
        ({"where": lambda x, y: True}, "where.*wrong number"),
        ({"reference": lambda x, y: x}, "reference.*wrong number"),
        ({"convention": lambda x: x}, "convention.*wrong number"),
        ({"forward": lambda x, *, axis: x}, "keyword argument axis"),
        ({"reference": "no_such_package.f"}, "cannot be imported"),
        ({"reference": "math.no_such_function"}, "has no attribute"),
        ({"batched": 1}, "batched must be True or False"),
    ],
)
def test_a_malformed_rule_is_refused_in_a_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s)twice.*{message}"):
        stated(**changes)


def test_a_name_is_required() -> None:
    with pytest.raises(UsageError, match="name must be a string"):
        Rule("  ", forward=twice, vjp=twice_vjp, inputs={"x": array("n")})


@pytest.mark.parametrize(
    "changes",
    [
        {"forward": np.exp},
        {"forward": functools.partial(lambda k, x: k * x, 2)},
        {"forward": lambda x, factor=2: factor * x},
        {"forward": lambda *x: x[0]},
        {"vjp": lambda x, *g: g[0]},
        {"vjp": lambda x, g0, g1, g2: g0},
        {
            "inputs": {"x": array("n"), "i": array("", dtype="int64")},
            "forward": lambda x, i: x,
            "vjp": lambda x, i, g: g,
        },
        {"inputs": {"x": array("n"), "i": array("m", kind="index", high="n")}, "forward": max, "vjp": max},
    ],
)
def test_functions_that_can_be_called_so_are_accepted(changes: dict[str, Any]) -> None:
    stated(**changes)


def test_a_dotted_reference_is_imported() -> None:
    assert stated(reference="math.fabs").reference is math.fabs


def test_the_claims_of_a_rule() -> None:
    rule = stated(jvp=twice_jvp, reference="math.fabs", convention=twice_vjp)
    claims = dict(rule.named_claims())
    assert list(claims) == ["jvp", "vjp", "adjointness", "reference"]
    assert claims["jvp"] == Derivative(twice, twice_jvp, "jvp", ("x",), reference=math.fabs)
    assert claims["vjp"] == Derivative(twice, twice_vjp, "vjp", ("x",), convention=twice_vjp, reference=math.fabs)
    assert claims["adjointness"] == Adjointness(twice, twice_jvp, twice_vjp)
    assert claims["reference"] == Equality(twice, math.fabs)


def test_the_convention_judges_the_jvp_where_there_is_no_vjp() -> None:
    [(name, claim)] = stated(vjp=None, jvp=twice_jvp, convention=twice_jvp).named_claims()
    assert name == "jvp" and isinstance(claim, Derivative) and claim.convention is twice_jvp


def test_integer_inputs_have_no_tangent() -> None:
    inputs = {"x": array("n"), "k": array("", dtype="int64")}
    rule = Rule("power", forward=lambda x, k: x**k, jvp=lambda x, k, dx: k * x ** (k - 1) * dx, inputs=inputs)
    [(_, claim)] = rule.named_claims()
    assert isinstance(claim, Derivative) and claim.wrt == ("x",)
