"""Loops and branches carry complex numbers as pairs: the bodies take and return both parts, and counts grow by them.

A scan whose carry is one complex number, `num_carry=1`, becomes one with two real ones, `num_carry=2`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backprove.harness.frontends.lowering.complex_numbers import is_complex

if TYPE_CHECKING:
    from jax.extend.core import JaxprEqn

    from backprove.harness.programs.program import Program

CONTROL = frozenset({"scan", "cond", "while"})
"""Primitives that run bodies."""

COUNTS: Mapping[str, tuple[str, ...]] = {
    "scan": ("num_consts", "num_carry"),
    "while": ("cond_nconsts", "body_nconsts"),
}
"""Parameters that count operands, in the order of the operands."""


def parameters(eqn: JaxprEqn, converted: Callable[[Any], Program]) -> dict[str, object]:
    """The parameters of an equation whose complex operands became pairs.

    Args:
        converted: makes the program of a body.
    """
    widths = [2 if is_complex(getattr(v.aval, "dtype", "")) else 1 for v in eqn.invars]
    params: dict[str, object] = {k: _converted(v, converted) for k, v in eqn.params.items()}
    start = 0
    for name in COUNTS.get(eqn.primitive.name, ()):
        count = int(eqn.params[name])
        params[name] = sum(widths[start : start + count])
        start += count
    if "linear" in params:
        params["linear"] = tuple(x for x, w in zip(eqn.params["linear"], widths, strict=True) for _ in range(w))
    return params


def _converted(value: Any, converted: Callable[[Any], Program]) -> object:
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return converted(value)
    if isinstance(value, Sequence) and any(hasattr(v, "jaxpr") for v in value):
        return tuple(map(converted, value))
    return value
