"""`System` dispatches the primitives of a program, the same way for every number system.

A number system is one class in one module. A value of a system consists of one or more NumPy arrays of shape
`Var.shape + (P,)` (P points, or 1 for what does not vary), reached through `map`; integers are plain integer arrays
in every system, truth values are what the system's comparisons return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import ClassVar, Generic

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers import control, integers, movement
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.several import Several
from backprove.harness.numbers.elementary.table import function_of
from backprove.harness.programs.evaluate import V, evaluate
from backprove.harness.programs.program import Equation, Var

TRUTH = frozenset({"and", "or", "not", "xor", "reduce_and", "reduce_or"})
"""Primitives of truth values: every system has them, each for truth values of its own kind."""

NOT_OF_JAX = frozenset({"round_even", "trunc"})
"""Elementary functions that are no primitives: `round` with ties to even, and a function of NumPy alone."""

_AS_JAX_SPELLS = {name.replace("-", "_"): name for name in integers.SCATTERS}


class System(ABC, Generic[V]):
    """Base class of the number systems.

    A subclass gives `name`, `constant`, `map`, `select`, `functions` with `elementary`, and one method
    `p_<primitive>(equation, inputs)` per arithmetic primitive (hyphens in a primitive's name become underscores).
    """

    name = "numbers"
    functions: ClassVar[Mapping[str, Elementary]] = {}
    """The elementary functions that this system evaluates."""
    of_several: ClassVar[Mapping[str, Several]] = {}
    """The functions of several variables that this system evaluates."""

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
        functions = {*cls.functions, *cls.of_several} - NOT_OF_JAX
        return frozenset(shared | functions | {_AS_JAX_SPELLS.get(name, name) for name in methods})

    @abstractmethod
    def constant(self, value: Array, var: Var) -> V:
        """A constant of the program, with a trailing points axis of size 1."""

    @abstractmethod
    def map(self, function: Callable[..., Array], *values: V) -> V:
        """Apply a function that moves or copies entries to every component of the values.

        `function` takes one array per value and returns one array; values that are not of this system (integers,
        truth values) are passed as they are.
        """

    @abstractmethod
    def select(self, which: V | Array, cases: Sequence[V]) -> V:
        """`select_n`: entry by entry `cases[which]`; `which` is a truth value or an integer array."""

    @abstractmethod
    def elementary(self, row: Elementary, equation: Equation, x: V) -> V:
        """A function of one variable, which is among `functions`."""

    def several(self, row: Several, equation: Equation, inputs: Sequence[V]) -> V:
        """A function of several variables, which is among `of_several`."""
        raise UnsupportedPrimitive(row.name, self.name)

    def apply(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """Evaluate one equation; returns one value per output.

        In this order: selection, control flow, movement; then logic and integers where no float comes out, elementary
        functions where one does; then what is the system's own.

        Raises:
            UnsupportedPrimitive: if the system has no rule for the primitive.
        """
        name = equation.primitive
        if name == "select_n":
            return [self.select(inputs[0], inputs[1:])]
        if name in control.PRIMITIVES:
            return control.apply(equation, inputs, self)
        if name in movement.PRIMITIVES:
            return self.move(equation, inputs)
        if equation.outputs[0].dtype in FORMATS:
            row = self.functions.get(name if name != "round" else function_of(equation))
            if row is not None:
                return [self.elementary(row, equation, inputs[0])]
            if name in self.of_several:
                return [self.several(self.of_several[name], equation, inputs)]
        else:
            if inputs and equation.inputs[0].dtype == "bool":
                truth = self.logic(equation, inputs)
                if truth is not None:
                    return [truth]
            if name in integers.PRIMITIVES and not has_floats(equation):
                return self.whole(equation, inputs)
        if name == "dot_general":
            inputs = self._as_floats(equation, inputs)
        result = self.own(equation, inputs)
        return result if isinstance(result, list) else [result]

    def _as_floats(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """The operands of a contraction; where its result is a float, truth values and integers become floats too."""
        out = equation.outputs[0].dtype

        def as_float(x: V, var: Var) -> V:
            if out not in FORMATS or var.dtype in FORMATS:
                return x
            to = Var(var.slot, var.shape, out)
            return self.apply(Equation("convert_element_type", {"new_dtype": out}, (var,), (to,)), [x])[0]

        return [as_float(x, v) for x, v in zip(inputs, equation.inputs, strict=True)]

    def move(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """Entries moved or copied, each output by `map`."""
        data = movement.data_operands(equation)
        rest = [np.asarray(v) for i, v in enumerate(inputs) if i not in data]
        return [
            self.map(lambda *a, k=k: movement.rearrange(equation, a, rest)[k], *(inputs[i] for i in data))
            for k in range(len(equation.outputs))
        ]

    def logic(self, equation: Equation, inputs: Sequence[V]) -> V | None:
        """A function of truth values (the first operand is one, the result is no float); None if it is no logic."""
        return None

    def whole(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """A primitive of `integers` on integers and truth values alone."""
        return integers.apply(equation, inputs)

    def p_custom_linear_solve(self, equation: Equation, inputs: Sequence[V]) -> list[V]:
        """What the `solve` of the equation computes: the solution of `matvec(x) = b`."""
        parts = control.linear_solve(equation, inputs)
        return evaluate(parts.solve, self, *parts.solve_constants, *parts.right)

    def own(self, equation: Equation, inputs: Sequence[V]) -> V | list[V]:
        """What the system evaluates in its own way: one value, or a list with one per output.

        Raises:
            UnsupportedPrimitive: if there is no method `p_<primitive>`.
        """
        method = getattr(self, "p_" + equation.primitive.replace("-", "_"), None)
        if method is None:
            raise UnsupportedPrimitive(equation.primitive, self.name)
        found: V | list[V] = method(equation, inputs)
        return found


def has_floats(equation: Equation) -> bool:
    """Whether an operand or a result is a float."""
    return any(v.dtype in FORMATS for v in (*equation.inputs, *equation.outputs))
