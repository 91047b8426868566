"""`evaluate` runs a `Program` in a number system: `evaluate(program, Floats(), x)` with x of shape `(3, 1000)` for 1000
points.

Shapes: every value has one trailing axis of points more than its `Var.shape`; constants have a points axis of size 1,
which broadcasts. The interpreter is the `vmap`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.programs.program import Equation, Program, Var

V = TypeVar("V")
"""The values of a number system: real numbers in its own way, integers and truth values among them."""


class NumberSystem(Protocol[V]):
    """What the interpreter needs of a number system."""

    name: str

    @property
    def key(self) -> Hashable | None:
        """What the values of constants depend on; None where they are made anew in each run."""

    def constant(self, value: Array, var: Var) -> V:
        """A constant of the program; the result has a trailing points axis of size 1."""

    def apply(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """One equation. Raises UnsupportedPrimitive where the system has no rule for it."""

    def map(self, function: Callable[..., Array], *values: V) -> V:
        """The values with a function that moves or copies entries applied to their arrays."""

    def select(self, which: V | Array, cases: Sequence[V]) -> V:
        """Entry by entry `cases[which]`."""


def evaluate(program: Program, system: NumberSystem[V], *inputs: V) -> list[V]:
    """The program's outputs at `inputs`, one value of the system per input (shape + points axis)."""
    steps = schedule(program)
    env = dict(steps.constants(program, system))
    env.update(zip((v.slot for v in program.inputs), inputs, strict=True))
    apply = system.apply
    for equation, sources, targets, unneeded in steps.steps:
        outputs = apply(equation, [env[s] for s in sources])
        if len(targets) == 1:
            (env[targets[0]],) = outputs
        else:
            env.update(zip(targets, outputs, strict=True))
        for slot in unneeded:
            env.pop(slot, None)
    return [env[v.slot] for v in program.outputs]


@dataclass
class Schedule:
    """What the evaluation of a program needs each time and never changes.

    Attributes:
        last: for each equation the slots that nothing later needs.
        steps: the equations with the slots that they read, those that they write, and `last`.
        largest: entries per point of the largest value, at least 1.
    """

    last: list[list[int]]
    steps: list[tuple[Equation, tuple[int, ...], tuple[int, ...], list[int]]]
    largest: int
    _constants: dict[Hashable, dict[int, Any]] = field(default_factory=dict)

    def constants(self, program: Program, system: NumberSystem[V]) -> dict[int, V]:
        """The constants by slot; kept where the system has a `key` that says what they depend on."""
        key = system.key
        found = None if key is None else self._constants.get(key)
        if found is None:
            found = {s: system.constant(c, _var_of(program, s)) for s, c in program.constants.items()}
            if key is not None:
                self._constants[key] = found
        return found


_SCHEDULES: dict[int, Schedule] = {}


def schedule(program: Program) -> Schedule:
    """The plan of a program, made once and dropped with it."""
    found = _SCHEDULES.get(id(program))
    if found is None:
        shapes = {v.shape for v in program.inputs}.union(*([v.shape for v in e.outputs] for e in program.equations))
        largest = max(map(math.prod, shapes), default=1)
        last = last_uses(program)
        steps = [
            (e, tuple(v.slot for v in e.inputs), tuple(v.slot for v in e.outputs), unneeded)
            for e, unneeded in zip(program.equations, last, strict=True)
        ]
        found = _SCHEDULES[id(program)] = Schedule(last, steps, max(largest, 1))
        weakref.finalize(program, _SCHEDULES.pop, id(program), None)
    return found


def last_uses(program: Program) -> list[list[int]]:
    """For each equation the slots that nothing later needs."""
    seen = {v.slot for v in program.outputs}
    out: list[list[int]] = []
    for e in reversed(program.equations):
        last = []
        for v in (*e.inputs, *e.outputs):
            if v.slot not in seen:
                seen.add(v.slot)
                last.append(v.slot)
        out.append(last)
    return out[::-1]


def _var_of(program: Program, slot: int) -> Var:
    value = program.constants[slot]
    return Var(slot, value.shape, _name_of(value.dtype))


@cache
def _name_of(dtype: np.dtype[np.generic]) -> str:
    return dtype.name
