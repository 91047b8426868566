"""Edits make broken variants of a program from the program itself, one small change each.

Every variant has the inputs and the output shapes of the original, so that it can stand in its place.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprove.harness.core.formats import FORMATS
from backprove.harness.programs.equality import fingerprint
from backprove.harness.programs.program import Equation, Program, Var

SLIP = 1 + 1e-6
"""A relative error that a tolerance of the usual checkers lets through."""

FLIPPED = {
    "gt": ("lt", "ge"),
    "lt": ("gt", "le"),
    "ge": ("le", "gt"),
    "le": ("ge", "lt"),
    "eq": ("ne",),
    "ne": ("eq",),
    "max": ("min",),
    "min": ("max",),
    "reduce_max": ("reduce_min",),
    "reduce_min": ("reduce_max",),
    "and": ("or",),
    "or": ("and",),
}
"""Primitives and those that replace them: comparisons turned round or made inclusive, extremes exchanged."""


@dataclass(frozen=True)
class Mutant:
    """One broken variant; `label` says which edit made it."""

    label: str
    program: Program


def mutants(program: Program) -> list[Mutant]:
    """All variants of `program`; those that are the program itself, or one another, are left out."""
    program = program.without_dead_code()
    seen = {fingerprint(program)}
    found = []
    for mutant in _all(program):
        plain = mutant.program.without_dead_code()
        key = fingerprint(plain)
        if key not in seen:
            seen.add(key)
            found.append(Mutant(mutant.label, plain))
    return found


def _all(program: Program) -> Iterator[Mutant]:
    for i, equation in enumerate(program.equations):
        edit = _Edit(program, i)
        where = f"equation {i + 1} ({equation.primitive})"
        for what, variant in _of_equation(edit):
            yield Mutant(f"{where}: {what}", variant)
    yield from _of_constants(program)
    yield from _of_inputs(program)
    for k, out in enumerate(program.outputs):
        if out.dtype in FORMATS:
            doubled = Var(_next_slot(program), out.shape, out.dtype)
            changed = _scaled(program, out, doubled, 2.0, len(program.equations))
            outputs = (*program.outputs[:k], doubled, *program.outputs[k + 1 :])
            yield Mutant(f"output {k + 1}: doubled", dataclasses.replace(changed, outputs=outputs))


class _Edit:
    """Ways to change one equation of a program."""

    def __init__(self, program: Program, index: int) -> None:
        self.program, self.index = program, index
        self.equation = program.equations[index]
        self.out = self.equation.outputs[0]
        self.fresh = Var(_next_slot(program), self.out.shape, self.out.dtype)

    def replaced(self, *equations: Equation, constants: Mapping[int, Any] | None = None) -> Program:
        """The program with `equations` in the place of the one at hand."""
        p = self.program
        new = (*p.equations[: self.index], *equations, *p.equations[self.index + 1 :])
        return dataclasses.replace(p, equations=new, constants={**p.constants, **(constants or {})})

    def followed_by(self, primitive: str, params: Mapping[str, Any]) -> Program:
        """The equation's result passes through one more primitive."""
        first = dataclasses.replace(self.equation, outputs=(self.fresh,))
        return self.replaced(first, Equation(primitive, params, (self.fresh,), (self.out,)))

    def scaled(self, factor: float) -> Program:
        """The equation's result times `factor`."""
        first = self.replaced(dataclasses.replace(self.equation, outputs=(self.fresh,)))
        return _scaled(first, self.fresh, self.out, factor, self.index + 1)

    def bypassed(self, var: Var) -> Program:
        """`var` wherever the equation's result was read."""
        return _read(self.program, {self.out.slot: var})

    def zeroed(self) -> Program:
        """Zeros wherever the equation's result was read."""
        zeros = {self.fresh.slot: _filled(self.out, 0.0)}
        changed = self.bypassed(self.fresh)
        return dataclasses.replace(changed, constants={**changed.constants, **zeros})

    def with_params(self, **params: Any) -> Program:
        return self.replaced(dataclasses.replace(self.equation, params={**self.equation.params, **params}))


def _of_equation(edit: _Edit) -> Iterator[tuple[str, Program]]:
    e, out = edit.equation, edit.out
    for other in FLIPPED.get(e.primitive, ()):
        yield f"{other} in its place", edit.replaced(dataclasses.replace(e, primitive=other))
    if len(e.outputs) != 1 or out.dtype not in FORMATS:
        return
    yield "negated", edit.followed_by("neg", {})
    passed = [v for v in dict.fromkeys(e.inputs) if (v.shape, v.dtype) == (out.shape, out.dtype)]
    for v in passed:
        yield f"dropped, operand {e.inputs.index(v) + 1} passed through", edit.bypassed(v)
    yield "dropped, zero in its place", edit.zeroed()
    yield "scaled by 1 + 1e-6", edit.scaled(SLIP)
    if e.primitive == "reduce_sum":
        yield from _of_sum(edit)
    if e.primitive == "integer_pow":
        yield "exponent plus 1", edit.with_params(y=int(e.params["y"]) + 1)
    if e.primitive == "dot_general":
        for k, v in enumerate(e.inputs):
            if _square(v):
                turned = dataclasses.replace(edit.fresh, shape=v.shape)
                operands = (*e.inputs[:k], turned, *e.inputs[k + 1 :])
                transpose = Equation("transpose", {"permutation": (1, 0)}, (v,), (turned,))
                yield f"operand {k + 1} transposed", edit.replaced(transpose, dataclasses.replace(e, inputs=operands))
    if _square(out) and e.primitive != "transpose":
        yield "transposed", edit.followed_by("transpose", {"permutation": (1, 0)})


