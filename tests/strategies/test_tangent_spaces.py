"""Rules of structured inputs: forms that agree along tangents hold, and what is wrong along a tangent is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.strategies.arranged import drawn_structure
from backprove.strategies.array import ArraySpec, array
from backprove.strategies.philox import generator
from backprove.strategies.tangent_spaces import CHARTS
from backprove.strategies.values import draw_points

Code = Callable[..., Any]
FEW: dict[str, Any] = {"points": 40, "dtypes": ["float64"]}


def t(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def cholesky_symmetric(a: Any, g: Any) -> Any:
    factor = np.linalg.cholesky(a)
    back = np.linalg.inv(factor)
    inner = np.tril(t(factor) @ g) - 0.5 * (t(factor) @ g) * np.eye(a.shape[-1])
    s = t(back) @ inner @ back
    return (s + t(s)) / 2


def cholesky_lower(a: Any, g: Any) -> Any:
    s = cholesky_symmetric(a, g)
    return 2 * np.tril(s) - s * np.eye(a.shape[-1])


def log_det(a: Any) -> Any:
    return jnp.linalg.slogdet(a)[1]


def eigenvalues_back(a: Any, g: Any) -> Any:
    v = np.linalg.eigh(a)[1]
    return (v * g) @ t(v)


def skewed(c: Any) -> Any:
    """A part that no symmetric matrix sees."""
    return jnp.triu(c) - t(jnp.triu(c))


def normalised(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_back(x: Any, g: Any) -> Any:
    s = softmax(x)
    return s * (g - (s * g).sum(axis=-1, keepdims=True))


SYMMETRIC = array("n<=3 n", kind="symmetric", low=-9, high=9)
SPD = array("2 2", kind="spd")
CASES: dict[str, tuple[ArraySpec, Code, list[Code]]] = {
    "cholesky": (SPD, np.linalg.cholesky, [cholesky_symmetric, cholesky_lower]),
    "log det": (SPD, log_det, [lambda a, g: g * jnp.linalg.inv(a), lambda a, g: g * jnp.linalg.inv(a) + skewed(a)]),
    "eigenvalues": (SYMMETRIC, np.linalg.eigvalsh, [eigenvalues_back]),
    "lower": (array("m<=3 n<=3", kind="lower"), np.sin, [lambda a, g: g * np.cos(a)]),
    "upper": (array("n<=3 n", kind="upper"), lambda a: a @ a, [lambda a, g: t(a) @ g + g @ t(a), lambda a, g:
              np.triu(t(a) @ g + g @ t(a)) + np.tril(a, -1) - np.tril(g, -1)]),
    "sphere": (array("m<=2 n<=3", kind="unit"), normalised, [lambda x, g: g, lambda x, g:
               g - x * (x * g).sum(axis=-1, keepdims=True)]),
    "rotation": (array("2 2", kind="orthogonal"), jnp.linalg.inv, [lambda q, g: t(g), lambda q, g: -q @ g @ q]),
    "sorted": (array("n<=4", kind="sorted", low=-9, high=9), softmax, [softmax_back]),
    "rows": (array("m<=2 n<=3", kind="stochastic"), lambda p: p * p, [lambda p, g: 2 * p * g, lambda p, g:
             2 * p * g - g.sum(axis=-1, keepdims=True)]),
}  # fmt: skip


def rule(spec: ArraySpec, forward: Code, vjp: Code) -> bp.Rule:
    return bp.Rule("structured", forward=lambda x: forward(x) + 0, vjp=vjp, inputs={"x": spec})


@pytest.mark.parametrize("name", CASES)
def test_forms_that_agree_along_tangents_hold_and_a_small_mistake_is_refused(name: str) -> None:
    spec, forward, forms = CASES[name]
    for form in forms:
        report = bp.check(rule(spec, forward, form), **FEW)
        assert report.ok, str(report)
    wrong = rule(spec, forward, lambda x, g: forms[-1](x, g) * (1 + 1e-9))
    assert bp.check(wrong, **FEW).verdict == "falsified"


def test_a_general_matrix_is_held_to_all_directions() -> None:
    assert (
        bp.check(rule(array("2 2", low=-3, high=3), lambda a: a + t(a), lambda a, g: 2 * g), **FEW).verdict != "holds"
    )
    assert bp.check(rule(array("2 2", kind="symmetric"), lambda a: a + t(a), lambda a, g: 2 * g), **FEW).ok


def test_tangents_are_those_of_the_structure_and_both_modes_are_adjoint() -> None:
    seen: list[Any] = []

    def jvp(x: Any, tangent: Any) -> Any:
        if isinstance(tangent, np.ndarray):
            seen.append(np.abs(tangent - t(tangent)).max(initial=0.0))
        return -np.linalg.inv(x) @ tangent @ np.linalg.inv(x)

    def vjp(x: Any, g: Any) -> Any:
        return -t(np.linalg.inv(x)) @ g @ t(np.linalg.inv(x))

    both = bp.Rule("inverse", forward=np.linalg.inv, jvp=jvp, vjp=vjp, inputs={"a": array("2 2", kind="spd")})
    report = bp.check(both, **FEW)
    assert report.ok and {"jvp", "vjp", "adjointness"} <= {p.name for p in report.properties}
    assert seen and max(seen) == 0


def test_a_counterexample_shows_the_tangent_that_the_rule_was_given() -> None:
    wrong = bp.Rule(
        "sum", forward=lambda a: a + 0, jvp=lambda a, d: 2 * d, inputs={"a": array("2 2", kind="symmetric")}
    )
    (found, *_) = bp.check(wrong, **FEW).counterexamples
    tangent = np.array(found.tangents["a"])
    assert np.array_equal(tangent, tangent.T) and tangent.any()


@pytest.mark.parametrize("kind", ["unit", "spd"])
def test_code_that_changes_a_structured_input_is_found_out(kind: str) -> None:
    def vjp(x: Any, g: Any) -> Any:
        found = 2 * x * g
        x *= 1.5
        return found

    changing = bp.Rule("square", forward=lambda x: x * x, vjp=vjp, inputs={"x": array("2 2", kind=kind)})
    assert bp.check(changing, **FEW).verdict == "error"


def test_structured_leaves_of_a_pytree_and_examples_are_judged_along_tangents() -> None:
    def forward(p: Any) -> Any:
        return p["q"] @ p["u"]

    def vjp(p: Any, g: Any) -> Any:
        return {"q": g[:, None] * p["u"], "u": p["q"].T @ g + 3 * p["u"]}

    inputs = {"p": {"q": array("2 2", kind="orthogonal"), "u": array("2", kind="unit")}}
    examples = [{"p": {"q": [[0, 1], [1, 0]], "u": [0.6, 0.8]}}]
    report = bp.check(bp.Rule("turn", forward=forward, vjp=vjp, inputs=inputs, examples=examples), **FEW)
    assert report.ok and "1 example" in str(report), str(report)
    with pytest.raises(UsageError, match="orthogonal"):
        bp.Rule("turn", forward=forward, vjp=vjp, inputs=inputs, examples=[{"p": {"q": [[2, 0], [0, 1]], "u": [1, 0]}}])


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_floats_beside_the_structure_stand_for_the_point_on_it(dtype: str) -> None:
    for name in ("sphere", "rotation", "rows"):
        spec, forward, forms = CASES[name]
        report = bp.check(rule(spec, forward, forms[0]), points=20, dtypes=[dtype])
        assert report.ok, str(report)


@pytest.mark.parametrize("kind", CHARTS)
def test_pull_is_the_adjoint_of_push_and_push_the_derivative_of_the_chart(kind: str) -> None:
    import jax

    chart, spec = CHARTS[kind], array("3 3", kind=kind)
    x = draw_points({"x": spec}, {}, "float64", 1, 0, "chart").point(0)[0]
    along, c = np.random.default_rng(0).standard_normal((2, 3, 3))
    with jax.enable_x64(True):
        point, pushed = jax.jvp(chart.point, (jnp.asarray(x),), (jnp.asarray(along),))
    np.testing.assert_allclose(point, x, atol=1e-12)
    np.testing.assert_allclose(chart.push(x, along), pushed, atol=1e-12 * (1 + np.abs(pushed).max()))
    assert abs((chart.push(x, along) * c).sum() - (along * chart.pull(x, c)).sum()) < 1e-12 * (1 + np.abs(pushed).max())


def test_matrices_are_drawn_well_and_badly_conditioned() -> None:
    g = generator("test")
    a = np.moveaxis(drawn_structure(g, array("4 4", kind="spd"), (4, 4), "float64", 300), -1, 0)
    condition = np.linalg.cond(a)
    assert (condition > 1e10).any() and (condition < 30).sum() > 60 and np.isclose(condition, 1).any()
    assert np.array_equal(a, t(a)) and (np.linalg.eigvalsh(a) > 0).all()
    q = np.moveaxis(drawn_structure(g, array("3 3", kind="orthogonal"), (3, 3), "float64", 300), -1, 0)
    assert {-1.0, 1.0} == set(np.round(np.linalg.det(q)).tolist())
    assert any(np.array_equal(m, -np.eye(3)) for m in q)
    p = draw_points({"p": array("4", kind="stochastic")}, {}, "float64", 300, 0, "").arrays[0]
    s = draw_points({"s": array("4", kind="sorted")}, {}, "float64", 300, 0, "").arrays[0]
    assert (p == 0).any() and (np.diff(s, axis=0) == 0).any() and (np.diff(s, axis=0) >= 0).all()


@pytest.mark.parametrize(
    ("dims", "options", "words"),
    [
        ("m n", {"kind": "spd"}, "square"),
        ("n", {"kind": "lower"}, "last two axes"),
        ("", {"kind": "unit"}, "last axis"),
        ("n n", {"kind": "spd", "low": -1}, "eigenvalues"),
        ("n n", {"kind": "spd", "distinct": True}, "low and high bound its eigenvalues"),
        ("n", {"kind": "unit", "high": 2}, "length one"),
        ("n n", {"kind": "orthogonal", "low": 0}, "options that it takes: none"),
        ("n", {"kind": "sorted", "dtype": "int64"}, "of floats"),
        ("n n", {"kind": "symmetric", "distinct": True}, "both sides of the diagonal"),
        ("n", {"kind": "stochastic", "high": 0.5}, "sum to one"),
    ],
)
def test_what_contradicts_a_structure_is_refused(dims: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        array(dims, **options)
