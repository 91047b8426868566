"""Several programs of the same arguments become one in which every value is computed once.

Equal subexpressions give equal bits, so that merging changes no result: a rule and JAX's derivative of the same map
share their primal pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from backprove.harness.core.arrays import Array
from backprove.harness.programs.program import Equation, Program, Var, inner_programs

SAME = frozenset({"stop_gradient", "copy", "optimization_barrier"})
"""Primitives that hand on their operand."""


def share(programs: Sequence[Program], arguments: Sequence[Sequence[int]]) -> tuple[Program, list[slice]]:
    """One program with the outputs of all.

    Args:
        programs: traced at the same formats.
        arguments: for each program which of the common arguments its inputs are.

    Returns:
        the program, whose inputs are the common arguments, and for each program where its outputs stand.

    Raises:
        ValueError: where two programs give one argument different shapes or dtypes, or an argument has no user.
    """
    slots = _Slots()
    common: dict[int, Var] = {}
    for program, places in zip(programs, arguments, strict=True):
        for var, place in zip(program.inputs, places, strict=True):
            known = common.setdefault(place, slots.new(var))
            if (known.shape, known.dtype) != (var.shape, var.dtype):
                raise ValueError(
                    f"share: argument {place} is {known.dtype}{list(known.shape)} and {var.dtype}{list(var.shape)}"
                )
    if sorted(common) != list(range(len(common))):
        raise ValueError(f"share: arguments {sorted(common)} are used, all from 0 on must be")
    outputs: list[Var] = []
    where: list[slice] = []
    for program, places in zip(programs, arguments, strict=True):
        found = slots.take(program, [common[p] for p in places])
        where.append(slice(len(outputs), len(outputs) + len(found)))
        outputs += found
    merged = Program(
        tuple(common[i] for i in range(len(common))), tuple(outputs), slots.constants, tuple(slots.equations)
    )
    return merged.without_dead_code(), where


_SHARED: dict[tuple[int, ...], tuple[Program, list[slice]] | None] = {}


def share_same_arguments(programs: Sequence[Program]) -> tuple[Program, list[slice]] | None:
    """`share` of programs of the same arguments, made once and dropped with them; None where they cannot be merged."""
    key = tuple(id(p) for p in programs)
    if key not in _SHARED:
        try:
            _SHARED[key] = share(programs, [range(len(p.inputs)) for p in programs])
        except ValueError:
            _SHARED[key] = None
        for p in programs:
            weakref.finalize(p, _SHARED.pop, key, None)
    return _SHARED[key]


class _Slots:
    """Equations so far, each distinct one once."""

    def __init__(self) -> None:
        self.count = 0
        self.constants: dict[int, Array] = {}
        self.equations: list[Equation] = []
        self._of_constant: dict[tuple[object, ...], Var] = {}
        self._of_equation: dict[tuple[object, ...], tuple[Var, ...]] = {}

    def new(self, like: Var) -> Var:
        self.count += 1
        return Var(self.count - 1, like.shape, like.dtype)

    def constant(self, value: Array, like: Var) -> Var:
        key = (like.dtype, value.dtype.str, value.shape, value.tobytes())
        if key not in self._of_constant:
            self._of_constant[key] = self.new(like)
            self.constants[self._of_constant[key].slot] = value
        return self._of_constant[key]

    def take(self, program: Program, inputs: Sequence[Var]) -> list[Var]:
        """Enter a program; returns its outputs."""
        env = {v.slot: common for v, common in zip(program.inputs, inputs, strict=True)}

        def read(var: Var) -> Var:
            if var.slot not in env:
                env[var.slot] = self.constant(program.constants[var.slot], var)
            return env[var.slot]

        for e in program.equations:
            ins = tuple(read(v) for v in e.inputs)
            if e.primitive in SAME and len(ins) == len(e.outputs):
                outs: tuple[Var, ...] = ins
            elif inner_programs(e):
                outs = self._append(e, ins)
            else:
                params = repr(sorted(e.params.items())) if e.params else ""
                key = (e.primitive, params, tuple(v.slot for v in ins), _types(e.outputs))
                if key not in self._of_equation:
                    self._of_equation[key] = self._append(e, ins)
                outs = self._of_equation[key]
            env.update(zip((v.slot for v in e.outputs), outs, strict=True))
        return [read(v) for v in program.outputs]

    def _append(self, e: Equation, inputs: tuple[Var, ...]) -> tuple[Var, ...]:
        outs = tuple(self.new(v) for v in e.outputs)
        self.equations.append(Equation(e.primitive, e.params, inputs, outs))
        return outs


def _types(outputs: Sequence[Var]) -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple((v.shape, v.dtype) for v in outputs)
