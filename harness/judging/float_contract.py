"""The float contract at a point: how far may the float result be from the exact one, and where is it judged at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.numbers.bounds.bounds import EXTENDED, Bounded, Running
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Equation, Program
from backprove.harness.programs.sharing import together

Array = NDArray[Any]

WIDE_UNIT = {name: 2.0**-64 if name == "float64" and EXTENDED else 2.0**-53 for name in FORMATS}
"""Unit roundoff of the format in which the error bound of each dtype is carried."""

MARGIN = 2.0
"""The bound is doubled: a compiler may replace an operation by another one (g/sqrt(x) by g*rsqrt(x))."""


def run_floats(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """The program in plain floats of its own dtypes, outputs as float64 with a points axis."""
    return Floats().run(program, arrays)


def float_bounds(program: Program, arrays: Sequence[Array], dtype: str, *, every_step_short: bool = False) -> list[Any]:
    """Running error bounds of the program's results as they are judged: rounded to the format under test.

    NumPy widens (`np.where(x > 0, 1.0, 0.5) * x` is float64), and a wider result is accepted and rounded.

    Args:
        every_step_short: see `Function.every_step_short`.
    """
    form = FORMATS[dtype]
    out = []
    found: list[Any] = list(Running(dtype, widening_ignored=every_step_short).run(program, arrays))
    for b, var in zip(found, program.outputs, strict=True):
        if isinstance(b, Bounded) and var.dtype in FORMATS and FORMATS[var.dtype].digits > form.digits:
            with np.errstate(all="ignore"):
                out.append(Bounded(b.v, b.e + form.u * np.abs(b.v).astype(np.float64)))
        else:
            out.append(b)
    return out


def run_together(
    system: Running, programs: Sequence[Program], arrays: Sequence[Array | Bounded]
) -> list[list[Bounded]]:
    """The outputs of each of several programs of the same arguments; what they have in common is evaluated once."""
    found = together(programs)
    if found is None:
        return [system.run(p, arrays) for p in programs]
    outputs = system.run(found[0], arrays)
    return [outputs[w] for w in found[1]]


def near_max(form: FloatFormat) -> float:
    """Within 4096 roundings of the largest number an overflow is a rounding error like any other.

    (An exponential's argument amplifies roundings so far.)
    """
    return form.max * (1 - min(0.25, 4096 * form.u))


def exceeds(result: Array, value: Array, error: Array, dtype: str) -> Array:
    """Entry by entry: is the finite float `result` further from `value` than twice its running error bound?

    Entries whose bound is infinite, or whose result is not finite, are not judged here (False).
    """
    tiny = FORMATS[dtype].tiny
    with np.errstate(all="ignore"):
        off = np.abs(result.astype(value.dtype) - value).astype(np.float64)
        allowed = MARGIN * error + 4 * tiny
        judged = np.isfinite(result) & np.isfinite(error) & np.isfinite(value.astype(np.float64))
        return np.asarray(judged & ~(off <= allowed))


def ulps(result: Array, value: Array, dtype: str) -> Array:
    """Entry by entry distance in ulps of the dtype at `value` (0 where both are the same infinity or zero)."""
    form = FORMATS[dtype]
    v = value.astype(np.float64)
    with np.errstate(all="ignore"):
        off = np.abs(result.astype(value.dtype) - value).astype(np.float64)
        return np.where(result == v, 0.0, off / form.ulp(v))


def any_entry(arrays: Sequence[Array], points: int) -> Array:
    """Per point: whether any entry of any array is True."""
    out = np.zeros(points, dtype=bool)
    for a in arrays:
        if a.size:
            out |= a.reshape(-1, a.shape[-1]).any(axis=0)
    return out


def largest(arrays: Sequence[Array], points: int) -> Array:
    """Per point: the largest entry, NaN ignored; 0 where there is none."""
    out = np.zeros(points)
    for a in arrays:
        if a.size:
            flat = np.where(np.isnan(a), 0.0, a).reshape(-1, a.shape[-1]).max(axis=0)
            out = np.maximum(out, np.broadcast_to(flat, out.shape))
    return out


class _Watched(Running):
    """The running error bound with an eye on every intermediate value: where does a step overflow?"""

    def __init__(self, dtype: str, points: int) -> None:
        super().__init__(dtype)
        self.finite = np.ones(points, dtype=bool)

    def apply(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        outs = super().apply(equation, inputs)
        for o in outs:
            if isinstance(o, Bounded) and o.v.size:
                lost = ~np.isfinite(o.e)
                bad = lost.reshape(-1, lost.shape[-1]).any(axis=0)
                self.finite &= ~np.broadcast_to(bad, self.finite.shape)
        return outs


def accurate(program: Program, arrays: Sequence[Array], dtype: str) -> Array:
    """Per point: no step of `program` overflows, and every output is zero or a normal number with a correct digit.

    An underflow inside is no loss as long as the output does not feel it (the `exp(-1000)` of a stable softplus).

    Args:
        arrays: inputs with a points axis, floats as float64.
    """
    points = max((a.shape[-1] for a in arrays), default=1)
    system = _Watched(dtype, points)
    with np.errstate(all="ignore"):
        outs = evaluate(program, system, *(system.lift(a) if a.dtype.kind == "f" else a for a in arrays))
        good = system.finite
        for o in outs:
            if isinstance(o, Bounded):
                v = np.abs(o.v)
                lost = (o.e > 0.5 * v) & (v > 0)
                good = good & ~any_entry([lost | ((v > 0) & (v < FORMATS[dtype].tiny))], points)
    return good
