"""Programs that work entry by entry: their Jacobians are diagonal, and one pass gives all entries."""

from __future__ import annotations

from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls.truth import COMPARISONS
from backprove.harness.programs.program import Program

PRIMITIVES = (
    frozenset({*bf.SMOOTH, *bf.PIECEWISE, *bf.BINARY, "select_n", "integer_pow", "convert_element_type", "round"})
    | frozenset({"clamp", "stop_gradient", "is_finite", "and", "or", "not", "xor"})
    | COMPARISONS
)
"""Primitives whose results depend, entry by entry, on the operands' entries at the same index."""


def works_entrywise(program: Program) -> bool:
    """Whether every entry of the outputs depends on the inputs' entries at the same index alone."""
    if not program.inputs:
        return False
    shape = program.inputs[0].shape
    if any(v.shape != shape for v in (*program.inputs, *program.outputs)):
        return False
    moving = {v.slot for v in program.inputs}
    for e in program.equations:
        operands = [v for v in e.inputs if v.slot in moving]
        if not operands:
            continue
        if e.primitive not in PRIMITIVES or any(v.shape != shape for v in (*operands, *e.outputs)):
            return False
        moving |= {v.slot for v in e.outputs}
    return True
