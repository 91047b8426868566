"""JAX code must give under jit and vmap what it gives when it is called plainly; this module checks that.

Tracing makes most JAX code agree by itself. What does not: code that asks whether it is traced, callbacks to NumPy with
an assumption on the batch, and batching rules written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, at_point, at_points, quiet
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import COMPILED_ROUNDINGS, MODERATE, NARROWED
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.calls import arguments_at
from backprove.harness.frontends.compiled import CompiledFunction
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.function_at import in_float64
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.programs.program import Signature

POINTS = 3
"""Points that are called plainly; calls of JAX functions outside a program are slow."""


def differs_transformed(pairs: Sequence[tuple[Function, Signature, Sequence[Array]]], seen: Examination) -> bool:
    """Whether one of a user's functions gives something else under jit or vmap; violations are entered in `seen`.

    Args:
        pairs: functions with their arguments at many points. Once per function is enough, as long as nothing is wrong.
    """
    for function, signature, arrays in pairs:
        index = [] if "transformed" in function.compared else usual_points(arrays, ~seen.outside)
        if not index or any(0 in shape for shape, _ in signature):
            continue
        noise = _noise(function, in_float64(signature), arrays, index)
        said, remark = disagreement(function.call, in_float64(signature), arrays, index, noise)
        if remark:
            seen.remark(f"{function.label}: {remark}", f"{function.label} transformed")
        if not said:
            function.compared.add("transformed")
            continue
        for i in index:
            seen.violations[i] = Violation(Verdict.ERROR, f"{function.label} {said}")
        return True
    return False


def _noise(
    function: Function, signature: Signature, arrays: Sequence[Array], points: Sequence[int]
) -> list[list[Array]] | None:
    """What rounding explains at each point, one array per result; None for code without a program."""
    program = function.program(signature)
    if program is None:
        return None
    here = [at_points(a, list(points)) for a in arrays]
    one = COMPILED_ROUNDINGS * FORMATS["float64"].u  # of moderate numbers, from which results near a zero cancel
    try:
        bounds = Running("float64").run(program, here)
    except UnsupportedPrimitive:
        return [[np.array(one) for _ in program.outputs] for _ in points]
    return [[np.fmax(COMPILED_ROUNDINGS * at_point(b.e, k), one) for b in bounds] for k in range(len(points))]


def usual_points(arrays: Sequence[Array], usable: Array) -> list[int]:
    """A few points of moderate size without zeros, of those that are `usable`."""
    n = usable.size
    good = usable.copy()
    for a in arrays:
        if a.dtype.kind == "f" and a.size:
            size = np.abs(np.broadcast_to(a, (*a.shape[:-1], n))).reshape(-1, n)
            with np.errstate(all="ignore"):
                good &= (size <= MODERATE).all(axis=0) & (size >= 1 / MODERATE).all(axis=0)
    chosen: list[int] = np.flatnonzero(good)[:POINTS].tolist()
    return chosen


def disagreement(
    call: Callable[..., Any],
    signature: Signature,
    arrays: Sequence[Array],
    points: Sequence[int],
    noise: Sequence[Sequence[Array]] | None = None,
) -> tuple[str, str]:
    """How jitted and vmapped calls differ from plain ones: an error and a remark, each "" where there is none.

    That code cannot be jitted or vmapped at all is a remark: nobody may want to.

    Args:
        signature: float64 throughout.
        arrays: arguments at many points, shape + points (or 1).
        points: which of them to look at.
        noise: what rounding explains at each of them, one array per result.
    """
    import jax

    here = [arguments_at(arrays, signature, i) for i in points]
    with jax.enable_x64(True), quiet():
        try:
            plain = [jax.tree.leaves(call(*p)) for p in here]
        except Exception:  # reported by the layer that calls
            return "", ""
        if not all(isinstance(leaf, jax.Array) for leaves in plain for leaf in leaves):
            return "", ""  # NumPy code; nobody jits it
        expected = [[np.asarray(leaf) for leaf in leaves] for leaves in plain]
        try:
            together = CompiledFunction.of(call, signature)([at_points(a, list(points)) for a in arrays])
            how, found = "vmap", [[t[..., k] for t in together] for k in range(len(points))]
            if _differing(expected, found, noise) is None:
                return "", ""
            jitted = [[np.asarray(leaf) for leaf in jax.tree.leaves(jax.jit(call)(*p))] for p in here]
            if _differing(expected, jitted, noise) is not None:
                how, found = "jit", jitted
        except Exception as why:
            return "", f"it cannot be jitted and vmapped: {type(why).__name__}: {_first_line(why)}"
    k, j = _differing(expected, found, noise) or (0, 0)
    values = " instead of ".join(_short(v[k][j] if j < len(v[k]) else None) for v in (found, expected))
    return f"gives another result under jax.{how} than when it is called plainly: {values}", ""


def _differing(
    expected: Sequence[Sequence[Array]], found: Sequence[Sequence[Array]], noise: Sequence[Sequence[Array]] | None
) -> tuple[int, int] | None:
    """The first point and result that differ; None where all agree."""
    for k, (one, other) in enumerate(zip(expected, found, strict=True)):
        if [e.shape for e in one] != [f.shape for f in other]:
            return k, 0
        for j, (e, f) in enumerate(zip(one, other, strict=True)):
            v, w = e.astype(np.float64), f.astype(np.float64)
            with np.errstate(all="ignore"):
                size = np.abs(v[np.isfinite(v)]).max(initial=0.0)
                allowed = np.full(v.shape, NARROWED * size)
                if noise is not None and len(noise[k]) == len(one):
                    allowed = allowed + noise[k][j]
                near = (v == w) | (np.isnan(v) & np.isnan(w)) | (np.abs(v - w) <= allowed)
            if not near.all():
                return k, j
    return None


def differing_at(plain: Sequence[Array], jitted: Sequence[Array], noise: Sequence[Array]) -> list[int]:
    """Points at which two ways to call code differ.

    Args:
        plain, jitted: one array per result, shape + points.
        noise: running error bounds of the results; none where there are none.
    """
    n = plain[0].shape[-1] if plain else 0

    def at(arrays: Sequence[Array], k: int) -> list[Array]:
        return [a[..., k] for a in arrays]

    allowed = [COMPILED_ROUNDINGS * e for e in noise]
    return [
        k
        for k in range(n)
        if _differing([at(plain, k)], [at(jitted, k)], [at(allowed, k)] if allowed else None) is not None
    ]


def shortened(results: Sequence[Array]) -> str:
    """The first numbers of the results of one call."""
    return ", ".join(_short(r) for r in results)


def _first_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [""])[0][:200]


def _short(a: Array | None) -> str:
    if a is None:
        return "nothing"
    flat = [f"{float(v):.6g}" for v in np.ravel(a)[:4]] + ["..."] * (np.size(a) > 4)
    return f"[{', '.join(flat)}]" if np.ndim(a) else flat[0]
