"""The functions of one claim stand side by side here, at fixed sizes and one dtype, in floats and over the reals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS, Directions
from backprove.harness.core.thresholds.exact import PRECISIONS
from backprove.harness.frontends.front_end import ExactFunction, ProgramOnBalls
from backprove.harness.frontends.function import Function, ProgramFunction
from backprove.harness.frontends.function_at import FunctionAt, Shapes
from backprove.harness.judging.examination import Unsupported
from backprove.harness.numbers.balls.arrays import lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.oracles.problem import Outcome, Status
from backprove.harness.oracles.vectors import full, take
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.sharing import share_same_arguments


class SidesAt:
    """What identities and positivity share."""

    mode: Directions = ""
    tangents = 0
    unit = False
    kink_budget = 0  # identities hold at kinks too
    contract_settled = False
    direction_names: tuple[str, ...] = ()
    direction_shapes: tuple[tuple[int, ...], ...] = ()

    def __init__(self, sides: Sequence[Function], names: Sequence[str], signature: Signature, dtype: str) -> None:
        self.input_names, self.signature, self.dtype = tuple(names), signature, dtype
        self.format = FORMATS[dtype]
        self.sides = [FunctionAt(f, signature, dtype) for f in sides]
        for side in self.sides:
            side.narrows_as = [s for s in self.sides if s is not side]

    @property
    def front_ends(self) -> dict[str, str]:
        return {s.label: s.front_end.name for s in self.sides}

    @property
    def specials(self) -> list[float]:
        found: set[float] = set()
        for s in self.sides:
            if s.program is not None:
                found.update(s.program.literals())
        return sorted(found)

    @property
    def is_its_program(self) -> bool:
        return all(s.is_its_program for s in self.sides)

    @property
    def compiled(self) -> Sequence[FunctionAt]:
        return []

    @property
    def traced(self) -> Sequence[Program | None]:
        return [s.program for s in self.sides]

    @property
    def programs(self) -> Sequence[Program | None]:
        return [] if self.mode == "pairing" else [s.program for s in self.sides]

    def _sides_with(self, other: Mapping[int, Program]) -> list[Function]:
        """The sides, some with another program in their place."""
        return [ProgramFunction(other[k], s.label) if k in other else s.function for k, s in enumerate(self.sides)]

    def shapes_of(self, side: FunctionAt) -> Shapes:
        """Shapes of what a side returns.

        Raises:
            Unsupported: where it raises at these sizes.
        """
        try:
            return side.shapes
        except Exception as why:
            raise Unsupported.raising(side.label, self.signature, why) from why

    @cached_property
    def exact_sides(self) -> list[ExactFunction] | None:
        found = [s.exact for s in self.sides]
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
        out: dict[int, Outcome] = {}
        rest = index
        for precision in PRECISIONS:
            with ctx.workprec(precision):
                rest = self._left_open(inputs, rest, judge, out)
            if not rest.size:
                break
        return [out.get(int(i), Outcome(Status.UNDECIDED, note="the enclosures are too wide")) for i in index]

    def _left_open(
        self,
        inputs: list[Array],
        index: Array,
        judge: Callable[[list[Array], list[list[Array]]], list[Outcome | None]],
        out: dict[int, Outcome],
    ) -> Array:
        """The points that stay open at the current precision; outcomes of the others are entered in `out`."""
        assert self.exact_sides is not None
        groups = [index]
        still: list[int] = []
        while groups:
            group = groups.pop()
            if not group.size:
                continue
            balls = lift_floats(take(inputs, group))
            try:
                values = [full(v, group.size) for v in self._in_balls(self.exact_sides, balls)]
            except Undecided as why:
                if group.size == 1:
                    out[int(group[0])] = Outcome.undecided(why)
                    still.append(int(group[0]))
                else:
                    groups += [np.array([i]) for i in group]
                continue
            for i, o in zip(group.tolist(), judge(balls, values), strict=True):
                if o is None:
                    still.append(i)
                else:
                    out[i] = o
        return np.array(sorted(still), dtype=np.int64)
