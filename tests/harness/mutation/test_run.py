"""Judging variants: what is refused, what is another way to write the same rule, and what a claim cannot see."""

from __future__ import annotations

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import ProgramFunction
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.mutation import run as module
from backprove.harness.mutation.claims import (
    ExactDerivative,
    defined,
    equivalent,
    is_inner_product,
    overflows,
    properties,
    small_sizes,
)
from backprove.harness.mutation.edits import Mutant, mutants
from backprove.harness.mutation.run import collect, judge, run
from backprove.harness.programs.program import Program
from backprove.harness.statements.claims import Claim, Derivative, Equality, Positivity
from backprove.harness.statements.theorem import Theorem
from backprove.rules.linalg import inner, log_softmax, pairing, softmax
from backprove.strategies.array import array

V = ((3,), "float64")
N = array("n")


def stated(*theorems: Theorem) -> dict[str, Theorem]:
    return {t.name: t for t in theorems}


def theorem(name: str, *claims: Claim, rests_on: tuple[str, ...] = (), **inputs: Any) -> Theorem:
    return Theorem(name, inputs or {"x": N}, claims, where=lambda *a: all(v.size for v in a), rests_on=rests_on)


def vjp(x: Any, d: Any) -> Any:
    return d - softmax(x) * jnp.sum(d)


def diagonal_only(x: Any, d: Any) -> Any:
    return d * (1 - softmax(x))


LOG_SOFTMAX = theorem("derivative", Derivative(log_softmax, vjp, "vjp"))


def verdict(t: Theorem, program: Program) -> Verdict | None:
    (p,) = properties(t)
    return p.refuses({0: program})


# ---- a program in the place of a rule


def test_the_right_rule_is_accepted_and_a_wrong_one_refused() -> None:
    assert verdict(LOG_SOFTMAX, trace(vjp, V, V)) is None
    assert verdict(LOG_SOFTMAX, trace(diagonal_only, V, V)) is Verdict.FALSIFIED
    assert verdict(LOG_SOFTMAX, trace(lambda x, d: vjp(x, d) * (1 + 1e-12), V, V)) is Verdict.FALSIFIED


def test_an_overflow_is_refused_although_the_formula_is_right() -> None:
    naive = trace(lambda x, d: d - jnp.exp(x) / jnp.sum(jnp.exp(x)) * jnp.sum(d), V, V)
    assert verdict(LOG_SOFTMAX, naive) is Verdict.INACCURATE


def test_what_was_read_of_a_claim_before_does_not_change_the_verdict_on_another_rule() -> None:
    (p,) = properties(LOG_SOFTMAX)
    assert isinstance(p.claim_at, ExactDerivative)
    assert p.claim_at.problem is not None and p.claim_at.autodiff is not None and p.claim_at.code.rule is not None
    wrong = trace(lambda x, d: vjp(x, d) * (1 + 1e-12), V, V)
    assert p.refuses({0: wrong}) is Verdict.FALSIFIED
    assert p.refuses({0: trace(vjp, V, V)}) is None
    other = p.claim_at.with_programs({0: wrong})
    assert other.problem is not p.claim_at.problem and other.code.rule.function is other.functions.rule


def test_a_program_stands_for_one_signature_only() -> None:
    function = ProgramFunction(trace(jnp.exp, V), "rule")
    assert function.program((V,)) is function.fixed
    with pytest.raises(ValueError, match="this program takes"):
        function.program((((2,), "float64"),))
    with pytest.raises(TypeError, match="no Python code"):
        function.at(np.ones(3))


# ---- equivalence


def points(count: int = 40) -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).normal(size=(3, count)) * 3


def same(original: Any, other: Any, x: np.ndarray[Any, Any]) -> bool:
    program = trace(original, V)
    return equivalent(program, trace(other, V), [x], defined(program, [x]))


def test_another_way_to_write_a_function_is_equivalent() -> None:
    assert same(jnp.sinh, lambda x: (jnp.exp(x) - jnp.exp(-x)) / 2, points())
    assert not same(jnp.sinh, lambda x: jnp.sinh(x) * (1 + 1e-9), points())


def test_a_difference_at_one_point_is_one() -> None:
    x = points()
    assert same(lambda x: (x > 0) * 1.0, lambda x: (x >= 0) * 1.0, x)
    x[1, 7] = 0.0
    assert not same(lambda x: (x > 0) * 1.0, lambda x: (x >= 0) * 1.0, x)


def test_a_variant_without_a_value_is_not_equivalent() -> None:
    assert not same(lambda x: jnp.log(jnp.exp(x)), lambda x: jnp.log(-jnp.exp(x)), points())
    # Where the original has none either, nothing is asked.
    assert same(jnp.log, lambda x: jnp.log(x) * 1, points()[:, :2] ** 2)


def test_overflow_is_told_apart() -> None:
    naive = trace(lambda x: x - jnp.log(jnp.sum(jnp.exp(x))), V)
    x = points()
    assert not overflows(trace(log_softmax, V), naive, [x])
    assert overflows(trace(log_softmax, V), naive, [x * 1000])


# ---- which claims use a rule


def test_rules_are_found_in_the_claims_that_use_them() -> None:
    def jvp(x: Any, dx: Any) -> Any:
        return dx - inner(softmax(x), dx)

    dual = theorem("dual", pairing(jvp, vjp), x=N, dx=N, d=N)
    same = theorem("same", Equality(lambda x, d: 1.0 * d, vjp), x=N, d=N)
    rules = {r.name: r for r in collect(stated(dual, LOG_SOFTMAX, same))}
    assert set(rules) == {"derivative: vjp", "same: equality", "dual: equality, left side"}
    uses = {u.property.theorem: u.places for u in rules["derivative: vjp"].uses}
    assert uses == {"derivative": (0,), "same": (1,), "dual": (1,)}


