"""Rules without a traced program: object arrays, black boxes, untrue traces, lacking primitives, broken contracts."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import special

import backprove as bp
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.black_box import BLACK_BOX
from backprove.harness.frontends.calls import call_points
from backprove.harness.frontends.function import Function
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.judge import Judge
from backprove.harness.statements.rule import Rule
from backprove.strategies.array import array

VECTOR = {"x": array("n")}


def judged(forward: Any, vjp: Any, dtype: str = "float64", inputs: Any = None, **more: Any) -> PropertyResult:
    """The vjp property of a rule at a few points."""
    rule = Rule("rule", forward=forward, vjp=vjp, inputs=inputs or VECTOR, **more)
    return Judge(binders_of(rule)[0], None, Plan(dtype, 60, further_dtype=True)).run()


def branch(x: Any) -> Any:
    return x * x if x.sum() > 0 else x * x * x


def branch_vjp(x: Any, g: Any) -> Any:
    return g * 2 * x if x.sum() > 0 else g * 3 * x * x


def erf(x: Any) -> Any:
    return np.array([math.erf(float(v)) for v in x.ravel()], dtype=x.dtype).reshape(x.shape)


def erf_vjp(x: Any, g: Any) -> Any:
    rows = zip(x.ravel(), g.ravel(), strict=True)
    slopes = [float(w) * 2 / math.sqrt(math.pi) * math.exp(-min(float(v) * float(v), 700.0)) for v, w in rows]
    return np.array(slopes, dtype=g.dtype).reshape(x.shape)


class TestObjects:
    def test_right(self) -> None:
        found = judged(branch, branch_vjp)
        assert found.verdict is Verdict.HOLDS
        assert found.layers["rounding"].checked > 0 and found.layers["exact"].agreed > 0
        assert found.layers["complex step"].agreed > 0

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_wrong_in_one_branch(self, dtype: str) -> None:
        found = judged(branch, lambda x, g: g * 2 * x if x.sum() > 0 else g * 2 * x * x, dtype)
        assert found.verdict is Verdict.FALSIFIED

    def test_traced_forward_with_a_rule_that_is_not(self) -> None:
        def rule(x: Any, g: Any) -> Any:
            return g * np.cos(x) if x.sum() > 0 else np.cos(x) * g

        assert judged(jnp.sin, lambda x, g: rule(np.asarray(x), g)).verdict is Verdict.HOLDS
        assert judged(jnp.sin, lambda x, g: -rule(np.asarray(x), g)).verdict is Verdict.FALSIFIED


class TestBlackBox:
    @pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
    def test_right(self, dtype: str) -> None:
        found = judged(erf, erf_vjp, dtype)
        assert found.verdict is Verdict.HOLDS
        assert any("black box" in n for n in found.notes)

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_wrong(self, dtype: str) -> None:
        assert judged(erf, lambda x, g: erf_vjp(x, g) * 1.001, dtype).verdict is Verdict.FALSIFIED

    def test_wrong_in_float32_only(self) -> None:
        def rule(x: Any, g: Any) -> Any:
            return erf_vjp(x, g) * (1.5 if x.dtype == np.float32 else 1)

        assert judged(erf, rule).verdict is Verdict.HOLDS
        assert judged(erf, rule, "float32").verdict is Verdict.INACCURATE

    def test_not_a_number(self) -> None:
        found = judged(erf, lambda x, g: erf_vjp(x, g) / np.where(x > 1, 0, 1) * np.where(x > 1, 0, 1))
        assert found.verdict is Verdict.INACCURATE

    def test_kink_of_a_right_rule(self) -> None:
        def relu(x: Any) -> Any:
            return np.array([max(float(v), 0.0) for v in x.ravel()], dtype=x.dtype).reshape(x.shape)

        def rule(x: Any, g: Any) -> Any:
            return np.array([w if v > 0 else 0.0 for v, w in zip(x.tolist(), g.tolist(), strict=True)], dtype=g.dtype)

        assert judged(relu, rule).verdict is Verdict.HOLDS

    def test_batched(self) -> None:
        def both(x: Any, g: Any) -> Any:
            return erf_vjp(x, g)

        found = judged(erf, both, batched=True)
        assert found.verdict is Verdict.HOLDS
        assert not any("one by one" in n for n in found.notes)

    def test_a_jacobian_beyond_the_format_is_no_finding(self) -> None:
        """Of 1 / x at 2e-251 it is -2.5e501: the rule's 0 * inf is none, and its NaN at 2 is."""

        def hidden(f: Any) -> Any:
            def call(*a: Any) -> Any:
                rows = zip(*([float(v) for v in p.ravel()] for p in a), strict=True)
                return np.array([f(*r) for r in rows], dtype=np.float64).reshape(a[0].shape)

            return call

        forward = hidden(lambda x: 1 / x)
        points = [{"x": [x], "cotangent": [0.0]} for x in (2e-251, 2.0)]
        for at_two, verdict in ((0.0, Verdict.HOLDS), (math.nan, Verdict.INACCURATE)):
            vjp = hidden(lambda x, g, k=at_two: k if (x, g) == (2.0, 0.0) else -g * ((1 / x) * (1 / x)))
            inputs = {"x": array("n", nonzero=True)}
            rule = Rule("reciprocal", forward=forward, vjp=vjp, inputs=inputs, examples=points)
            assert bp.check(rule, points=20, dtypes=["float64"]).properties[0].verdict is verdict


