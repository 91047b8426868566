"""Programs become one XLA program for many points, compiled for JAX's default device: a GPU or TPU where there
is one.

The equations are handed back to JAX, point by point, and vmapped. XLA may fuse and reorder them; it may not keep more
digits than a format has, since code that narrows its numbers is what screens look for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.numbers.floats.narrow import STORAGE
from backprove.harness.programs.program import Program, Var
from backprove.harness.programs.to_jax import as_jax_function

if TYPE_CHECKING:
    import jax

OPTIONS: dict[str, str | bool] = {"xla_allow_excess_precision": False}


class Jitted:
    """Programs of common arguments at a fixed number of points; the interface is that of `SharedLinked`.

    Args:
        arguments: for each program which of the common arguments its inputs are.
        inputs: the common arguments at all points, in the storage of their formats; read at every run.

    Attributes:
        points: how many.
        outputs: for each program one array per output, shape + (points,), in the storage of its format.

    Raises:
        UnsupportedPrimitive: where XLA cannot compile the programs for the device.
    """

    def __init__(
        self, programs: Sequence[Program], arguments: Sequence[Sequence[int]], points: int, inputs: Sequence[Array]
    ) -> None:
        import jax

        self.points, self.inputs = points, list(inputs)
        self.outputs: list[list[Array]] = []
        variables: dict[int, Var] = {}
        outputs = [p.outputs for p in programs]
        for program, places in zip(programs, arguments, strict=True):
            variables |= dict(zip(places, program.inputs, strict=True))
        functions = [as_jax_function(p, all_digits=True) for p in programs]

        def one_point(*given: jax.Array) -> list[list[jax.Array]]:
            values = {k: given[k].astype(numpy_dtype(v.dtype)) for k, v in variables.items()}
            found = [f(*(values[k] for k in places)) for f, places in zip(functions, arguments, strict=True)]
            return [[_stored(o, v) for o, v in zip(*pair, strict=True)] for pair in zip(found, outputs, strict=True)]

        with jax.enable_x64(True):
            try:
                lowered = jax.jit(jax.vmap(one_point, in_axes=-1, out_axes=-1)).lower(*self.inputs)
                self._compiled = lowered.compile(compiler_options=OPTIONS)
            except Exception as why:  # XLA's complaints have many types
                reason = str(why).splitlines()[0] if str(why) else type(why).__name__
                raise UnsupportedPrimitive(reason, "programs for a device") from why

    def run(self) -> None:
        """Evaluate at the points in the inputs."""
        import jax

        with jax.enable_x64(True):
            self.outputs = jax.device_get(self._compiled(*self.inputs))


def _stored(output: jax.Array, var: Var) -> jax.Array:
    """An output in the storage of its format."""
    return output.astype(STORAGE.get(var.dtype, numpy_dtype(var.dtype)))
