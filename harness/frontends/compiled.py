"""A compiled function is the real thing: user code under XLA, jitted and vmapped, on points of one shape.

The bulk layers interpret the traced program in NumPy and never run XLA's code. Each claim is compiled for each dtype
and run beside them, with compile options that trade the speed of the code for that of the compiler; the claims of a
theorem are one program (`joint_xla.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.programs.program import Signature

POINTS = 64
"""Points of one compiled program; fewer are filled up with the last one."""

FAST: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options under which XLA compiles several times faster and its code runs a third slower."""


@dataclass
class CompiledFunction:
    """A JAX-traceable function, compiled once for every number of points that is asked for.

    Attributes:
        call: the function, of one point.
        signature: shape and dtype name of every argument.
    """

    call: Code
    signature: Signature
    _programs: dict[int, Code] = field(default_factory=dict)

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """Results at many points: float64 (integers and truth values as they are), shape + points.

        Args:
            arrays: one per argument, shape + points (or 1); floats as float64.

        Raises:
            Exception: whatever tracing and compiling raise.
        """
        points = max((a.shape[-1] for a in arrays), default=1)
        every = [np.broadcast_to(a, (*a.shape[:-1], points)) for a in arrays]
        parts = [self._chunk([a[..., k : k + POINTS] for a in every]) for k in range(0, max(points, 1), POINTS)]
        return [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]

    def _chunk(self, arrays: list[Array]) -> list[Array]:
        import jax

        n = max((a.shape[-1] for a in arrays), default=1)
        fill = np.minimum(np.arange(POINTS), max(n - 1, 0)) if n else np.zeros(POINTS, dtype=int)
        if n == 0:
            arrays = [np.ones((*a.shape[:-1], 1), a.dtype) for a in arrays]
        first = [np.ascontiguousarray(np.moveaxis(a[..., fill], -1, 0)) for a in arrays]
        ready = [a.astype(numpy_dtype(dt)) for a, (_, dt) in zip(first, self.signature, strict=True)]
        with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
            if not self._programs:
                try:
                    self._programs[POINTS] = _compiled(jax.vmap(self.call), ready)
                except NotImplementedError:  # a callback that names no `vmap_method` takes one point at a time
                    self._programs[1] = _compiled(self.call, [a[0] for a in ready])
            if POINTS in self._programs:
                leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self._programs[POINTS](*ready))]
            else:
                single = [jax.tree.leaves(self._programs[1](*(a[k] for a in ready))) for k in range(max(n, 1))]
                leaves = [np.stack(column) for column in zip(*single, strict=True)]
        return [_read(np.moveaxis(leaf, 0, -1)[..., :n]) for leaf in leaves]

    @staticmethod
    @lru_cache(maxsize=64)
    def of(call: Code, signature: Signature) -> CompiledFunction:
        """The compiled function of a callable, kept between batches."""
        return CompiledFunction(call, signature)


def _compiled(call: Code, arguments: Sequence[Array]) -> Code:
    import jax

    made: Code = jax.jit(call).lower(*arguments).compile(compiler_options=FAST)
    return made


def _read(a: Array) -> Array:
    return a if a.dtype.kind in "iub" else a.astype(np.float64)
