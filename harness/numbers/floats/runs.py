"""Runs decide, here alone, on what programs run at many points: directly at first, linked when they run often.

Linked programs are NumPy calls on buffers, or one XLA program where JAX has a GPU or TPU. Both cost more to make than a
few direct runs: XLA compiles for a second or so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers.floats.device import Jitted
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.linked import SharedLinked
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Program, inner_programs

Linked = SharedLinked | Jitted

DIRECT_RUNS = 3
"""So many runs of one program are evaluated directly; linking it to buffers pays after that."""


@cache
def on_device() -> bool:
    """Whether JAX computes on a GPU or TPU by default; without a plugin for one, JAX is not started to find out."""
    if os.environ.get("JAX_PLATFORMS", "").split(",")[0] == "cpu":
        return False
    if not (find_spec("jax_plugins") or find_spec("libtpu") or entry_points(group="jax_plugins")):
        return False
    import jax

    try:
        return bool(jax.default_backend() != "cpu")
    except RuntimeError:  # a plugin without its device
        return False


def link(
    programs: Sequence[Program], arguments: Sequence[Sequence[int]], points: int, inputs: Sequence[Array]
) -> Linked:
    """Programs of common arguments, linked for a fixed number of points.

    Args:
        arguments: for each program which of the common arguments its inputs are.
        inputs: the common arguments at all points, in the storage of their formats; read at every run.

    Raises:
        UnsupportedPrimitive, ValueError: as `SharedLinked`.
    """
    if on_device():
        try:
            return Jitted(programs, arguments, points, inputs)
        except UnsupportedPrimitive:  # NumPy may have what the device lacks
            pass
    return SharedLinked(programs, arguments, points, inputs)


class Direct:
    """Programs of common arguments at a fixed number of points, evaluated afresh at every run, one after the other.

    For programs that run rarely: merging and linking them costs more than a few runs.

    Args:
        arguments: for each program which of the common arguments its inputs are.
        inputs: the common arguments at all points, in the storage of their formats; read at every run.

    Raises:
        UnsupportedPrimitive: as `Linked`; from `run` too.
    """

    def __init__(
        self, programs: Sequence[Program], arguments: Sequence[Sequence[int]], points: int, inputs: Sequence[Array]
    ) -> None:
        self.programs, self.arguments, self.points, self.inputs = programs, arguments, points, list(inputs)
        self.outputs: list[list[Array]] = []
        for equation in (e for p in programs for e in p.equations):
            if inner_programs(equation):
                raise UnsupportedPrimitive(equation.primitive, "flat programs")

    def run(self) -> None:
        floats = Floats()
        self.outputs = []
        for program, places in zip(self.programs, self.arguments, strict=True):
            found = zip(evaluate(program, floats, *(self.inputs[k] for k in places)), program.outputs, strict=True)
            self.outputs.append([_at_points(a, (*v.shape, self.points)) for a, v in found])


class ManyRuns:
    """Programs of common arguments at any number of points: directly at first, linked when they run often.

    Args:
        arguments: for each program which of the common arguments its inputs are.
    """

    def __init__(self, programs: Sequence[Program], arguments: Sequence[Sequence[int]]) -> None:
        self.programs, self.arguments = programs, arguments
        self._variables = {
            k: v for p, places in zip(programs, arguments, strict=True) for k, v in zip(places, p.inputs, strict=True)
        }
        self._floats = Floats()
        self._runs = 0
        self._inputs: list[Array] = []
        self._linked: Linked | None = None

    def __call__(self, arrays: Sequence[Array]) -> list[list[Array]]:
        """Outputs of every program in the storage of their formats, shape + (P,); the next call may overwrite them.

        Args:
            arrays: the common arguments, float64 for floats, shape + (P,).

        Raises:
            UnsupportedPrimitive, ValueError: as `SharedLinked`.
        """
        count = arrays[0].shape[-1]
        given = [
            self._floats.lift(a, self._variables[k].dtype) if k in self._variables else a for k, a in enumerate(arrays)
        ]
        self._runs += 1
        if self._runs <= DIRECT_RUNS:
            direct = Direct(self.programs, self.arguments, count, given)
            direct.run()
            return direct.outputs
        if self._linked is None or self._linked.points != count:
            self._inputs = [np.array(a) for a in given]
            self._linked = link(self.programs, self.arguments, count, self._inputs)
        for to, a in zip(self._inputs, given, strict=True):
            np.copyto(to, a)
        self._linked.run()
        return self._linked.outputs


def _at_points(a: Array, shape: tuple[int, ...]) -> Array:
    return a if a.shape == shape else np.broadcast_to(a, shape)
