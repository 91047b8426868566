"""`System` dispatches the primitives of a program, the same way for every number system.

A number system is one class in one module. A value of a system consists of one or more NumPy arrays of shape
`Var.shape + (P,)` (P points, or 1 for what does not vary), reached through `map`; integers are plain integer arrays
in every system, truth values are what the system's comparisons return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import is_float
from backprove.harness.numbers import control, integers, movement
from backprove.harness.programs.program import Equation, Var

TRUTH = frozenset({"and", "or", "not", "xor", "reduce_and", "reduce_or"})
"""Primitives of truth values: every system has them, each for truth values of its own kind."""

_AS_JAX_SPELLS = {name.replace("-", "_"): name for name in integers.SCATTERS}


class System(ABC):
    """Base class of the number systems.

    A subclass gives `name`, `constant`, `map`, `select` and one method `p_<primitive>(equation, inputs)` per
    arithmetic primitive (hyphens in a primitive's name become underscores).
    """

    name = "numbers"

    @property
    def key(self) -> Hashable | None:
        """What the values of constants depend on; None where they are made anew in each run."""
        return None

    @classmethod
    def primitives(cls) -> frozenset[str]:
        """Names of the JAX primitives that the system has a rule for on real numbers, and on their truth values.

        What works on integers is the same in every system: `movement.PRIMITIVES`, `control.PRIMITIVES` and
        `integers.PRIMITIVES`.
        """
        methods = (name.removeprefix("p_") for name in dir(cls) if name.startswith("p_"))
        shared = {"select_n", *TRUTH, *control.PRIMITIVES, *movement.PRIMITIVES}
        return frozenset(shared | {_AS_JAX_SPELLS.get(name, name) for name in methods})

    @abstractmethod
    def constant(self, value: Array, var: Var) -> Any:
        """A constant of the program, with a trailing points axis of size 1."""

    @abstractmethod
    def map(self, function: Callable[..., Array], *values: Any) -> Any:
        """Apply a function that moves or copies entries to every component of the values.

        `function` takes one array per value and returns one array; values that are not of this system (integers,
        truth values) are passed as they are.
        """

    @abstractmethod
    def select(self, which: Any, cases: Sequence[Any]) -> Any:
        """`select_n`: entry by entry `cases[which]`; `which` is a truth value or an integer array."""

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        """Evaluate one equation; returns one value per output.

        Raises:
            UnsupportedPrimitive: if the system has no rule for the primitive.
        """
        name = equation.primitive
        if name == "select_n":
            return [self.select(inputs[0], inputs[1:])]
        if name in control.PRIMITIVES:
            return control.apply(equation, inputs, self)
        if name in movement.PRIMITIVES:
            data = movement.data_operands(equation)
            rest = [np.asarray(v) for i, v in enumerate(inputs) if i not in data]
            n = len(equation.outputs)
            return [
                self.map(lambda *a, k=k: movement.rearrange(equation, a, rest)[k], *(inputs[i] for i in data))
                for k in range(n)
            ]
        if all(not is_float(v.dtype) for v in (*equation.inputs, *equation.outputs)) and name in integers.PRIMITIVES:
            return integers.apply(equation, inputs)
        method = getattr(self, "p_" + name.replace("-", "_"), None)
        if method is None:
            raise UnsupportedPrimitive(name, self.name)
        result = method(equation, inputs)
        return result if isinstance(result, list) else [result]
