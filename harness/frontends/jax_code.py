"""This front end takes code that JAX traces as it is."""

from __future__ import annotations

from dataclasses import dataclass

from backprove.harness.core.arrays import Code
from backprove.harness.frontends.front_end import ClaimedCode, FrontEnd
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class JaxCode(FrontEnd):
    """See the module's text; also NumPy code that JAX happens to trace, which is held against real calls."""

    def trace(self, code: ClaimedCode, signature: Signature) -> Program:
        return trace(code.call, *signature)

    def as_jax(self, code: ClaimedCode) -> Code:
        return code.call


JAX = JaxCode(
    "jax",
    "jax trace",
    is_its_program=True,
    is_jax_code=True,
    same_in_all_formats=True,
    points_compared=2,
    compared_once=True,
)
