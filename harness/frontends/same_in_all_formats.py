"""A trace of one format serves the others where the code does the same in all of them, as most code does.

A function whose float64 trace, with another format's name in the place of float64 and its constants rounded, is that
format's own trace at one shape is taken to be so at every shape. Code that looks at its dtype fails this at the first
shape. Code that looks at it at some shapes only passes: the functions of a user are always traced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.programs.equality import fingerprint, same
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.retype import BASE, renamed, widened


@dataclass
class FormatGenericTrace:
    """The traces of one function, by signature.

    Attributes:
        trace: traces at a signature; None where it cannot.
    """

    trace: Callable[[Signature], Program | None]
    _base: dict[Signature, Program] = field(default_factory=dict)
    _generic: dict[str, bool] = field(default_factory=dict)
    """By format: whether its trace is the renamed one, at the shape at which both were seen."""

    def __call__(self, signature: Signature) -> Program | None:
        """The program at `signature`, traced or renamed."""
        formats = {dtype for _, dtype in signature if dtype in FORMATS}
        if len(formats) != 1:
            return self.trace(signature)
        (dtype,) = formats
        if dtype == BASE:
            found = self.trace(signature)
            if found is not None:
                self._base[signature] = found
            return found
        base = self._base.get(tuple((shape, BASE if d == dtype else d) for shape, d in signature))
        if base is not None and self._generic.get(dtype, False):
            return renamed(base, dtype)
        found = self.trace(signature)
        if base is not None and dtype not in self._generic and is_telling(signature):
            self._generic[dtype] = found is not None and same(found, renamed(base, dtype))
        return found


def same_but_for_literals(base: Program, found: Program, dtype: str) -> bool:
    """Whether the trace of a format computes what float64's does: constants rounded, steps in wider formats apart.

    Code that picks its own approximation for every format (`erf_inv`, `dawsn`) does not.

    Args:
        base: the trace in float64.
        found: the trace in `dtype` at the same shapes.
    """
    try:
        base, found = widened(base), widened(found)
    except UnsupportedPrimitive:
        return same(found, renamed(base, dtype))
    return fingerprint(renamed(base, dtype)) == fingerprint(renamed(found, dtype))


def is_telling(signature: Signature) -> bool:
    """Whether code can be told apart at these shapes: none is empty, and something has more than one entry."""
    sizes = [int(np.prod(shape)) for shape, _ in signature]
    return min(sizes, default=0) > 0 and max(sizes, default=0) > 1
