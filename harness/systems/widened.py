"""A program of a short format as the same program in float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from backprove.harness.dtypes import FORMATS
from backprove.harness.errors import UnsupportedPrimitive
from backprove.harness.program import Equation, Program, Var, inner_programs

OF_THE_FORMAT = frozenset({"nextafter", "reduce_precision", "bitcast_convert_type"})
"""Primitives whose results depend on the format itself."""


def widened(program: Program) -> Program:
    """Every float of `program` in float64, conversions between formats included.

    Constants keep their values: those that were rounded to the short format stay so.

    Raises:
        UnsupportedPrimitive: for control flow and for primitives whose results depend on the format itself.
    """
    return dataclasses.replace(
        program,
        inputs=tuple(_var(v) for v in program.inputs),
        outputs=tuple(_var(v) for v in program.outputs),
        constants={s: _constant(c) for s, c in program.constants.items()},
        equations=tuple(_equation(e) for e in program.equations),
    )


def _var(var: Var) -> Var:
    return dataclasses.replace(var, dtype="float64") if var.dtype in FORMATS else var


def _constant(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.astype(np.float64) if str(value.dtype) in FORMATS else value


def _equation(e: Equation) -> Equation:
    if e.primitive in OF_THE_FORMAT or inner_programs(e):
        raise UnsupportedPrimitive(e.primitive, "widened programs")
    params = {k: "float64" if isinstance(v, str) and v in FORMATS else v for k, v in e.params.items()}
    inputs, outputs = tuple(map(_var, e.inputs)), tuple(map(_var, e.outputs))
    converts = e.primitive == "convert_element_type" and all(v.dtype in FORMATS for v in (*e.inputs, *e.outputs))
    return Equation("copy" if converts else e.primitive, params, inputs, outputs)
