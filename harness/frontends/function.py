"""One callable of a claim and the ways in which it can be evaluated.

Front ends, tried in this order: `jax` (traced as it is), `numpy` (NumPy code traced through duck arrays), `objects`
(NumPy code run as it is on arrays of exact scalars) and `black box` (called on ordinary arrays only).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from backprove.harness.core.arrays import Array, flatten, quiet
from backprove.harness.core.cache import Cache
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.same_in_all_formats import FormatGenericTrace
from backprove.harness.numbers.balls.balls import Balls, works_entrywise
from backprove.harness.numbers.balls.duals import Dual, DualBalls
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Program, Signature


def shapes_of(signature: Signature) -> str:
    """Shapes of the arguments, for messages."""
    return ", ".join(str(list(shape)) for shape, _ in signature)


JAX, NUMPY, OBJECTS, BLACK_BOX, STAND_IN = "jax", "numpy", "objects", "black box", "reference"


@dataclass
class Function:
    """A callable with its front ends; programs are cached by signature.

    Attributes:
        call: the user's function.
        label: how messages name it ("forward", "vjp", ...).
        only: restrict to this front end and the ones after it (a trace that was found untrue).
        stand_in: JAX-traceable function of the same map, for code that cannot be traced.
    """

    call: Callable[..., Any]
    label: str
    only: str = JAX
    stand_in: Callable[..., Any] | None = None
    cache: Cache | None = None
    key: str = ""
    """Where traces are kept from run to run, and the name of this function there."""
    generic: bool = False
    """Whether a trace of one dtype may be had from that of another (`renamed.py`)."""
    _cache: dict[Signature, tuple[str, Program | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._traces = FormatGenericTrace(lambda signature: trace(self.call, *signature))

    def program(self, signature: Signature) -> Program | None:
        """The traced program, or None where neither JAX nor the NumPy tracer can follow the code."""
        return self._resolve(signature)[1]

    def front_end(self, signature: Signature) -> str:
        return self._resolve(signature)[0]

    def every_step_short(self, signature: Signature, dtype: str) -> bool:
        """Whether the code rounds every step to `dtype`, whatever its trace says.

        NumPy sums bfloat16 in bfloat16; JAX, through which its code is traced, does so in float32.
        """
        return dtype == "bfloat16" and self.front_end(signature) == NUMPY

    def _resolve(self, signature: Signature) -> tuple[str, Program | None]:
        if signature not in self._cache:
            kept = self.cache if self.only == JAX else None
            found = kept.get((self.key, signature)) if kept is not None else None
            if found is None:
                found = self._trace(signature)
                if kept is not None:
                    kept.put((self.key, signature), found)
            self._cache[signature] = found
        return self._cache[signature]

    def restrict(self, only: str) -> None:
        """Use this front end and the ones after it from now on."""
        self.only = only
        self._cache.clear()

    def _trace(self, signature: Signature) -> tuple[str, Program | None]:
        from backprove.harness.frontends.numpy_trace.trace import trace_numpy

        if self.only == JAX:
            with contextlib.suppress(Exception), quiet():
                return JAX, self._traces(signature) if self.generic else trace(self.call, *signature)
        if self.only in (JAX, NUMPY):
            with contextlib.suppress(Exception), quiet():
                return NUMPY, trace_numpy(self.call, *signature)
        if self.stand_in is not None:
            with contextlib.suppress(Exception), quiet():
                return STAND_IN, trace(self.stand_in, *signature)
        return (BLACK_BOX if self.only == BLACK_BOX else OBJECTS), None

    def exact(self, signature: Signature) -> ExactFunction | None:
        """The function for the exact layer, or None for a black box."""
        end, program = self._resolve(signature)
        if program is not None:
            return ProgramOnBalls(program)
        return None if end == BLACK_BOX else CodeOnBalls(self.call)

    def at(self, *arguments: Array) -> list[Array]:
        """Call the code as it is at one point (arrays of the real dtype, no points axis); flat list of arrays.

        Raises:
            Exception: whatever the code raises.
        """
        import jax

        with jax.enable_x64(True), quiet():
            return flatten(self.call(*arguments))


@dataclass(frozen=True)
class ProgramOnBalls:
    """A traced program as an `ExactFunction`."""

    program: Program

    @cached_property
    def still(self) -> frozenset[int]:
        """Equations whose tangent reaches no output (behind stop_gradient or a comparison), by identity."""
        live = {v.slot for v in self.program.outputs}
        found = set()
        for e in reversed(self.program.equations):
            if not any(v.slot in live for v in e.outputs):
                found.add(id(e))
            elif e.primitive != "stop_gradient":
                live |= {v.slot for v in e.inputs if v.dtype in FORMATS}
        return frozenset(found)

    @cached_property
    def entrywise(self) -> bool:
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


@dataclass(frozen=True)
class CodeOnBalls:
    """NumPy code on object arrays of exact scalars, point by point, as an `ExactFunction`."""

    call: Callable[..., Any]

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        from backprove.harness.frontends.objects.run import run_on_balls
        from backprove.harness.frontends.objects.scalar import NotRunnable

        points = max((a.shape[-1] for a in inputs), default=1)
        results = []
        for p in range(points):
            try:
                results.append(run_on_balls(self.call, [_at(a, p) for a in inputs]))
            except NotRunnable as why:
                raise Undecided(f"the code does not run on exact scalars: {why}") from why
        return [np.stack(column, axis=-1) for column in zip(*results, strict=True)]

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        from backprove.harness.frontends.objects.run import run_on_duals
        from backprove.harness.frontends.objects.scalar import NotRunnable

        points = max((a.shape[-1] for a in [*inputs, *(t for t in tangents if t is not None)]), default=1)
        values, moved, touched = [], [], np.zeros(points, dtype=bool)
        for p in range(points):
            here = [None if t is None else _at(t, p) for t in tangents]
            try:
                v, t, near = run_on_duals(self.call, [_at(a, p) for a in inputs], here)
            except NotRunnable as why:
                raise Undecided(f"the code does not run on exact scalars: {why}") from why
            values.append(v)
            moved.append(t)
            touched[p] = near
        return (
            [np.stack(column, axis=-1) for column in zip(*values, strict=True)],
            [np.stack(column, axis=-1) for column in zip(*moved, strict=True)],
            touched,
        )


def _at(a: Array, p: int) -> Array:
    return np.array(a[..., p % a.shape[-1]], dtype=a.dtype)


class ExactFunction(Protocol):
    """A function that runs in balls and dual balls; all arrays carry a trailing points axis."""

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        """Enclosures of the outputs; raises Undecided."""

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        """Values, tangents and per point whether a kink was touched; raises Undecided."""
