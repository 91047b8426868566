"""The screen of a surrogate knows where forward is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.screens.claims import DerivativeScreen
from backprove.harness.judging.screens.valued import ValuedScreen


def test_points_without_a_value_of_forward_are_outside():
    import jax.numpy as jnp

    x, g = ((1,), "float64"), ((1,), "float64")
    forward, surrogate = trace(jnp.log, x), trace(lambda x: 2.0 * x, x)
    rule = trace(lambda x, g: 2.0 * g, x, g)
    plain = DerivativeScreen(surrogate, rule, rule, dtype="float64", mode="vjp", moving=(0,), shapes=((1,),))
    points, rng = [np.array([[-1.0, 0.5, 2.0]])], np.random.default_rng(0)
    assert not plain.look(points, [np.ones((1, 3))], rng).outside.any()
    seen = ValuedScreen(plain, forward).look(points, [np.ones((1, 3))], rng)
    assert seen.outside.tolist() == [True, False, False]
    assert not seen.suspicious.any()
    with pytest.raises(UnsupportedPrimitive):
        ValuedScreen(plain, None)
