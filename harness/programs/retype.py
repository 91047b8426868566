"""Traces of one dtype from those of another: most code does the same in every float format.

A function whose float64 trace, with another format's name in the place of float64 and its constants rounded, is that
format's own trace at one shape is taken to be so at every shape. Code that looks at its dtype fails this at the first
shape. Code that looks at it at some shapes only passes: the functions of a user are always traced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.formats import FORMATS
from backprove.harness.programs.program import Equation, Program, Var

Signature = tuple[tuple[tuple[int, ...], str], ...]
BASE = "float64"


def renamed(program: Program, dtype: str) -> Program:
    """`program` with `dtype` for float64 everywhere: in values, parameters and constants."""

    def var(v: Var) -> Var:
        return dataclasses.replace(v, dtype=dtype) if v.dtype == BASE else v

    def plain(value: Any) -> Any:
        if isinstance(value, Program):
            return renamed(value, dtype)
        if type(value) is tuple:
            return tuple(map(plain, value))
        return dtype if isinstance(value, str) and value == BASE else value

    def constant(c: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if c.dtype != np.float64:
            return c
        with np.errstate(all="ignore"):
            return c.astype(FORMATS[dtype].numpy)

    equations = tuple(
        Equation(
            e.primitive,
            {k: plain(v) for k, v in e.params.items()},
            tuple(map(var, e.inputs)),
            tuple(map(var, e.outputs)),
        )
        for e in program.equations
    )
    constants = {slot: constant(c) for slot, c in program.constants.items()}
    return Program(tuple(map(var, program.inputs)), tuple(map(var, program.outputs)), constants, equations)


def same(a: Program, b: Program) -> bool:
    """Whether two programs are equal, bits of the constants and parameters included; False where that is unclear."""
    if (a.inputs, a.outputs, a.constants.keys()) != (b.inputs, b.outputs, b.constants.keys()):
        return False
    for slot, c in a.constants.items():
        d = b.constants[slot]
        if (c.dtype, c.shape, c.tobytes()) != (d.dtype, d.shape, d.tobytes()):
            return False
    return len(a.equations) == len(b.equations) and all(map(_same_equation, a.equations, b.equations))


def _same_equation(a: Equation, b: Equation) -> bool:
    if (a.primitive, a.inputs, a.outputs, a.params.keys()) != (b.primitive, b.inputs, b.outputs, b.params.keys()):
        return False
    return all(_same_parameter(v, b.params[k]) for k, v in a.params.items())


def _same_parameter(a: Any, b: Any) -> bool:
    if isinstance(a, Program) and isinstance(b, Program):
        return same(a, b)
    if type(a) is tuple and type(b) is tuple:
        return len(a) == len(b) and all(map(_same_parameter, a, b))
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:
        return False


@dataclass
class Traces:
    """The traces of one function, by signature.

    Attributes:
        trace: traces at a signature; None where it cannot.
    """

    trace: Callable[[Signature], Program | None]
    _base: dict[Signature, Program] = field(default_factory=dict)
    _generic: dict[str, bool] = field(default_factory=dict)
    """By format: whether its trace is the renamed one, at the shape at which both were seen."""

    def __call__(self, signature: Signature) -> Program | None:
        """The program at `signature`, traced or renamed."""
        formats = {dtype for _, dtype in signature if dtype in FORMATS}
        if len(formats) != 1:
            return self.trace(signature)
        (dtype,) = formats
        if dtype == BASE:
            found = self.trace(signature)
            if found is not None:
                self._base[signature] = found
            return found
        base = self._base.get(tuple((shape, BASE if d == dtype else d) for shape, d in signature))
        if base is not None and self._generic.get(dtype, False):
            return renamed(base, dtype)
        found = self.trace(signature)
        if base is not None and dtype not in self._generic and _telling(signature):
            self._generic[dtype] = found is not None and same(found, renamed(base, dtype))
        return found


def _telling(signature: Signature) -> bool:
    """Whether code can be told apart at these shapes: none is empty, and something has more than one entry."""
    sizes = [int(np.prod(shape)) for shape, _ in signature]
    return min(sizes) > 0 and max(sizes) > 1
