"""Slopes beside a kink may stay the same along every line and be unbounded along a curve."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from backprove.harness.oracles.problem import Status
from tests.harness.oracles.problems import judge, vjp_problem


def test_nothing_is_claimed_where_slopes_diverge_along_curves_alone() -> None:
    """Those of p log(p/q) depend on p/q, which takes all values near (0, 0); those of a norm are bounded."""

    def relative_entropy(p: Any, q: Any) -> Any:
        inside = (p > 0) & (q > 0)
        safe = jnp.where(inside, p, 1.0), jnp.where(inside, q, 1.0)
        return jnp.where(inside, p * jnp.log(safe[0] / safe[1]), jnp.where((p == 0) & (q >= 0), 0.0, jnp.inf))

    def norm(p: Any, q: Any) -> Any:
        return jnp.sqrt(p * p + q * q)

    def outcome(forward: Any, *slopes: float) -> Status:
        problem = vjp_problem(forward, lambda p, q, w: (slopes[0] * w + 0 * p, slopes[1] * w + 0 * q), [(), ()])
        return judge(problem, [0.0, 0.0], [1.0]).status

    assert outcome(relative_entropy, 0.0, 0.0) is Status.SINGULAR
    assert outcome(norm, 0.6, 0.8) is Status.KINK_AGREES
    assert outcome(norm, 0.7, 0.8) is Status.KINK_REFUTED
