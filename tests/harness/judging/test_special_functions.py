"""Rules of special functions: right ones hold, a relative mistake of 1e-9 is refused over the reals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import pytest
from jax import lax

import backprove as bp


@dataclass(frozen=True)
class Known:
    """A function, its right VJP, and where its inputs lie."""

    forward: Callable[..., Any]
    vjp: Callable[..., Any]
    spans: tuple[tuple[float, float], ...]

    def report(self, factor: float) -> bp.Report:
        inputs = {
            n: bp.array("n", low=a, high=b) for n, (a, b) in zip("ax"[-len(self.spans) :], self.spans, strict=True)
        }
        rule = lambda *v: jax.tree.map(lambda c: c * factor, self.vjp(*v))  # noqa: E731
        return bp.check(bp.Rule("rule", forward=self.forward, vjp=rule, inputs=inputs), points=200, dtypes=("float64",))


def _order(m: float) -> Callable[[Any], Any]:
    return lambda x: lax.polygamma(jnp.full_like(x, m), x)


def _density(a: Any, x: Any) -> Any:
    return jnp.exp((a - 1) * jnp.log(x) - x - lax.lgamma(a))


def _reflected(x: Any, g: Any) -> Any:
    """JAX's own polygamma is wrong at negative numbers."""
    return g * (jnp.pi**2 / jnp.sin(jnp.pi * x) ** 2 - _order(1.0)(1 - x))


def _beta(x: Any) -> Any:
    return lax.betainc(jnp.full_like(x, 2.0), jnp.full_like(x, 3.0), x)


POSITIVE, LEFT = ((0.1, 9.0),), ((-1.9, -1.1),)

KNOWN = {
    "lgamma": Known(lax.lgamma, lambda x, g: g * lax.digamma(x), POSITIVE),
    "lgamma left of 0": Known(lax.lgamma, lambda x, g: g * lax.digamma(x), LEFT),
    "digamma": Known(lax.digamma, lambda x, g: g * _order(1.0)(x), POSITIVE),
    "digamma left of 0": Known(lax.digamma, _reflected, ((-0.9, -0.1),)),
    "polygamma": Known(_order(2.0), lambda x, g: g * _order(3.0)(x), POSITIVE),
    "zeta": Known(
        lambda x: lax.zeta(jnp.full_like(x, 2.5), x),
        lambda x, g: -2.5 * g * lax.zeta(jnp.full_like(x, 3.5), x),
        POSITIVE,
    ),
    "igamma": Known(lax.igamma, lambda a, x, g: (g * lax.igamma_grad_a(a, x), g * _density(a, x)), POSITIVE * 2),
    "igammac": Known(lax.igammac, lambda a, x, g: (-g * lax.igamma_grad_a(a, x), -g * _density(a, x)), POSITIVE * 2),
    "betainc": Known(_beta, lambda x, g: g * 12 * x * (1 - x) ** 2, ((0.01, 0.99),)),
    "bessel_i0e": Known(
        lax.bessel_i0e, lambda x, g: g * (lax.bessel_i1e(x) - jnp.sign(x) * lax.bessel_i0e(x)), ((-9, 9),)
    ),
    "i0": Known(jsp.i0, lambda x, g: g * jsp.i1(x), ((-9, 9),)),
    "i1": Known(jsp.i1, lambda x, g: g * (jsp.i0(x) - jsp.i1(x) / x), ((0.5, 9),)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_right_rule_holds(name: str) -> None:
    report = KNOWN[name].report(1.0)
    assert report.verdict == "holds", str(report)


@pytest.mark.parametrize("factor", [0.0, 1 + 1e-9])
@pytest.mark.parametrize("name", KNOWN)
def test_a_wrong_rule_is_falsified(name: str, factor: float) -> None:
    assert KNOWN[name].report(factor).verdict == "falsified"
