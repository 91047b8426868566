"""Rules with complex inputs and outputs are judged as maps of real and imaginary parts, in the convention stated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError

FEW: dict[str, Any] = {"points": 100, "dtypes": ["float64"]}
Z = bp.array("n", dtype="complex")

RULES: dict[str, dict[str, Any]] = {
    "fft, conjugate": {
        "forward": np.fft.fft,
        "vjp": lambda x, g: np.real(np.fft.ifft(g) * g.shape[-1]),
        "inputs": {"a": bp.array("m 6")},
        "complex_convention": "torch",
    },
    "fft, of JAX": {
        "forward": np.fft.fft,
        "vjp": lambda x, g: np.real(np.fft.fft(g)),
        "inputs": {"x": bp.array("m 6")},
        "complex_convention": "jax",
    },
    "square, of JAX": {
        "forward": lambda z: z * z,
        "vjp": lambda z, g: 2 * z * g,
        "inputs": {"z": Z},
        "complex_convention": "jax",
    },
    "square, conjugate": {
        "forward": lambda z: z * z,
        "vjp": lambda z, g: 2 * np.conj(z) * g,
        "inputs": {"z": Z},
        "complex_convention": "torch",
    },
    "a real output": {
        "forward": lambda z: (z * np.conj(z)).real,
        "vjp": lambda z, g: 2 * z * g,
        "inputs": {"z": Z},
        "complex_convention": "torch",
    },
    "tangents need no convention": {
        "forward": np.exp,
        "jvp": lambda z, t: np.exp(z) * t,
        "inputs": {"z": bp.array("n", dtype="complex", low=-3, high=3)},
    },
    "a real and a complex input": {
        "forward": lambda a, z: (a * z, a + 0 * a),
        "vjp": lambda a, z, g, h: (np.real(np.conj(z) * g) + h, a * g),
        "inputs": {"a": bp.array("n"), "z": Z},
        "complex_convention": "torch",
    },
    "a part of fft, by JAX": {
        "forward": lambda x: jnp.fft.fft(x).imag,
        "vjp": lambda x, g: jax.vjp(lambda x: jnp.fft.fft(x).imag, x)[1](g)[0],
        "inputs": {"x": bp.array("4")},
    },
    "irfft": {
        "forward": jnp.fft.irfft,
        "vjp": lambda z, g: jnp.conj(jnp.fft.rfft(g) / 6 * jnp.array([1, 2, 2, 1])),
        "inputs": {"a": bp.array("4", dtype="complex")},
        "complex_convention": "jax",
    },
}


def scaled(stated: dict[str, Any], factor: float) -> dict[str, Any]:
    mode = "vjp" if "vjp" in stated else "jvp"
    right = stated[mode]

    def wrong(*v: Any) -> Any:
        found = right(*v)
        return tuple(c * factor for c in found) if isinstance(found, tuple) else found * factor

    return {**stated, mode: wrong}


@pytest.mark.parametrize("name", RULES)
def test_the_right_rule_holds(name: str) -> None:
    assert bp.check(bp.Rule("rule", **RULES[name]), **FEW).verdict == "holds"


@pytest.mark.parametrize("factor", [3.0, 1 + 1e-9])
@pytest.mark.parametrize("name", RULES)
def test_a_wrong_rule_is_falsified(name: str, factor: float) -> None:
    report = bp.check(bp.Rule("rule", **scaled(RULES[name], factor)), **FEW)
    assert report.verdict == "falsified" and report.counterexamples[0].oracle == "dual balls"


@pytest.mark.parametrize(("right", "other"), [("jax", "torch"), ("torch", "jax")])
def test_the_other_convention_is_wrong(right: str, other: str) -> None:
    slope = (lambda z: z) if right == "jax" else np.conj
    stated = {"forward": lambda z: z * z, "vjp": lambda z, g: 2 * slope(z) * g, "inputs": {"z": Z}}
    assert bp.check(bp.Rule("rule", complex_convention=right, **stated), **FEW).verdict == "holds"
    report = bp.check(bp.Rule("rule", complex_convention=other, **stated), **FEW)
    assert report.verdict == "falsified" and "z.real" in str(report)


@pytest.mark.parametrize(("factor", "verdict"), [(2, "holds"), (6, "falsified")])
def test_rules_of_jax_know_their_convention(factor: int, verdict: str) -> None:
    @jax.custom_vjp
    def square(z: Any) -> Any:
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, g: (factor * z * g,))
    assert bp.check(bp.from_jax(square, inputs={"z": Z}), **FEW).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(2, "holds"), (6, "falsified")])
def test_rules_of_torch_know_their_convention(factor: int, verdict: str) -> None:
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (z,) = ctx.saved_tensors
            return factor * z.conj() * g

    assert bp.check(bp.from_torch(Square, inputs={"z": Z}), **FEW).verdict == verdict


def test_what_is_not_said_is_asked_for() -> None:
    stated: dict[str, Any] = {"forward": lambda z: z * z, "vjp": lambda z, g: 2 * z * g}
    with pytest.raises(UsageError, match="complex_convention"):
        bp.Rule("rule", inputs={"z": Z}, **stated)
    with pytest.raises(UsageError, match='must be "jax" or "torch"'):
        bp.Rule("rule", inputs={"z": Z}, complex_convention="wirtinger", **stated)
    with pytest.raises(UsageError, match="pytree"):
        bp.Rule("rule", inputs={"z": {"a": Z}}, complex_convention="jax", **stated)
    with pytest.raises(UsageError, match="of real numbers"):
        bp.array("n", dtype="complex", kind="simplex")
