"""The claims of a theorem in one compiled program: each is compared by itself, and none hides another."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.compiled import CompiledFunction
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.examination import Examination
from backprove.harness.judging.real_calls.spot_check import SpotCheck
from backprove.harness.oracles.joint_xla import JointXla, Member
from backprove.harness.programs.program import Signature
from backprove.rules.all import load

POINTS = 40
X = np.linspace(-2, 2, 3 * POINTS).reshape(3, POINTS)
D = np.cos(X)


def jvp(x: Any, v: Any) -> Any:
    return v / (1 + jnp.exp(-x))


def vjp(x: Any, g: Any) -> Any:
    return g / (1 + jnp.exp(-x)), x * 2


def value(x: Any) -> Any:
    return jnp.log1p(jnp.exp(x))


def signature(arguments: int, dtype: str = "float64", n: int = 3) -> Signature:
    return tuple(((n,), dtype) for _ in range(arguments))


def members(*calls: Any) -> Any:
    def at(shapes: Any, dtype: str) -> list[Member]:
        return [(f, signature(1 if f is value else 2, dtype, shapes[0][0])) for f in calls]

    return at


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Signature]:
    """The signatures of what is compiled from now on."""
    compiled: list[Signature] = []
    real = CompiledFunction._chunk

    def chunk(self: CompiledFunction, arrays: Any) -> Any:
        if not self._programs:
            compiled.append(self.signature)
        return real(self, arrays)

    monkeypatch.setattr(CompiledFunction, "_chunk", chunk)
    return compiled


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_every_function_gets_its_own_results(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = counted(monkeypatch)
    together = JointXla(1, members(jvp, vjp, value))
    for f, arrays in ((jvp, [X, D]), (value, [X]), (vjp, [X, -D])):
        s = signature(len(arrays), dtype)
        found = together(f, s, arrays, dtype)
        alone = CompiledFunction(f, s)(arrays)
        assert len(found) == len(alone)
        for a, b in zip(found, alone, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-2 if dtype == "bfloat16" else 1e-6)
    assert [len(s) for s in compiled].count(3) == 1  # x, and the directions of both rules


def test_integers_and_points_fewer_than_arguments() -> None:
    def pick(x: Any, i: Any, g: Any) -> Any:
        return x[i] * g

    s: Signature = (((3,), "float64"), ((), "int64"), ((), "float64"))
    together = JointXla(2, lambda shapes, dtype: [(pick, s), (pick, s)])
    (found,) = together(pick, s, [X[:, :1], np.arange(3), np.full(1, 2.0)], "float64")
    np.testing.assert_array_equal(found, 2 * X[:, 0])


def test_a_function_compiled_wrongly_beside_right_ones_is_refused() -> None:
    def wrong(x: Any, v: Any) -> Any:
        return jvp(x, v) * (1 + 1e-12)

    together = JointXla(1, members(value, wrong, vjp))
    for call, traced, refused in ((wrong, jvp, True), (value, value, False)):
        arrays = [X] if call is value else [X, D]
        s = signature(len(arrays))
        spot, seen = SpotCheck(joint=together), Examination.empty(POINTS)
        spot.enter(call, s, trace(traced, *s), arrays, "float64", seen, ["output"])
        found = {f.verdict for f in seen.violations if f is not None}
        assert found == ({Verdict.INACCURATE} if refused else set())
        assert spot.failed == refused
        assert seen.layers["compiled"].checked == POINTS


def test_one_that_cannot_be_compiled_leaves_the_others_checked() -> None:
    def opaque(x: Any, v: Any) -> Any:
        return jnp.asarray(np.asarray(x))

    together = JointXla(1, members(opaque, jvp))
    spot, seen = SpotCheck(joint=together), Examination.empty(POINTS)
    spot.enter(jvp, signature(2), trace(jvp, *signature(2)), [X, D], "float64", seen, ["output"])
    assert seen.layers["compiled"].agreed == POINTS and not seen.notes


def test_other_shapes_and_functions_are_not_part_of_it() -> None:
    together = JointXla(1, members(jvp))
    assert together(jvp, signature(2), [X, D], "float64") is not None
    assert together(jvp, signature(2, n=2), [X[:2], D[:2]], "float64") is None
    assert together(vjp, signature(2), [X, D], "float64") is None


@pytest.mark.parametrize("name", [n for n, t in load().items() if len(t.claims) > 1][::6])
def test_a_theorem_is_one_program_for_each_dtype(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from backprove.harness.campaign import subjects

    compiled = counted(monkeypatch)
    theorem = load()[name]
    result = subjects.run(theorem, points=60, dtypes=("float64", "float32"))
    assert len(compiled) == 2
    wanted = [p for b in binders_of(theorem) for p in result.properties if p.name == b.name]
    judged = [p for p in wanted if "compiled" in p.layers]
    assert judged and all(p.layer("compiled").agreed == p.layer("compiled").checked > 0 for p in judged)
