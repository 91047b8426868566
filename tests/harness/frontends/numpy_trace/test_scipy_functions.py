"""NumPy code that calls `scipy.special` by name is traced, and its rules are judged over the reals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as sp
from scipy.special import log_softmax, logsumexp, polygamma, softmax, zeta

import backprove as bp
from backprove.harness.frontends.numpy_trace.array import NotTraceable
from backprove.harness.frontends.numpy_trace.trace import trace_numpy
from backprove.harness.numbers.floats.floats import Floats

ROOT_PI = np.sqrt(np.pi)
POSITIVE: dict[str, Any] = {"x": bp.array("n", low=0.1, high=9)}
REAL: dict[str, Any] = {"x": bp.array("n", low=-9, high=9)}
UNIT: dict[str, Any] = {"x": bp.array("n", low=0.02, high=0.98)}
PAIR: dict[str, Any] = {"a": bp.array("n", low=0.1, high=9), **POSITIVE}
ROWS: dict[str, Any] = {"x": bp.array("m 3")}


def density(a: Any, x: Any) -> Any:
    return np.exp((a - 1) * np.log(x) - x - sp.gammaln(a))


def bell(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def softmax_vjp(x: Any, g: Any) -> Any:
    s = sp.softmax(x, axis=-1)
    return s * (g - (g * s).sum(-1, keepdims=True))


def betaln_vjp(a: Any, x: Any, g: Any) -> Any:
    return g * (sp.psi(a) - sp.psi(a + x)), g * (sp.psi(x) - sp.psi(a + x))


RULES: dict[str, tuple[Callable[..., Any], dict[str, Any], Callable[..., Any]]] = {
    "gammaln": (sp.gammaln, POSITIVE, lambda x, g: g * sp.digamma(x)),
    "gamma": (sp.gamma, POSITIVE, lambda x, g: g * sp.gamma(x) * sp.psi(x)),
    "psi left of 0": (
        sp.psi,
        {"x": bp.array("n", low=-5.9, high=-5.1)},
        lambda x, g: g * sp.polygamma(1, x),
    ),
    "polygamma": (lambda x: polygamma(2, x), POSITIVE, lambda x, g: g * polygamma(3, x)),
    "zeta": (lambda x: zeta(2.5, x), POSITIVE, lambda x, g: -2.5 * g * zeta(3.5, x)),
    "erf": (sp.erf, REAL, lambda x, g: g * 2 / ROOT_PI * np.exp(-x * x)),
    "erfc": (sp.erfc, REAL, lambda x, g: -g * 2 / ROOT_PI * np.exp(-x * x)),
    "erfcx": (sp.erfcx, REAL, lambda x, g: g * (2 * x * sp.erfcx(x) - 2 / ROOT_PI)),
    "erfinv": (
        sp.erfinv,
        {"x": bp.array("n", low=-0.98, high=0.98)},
        lambda x, g: g * ROOT_PI / 2 * np.exp(sp.erfinv(x) ** 2),
    ),
    "expit": (sp.expit, REAL, lambda x, g: g * sp.expit(x) * sp.expit(-x)),
    "logit": (sp.logit, UNIT, lambda x, g: g / (x * (1 - x))),
    "log_expit": (sp.log_expit, REAL, lambda x, g: g * sp.expit(-x)),
    "ndtr": (sp.ndtr, REAL, lambda x, g: g * bell(x)),
    "log_ndtr": (
        sp.log_ndtr,
        {"x": bp.array("n")},
        lambda x, g: g * np.exp(-x * x / 2 - sp.log_ndtr(x)) / np.sqrt(2 * np.pi),
    ),
    "xlogy": (sp.xlogy, PAIR, lambda a, x, g: (g * np.log(x), g * a / x)),
    "xlog1py": (sp.xlog1py, PAIR, lambda a, x, g: (g * np.log1p(x), g * a / (1 + x))),
    "logsumexp": (lambda x: logsumexp(x, axis=1), ROWS, lambda x, g: g[:, None] * softmax(x, axis=1)),
    "softmax": (lambda x: sp.softmax(x, axis=-1), ROWS, softmax_vjp),
    "log_softmax": (
        lambda x: log_softmax(x, axis=-1),
        ROWS,
        lambda x, g: g - softmax(x, axis=-1) * g.sum(-1, keepdims=True),
    ),
    "gammainc": (lambda x: sp.gammainc(2.5, x), POSITIVE, lambda x, g: g * density(2.5, x)),
    "gammaincc": (lambda x: sp.gammaincc(2.5, x), POSITIVE, lambda x, g: -g * density(2.5, x)),
    "betainc": (lambda x: sp.betainc(2.0, 3.0, x), UNIT, lambda x, g: 12 * g * x * (1 - x) ** 2),
    "betaln": (sp.betaln, PAIR, betaln_vjp),
    "entr": (sp.entr, POSITIVE, lambda x, g: -g * (np.log(x) + 1)),
    "rel_entr": (sp.rel_entr, PAIR, lambda a, x, g: (g * (np.log(a / x) + 1), -g * a / x)),
    "i0": (sp.i0, REAL, lambda x, g: g * sp.i1(x)),
    "i1": (sp.i1, POSITIVE, lambda x, g: g * (sp.i0(x) - sp.i1(x) / x)),
    "i0e": (sp.i0e, POSITIVE, lambda x, g: g * (sp.i1e(x) - sp.i0e(x))),
    "i1e": (sp.i1e, POSITIVE, lambda x, g: g * (sp.i0e(x) - sp.i1e(x) / x - sp.i1e(x))),
}


def verdict(name: str, factor: float) -> str:
    forward, inputs, vjp = RULES[name]

    def rule(*v: Any) -> Any:
        found = vjp(*v)
        return tuple(c * factor for c in found) if isinstance(found, tuple) else found * factor

    stated = bp.Rule("rule", forward=forward, vjp=rule, inputs=inputs)
    return bp.check(stated, points=150, dtypes=("float64",)).verdict


@pytest.mark.parametrize("name", RULES)
def test_the_right_rule_holds(name: str) -> None:
    assert verdict(name, 1.0) == "holds"


@pytest.mark.parametrize("name", RULES)
def test_a_relative_mistake_of_a_billionth_is_refused(name: str) -> None:
    assert verdict(name, 1 + 1e-9) == "falsified"


@pytest.mark.parametrize("name", RULES)
def test_the_traced_program_computes_what_scipy_does(name: str) -> None:
    forward, inputs, _ = RULES[name]
    rng = np.random.default_rng(3)
    shape = (2, 3) if inputs is ROWS else (4,)
    points = [rng.uniform(s.low or -2.0, s.high or 3.0, shape) for s in inputs.values()]
    program = trace_numpy(forward, *((shape, "float64") for _ in points))
    (found,) = Floats().run(program, [x[..., None] for x in points])
    np.testing.assert_allclose(found[..., 0], forward(*points), rtol=1e-13, atol=1e-13)


def test_functions_are_put_back() -> None:
    before = logsumexp, sp.logsumexp, sp.softmax, softmax
    trace_numpy(lambda x: logsumexp(x) + sp.softmax(x), ((3,), "float64"))
    assert before == (logsumexp, sp.logsumexp, sp.softmax, softmax)
    assert logsumexp.__module__.startswith("scipy.") and not hasattr(logsumexp, "__wrapped__")


def test_names_of_code_that_is_no_module_are_followed() -> None:
    names: dict[str, Any] = {}
    exec("from scipy.special import logsumexp\ndef f(x):\n    return logsumexp(x)", names)
    program = trace_numpy(names["f"], ((3,), "float64"))
    assert "log" in program.primitives


def test_a_function_that_is_not_followed_is_named() -> None:
    with pytest.raises(NotTraceable, match="dawsn"):
        trace_numpy(sp.dawsn, ((3,), "float64"))
