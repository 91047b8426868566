"""What a number system puts in the place of code is never the only witness: JAX code is called as it is."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import polygamma

import backprove as bp
from backprove.harness.core.verdicts import Verdict


def report(
    forward: Any, vjp: Any, points: int = 100, dtypes: tuple[str, ...] = ("float64",), **domain: Any
) -> bp.Report:
    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs={"x": bp.array("n", **domain)})
    return bp.check(rule, points=points, dtypes=dtypes)


def test_what_jax_computes_wrongly_is_inaccurate_although_scipy_is_right() -> None:
    """JAX's polygamma(1, -7.5) is 9.744759; right is 9.744766, which SciPy gives in its place."""
    found = report(jax.lax.digamma, lambda x, g: g * polygamma(1, x), low=-20, high=-0.4)
    assert found.verdict is Verdict.INACCURATE and "called as it is" in str(found)


def test_the_same_code_where_jax_is_right_holds_and_its_calls_are_counted() -> None:
    found = report(jax.lax.digamma, lambda x, g: g * polygamma(1, x), low=0.5, high=20)
    assert found.ok
    (result,) = [p for p in found.subject.properties if p.name == "vjp"]
    assert result.layers["own calls"].checked > 100 and not result.layers["own calls"].refuted


def plain_only(x: Any) -> bool:
    return not isinstance(x, jax.core.Tracer)


def converted(x: Any) -> bool:
    try:
        float(x.sum())
    except jax.errors.ConcretizationTypeError:
        return False
    return True


@pytest.mark.parametrize("called", [plain_only, converted])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: jnp.where(x > 17, 2.0, 1.0),  # in one region alone
        lambda x: 2.0 if x.shape == (2,) else 1.0,  # at one size alone
        lambda x: jnp.where(jnp.abs(x) < 0.01, jnp.nan, 1.0),
    ],
)
def test_code_that_is_wrong_only_when_it_is_called_plainly_is_refused(called: Any, wrong: Any) -> None:
    found = report(jnp.sin, lambda x, g: g * jnp.cos(x) * (wrong(x) if called(x) else 1.0), low=-30, high=30)
    assert found.verdict in (Verdict.ERROR, Verdict.FALSIFIED, Verdict.INACCURATE)


def test_code_that_raises_only_when_it_is_called_plainly_is_an_error() -> None:
    def vjp(x: Any, g: Any) -> Any:
        if converted(x) and float(jnp.abs(x).max()) > 17:
            raise OverflowError("too large")
        return g * jnp.cos(x)

    found = report(jnp.sin, vjp, low=-30, high=30)
    assert found.verdict is Verdict.ERROR and "OverflowError" in str(found)


@pytest.mark.parametrize("called", [plain_only, converted])
def test_code_that_asks_and_does_the_same_holds(called: Any) -> None:
    def vjp(x: Any, g: Any) -> Any:
        return jnp.cos(x) * g if called(x) else g * jnp.cos(x)

    assert report(jnp.sin, vjp).ok


def mish(x: Any) -> Any:
    return x * jnp.tanh(jax.nn.softplus(x))


@pytest.mark.parametrize(
    ("forward", "vjp", "domain"),
    [
        # NumPy and XLA disagree on these by tens of ulp, or where subnormal numbers are flushed
        (jnp.cbrt, lambda x, g: g / (3 * jnp.cbrt(x) ** 2), {"low": 1e-3}),
        (mish, lambda x, g: jax.vjp(mish, x)[1](g)[0], {}),
        (lambda x: x[::-1].at[0].add(1.0), lambda x, g: g[::-1], {}),
    ],
)  # fmt: skip
def test_right_code_holds(forward: Any, vjp: Any, domain: dict[str, float]) -> None:
    found = report(forward, vjp, dtypes=("float64", "float32"), **domain)
    assert found.ok, str(found)


def test_a_call_near_a_zero_of_its_result_may_lose_what_rounding_its_argument_forces() -> None:
    """JAX's lgamma is off by five roundings of 1 at 1 + 3 ulp, where its value is two of them."""
    rule = bp.Rule(
        "lgamma",
        forward=jax.lax.lgamma,
        vjp=lambda x, g: g * jax.lax.digamma(x),
        inputs={"x": bp.array("n", low=0.5, high=9)},
        examples=[{"x": np.full(3, 1 + 3 * 2.0**-52)}],
    )
    report = bp.check(rule, points=50, dtypes=("float64",))
    assert report.ok, str(report)
