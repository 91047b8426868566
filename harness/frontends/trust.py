"""Traces are held against real calls of the code, and one that is not true is given up.

Code that looks at types, keeps state or draws random numbers can be traced to something else than what it computes.
Then its function falls back to the next front end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, at_points
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import NARROWED, WILD
from backprove.harness.frontends.branches import is_alike_in_calls
from backprove.harness.frontends.calls import arguments_at, call_points
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.objects.run import run_on_bounded
from backprove.harness.frontends.registry import after
from backprove.harness.numbers.bounds.bounds import ANY, Running
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.program import Signature


def distrust(
    function: Function,
    signature: Signature,
    arrays: Sequence[Array],
    dtype: str,
    is_user_code: bool,
) -> None:
    """Compare the program of `function` with real calls; where it is untrue, move to the next front end and note it.

    Args:
        arrays: arguments at many points. They are compared once per signature, or once per dtype where calls are slow.
        is_user_code: whether code with slow calls is compared as well; it may be NumPy code that JAX happens to trace.
    """
    while (end := function.front_end(signature)).points_compared and (is_user_code or not end.compared_once):
        key = f"{end.name} {dtype} {'' if end.compared_once else signature}"
        points = max((a.shape[-1] for a in arrays), default=0)
        sizes = [int(np.prod(s)) for s, _ in signature]
        if end.compared_once and dtype != "float64" and is_alike_in_calls(function.call):
            return
        if key in function.compared or not points or (end.compared_once and 0 in sizes):
            return
        usual = np.flatnonzero(~tied(arrays, points))
        if not usual.size:
            return  # another batch will have points where the code has no choice
        function.compared.add(key)
        index = usual[np.unique(np.linspace(0, usual.size - 1, end.points_compared).astype(int))]
        holds = on_objects_true if function.program(signature) is None else true
        if holds(function, signature, [at_points(a, index) for a in arrays], dtype):
            return
        function.notes.append(f"{function.label}: its {end.what} differs from real calls and was not used")
        function.restrict(after(end))


def tied(arrays: Sequence[Array], points: int) -> Array:
    """Points with equal entries in one array: there sorts and selections may answer either way."""
    tied = np.zeros(points, dtype=bool)
    for a in arrays:
        if a.dtype.kind == "f" and a.size and a.shape[:-1]:
            ordered = np.sort(np.broadcast_to(a, (*a.shape[:-1], points)).reshape(-1, points), axis=0)
            tied |= (ordered[1:] == ordered[:-1]).any(axis=0)
    return tied


def true(function: Function, signature: Signature, arrays: list[Array], dtype: str) -> bool:
    """Whether real calls and the traced program agree; also where there is nothing to compare."""
    program = function.program(signature)
    assert program is not None
    shapes = [v.shape for v in program.outputs]
    # JAX code often cannot be called on NumPy arrays (`x.at[0]`); that alone says nothing
    called = call_points(function, signature, arrays, shapes, dtype)
    if any(t.kind == "shape" for t in called.troubles.values()):
        return False
    try:
        traced = run_floats(program, arrays)
        bounds = Running(dtype, narrows_to=ANY).run(program, arrays)
    except UnsupportedPrimitive:
        return True
    form = FORMATS[dtype]
    for c, r, b in zip(called.values, traced, bounds, strict=True):
        with np.errstate(all="ignore"):
            t = np.asarray(r, dtype=np.float64)
            allowed = WILD * (2 * b.e + 4 * form.tiny + form.u * np.abs(t))
            wild = np.isfinite(c) & np.isfinite(t) & np.isfinite(allowed) & (np.abs(c - t) > allowed)
        if wild.any():
            return False
    return True


def on_objects_true(function: Function, signature: Signature, arrays: list[Array], dtype: str) -> bool:
    """Whether real calls and runs on exact scalars agree; also where the code does not run on them."""
    points = max((a.shape[-1] for a in arrays), default=1)
    for i in range(points):
        here = arguments_at(arrays, signature, i)
        exact = [a.astype(np.float64) if a.dtype.kind not in "iub" else a for a in here]
        try:
            bounds = run_on_bounded(function.call, exact, dtype)
            real = function.at(*here)
        except Exception:
            continue
        if [r.shape for r in real] != [v.shape for v, _ in bounds]:
            return False
        for r, (v, e) in zip(real, bounds, strict=True):
            with np.errstate(all="ignore"):
                off = np.abs(r.astype(np.float64) - v).astype(np.float64)
                size = np.maximum(np.abs(v), np.abs(r.astype(np.float64))).astype(np.float64)
                wild = np.isfinite(off) & (off > WILD * (2 * e + 4 * FORMATS[dtype].tiny)) & (off > NARROWED * size)
            if wild.any():
                return False
    return True
