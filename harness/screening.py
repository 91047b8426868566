"""The screen for a bound derivative claim: which bulk points need the layers with error bounds?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.bulk import Programs, Screen, Screened
from backprove.harness.derivative_shell import DerivativeShell
from backprove.harness.dtypes import FORMATS
from backprove.harness.errors import UnsupportedPrimitive
from backprove.harness.oracles.autodiff import derivative_program

Array = NDArray[Any]


def screen_of(bound: DerivativeShell) -> Screen | None:
    """The screen of a claim at its sizes and dtype.

    Returns:
        None where there is none: code that cannot be traced, control flow, short formats, maps that JAX does not
        differentiate in both modes, outputs that are no floats.
    """
    forward, rule = bound.forward_program, bound.rule_program
    traceable = bound.functions.forward.traceable(bound.signature)
    if forward is None or rule is None or traceable is None or not bound.wrt:
        return None
    if any(v.dtype not in FORMATS for v in forward.outputs):
        return None
    if tuple(v.shape for v in rule.outputs) != bound.result_shapes:
        return None
    n = len(bound.signature)
    forth = (*bound.signature, *(bound.signature[i] for i in bound.wrt))
    back = (*bound.signature, *((v.shape, v.dtype) for v in forward.outputs))
    jvp = derivative_program(traceable, "jvp", bound.wrt, forth, n)
    vjp = derivative_program(traceable, "vjp", bound.wrt, back, n)
    if jvp is None or vjp is None:
        return None
    of_jvp, of_vjp = (rule, None) if bound.mode == "jvp" else (None, rule)
    try:
        return Screen(Programs(forward, of_jvp, of_vjp, jvp, vjp, bound.wrt), bound.dtype)
    except (UnsupportedPrimitive, ValueError):
        return None


def screen_points(
    bound: DerivativeShell,
    screen: Screen,
    inputs: Sequence[Array],
    directions: Sequence[Array],
    rng: np.random.Generator,
) -> Screened:
    """Screen points of the claim: its directions as they are, those of the other mode normal numbers from `rng`."""
    count = max(a.shape[-1] for a in (*inputs, *directions))
    full = [np.broadcast_to(a, (*a.shape[:-1], count)) for a in inputs]
    given = [np.broadcast_to(a, (*a.shape[:-1], count)) for a in directions]
    forward = screen.programs.forward
    shapes = [bound.signature[i][0] for i in bound.wrt] if bound.mode == "vjp" else [v.shape for v in forward.outputs]
    drawn = [rng.standard_normal((*s, count)).astype(bound.dtype) for s in shapes]
    tangents, cotangents = (drawn, given) if bound.mode == "vjp" else (given, drawn)
    return screen.run(full, tangents, cotangents)
