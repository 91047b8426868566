"""From claims to what can be examined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.judging.examination import Unsupported
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality, Positivity
from backprove.strategies.array import array


def product(x: Any, y: Any) -> Any:
    return x @ y


def product_jvp(x: Any, y: Any, dx: Any, dy: Any) -> Any:
    return dx @ y + x @ dy


def product_vjp(x: Any, y: Any, g: Any) -> Any:
    return g @ y.T, x.T @ g


INPUTS = {"x": array("m k"), "y": array("k n")}
SHAPES = [(2, 3), (3, 4)]


def test_a_vjp_has_one_cotangent_per_output() -> None:
    claim_at = binder_of("vjp", Derivative(product, product_vjp, "vjp"), INPUTS).bind(SHAPES, "float64")
    assert isinstance(claim_at, DerivativeAt)
    assert (claim_at.mode, claim_at.direction_names, claim_at.direction_shapes) == ("vjp", ("cotangent",), ((2, 4),))
    assert claim_at.result_shapes == ((2, 3), (3, 4))


def test_a_jvp_has_one_tangent_per_input() -> None:
    claim_at = binder_of("jvp", Derivative(product, product_jvp, "jvp"), INPUTS).bind(SHAPES, "float32")
    assert isinstance(claim_at, DerivativeAt)
    assert (claim_at.mode, claim_at.direction_names, claim_at.direction_shapes) == ("jvp", ("x", "y"), tuple(SHAPES))
    assert claim_at.result_names == ("output",)


def test_two_outputs_have_two_cotangents() -> None:
    claim = Derivative(lambda x: (x, x.sum()), lambda x, g, h: g + h, "vjp")
    claim_at = binder_of("vjp", claim, {"x": array("n")}).bind([(3,)], "float64")
    assert claim_at.direction_names == ("cotangent 0", "cotangent 1")
    assert claim_at.direction_shapes == ((3,), ())


def test_integers_have_no_tangent() -> None:
    claim = Derivative(lambda x, i: x[i], lambda x, i, t: t[i], "jvp")
    inputs = {"x": array("n"), "i": array("m", kind="index", high="n")}
    claim_at = binder_of("jvp", claim, inputs).bind([(3,), (2,)], "float64")
    assert claim_at.direction_names == ("x",)


@pytest.mark.parametrize("right", [True, False])
def test_a_pairing_is_an_equality(right: bool) -> None:
    def vjp(x: Any, y: Any, g: Any) -> Any:
        return g @ y.T, x.T @ g * (1 if right else 2)

    claim_at = binder_of("adjointness", Adjointness(product, product_jvp, vjp), INPUTS).bind(SHAPES, "float64")
    assert isinstance(claim_at, EqualityAt)
    assert claim_at.direction_names == ("tangent of x", "tangent of y", "cotangent")
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-4, 5, (*s, 3)).astype(float) for s in SHAPES]
    directions = [rng.integers(-4, 5, (*s, 3)).astype(float) for s in claim_at.direction_shapes]
    seen = claim_at.examine(inputs, directions, np.ones(3, dtype=bool))
    assert [f is None for f in seen.violations] == [right] * 3


def test_an_equality_and_a_positivity_have_no_directions() -> None:
    claims: list[Claim] = [Equality(lambda x: x + x, lambda x: 2 * x), Positivity(lambda x: x * x + 1)]
    for claim in claims:
        claim_at = binder_of("claim", claim, {"x": array("n")}).bind([(2,)], "float64")
        assert (claim_at.mode, claim_at.direction_names) == ("", ())
        seen = claim_at.examine([np.array([[1.0, 2.0], [3.0, 4.0]])], [], np.ones(2, dtype=bool))
        assert seen.violations == [None, None]


def test_shapes_that_forward_refuses_are_unsupported() -> None:
    binder = binder_of("vjp", Derivative(product, product_vjp, "vjp"), {"x": array("a b"), "y": array("c d")})
    with pytest.raises(Unsupported, match="forward raises"):
        binder.bind([(2, 3), (2, 2)], "float64")


def test_functions_are_shared_by_all_sizes() -> None:
    binder = binder_of("vjp", Derivative(product, product_vjp, "vjp"), INPUTS)
    first, second = binder.bind(SHAPES, "float64"), binder.bind([(1, 1), (1, 1)], "float32")
    assert isinstance(first, DerivativeAt)
    assert isinstance(second, DerivativeAt)
    assert first.functions is second.functions


def test_literals_are_special_points() -> None:
    claim = Derivative(lambda x: np.clip(x, -2, 5), lambda x, g: g * ((x > -2) & (x < 5)), "vjp")
    claim_at = binder_of("vjp", claim, {"x": array("n")}).bind([(2,)], "float64")
    assert {-2.0, 5.0} <= set(claim_at.specials)
