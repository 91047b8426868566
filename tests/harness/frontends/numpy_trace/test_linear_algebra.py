"""NumPy's linear algebra is traced as LAPACK computes it, and rules about it are judged exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.frontends.numpy_trace.trace import trace_numpy
from backprove.harness.numbers.floats.floats import Floats

RNG = np.random.default_rng(5)


def definite(a: Any) -> Any:
    return a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1])


TRACED: dict[str, Callable[..., Any]] = {
    "inv": np.linalg.inv,
    "solve": lambda a: np.linalg.solve(a, a[..., ::-1, :2]),
    "det": np.linalg.det,
    "slogdet": np.linalg.slogdet,
    "cholesky": lambda a: np.linalg.cholesky(np.tril(definite(a))),
    "cholesky, upper": lambda a: np.linalg.cholesky(np.triu(definite(a)), upper=True),
    "matrix_power": lambda a: np.linalg.matrix_power(a, -2),
}


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (4, 4), (2, 3, 3)])
@pytest.mark.parametrize("name", TRACED)
def test_the_trace_computes_what_numpy_does(name: str, shape: tuple[int, ...]) -> None:
    code = TRACED[name]
    program = trace_numpy(code, (shape, "float64"))
    a = RNG.normal(size=(*shape, 5))
    found = Floats().run(program, [a])
    for p in range(5):
        wanted = code(a[..., p])
        for got, value in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            np.testing.assert_allclose(got[..., p], value, rtol=1e-9, atol=1e-11)


def test_a_singular_matrix_has_numpys_determinant() -> None:
    for code in (np.linalg.det, np.linalg.slogdet):
        found = Floats().run(trace_numpy(code, ((3, 3), "float64")), [np.ones((3, 3, 1))])
        wanted = np.atleast_1d(code(np.ones((3, 3))))
        np.testing.assert_array_equal([f[0] for f in found], wanted)


def inverse_rule(a: Any, g: Any) -> Any:
    x = np.linalg.inv(a)
    return -x.T @ g @ x.T


def determinant_rule(a: Any, g: Any) -> Any:
    return g * np.linalg.det(a) * np.linalg.inv(a).T


RULES = {"inv": (np.linalg.inv, inverse_rule), "det": (np.linalg.det, determinant_rule)}


def judged(name: str, factor: float, dims: str = "n n", points: int = 200) -> str:
    forward, vjp = RULES[name]
    rule = bp.Rule(name, forward=forward, vjp=lambda a, g: factor * vjp(a, g), inputs={"a": bp.array(dims)})
    report = bp.check(rule, points=points, dtypes=("float64",))
    return next(str(p.verdict) for p in report.properties if p.name == "vjp")


def test_a_right_rule_holds_although_it_raises_where_forward_has_a_pole() -> None:
    assert judged("inv", 1.0) == "holds"


def test_a_determinant_has_slopes_at_singular_matrices_where_a_rule_that_raises_is_refused() -> None:
    assert judged("det", 1.0, "2 2", 40) == "error"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_is_off_by_little_is_refused(name: str) -> None:
    assert judged(name, 1 + 1e-9) == "falsified"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wrong_rule_is_no_error_for_raising_where_forward_has_no_value(dtype: str) -> None:
    rule = bp.Rule(
        "logdet",
        forward=lambda a: np.linalg.slogdet(a)[1],
        vjp=lambda a, g: g * np.linalg.inv(a),  # not transposed, and singular matrices have no inverse
        inputs={"a": bp.array("n n")},
    )
    report = bp.check(rule, points=200, dtypes=(dtype,))
    assert {p.name: str(p.verdict) for p in report.properties}["vjp"] == "falsified"


def test_a_rule_that_raises_where_there_is_a_derivative_does_not_hold() -> None:
    def vjp(a: Any, g: Any) -> Any:
        np.linalg.cholesky(a)  # of matrices that are not definite either
        return inverse_rule(a, g)

    rule = bp.Rule("inv", forward=np.linalg.inv, vjp=vjp, inputs={"a": bp.array("n n")})
    assert bp.check(rule, points=200, dtypes=("float64",)).verdict == "error"