class TestContract:
    def test_raises(self) -> None:
        def rule(x: Any, g: Any) -> Any:
            if any(float(v) > 5 for v in x.ravel()):
                raise ValueError("too large")
            return erf_vjp(x, g)

        found = judged(erf, rule)
        assert found.verdict is Verdict.ERROR and "ValueError: too large" in found.reason

    def test_changed_argument(self) -> None:
        def rule(x: Any, g: Any) -> Any:
            out = erf_vjp(x, g)
            g *= 2
            return out

        found = judged(erf, rule)
        assert found.verdict is Verdict.ERROR and "changed its argument" in found.reason

    def test_two_answers(self) -> None:
        counter = itertools.count()
        found = judged(erf, lambda x, g: erf_vjp(x, g) * (1 + next(counter) % 2))
        assert found.verdict is Verdict.ERROR and "two answers" in found.reason

    def test_wrong_shape(self) -> None:
        found = judged(erf, lambda x, g: erf_vjp(x, g).sum())
        assert found.verdict is Verdict.ERROR and "shapes" in found.reason

    def test_batched_code_that_mixes_points_is_called_one_by_one(self) -> None:
        function = Function(lambda x: x - x.sum(), "forward")
        x = np.arange(12.0).reshape(2, 6)
        called = call_points(function, (((2,), "float64"),), [x], [(2,)], "float64", batched=True)
        np.testing.assert_allclose(called.values[0], x - x.sum(axis=0))
        assert any("one by one" in n for n in called.notes)


class TestUntrueTraces:
    def test_code_that_looks_at_types(self) -> None:
        def forward(x: Any) -> Any:
            return x * x if type(x) is np.ndarray else x * x * x

        right = judged(forward, lambda x, g: g * 2 * x)
        assert right.verdict is Verdict.HOLDS
        assert any("differs from real calls" in n for n in right.notes)
        assert judged(forward, lambda x, g: g * 3 * x * x).verdict is Verdict.FALSIFIED

    def test_narrowing_is_no_untrue_trace(self) -> None:
        """A cast to float32 inside is the rule's own mistake, and is found as such."""
        found = judged(np.tanh, lambda x, g: g * (1 - np.tanh(x.astype(np.float32)).astype(x.dtype) ** 2))
        assert found.verdict is Verdict.INACCURATE
        assert not any("differs from real calls" in n for n in found.notes)

    def test_code_that_only_seems_to_run_on_objects(self) -> None:
        rule = Rule("rule", forward=erf, vjp=erf_vjp, inputs=VECTOR)
        binder = binders_of(rule)[0]
        Judge(binder, None, Plan("float64", 40, further_dtype=True)).run()
        assert (binder.functions.forward.only, binder.functions.rule.only) == (BLACK_BOX, BLACK_BOX)


def test_lacking_primitive() -> None:
    inputs = {"x": array("n", low=-10, high=10)}
    right = judged(special.i0, lambda x, g: g * special.i1(x), inputs=inputs)
    wrong = judged(special.i0, lambda x, g: -g * special.i1(x), inputs=inputs)
    assert (right.verdict, wrong.verdict) == (Verdict.HOLDS, Verdict.FALSIFIED)
    assert any("bessel_i1e" in n for n in right.notes)
