"""A program of one format is rewritten into that of another: float64 renamed, or a short format widened.

`renamed(program, "float32")` has float32 for float64 everywhere; `widened(program)` has float64 for every float.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS, Dtype
from backprove.harness.programs.program import Equation, Program, Var, inner_programs

BASE: Dtype = "float64"


def renamed(program: Program, dtype: str) -> Program:
    """`program` with `dtype` for float64 everywhere: in values, parameters and constants."""

    def var(v: Var) -> Var:
        return dataclasses.replace(v, dtype=dtype) if v.dtype == BASE else v

    def plain(value: object) -> object:
        if isinstance(value, Program):
            return renamed(value, dtype)
        if type(value) is tuple:
            return tuple(map(plain, value))
        return dtype if isinstance(value, str) and value == BASE else value

    def constant(c: Array) -> Array:
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


OF_THE_FORMAT = frozenset({"nextafter", "reduce_precision", "bitcast_convert_type"})
"""Primitives whose results depend on the format itself."""


def widened(program: Program) -> Program:
    """Every float of `program` in float64; conversions between formats are left out.

    Constants keep their values: those that were rounded to the short format stay so.

    Raises:
        UnsupportedPrimitive: for control flow and for primitives whose results depend on the format itself.
    """
    known: dict[int, Var] = {}  # by the slot in `program`

    def wide(var: Var) -> Var:
        found = known.get(var.slot)
        if found is None:
            found = known[var.slot] = Var(var.slot, var.shape, "float64") if var.dtype in FORMATS else var
        return found

    equations = []
    for e in program.equations:
        if e.primitive in OF_THE_FORMAT or inner_programs(e):
            raise UnsupportedPrimitive(e.primitive, "widened programs")
        inputs = tuple(map(wide, e.inputs))
        if e.primitive == "convert_element_type" and e.inputs[0].dtype in FORMATS and e.outputs[0].dtype in FORMATS:
            known[e.outputs[0].slot] = inputs[0]
            continue
        params = e.params
        if any(isinstance(v, str) and v in FORMATS for v in params.values()):
            params = {k: "float64" if isinstance(v, str) and v in FORMATS else v for k, v in params.items()}
        equations.append(Equation(e.primitive, params, inputs, tuple(map(wide, e.outputs))))
    constants = {s: _constant(c) for s, c in program.constants.items()}
    return Program(tuple(map(wide, program.inputs)), tuple(map(wide, program.outputs)), constants, tuple(equations))


def _constant(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype.name in FORMATS else value
