"""This front end takes NumPy code that runs on traced arrays."""

from __future__ import annotations

from dataclasses import dataclass

from backprove.harness.core.arrays import Code
from backprove.harness.frontends.front_end import ClaimedCode, FrontEnd
from backprove.harness.frontends.numpy_trace.trace import as_jax, trace_numpy
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class NumpyCode(FrontEnd):
    """See the module's text."""

    def trace(self, code: ClaimedCode, signature: Signature) -> Program:
        return trace_numpy(code.call, *signature)

    def as_jax(self, code: ClaimedCode) -> Code:
        return as_jax(code.call)


# NumPy sums bfloat16 in bfloat16; JAX, through which its code is traced, does so in float32
NUMPY = NumpyCode("numpy", "numpy trace", points_compared=16, called=512, rounds_every_step=frozenset({"bfloat16"}))
