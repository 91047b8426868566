"""This module runs programs with the error bound of each of their results, rounded as they are judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.bounds.bounds import EXTENDED, Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.programs.program import Program, inner_programs
from backprove.harness.programs.sharing import share_same_arguments

WIDE_UNIT = {name: 2.0**-64 if name == "float64" and EXTENDED else 2.0**-53 for name in FORMATS}
"""Unit roundoff of the format in which the error bound of each dtype is carried."""


def coarsest_unit(program: Program) -> float:
    """Unit roundoff of the coarsest format to which the program rounds inside; 0 where it computes no floats."""
    units = [FORMATS[v.dtype].u for e in program.equations for v in e.outputs if v.dtype in FORMATS]
    units += [coarsest_unit(p) for e in program.equations for p in inner_programs(e)]
    return max(units, default=0.0)


def float_bounds(
    program: Program,
    arrays: Sequence[Array],
    dtype: str,
    *,
    every_step_short: bool = False,
    narrows_to: float = 0.0,
) -> list[Bounded]:
    """Running error bounds of the program's results as they are judged: rounded to the format under test.

    NumPy widens (`np.where(x > 0, 1.0, 0.5) * x` is float64), and a wider result is accepted and rounded.

    Args:
        every_step_short: see `Function.every_step_short`.
        narrows_to: see `Running`.
    """
    form = FORMATS[dtype]
    out = []
    found = Running(dtype, widening_ignored=every_step_short, narrows_to=narrows_to).run(program, arrays)
    for b, var in zip(found, program.outputs, strict=True):
        if var.dtype in FORMATS and FORMATS[var.dtype].digits > form.digits:
            with np.errstate(all="ignore"):
                out.append(Bounded(b.v, b.e + form.u * np.abs(b.v).astype(np.float64)))
        else:
            out.append(b)
    return out


def run_sharing(system: Running, programs: Sequence[Program], arrays: Sequence[Array | Bounded]) -> list[list[Bounded]]:
    """The outputs of each of several programs of the same arguments; what they have in common is evaluated once."""
    found = share_same_arguments(programs)
    if found is None:
        return [system.run(p, arrays) for p in programs]
    outputs = system.run(found[0], arrays)
    return [outputs[w] for w in found[1]]
