"""A linked program is run at any number of points, for the tests that hold it against others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.linked import Linked
from backprove.harness.programs.program import Program


def run_linked(program: Program, arrays: Sequence[Array], chunk: int = 1024) -> list[Array]:
    """As `Floats.run`, in chunks of so many points."""
    floats, total = Floats(), np.broadcast_shapes(*(a.shape[-1:] for a in arrays))[0]
    flat = Linked(program, min(chunk, total))
    outs = [np.empty((*v.shape, total), np.float64 if v.dtype in FORMATS else v.dtype) for v in program.outputs]
    with np.errstate(all="ignore"):
        for start in range(0, total, flat.points):
            n = min(flat.points, total - start)
            for to, v, a in zip(flat.inputs, program.inputs, arrays, strict=True):
                part = floats.lift(a if a.shape[-1] == 1 else a[..., start : start + n], v.dtype)
                to[..., :n] = part
                to[..., n:] = part[..., :1]
            flat.run()
            for to, v, got in zip(outs, program.outputs, flat.outputs, strict=True):
                to[..., start : start + n] = floats.lower(got[..., :n], v)
    return outs
