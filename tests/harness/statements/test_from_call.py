"""Any callable of JAX or torch becomes a rule, whose derivative is the framework's own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict

X = np.array([0.5, -1.0, 2.0])


def verdict(rule: bp.Rule) -> str:
    report = bp.check(rule, points=100, dtypes=("float64",))
    assert report.properties[0].layers["exact"].checked, str(report)
    return report.verdict


@jax.custom_vjp
def off(x: Any) -> Any:
    return jnp.sin(x)


off.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x) * (1 + 1e-9),))


def test_jax() -> None:
    assert verdict(bp.from_call(jax.nn.softplus, X)) == Verdict.HOLDS
    assert verdict(bp.from_call(lambda x, y: off(x) * y, (X, X))) == Verdict.FALSIFIED
    assert verdict(bp.from_call(jax.jit(lambda x, y: jnp.sin(x) * y), {"x": X, "y": X})) == Verdict.HOLDS


def test_arguments_of_all_kinds() -> None:
    def weighted(parts: list[Any], index: Any, *, scale: float, axis: int) -> Any:
        return scale * jnp.concatenate(parts)[index].cumsum(axis)

    rule = bp.from_call(weighted, ([X, X[:2]], np.array([4, 0, 1])), fixed={"scale": 2.0, "axis": 0})
    assert list(rule.inputs) == ["parts_0", "parts_1"]
    assert [s.dims for s in rule.inputs.values()] == [(3,), (2,)]
    assert verdict(rule) == Verdict.HOLDS


def test_the_example_is_judged_first_and_named() -> None:
    report = bp.check(bp.from_call(lambda x: off(x).sum(), X), points=100, dtypes=("float64",))
    assert report.properties[0].reason.startswith("example 1: ")


def test_inputs_take_the_place_of_the_shape() -> None:
    rule = bp.from_call(lambda x, y: jnp.log(x) * y, (X, X), inputs={"x": bp.array("n", low=1), "y": bp.array("n")})
    assert verdict(rule) == Verdict.HOLDS


WRONG = {
    "expected a function": lambda: bp.from_call(3, X),  # type: ignore[arg-type]
    "holds no array of floats": lambda: bp.from_call(jnp.sin, 3),
    "the example gives the inputs x": lambda: bp.from_call(lambda x: x, X, inputs={"z": bp.array("n")}),
    "fixed gives 'x'": lambda: bp.from_call(lambda x: x, X, fixed={"x": 1}),
}


@pytest.mark.parametrize("said", WRONG)
def test_wrong_use(said: str) -> None:
    with pytest.raises(UsageError, match=said):
        WRONG[said]()


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    assert verdict(bp.from_call(functional.softplus, torch.tensor(X))) == Verdict.HOLDS
    weights = torch.ones(4, 2, dtype=torch.float64)
    targets = torch.tensor([0, 3])
    assert verdict(bp.from_call(functional.cross_entropy, (weights.T, targets), fixed={"reduction": "sum"})) == "holds"
    assert verdict(bp.from_call(torch.cat, ([weights, weights[:1]],), fixed={"dim": 0})) == Verdict.HOLDS


def test_known_mistakes_of_torch_are_found() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(4.0, dtype=torch.float64)
    scattered = bp.from_call(torch.as_strided_scatter, (x, x[:2] * 0, (2,), (1,), 0))
    # its gradient is kept where it was overwritten; and it refuses an input that is not contiguous and requires grad
    assert bp.check(scattered, points=100, dtypes=("float64",)).verdict in (Verdict.FALSIFIED, Verdict.ERROR)
    sixth = bp.check(bp.from_call(torch.nn.functional.hardsigmoid, x), points=100, dtypes=("float64",))
    assert sixth.verdict == Verdict.FALSIFIED  # 1/6 is that of float32
    with pytest.raises(UsageError, match="mixes tensors"):
        bp.from_call(torch.add, (x, X))


@pytest.mark.parametrize(
    ("call", "example"),
    [
        (jax.lax.lgamma, np.array([0.3, 0.65])),  # NaN of its derivative at poles, and no running bounds
        (lambda x: jnp.roll(x, x.astype(int)), np.array([1.3, 2.6])),  # 1e300 is no int64
        (
            lambda x: jax.lax.linalg.qr(x)[1],
            np.array([[2.0, 0.3], [0.4, 1.5]]),
        ),  # no bound anywhere tells two ways to call apart
    ],
)
def test_what_one_layer_lacks_is_no_failure_of_ours(call: Any, example: np.ndarray) -> None:
    report = bp.check(bp.from_call(call, (example,), name="right"), points=30, dtypes=["float64"])
    assert report.verdict in ("holds", "inconclusive"), str(report)
    wrong = bp.Rule(
        "wrong",
        forward=call,
        vjp=lambda x, g: 2 * jax.vjp(call, x)[1](g)[0],
        inputs={"x": bp.array(str(example.shape)[1:-1].replace(",", " "))},
    )
    assert bp.check(wrong, points=30, dtypes=["float64"]).verdict == "falsified"


def test_complex_examples_are_judged_by_the_convention_of_their_framework() -> None:
    z = np.array([1 + 2j, 3.0])
    report = bp.check(bp.from_call(lambda z: jnp.exp(z) * jnp.conj(z), z, name="exp"), points=200, dtypes=("float64",))
    assert report.ok, str(report)


def test_a_wrong_derivative_of_complex_code_is_refused() -> None:
    @jax.custom_vjp
    def square(z):  # type: ignore[no-untyped-def]
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, g: (2 * g * jnp.conj(z),))
    rule = bp.from_call(square, np.array([1 + 2j, 3.0]))
    assert bp.check(rule, points=200, dtypes=("float64",)).verdict == "falsified"


def test_a_gradient_that_torch_holds_as_zero_without_data_is_zero() -> None:
    torch = pytest.importorskip("torch")
    assert not bp.from_call(torch.sgn, torch.ones(2)).vjp(np.ones(2), np.ones(2)).any()
