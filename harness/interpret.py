"""Run a `Program` in a number system.

Shapes: every value has one trailing axis of points more than its `Var.shape`; constants have a points axis of size 1,
which broadcasts. The interpreter is the `vmap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from backprove.harness.program import Equation, Program, Var


class NumberSystem(Protocol):
    """What the interpreter needs of a number system."""

    name: str

    def constant(self, value: np.ndarray[Any, Any], var: Var) -> Any:
        """A constant of the program; the result has a trailing points axis of size 1."""

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        """One equation. Raises UnsupportedPrimitive where the system has no rule for it."""


def evaluate(program: Program, system: NumberSystem, *inputs: Any) -> list[Any]:
    """The program's outputs at `inputs`, one value of the system per input (shape + points axis)."""
    env: dict[int, Any] = {s: system.constant(c, _var_of(program, s)) for s, c in program.constants.items()}
    env.update(zip((v.slot for v in program.inputs), inputs, strict=True))
    last = last_uses(program)
    for i, equation in enumerate(program.equations):
        outputs = system.apply(equation, [env[v.slot] for v in equation.inputs])
        env.update(zip((v.slot for v in equation.outputs), outputs, strict=True))
        for slot in last[i]:
            env.pop(slot, None)
    return [env[v.slot] for v in program.outputs]


def last_uses(program: Program) -> list[list[int]]:
    """For each equation the slots that nothing later needs."""
    keep = {v.slot for v in program.outputs}
    seen: set[int] = set()
    out: list[list[int]] = []
    for e in reversed(program.equations):
        slots = {v.slot for v in (*e.inputs, *e.outputs)} - seen - keep
        seen |= slots
        out.append(sorted(slots))
    return out[::-1]


def _var_of(program: Program, slot: int) -> Var:
    value = program.constants[slot]
    return Var(slot, value.shape, value.dtype.name)