def _of_sum(edit: _Edit) -> Iterator[tuple[str, Program]]:
    """Another axis of the same size, the mean, or the first entry only."""
    e, (x,) = edit.equation, edit.equation.inputs
    axes = tuple(int(a) for a in e.params["axes"])
    if len(axes) == 1:
        for a in range(len(x.shape)):
            if a != axes[0] and tuple(n for k, n in enumerate(x.shape) if k != a) == edit.out.shape:
                yield f"over axis {a} instead of {axes[0]}", edit.with_params(axes=(a,))
    count = math.prod(x.shape[a] for a in axes)
    if count > 1:
        yield "mean in its place", edit.scaled(1 / count)
        first = Var(edit.fresh.slot, tuple(1 if k in axes else n for k, n in enumerate(x.shape)), x.dtype)
        cut = {"start_indices": (0,) * len(x.shape), "limit_indices": first.shape, "strides": None}
        squeeze = Equation("squeeze", {"dimensions": axes}, (first,), (edit.out,))
        yield "first entry in its place", edit.replaced(Equation("slice", cut, (x,), (first,)), squeeze)


def _of_constants(program: Program) -> Iterator[Mutant]:
    for slot, value in sorted(program.constants.items()):
        name = f"constant {value.ravel()[0]:g}" if value.size == 1 else f"constant of shape {list(value.shape)}"
        if value.dtype.kind in "iu" or (value.dtype.name in FORMATS and np.all(np.isfinite(value))):
            yield Mutant(f"{name}: plus 1", _with_constant(program, slot, value + 1))
        if value.dtype.name in FORMATS and np.any(value != 0) and np.all(np.isfinite(value)):
            yield Mutant(f"{name}: scaled by 1 + 1e-6", _with_constant(program, slot, value * SLIP))


def _with_constant(program: Program, slot: int, value: np.ndarray[Any, Any]) -> Program:
    changed = np.asarray(value).astype(program.constants[slot].dtype)
    return dataclasses.replace(program, constants={**program.constants, slot: changed})


def _of_inputs(program: Program) -> Iterator[Mutant]:
    """Two inputs of one shape exchanged (primal and tangent, say), and an input (a cotangent, say) replaced by ones."""
    ins = program.inputs
    for i, a in enumerate(ins):
        for j in range(i):
            b = ins[j]
            if (a.shape, a.dtype) == (b.shape, b.dtype):
                swapped = _read(program, {a.slot: b, b.slot: a})
                yield Mutant(f"inputs {j + 1} and {i + 1} exchanged", swapped)
        if a.dtype in FORMATS:
            ones = Var(_next_slot(program), a.shape, a.dtype)
            changed = _read(program, {a.slot: ones})
            constants = {**changed.constants, ones.slot: _filled(a, 1.0)}
            yield Mutant(f"input {i + 1}: ones in its place", dataclasses.replace(changed, constants=constants))


def _read(program: Program, instead: Mapping[int, Var]) -> Program:
    """The program with other values read wherever the slots of `instead` were."""

    def at(variables: Sequence[Var]) -> tuple[Var, ...]:
        return tuple(instead.get(v.slot, v) for v in variables)

    equations = tuple(dataclasses.replace(e, inputs=at(e.inputs)) for e in program.equations)
    return dataclasses.replace(program, equations=equations, outputs=at(program.outputs))


def _scaled(program: Program, source: Var, target: Var, factor: float, position: int) -> Program:
    """`target = source * factor` inserted before equation `position`."""
    slot = max(_next_slot(program), source.slot + 1, target.slot + 1)
    constant = Var(slot, source.shape, source.dtype)
    equation = Equation("mul", {}, (source, constant), (target,))
    equations = (*program.equations[:position], equation, *program.equations[position:])
    constants = {**program.constants, slot: _filled(source, factor)}
    return dataclasses.replace(program, equations=equations, constants=constants)


def _filled(var: Var, value: float) -> np.ndarray[Any, Any]:
    return np.full(var.shape, value, dtype=FORMATS[var.dtype].numpy)


def _square(var: Var) -> bool:
    return len(var.shape) == 2 and var.shape[0] == var.shape[1] > 1 and var.dtype in FORMATS


def _next_slot(program: Program) -> int:
    slots = [v.slot for v in (*program.inputs, *program.outputs)] + list(program.constants)
    slots += [v.slot for e in program.equations for v in (*e.inputs, *e.outputs)]
    return max(slots, default=-1) + 1
