"""This front end takes NumPy code that runs as it is on arrays of exact scalars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.frontends.front_end import ClaimedCode, CodeStopped, ExactFunction, FrontEnd
from backprove.harness.frontends.objects.run import run_on_balls, run_on_duals
from backprove.harness.frontends.objects.scalar import NotRunnable
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class ObjectCode(FrontEnd):
    """Whether the code does run on exact scalars shows at every point."""

    def trace(self, code: ClaimedCode, signature: Signature) -> None:
        return None

    def exact(self, code: ClaimedCode, program: Program | None) -> ExactFunction:
        return CodeOnBalls(code.call)


OBJECTS = ObjectCode("objects", "run on exact scalars", points_compared=8)


@dataclass(frozen=True)
class CodeOnBalls:
    """NumPy code on object arrays of exact scalars, point by point, as an `ExactFunction`."""

    call: Code
    is_entrywise: bool = field(init=False, default=False)  # not known of code

    def balls(self, inputs: Sequence[Array], widen: float = 0.0) -> list[Array]:
        points = max((a.shape[-1] for a in inputs), default=1)
        results = []
        for p in range(points):
            try:
                results.append(run_on_balls(self.call, [_at(a, p) for a in inputs], widen=widen))
            except NotRunnable as why:
                raise CodeStopped(why) from why
        return [np.stack(column, axis=-1) for column in zip(*results, strict=True)]

    def duals(
        self, inputs: Sequence[Array], tangents: Sequence[Array | None], widen: float = 0.0
    ) -> tuple[list[Array], list[Array], Array]:
        points = max((a.shape[-1] for a in [*inputs, *(t for t in tangents if t is not None)]), default=1)
        values, moved, touched = [], [], np.zeros(points, dtype=bool)
        for p in range(points):
            here = [None if t is None else _at(t, p) for t in tangents]
            try:
                v, t, near = run_on_duals(self.call, [_at(a, p) for a in inputs], here, widen=widen)
            except NotRunnable as why:
                raise CodeStopped(why) from why
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
