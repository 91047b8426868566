"""This front end traces a function of the same map that the user names in the place of code which JAX cannot follow."""

from __future__ import annotations

from dataclasses import dataclass

from backprove.harness.core.arrays import Code
from backprove.harness.frontends.front_end import ClaimedCode, FrontEnd
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program, Signature


@dataclass(frozen=True)
class Reference(FrontEnd):
    """The program is that of the stand-in. It is not held against calls: the layers call the code as it is."""

    def trace(self, code: ClaimedCode, signature: Signature) -> Program:
        if code.stand_in is None:
            raise TypeError("the code names no reference")
        return trace(code.stand_in, *signature)

    def as_jax(self, code: ClaimedCode) -> Code | None:
        return code.stand_in


REFERENCE = Reference("reference")
