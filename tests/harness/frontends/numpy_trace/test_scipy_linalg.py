"""Code that calls `scipy.linalg` and `numpy.linalg` by name is traced, and its rules are judged over the reals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg as sl
from scipy.linalg import inv, solve_triangular

import backprove as bp
from backprove.harness.frontends.numpy_trace.array import NotTraceable
from backprove.harness.frontends.numpy_trace.trace import trace_numpy
from backprove.harness.numbers.floats.floats import Floats

NINE = 9 * np.eye(3)
X = {"x": bp.array("3 3", low=-2, high=2)}
SYSTEM = {**X, "y": bp.array("3")}


def solve_vjp(x: Any, y: Any, g: Any) -> Any:
    z, w = sl.solve(x + NINE, y), sl.solve((x + NINE).T, g)
    return -np.outer(w, z), w


def triangular_vjp(x: Any, y: Any, g: Any) -> Any:
    z = solve_triangular(x + NINE, y, lower=True)
    w = solve_triangular(x + NINE, g, lower=True, trans=1)
    return -np.tril(np.outer(w, z)), w


def log_det(x: Any) -> Any:
    return 2 * np.log(np.diag(sl.cholesky(x @ x.T + np.eye(3), lower=True))).sum()


def of_eigenvalues(module: Any) -> tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]:
    def vjp(x: Any, g: Any) -> Any:
        _, v = module.eigh(x + x.T)
        return 2 * (v * g[None, :]) @ v.T

    return lambda x: module.eigvalsh(x + x.T), vjp, X


def nuclear_vjp(x: Any, g: Any) -> Any:
    u, _, vt = sl.svd(x, full_matrices=False)
    return g * u @ vt


RULES: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "inv": (lambda x: inv(x + NINE), lambda x, g: -inv(x + NINE).T @ g @ inv(x + NINE).T, X),
    "det": (lambda x: sl.det(x + NINE), lambda x, g: g * sl.det(x + NINE) * inv(x + NINE).T, X),
    "solve": (lambda x, y: sl.solve(x + NINE, y), solve_vjp, SYSTEM),
    "solve_triangular": (lambda x, y: solve_triangular(x + NINE, y, lower=True), triangular_vjp, SYSTEM),
    "cholesky": (log_det, lambda x, g: 2 * g * inv(x @ x.T + np.eye(3)) @ x, X),
    "eigenvalues of SciPy": of_eigenvalues(sl),
    "eigenvalues of NumPy": of_eigenvalues(np.linalg),
    "svdvals": (lambda x: sl.svdvals(x).sum(), nuclear_vjp, {"x": bp.array("3 2", low=-2, high=2)}),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (1 + 1e-9, "falsified")])
def test_rules_are_judged_over_the_reals(name: str, factor: float, verdict: str) -> None:
    forward, right, inputs = RULES[name]

    def vjp(*v: Any) -> Any:
        found = right(*v)
        return tuple(c * factor for c in found) if isinstance(found, tuple) else found * factor

    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs=inputs)
    assert bp.check(rule, points=100, dtypes=("float64",)).verdict == verdict


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.linalg.eigvalsh(x, "U"),
        lambda x: sl.eigvalsh(x, lower=False),
        np.linalg.pinv,
        sl.pinv,
        lambda x: sl.cholesky(x @ x.T + np.eye(3)),
        lambda x: np.linalg.qr(x)[1],
        lambda x: sl.norm(x, 2),
        sl.expm,
    ],
)
def test_the_traced_program_computes_what_lapack_does(function: Callable[..., Any]) -> None:
    x = np.random.default_rng(2).normal(size=(3, 3))
    program = trace_numpy(function, ((3, 3), "float64"))
    (found,) = Floats().run(program, [x[..., None]])
    np.testing.assert_allclose(found[..., 0], function(x), rtol=1e-11, atol=1e-12)


def test_arguments_that_are_not_followed_are_refused() -> None:
    with pytest.raises(NotTraceable, match="assume_a"):
        trace_numpy(lambda x: sl.solve(x + 9 * np.eye(3), x, assume_a="sym"), ((3, 3), "float64"))
