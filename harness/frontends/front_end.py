"""A `FrontEnd` turns code into a `Program`, or says how code without one is evaluated.

One object per front end stands in `registry.FRONT_ENDS`; the rest of the engine asks it, never for its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.balls.balls import Balls, works_entrywise
from backprove.harness.numbers.balls.dual import STEPS, Dual
from backprove.harness.numbers.balls.duals import DualBalls
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Program, Signature


class ClaimedCode(Protocol):
    """A callable of a claim."""

    @property
    def call(self) -> Code:
        """The user's function."""

    @property
    def stand_in(self) -> Code | None:
        """A JAX-traceable function of the same map, or None."""


class CodeStopped(Undecided):
    """Code on arrays of exact scalars cannot be followed at a point, at whatever precision."""

    def __init__(self, why: Exception) -> None:
        super().__init__(f"the code does not run on exact scalars: {why}")


class ExactFunction(Protocol):
    """A function that runs in balls and dual balls; all arrays carry a trailing points axis."""

    @property
    def is_entrywise(self) -> bool:
        """Whether it is known that each entry of the output depends on the same entry of the inputs alone."""

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        """Enclosures of the outputs.

        Raises:
            Undecided: where a choice is open at this precision; `CodeStopped`, where no precision would help.
        """

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        """Values, tangents and per point whether a kink was touched; raises as `balls` does."""


@dataclass(frozen=True)
class FrontEnd(ABC):
    """One way from code to what number systems can evaluate.

    Attributes:
        name: as reports show it.
        what: what it makes of code, as messages name it ("numpy trace").
        is_its_program: the code computes what its program does, so that its values are had from the program; else they
            are had from calls.
        is_jax_code: the code is called with JAX arrays, by default in float32, and XLA compiles it.
        same_in_all_formats: a trace of one format may be had from that of another: of code that is not a user's, and of
            a user's where every trace is held against real calls.
        points_compared: points at which it is held against real calls; 0 for what cannot differ from them.
        compared_once: real calls are slow: users' code alone is compared, once per dtype instead of at every signature.
        called: points of a batch at which the code is called for its values, which are those of the program at the
            others; 0: at all of them, for code whose program may miss a branch on values.
        rounds_every_step: formats to which the code rounds every step, whatever its program says.
    """

    name: str
    what: str = ""
    is_its_program: bool = False
    is_jax_code: bool = False
    same_in_all_formats: bool = False
    points_compared: int = 0
    compared_once: bool = False
    called: int = 0
    rounds_every_step: frozenset[str] = frozenset()

    @abstractmethod
    def trace(self, code: ClaimedCode, signature: Signature) -> Program | None:
        """The program of the code; None where this front end takes the code as it is.

        Raises:
            Exception: why this front end cannot follow the code; the next one is tried.
        """

    def stopped(self, code: ClaimedCode, why: Exception) -> str:
        """Why it cannot follow code that is meant for it, in words that fit after "because"; "" for other code."""
        return ""

    def exact(self, code: ClaimedCode, program: Program | None) -> ExactFunction | None:
        """The code for the exact layer, or None where it cannot run there.

        Args:
            program: what `trace` gave.
        """
        return None if program is None else ProgramOnBalls(program)

    def as_jax(self, code: ClaimedCode) -> Code | None:
        """A function of the same map for JAX, for the derivative rules of the library functions that it calls.

        None where there is none; the derivative is then that of the program.
        """
        return None


@dataclass(frozen=True)
class ProgramOnBalls:
    """A traced program as an `ExactFunction`."""

    program: Program

    @cached_property
    def still(self) -> frozenset[int]:
        """Equations whose tangent reaches no output (behind a comparison, stop_gradient or floor), by identity."""
        live = {v.slot for v in self.program.outputs}
        found = set()
        for e in reversed(self.program.equations):
            if not any(v.slot in live for v in e.outputs):
                found.add(id(e))
            elif e.primitive not in ("stop_gradient", *STEPS):
                live |= {v.slot for v in e.inputs if v.dtype in FORMATS}
        return frozenset(found)

    @cached_property
    def is_entrywise(self) -> bool:
        return works_entrywise(self.program)

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        return evaluate(self.program, Balls(widen), *map(_ball_input, inputs))

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        points = max((a.shape[-1] for a in inputs), default=1)
        system = DualBalls(points, widen, self.still)
        ins = [Dual(a, t) if a.dtype == object else _ball_input(a) for a, t in zip(inputs, tangents, strict=True)]
        outs = evaluate(self.program, system, *ins)
        pairs = [o if isinstance(o, Dual) else Dual(o) for o in outs]
        return [p.v for p in pairs], [p.tangent for p in pairs], system.touched


def _ball_input(a: Array) -> Array:
    """Masks are truth values of the ball systems (int8)."""
    return a.astype(np.int8) if a.dtype == bool else a
