"""The complex step f'(x) v = Im f(x + i h v) / h differentiates NumPy code that is analytic and runs on
complex arrays.

It subtracts nothing, so that h may be tiny and the result is as accurate as the code itself. Code that casts, compares,
takes absolute values, maxima or real parts gives nonsense silently, so three things are checked: the value at x + i0,
the value at x + ih, and the Cauchy-Riemann equations against a small real step in each of two directions.

Source: Squire and Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.thresholds.called_code import CAUCHY_RIEMANN, COMPLEX_STEP, COMPLEX_VALUE, REAL_STEP


def complex_step(forward: Code, x: Sequence[Array], v: Sequence[Array | None]) -> list[Array] | None:
    """Tangents of the outputs of `forward` at one point.

    Args:
        forward: NumPy code of one point; returns an array or a tuple of arrays.
        x: one array per argument, without a points axis.
        v: one tangent per argument, None where it does not move.

    Returns:
        one float64 array per output; None where the code does not run on complex numbers or is not analytic there.
    """
    x = [np.asarray(a) for a in x]
    moving = [None if t is None else np.asarray(t, dtype=np.float64) for t in v]
    real = _run(forward, x)
    if real is None or not all(np.isfinite(r).all() for r in real):
        return None
    still = _run(forward, [a.astype(np.complex128) if t is not None else a for a, t in zip(x, moving, strict=True)])
    if still is None or not _near(still, real, COMPLEX_VALUE):
        return None
    step = _step(x, moving)
    moved = _along(forward, x, moving, 1j * step)
    if moved is None or not _near(moved, real, COMPLEX_VALUE) or not any(np.iscomplexobj(m) for m in moved):
        return None
    found = [np.imag(m) / step for m in moved]
    if not all(np.isfinite(f).all() for f in found) or not _cauchy_riemann(forward, x, moving, found, real, step):
        return None
    return found


def _step(x: Sequence[Array], v: Sequence[Array | None]) -> float:
    size = max((float(np.abs(t).max(initial=0.0)) for t in v if t is not None), default=0.0)
    return COMPLEX_STEP / size if size > 0 else COMPLEX_STEP


def _run(forward: Code, arguments: Sequence[Array]) -> list[Array] | None:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            result = forward(*(a.copy() for a in arguments))
    except Exception:
        return None
    leaves = list(result) if isinstance(result, (tuple, list)) else [result]
    arrays = [np.asarray(leaf) for leaf in leaves if leaf is not None]
    return None if any(a.dtype == object for a in arrays) else [a for a in arrays if a.dtype.kind in "fc"]


def _along(forward: Code, x: Sequence[Array], v: Sequence[Array | None], t: complex) -> list[Array] | None:
    return _run(forward, [a if d is None else a + t * d for a, d in zip(x, v, strict=True)])


def _near(a: Sequence[Array], b: Sequence[Array], tolerance: float) -> bool:
    """Whether the real parts agree, relative to the largest entry."""
    if [p.shape for p in a] != [q.shape for q in b]:
        return False
    for p, q in zip(a, b, strict=True):
        size = np.abs(q).max(initial=0.0)
        if not (np.abs(np.real(p) - q) <= tolerance * size).all():
            return False
    return True


def _cauchy_riemann(
    forward: Code,
    x: Sequence[Array],
    v: Sequence[Array | None],
    found: Sequence[Array],
    real: Sequence[Array],
    step: float,
) -> bool:
    """Whether Im f(x + ih v)/h agrees with real differences along v and along -v (a kink fails one of the two)."""
    size = max((float(np.abs(t).max(initial=0.0)) for t in v if t is not None), default=0.0)
    if size == 0:
        return True
    scale = max(
        1e-3, min((float(np.abs(a).max(initial=0.0)) for a, t in zip(x, v, strict=True) if t is not None), default=1.0)
    )
    h = REAL_STEP * scale / size
    for sign in (1.0, -1.0):
        beside = _along(forward, x, v, sign * h)
        if beside is None:
            return False
        for b, r, f in zip(beside, real, found, strict=True):
            with np.errstate(all="ignore"):
                slope = (np.real(b) - r) / (sign * h)
                size_f = np.maximum(np.abs(slope), np.abs(f)).max(initial=0.0)
                noise = 2.0**-48 * np.abs(r).max(initial=0.0) / h
            if not (np.abs(slope - f) <= CAUCHY_RIEMANN * size_f + noise).all():
                return False
    return True
