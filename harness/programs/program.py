"""A `Program` is traced code as plain data: the straight line of equations that every number system interprets.

JAX traces a function to a jaxpr; here call-like equations are inlined, dead code is dropped and literals become
constants, so that a `Program` can be interpreted, mutated, pickled and compared without JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array

Signature = tuple[tuple[tuple[int, ...], str], ...]
"""Shape and dtype name of every argument: `(((2, 3), "float64"), ((), "int64"))`."""

Params = Mapping[str, Any]
"""Parameters of an equation by name: whatever the JAX primitive has, and `Program`s for its inner jaxprs."""

ContractedAxes = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]
"""`dimension_numbers` of a `dot_general`: the axes summed over and the batch axes, of the left and right operand."""


@dataclass(frozen=True)
class Var:
    """One value of a program: its slot, its shape per point and its dtype name."""

    slot: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Equation:
    """`outputs = primitive(*inputs, **params)`.

    `params` are those of the JAX primitive; inner jaxprs (scan, cond, while) are replaced by `Program`s under the
    same name (`cond`'s branches by a tuple of programs).
    """

    primitive: str
    params: Params
    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]


@dataclass(frozen=True)
class Program:
    """A straight-line program.

    Attributes:
        inputs: one `Var` per argument, in order.
        outputs: the results; may repeat and may be inputs or constants.
        constants: value of each constant by slot (arrays of the constant's own dtype).
        equations: in execution order.
    """

    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]
    constants: Mapping[int, Array]
    equations: tuple[Equation, ...]

    @property
    def primitives(self) -> frozenset[str]:
        """Names of all primitives used, inner programs included."""
        names = {e.primitive for e in self.equations}
        for e in self.equations:
            for p in inner_programs(e):
                names |= p.primitives
        return frozenset(names)

    def literals(self) -> list[float]:
        """All finite floating-point constants with at most 16 entries, inner programs included."""
        found: list[float] = []
        for value in self.constants.values():
            if value.size <= 16 and value.dtype.kind not in "iub":
                found += [float(v) for v in np.ravel(value) if np.isfinite(float(v))]
        for e in self.equations:
            for p in inner_programs(e):
                found += p.literals()
        return found

    def without_dead_code(self) -> Program:
        """The same program with the equations that no output needs removed."""
        live = {v.slot for v in self.outputs}
        kept = []
        for e in reversed(self.equations):
            if any(v.slot in live for v in e.outputs):
                kept.append(e)
                live |= {v.slot for v in e.inputs}
        constants = {s: c for s, c in self.constants.items() if s in live}
        return dataclasses.replace(self, equations=tuple(reversed(kept)), constants=constants)


def inner_programs(equation: Equation) -> list[Program]:
    """The programs held in an equation's parameters (bodies of scan, cond and while)."""
    found = []
    for value in equation.params.values():
        if isinstance(value, Program):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, Program)]
    return found
