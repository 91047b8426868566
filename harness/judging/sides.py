"""Functions of one claim side by side, at fixed sizes and one dtype: in floats, and over the reals in balls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.calls import call_points
from backprove.harness.frontends.front_end import ExactFunction, ProgramOnBalls
from backprove.harness.frontends.function import Function, shapes_of
from backprove.harness.judging.examination import Unsupported
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.run import float_bounds
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.oracles.compiled import CompiledFunction
from backprove.harness.oracles.exact import PRECISIONS
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.vectors import full, take
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.sharing import share_same_arguments

NOT_RUNNABLE = "the code does not run on exact scalars"
"""How the exact layer says that code on object arrays cannot be followed at a point."""


@dataclass(frozen=True)
class FunctionAt:
    """One side of an identity at one signature; `batched`: it accepts one extra leading axis of points."""

    function: Function
    signature: Signature
    dtype: str
    batched: bool = False

    @property
    def program(self) -> Program | None:
        return self.function.program(self.signature)

    def floats(self, inputs: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        """Float results; NaN where the code raises."""
        program = self.program
        if program is not None and self.function.front_end(self.signature).is_its_program:
            try:
                return [np.asarray(o, dtype=np.float64) for o in run_floats(program, inputs)]
            except UnsupportedPrimitive:
                found = CompiledFunction.of(self.function.call, self.signature)(inputs)
                return [np.asarray(o, dtype=np.float64) for o in found]
        # what raises is outside the domain of this side: nothing is claimed in floats
        return call_points(self.function, self.signature, inputs, shapes, self.dtype, batched=self.batched).values

    def bounds(self, inputs: list[Array]) -> list[Any]:
        """Running error bounds of the float results; there must be a program."""
        program = self.program
        assert program is not None
        short = self.function.every_step_short(self.signature, self.dtype)
        return float_bounds(program, inputs, self.dtype, every_step_short=short)

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        program = self.program
        if program is not None:
            return tuple(v.shape for v in program.outputs)
        probe = [np.ones(s, dtype=FORMATS[d].numpy if d in FORMATS else d) for s, d in self.signature]
        try:
            return tuple(a.shape for a in self.function.at(*probe))
        except Exception as why:
            raise Unsupported(f"{self.function.label} raises at shapes {shapes_of(self.signature)}: {why}") from why


class SidesAt:
    """What identities and positivity share."""

    mode = ""
    direction_names: tuple[str, ...] = ()
    direction_shapes: tuple[tuple[int, ...], ...] = ()

    def __init__(self, sides: Sequence[Function], names: Sequence[str], signature: Signature, dtype: str) -> None:
        self.input_names, self.signature, self.dtype = tuple(names), signature, dtype
        self.format = FORMATS[dtype]
        self.sides = [FunctionAt(f, signature, dtype) for f in sides]

    @property
    def front_ends(self) -> dict[str, str]:
        return {s.function.label: s.function.front_end(self.signature).name for s in self.sides}

    @property
    def specials(self) -> list[float]:
        found: set[float] = set()
        for s in self.sides:
            if s.program is not None:
                found.update(s.program.literals())
        return sorted(found)

    @cached_property
    def exact_sides(self) -> list[ExactFunction] | None:
        found = [s.function.exact(self.signature) for s in self.sides]
        return None if any(f is None for f in found) else [f for f in found if f is not None]

    @staticmethod
    def _in_balls(sides: Sequence[ExactFunction], balls: list[Array]) -> list[list[Array]]:
        """The values of every side; what they have in common is computed once."""
        programs = [s.program for s in sides if isinstance(s, ProgramOnBalls)]
        found = share_same_arguments(programs) if len(programs) == len(sides) > 1 else None
        if found is None:
            return [s.balls(balls) for s in sides]
        outputs = ProgramOnBalls(found[0]).balls(balls)
        return [outputs[w] for w in found[1]]

    def over_reals(
        self, inputs: list[Array], index: Array, judge: Callable[[list[Array], list[list[Array]]], list[Outcome | None]]
    ) -> list[Outcome]:
        """Run every side in balls at rising precision until `judge` decides each point."""
        assert self.exact_sides is not None
        out: dict[int, Outcome] = {}
        rest = index
        for precision in PRECISIONS:
            ctx.prec = precision
            groups = [rest]
            undecided: list[int] = []
            while groups:
                group = groups.pop()
                if not group.size:
                    continue
                balls = [lift(a) if a.dtype.kind == "f" else a for a in take(inputs, group)]
                try:
                    values = [full(v, group.size) for v in self._in_balls(self.exact_sides, balls)]
                except Undecided as why:
                    if group.size == 1:
                        out[int(group[0])] = Outcome(Status.UNDECIDED, note=str(why))
                        undecided.append(int(group[0]))
                    else:
                        groups += [np.array([i]) for i in group]
                    continue
                for i, o in zip(group.tolist(), judge(balls, values), strict=True):
                    if o is None:
                        undecided.append(i)
                    else:
                        out[i] = o
            rest = np.array(sorted(undecided), dtype=np.int64)
            if not rest.size:
                break
        return [out.get(int(i), Outcome(Status.UNDECIDED, note="the enclosures are too wide")) for i in index]