def test_one_rule_for_both_sides_of_a_pairing() -> None:
    def node(x: Any, d: Any) -> Any:
        return d * jnp.cos(x)

    dual = theorem("dual", pairing(node, node), x=N, dx=N, d=N)
    both = theorem("both", Derivative(jnp.sin, node, "jvp"), Derivative(jnp.sin, node, "vjp"))
    (rule,) = collect(stated(dual, both))
    assert [(u.property.theorem, u.places) for u in rule.uses] == [("both", (0,)), ("both", (0,)), ("dual", (0, 1))]
    row = judge(rule)
    assert row["killed"] == row["mutants"]
    assert not row["survivors"]
    # Duality sees only that the tangent no longer comes in linearly.
    assert 0 < row["killed_by"]["dual"] < row["killed_by"]["both"] == row["mutants"]


def test_an_identity_of_one_program_with_itself_changes_on_the_left_only() -> None:
    same = theorem("same", Equality(lambda W, x: x @ W, lambda W, x: x @ W), W=array("m n"), x=array("m"))
    (rule,) = collect(stated(same))
    assert rule.uses[0].places == (0,)
    row = judge(rule)
    assert row["killed"] == row["mutants"] > 0


def test_sizes_follow_the_order_of_the_statement() -> None:
    t = theorem("sizes", Positivity(jnp.sum), A=array("out in"), b=array("*batch k"), c=array("h"))
    assert list(small_sizes(t).items()) == [("out", 2), ("in", 2), ("k", 2), ("h", 2), ("batch", (3,))]
    assert small_sizes(LOG_SOFTMAX) == {"n": 3}


def test_pairings_are_recognised_by_their_programs() -> None:
    assert is_inner_product(trace(lambda x, d: inner(x * 2, d), V, V))
    assert is_inner_product(trace(lambda x, d: inner(x, d) + inner(d, d), V, V))
    assert not is_inner_product(trace(lambda x, d: inner(x, d) / 3, V, V))
    assert not is_inner_product(trace(lambda x, d: x * d, V, V))


def test_positivity_counts_where_the_value_is_used() -> None:
    def total(x: Any) -> Any:
        return jnp.sum(jnp.exp(x))

    positive = theorem("positive", Positivity(total))
    used = theorem(
        "used", Equality(lambda x: jnp.log(total(x)), lambda x: x[0] - log_softmax(x)[0]), rests_on=("positive",)
    )
    rule = next(r for r in collect(stated(positive, used)) if r.name.startswith("positive"))
    assert rule.theorems == ("positive",)
    row = judge(rule)
    assert row["killed"] == row["mutants"]
    assert 0 < row["killed_by"]["positive"] < row["mutants"]
    assert row["killed_by"]["used"] == row["mutants"] - row["killed_by"]["positive"]


# ---- rows and results


def test_all_variants_of_a_rule_are_refused_or_equivalent() -> None:
    (rule,) = collect(stated(LOG_SOFTMAX))
    row = judge(rule)
    assert row["survivors"] == []
    assert row["mutants"] == row["killed"] + row["equivalent"]
    assert row["equivalent"] < row["mutants"] / 3


def test_chunks_of_variants_give_the_same_row() -> None:
    (rule,) = collect(stated(LOG_SOFTMAX))
    variants = mutants(rule.program)[:9]
    parts = [judge(rule, variants[:4]), judge(rule, variants[4:])]
    assert module._merged(parts) == judge(rule, variants)


def test_a_survivor_is_reported() -> None:
    weak = theorem("weak", Positivity(lambda x: jnp.exp(x).sum()))
    (rule,) = collect(stated(weak))
    row = judge(rule, [Mutant("twice", trace(lambda x: 2 * jnp.exp(x).sum(), V))])
    assert (row["killed"], row["equivalent"], row["survivors"]) == (0, 0, ["twice"])


def test_a_theorem_that_refuses_nothing_is_weak_with_a_reason() -> None:
    def node(x: Any, d: Any) -> Any:
        return d * 3.0

    scaling = theorem("scaling", Derivative(lambda x: x * 3.0, node, "jvp"))
    result = run(theorems=stated(scaling, theorem("blind", pairing(node, node), x=N, dx=N, d=N)))
    shares = {t["name"]: (t["killed"], t["mutants"] - t["equivalent"]) for t in result["theorems"]}
    assert shares["scaling"][0] == shares["scaling"][1] > 0
    by_duality = shares["blind"][0]
    assert by_duality < shares["scaling"][0]
    rows = [dict(r, killed_by={"scaling": r["killed"]}) for r in result["rules"]]
    (told,) = module._weak(
        ["blind"], rows, collect(stated(scaling, theorem("blind", pairing(node, node), x=N, dx=N, d=N)))
    )
    assert "duality alone cannot see a wrong pair" in told["reason"]
    assert told["reason"].endswith("refused through scaling")


def test_only_chooses_theorems_and_the_result_is_plain_data(capsys: pytest.CaptureFixture[str]) -> None:
    other = theorem("Proofs.Autograd.other", Derivative(jnp.sin, lambda x, dx: dx * jnp.cos(x), "jvp"))
    result = run("oth*", theorems=stated(LOG_SOFTMAX, other))
    assert [r["name"] for r in result["rules"]] == ["other: jvp"]
    assert [t["name"] for t in result["theorems"]] == ["Proofs.Autograd.other"]
    json.dumps(result, allow_nan=False)
    assert run("nothing*", theorems=stated(other))["rules"] == []
    assert "1/1 rules" in capsys.readouterr().err
