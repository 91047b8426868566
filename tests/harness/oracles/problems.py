"""Derivative problems from JAX functions, for the tests of the exact layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.oracles.problem import DerivativeProblem, Outcome

FLOAT = "float64"
UNIT = 2.0**-53
Shapes = Sequence[tuple[int, ...]]


def vjp_of(forward: Callable[..., Any], inputs: int = 1) -> Callable[..., Any]:
    """JAX's own vector-Jacobian product as a rule."""
    return lambda *arguments: jax.vjp(forward, *arguments[:inputs])[1](arguments[inputs])


def vjp_problem(
    forward: Callable[..., Any],
    rule: Callable[..., Any],
    shapes: Shapes,
    convention: Callable[..., Any] | None = None,
    unit: float = UNIT,
    dtype: str = FLOAT,
) -> DerivativeProblem:
    """`rule(*inputs, cotangent)` against the derivative of `forward(*inputs)`."""
    signature = [(shape, dtype) for shape in shapes]
    program = trace(forward, *signature)
    full = [*signature, *((v.shape, dtype) for v in program.outputs)]
    return DerivativeProblem(
        ProgramOnBalls(program),
        ProgramOnBalls(trace(rule, *full)),
        "vjp",
        tuple(range(len(shapes))),
        unit,
        None if convention is None else ProgramOnBalls(trace(convention, *full)),
    )


def points_last(values: Any) -> np.ndarray:
    """One point as an array with a points axis."""
    return np.asarray(values, dtype=float)[..., None]


def judge(problem: DerivativeProblem, inputs: Sequence[Any], cotangents: Sequence[Any]) -> Outcome:
    """The exact layer's outcome at one point."""
    layer = ExactLayer(kinks=at_kink)
    return layer.derivative(problem, [points_last(x) for x in inputs], [points_last(w) for w in cotangents])[0]
