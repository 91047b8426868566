"""The other checkers, each as a function that checks the rule at one point after another.

All get the same maps and points and do at least: forward mode and reverse mode against finite differences. None of them
looks at a closed formula, except for the last two, which run the full check of one point as one compiled function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from scripts.bench.rules import BenchRule

Runner = Callable[[int], None]
"""Runs that many checks, at as many points."""

POINTS = 64
"""Points per rule; they are gone through again and again."""
STEP = 1e-4
TOLERANCE = 1e-6


class Refused(AssertionError):
    """A checker refused a right rule: the measurement would be of something else."""


def check_grads(rule: BenchRule, *, jit: bool) -> Runner:
    """`jax.test_util.check_grads` in both modes, first order, at its defaults."""
    import jax
    from jax.test_util import check_grads as check

    f = jax.jit(rule.forward) if jit else rule.forward
    points = _points(rule, jax.numpy.asarray)

    def run(count: int) -> None:
        for k in range(count):
            check(f, points[k % POINTS][0], order=1, modes=("fwd", "rev"))

    return run


def gradcheck(rule: BenchRule, *, fast: bool, defaults: bool = False) -> Runner:
    """`torch.autograd.gradcheck` in both modes, without its further checks of undefined and batched gradients.

    Args:
        defaults: reverse mode and undefined gradients instead, as it is when nothing is asked for.
    """
    import torch

    torch.set_num_threads(1)
    points = [tuple(torch.tensor(a, requires_grad=True) for a in inputs) for inputs, _, _ in _points(rule, np.asarray)]

    def f(*x: Any) -> Any:
        return rule.torch(torch, *x)

    def run(count: int) -> None:
        for k in range(count):
            torch.autograd.gradcheck(
                f, points[k % POINTS], fast_mode=fast, check_forward_ad=not defaults, check_undefined_grad=defaults
            )

    return run


def hypothesis_loop(rule: BenchRule) -> Runner:
    """Examples of Hypothesis's `arrays()`, each through the compiled full check of one point."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays

    check = compiled_check(rule)
    entries = st.floats(-4, 4)
    drawn = [arrays(np.float64, s, elements=entries) for s in (*rule.shapes, *rule.shapes, rule.output)]

    def run(count: int) -> None:
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.tuples(*drawn))
        def example(values: tuple[Array, ...]) -> None:
            check(*values)

        example()

    return run


def compiled_loop(rule: BenchRule) -> Runner:
    """A Python loop over the compiled full check of one point: what a careful user could write by hand."""
    import jax

    check = compiled_check(rule)
    points = _points(rule, jax.numpy.asarray)

    def run(count: int) -> None:
        for k in range(count):
            inputs, tangents, cotangent = points[k % POINTS]
            if not check(*inputs, *tangents, cotangent):
                raise Refused(f"the compiled check refused {rule.name}")

    return run


def compiled_check(rule: BenchRule) -> Callable[..., Any]:
    """The full check of one point as one XLA program: both rules against autodiff and differences, and adjointness."""
    import jax
    import jax.numpy as jnp

    n = len(rule.shapes)

    def close(a: Any, b: Any, tolerance: float) -> Any:
        size = jnp.maximum(jnp.abs(a).max(), jnp.abs(b).max())
        return jnp.abs(a - b).max() <= tolerance * (size + 1)

    @jax.jit
    def check(*arguments: Any) -> Any:
        x, v, g = arguments[:n], arguments[n : 2 * n], arguments[2 * n]
        _, back = jax.vjp(rule.forward, *x)
        tangent, cotangents = rule.jvp(*x, *v), rule.vjp(*x, g)
        good = close(tangent, jax.jvp(rule.forward, x, v)[1], 1e-9)
        for a, b in zip(cotangents, back(g), strict=True):
            good &= close(a, b, 1e-9)

        def at(t: float) -> Any:
            return rule.forward(*(p + t * STEP * d for p, d in zip(x, v, strict=True)))

        slope = (8 * (at(0.5) - at(-0.5)) - (at(1.0) - at(-1.0))) / (6 * STEP)
        good &= close(slope, tangent, TOLERANCE)
        left = (g * tangent).sum()
        right = sum((a * d).sum() for a, d in zip(cotangents, v, strict=True))
        return good & close(left, right, 1e-9)

    return check


def available() -> tuple[dict[str, Callable[[BenchRule], Runner]], list[str]]:
    """The checkers that can run here, by the name in the tables, and a note for each that cannot."""
    found: dict[str, Callable[[BenchRule], Runner]] = {
        "check_grads": lambda rule: check_grads(rule, jit=False),
        "check_grads, jitted": lambda rule: check_grads(rule, jit=True),
    }
    notes = []
    if find_spec("torch") is not None:
        found["gradcheck, slow"] = lambda rule: gradcheck(rule, fast=False)
        found["gradcheck, fast"] = lambda rule: gradcheck(rule, fast=True)
        found["gradcheck, fast, reverse only"] = lambda rule: gradcheck(rule, fast=True, defaults=True)
    else:
        notes.append("torch is not installed, so gradcheck was left out (pip install 'backprove[torch]' brings it)")
    found["Hypothesis arrays()"] = hypothesis_loop
    found["compiled loop"] = compiled_loop
    return found, notes


def _points(rule: BenchRule, convert: Callable[[Array], Any]) -> list[tuple[tuple[Any, ...], tuple[Any, ...], Any]]:
    inputs, tangents, cotangent = rule.draw(POINTS)

    def at(arrays: Sequence[Array], k: int) -> tuple[Any, ...]:
        return tuple(convert(a[k]) for a in arrays)

    return [(at(inputs, k), at(tangents, k), convert(cotangent[k])) for k in range(POINTS)]
