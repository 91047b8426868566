"""All functions that a theorem claims something of are compiled as one XLA program, for each dtype.

Lowering and compiling take tens of milliseconds a program, however small it is, and little more for several functions.
The functions share the inputs; each has directions of its own and its results are compared by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array, Code
from backprove.harness.frontends.compiled import CompiledFunction
from backprove.harness.programs.program import Signature

if TYPE_CHECKING:
    import jax

Member = tuple[Code, Signature]
"""A JAX-traceable function and its arguments: the inputs, then directions."""


@dataclass
class JointXla:
    """The functions of a theorem, compiled when the first of them is asked for.

    Attributes:
        inputs: how many arguments are inputs.
        members: the functions at given shapes of the inputs and a dtype.
    """

    inputs: int
    members: Callable[[Sequence[tuple[int, ...]], str], list[Member]]
    _programs: dict[str, _Joint | None] = field(default_factory=dict)

    def __call__(self, call: Code, signature: Signature, arrays: Sequence[Array], dtype: str) -> list[Array] | None:
        """Results of `call` as of a `CompiledFunction`; None where it is not part of the program of this dtype.

        One program for each dtype: of the shapes that come first, at which all claims are examined first.
        """
        if dtype not in self._programs:
            self._programs[dtype] = None
            found = self.members([shape for shape, _ in signature[: self.inputs]], dtype)
            joint = _Joint(self.inputs, list({(id(f), s): (f, s) for f, s in found}.values()))
            if joint.holds(call, signature):
                self._programs[dtype] = joint
        program = self._programs[dtype]
        if program is None or not program.holds(call, signature):
            return None
        try:
            return program(call, signature, arrays)
        except Exception:  # one function that cannot be compiled must not hide the others
            self._programs[dtype] = None
            return None


class _Joint:
    """Functions at fixed signatures as one function."""

    def __init__(self, inputs: int, members: Sequence[Member]) -> None:
        self._inputs = inputs
        self._members = members
        self._directions: dict[tuple[int, Signature], slice] = {}
        self._results: dict[tuple[int, Signature], slice] = {}
        signature = [*members[0][1][:inputs]] if members else []
        for f, s in members:
            start = len(signature)
            signature += s[inputs:]
            self._directions[id(f), s] = slice(start, len(signature))
        self._compiled = CompiledFunction(self._call, tuple(signature))

    def holds(self, call: Code, signature: Signature) -> bool:
        return (id(call), signature) in self._directions

    def _call(self, *arguments: jax.Array) -> list[jax.Array]:
        import jax

        leaves: list[jax.Array] = []
        for f, s in self._members:
            found = jax.tree.leaves(f(*arguments[: self._inputs], *arguments[self._directions[id(f), s]]))
            self._results[id(f), s] = slice(len(leaves), len(leaves) + len(found))
            leaves += found
        return leaves

    def __call__(self, call: Code, signature: Signature, arrays: Sequence[Array]) -> list[Array]:
        key = (id(call), signature)
        full = [np.ones((*shape, 1), _carrier(dtype)) for shape, dtype in self._compiled.signature]
        full[: self._inputs] = arrays[: self._inputs]
        full[self._directions[key]] = arrays[self._inputs :]
        return self._compiled(full)[self._results[key]]


def _carrier(dtype: str) -> DTypeLike:
    return np.dtype(dtype) if np.dtype(dtype).kind in "iub" else np.float64
