"""Forward maps with complex outputs are not judged unless a convention is known, and said to be complex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp

INPUTS = {"x": bp.array("m 6")}
FEW: dict[str, Any] = {"points": 40, "dtypes": ["float64"]}


@pytest.mark.parametrize(
    ("forward", "vjp"),
    [
        (np.fft.fft, lambda x, g: 3 * np.real(np.fft.fft(np.conj(g)))),
        (lambda x: jnp.fft.fft(x, axis=-1), lambda x, g: 3 * jnp.real(jnp.fft.fft(jnp.conj(g)))),
        (lambda x: (x * 1j, x), lambda x, g, h: h),
    ],
    ids=["numpy", "jax", "one of two"],
)
def test_a_complex_output_is_named_and_nothing_holds(forward: Callable[..., Any], vjp: Callable[..., Any]) -> None:
    report = bp.check(bp.Rule("complex", forward=forward, vjp=vjp, inputs=INPUTS), **FEW)
    assert report.verdict == "inconclusive"
    (result,) = report.properties
    assert result.points == 0 and "forward returns complex numbers" in result.reason
    assert "complex_convention" in str(report)


@pytest.mark.parametrize(("factor", "verdict"), [(1, "holds"), (3, "falsified")])
def test_real_and_imaginary_parts_are_judged(factor: int, verdict: str) -> None:
    def parts(x: Any) -> Any:
        z = np.fft.fft(x)
        return z.real, z.imag

    def back(x: Any, g: Any, h: Any) -> Any:
        return factor * np.real(np.fft.fft(np.asarray(g) - 1j * np.asarray(h)))

    assert bp.check(bp.Rule("parts", forward=parts, vjp=back, inputs=INPUTS), **FEW).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(-1, "holds"), (1, "falsified")])
def test_a_complex_output_of_a_jax_rule_is_judged_in_its_convention(factor: int, verdict: str) -> None:
    @jax.custom_vjp
    def turned(x: Any) -> Any:
        return x * 1j

    turned.defvjp(lambda x: (x * 1j, None), lambda _, g: (factor * jnp.imag(g),))
    assert bp.check(bp.from_jax(turned, inputs={"x": bp.array("n")}), **FEW).verdict == verdict
