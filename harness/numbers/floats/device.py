"""Programs become one XLA program for many points, compiled for JAX's default device: a GPU or TPU where there
is one.

The equations are handed back to JAX, point by point, and vmapped. XLA may fuse and reorder them; it may not keep more
digits than a format has, since code that narrows its numbers is what screens look for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.numbers.floats.narrow import STORAGE
from backprove.harness.programs.program import Equation, Program, Var, inner_programs
from backprove.harness.programs.sharing import SAME

OPTIONS: dict[str, Any] = {"xla_allow_excess_precision": False}


class Jitted:
    """Programs of common arguments at a fixed number of points; the interface is that of `SharedLinked`.

    Args:
        arguments: for each program which of the common arguments its inputs are.
        inputs: the common arguments at all points, in the storage of their formats; read at every run.

    Attributes:
        points: how many.
        outputs: for each program one array per output, shape + (points,), in the storage of its format.

    Raises:
        UnsupportedPrimitive: for control flow, and where XLA cannot compile the programs for the device.
    """

    def __init__(
        self, programs: Sequence[Program], arguments: Sequence[Sequence[int]], points: int, inputs: Sequence[Array]
    ) -> None:
        import jax

        self.points, self.inputs = points, list(inputs)
        self.outputs: list[list[Array]] = []
        variables: dict[int, Var] = {}
        for program, places in zip(programs, arguments, strict=True):
            variables |= dict(zip(places, program.inputs, strict=True))
            for e in program.equations:
                if inner_programs(e) or e.primitive not in _primitives():
                    raise UnsupportedPrimitive(e.primitive, "programs for a device")

        def one_point(*given: Any) -> list[list[Any]]:
            values = {k: given[k].astype(numpy_dtype(v.dtype)) for k, v in variables.items()}
            return [_evaluate(p, [values[k] for k in places]) for p, places in zip(programs, arguments, strict=True)]

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


def _evaluate(program: Program, inputs: Sequence[Any]) -> list[Any]:
    """The program at one point, traced by JAX."""
    import jax.numpy as jnp

    env = {s: jnp.asarray(c) for s, c in program.constants.items()}
    env |= {v.slot: x for v, x in zip(program.inputs, inputs, strict=True)}
    for e in program.equations:
        found = _primitives()[e.primitive](*(env[v.slot] for v in e.inputs), **_params(e))
        env.update(zip((v.slot for v in e.outputs), found if isinstance(found, list) else [found], strict=True))
    return [env[v.slot].astype(STORAGE.get(v.dtype, numpy_dtype(v.dtype))) for v in program.outputs]


@cache
def _primitives() -> Mapping[str, Callable[..., Any]]:
    """How JAX applies each of its primitives, by name."""
    from jax.extend.core import primitives

    found = {p.name: p.bind for p in vars(primitives).values() if hasattr(p, "bind")}
    return found | {name: lambda x, **_: x for name in SAME}


def _params(e: Equation) -> dict[str, Any]:
    """Parameters as JAX has them: dtypes for their names. Products have all their digits, also where that is slow."""
    from jax.lax import Precision

    params = {k: numpy_dtype(v) if isinstance(v, str) and k.endswith("type") else v for k, v in e.params.items()}
    if "precision" in params and params["precision"] is None:
        params["precision"] = (Precision.HIGHEST, Precision.HIGHEST)
    return params
