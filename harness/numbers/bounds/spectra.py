"""These rules bound the errors of eigenvalues, singular values, their vectors and QR factors, whatever LAPACK did.

A computed decomposition is that of a matrix that differs by `c n u |A|` (Higham, Accuracy and Stability, 19.4; Golub
and Van Loan, 8.1): values move by no more (Weyl), vectors by that over the distance to the next value (Davis, Kahan).
The values themselves are LAPACK's in float64, which errs as well. Signs are taken to be the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.rounding import MATRIX_REACH, SPECTRUM_CHARGE
from backprove.harness.numbers import lapack, matrices, orthogonal
from backprove.harness.numbers.bounds.arithmetic import Rule
from backprove.harness.numbers.bounds.charges import Charging
from backprove.harness.numbers.bounds.truth import Bounded, Value
from backprove.harness.numbers.elementary.row import float64
from backprove.harness.programs.program import Equation

Errors = NDArray[np.float64]


def _frobenius(a: Array) -> Errors:
    return np.asarray(np.sqrt((float64(a) ** 2).sum(axis=(-3, -2))))


def _moved(system: Charging, equation: Equation, a: Bounded) -> Errors:
    """By how much the matrix may differ: what comes in, and what the decomposition costs (batch, points)."""
    fmt = system.format(equation.outputs[0].dtype)
    n = max(a.v.shape[-3:-1])
    own = SPECTRUM_CHARGE * n * (fmt.u + FORMATS["float64"].u) * _frobenius(a.v)
    incoming = _frobenius(np.broadcast_to(a.e, a.v.shape))
    return np.asarray(own + incoming + n * system.eta(fmt))


def _bounded(values: Array, e: Errors, wide: type[np.floating]) -> Bounded:
    e = np.broadcast_to(e, values.shape)
    return Bounded(values.astype(wide), np.where(np.isfinite(values) & np.isfinite(e), e, np.inf))


def _vectors(moved: Errors, gaps: Errors) -> Errors:
    """The error of each vector as a whole, infinite where it is not small."""
    with np.errstate(all="ignore"):
        relative = moved[..., None, :] / gaps
    return np.where(relative < MATRIX_REACH, 2 * relative, np.inf)


def _gaps(values: Array) -> Errors:
    """The distance of each value to the nearest other one (…, n, points)."""
    between = np.abs(values[..., :, None, :] - values[..., None, :, :])
    n = values.shape[-2]
    between = np.where(np.eye(n, dtype=bool)[..., None], np.inf, between)
    return float64(between.min(axis=-2, initial=np.inf))


def eigh(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> list[Value]:
    if equation.params.get("subset_by_index") is not None:
        raise UnsupportedPrimitive("eigh of a part of the values", "error bounds")
    lower = bool(equation.params["lower"])
    a = Bounded(*(lapack.symmetric(np.broadcast_to(x, inputs[0].v.shape), lower) for x in (inputs[0].v, inputs[0].e)))
    vectors, values = lapack.eigh(float64(a.v))
    moved = _moved(system, equation, a)
    off = _vectors(moved, _gaps(values))
    return [
        _bounded(vectors, off[..., None, :, :], system.wide),
        _bounded(values, moved[..., None, :], system.wide),
    ]


def svd(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> list[Value]:
    """Vectors beyond the thin ones are not determined."""
    if equation.params.get("subset_by_index") is not None:
        raise UnsupportedPrimitive("svd of a part of the values", "error bounds")
    (a,) = inputs
    m, n = a.v.shape[-3:-1]
    k = min(m, n)
    full = bool(equation.params["full_matrices"])
    values, left, right = lapack.svd(float64(a.v), full)
    moved = _moved(system, equation, a)
    found = _bounded(values, moved[..., None, :], system.wide)
    if not equation.params["compute_uv"]:
        return [found]
    # a vector of the longer side is also apart from the space that the matrix does not reach
    off = _vectors(moved, np.minimum(_gaps(values), values))
    rest = np.full((*off.shape[:-2], max(m, n) - k, off.shape[-1]), np.inf)
    every = np.concatenate([off, rest], axis=-2)
    of_left, of_right = (every if full and size > k else off for size in (m, n))
    return [
        found,
        _bounded(left, of_left[..., None, :, :], system.wide),
        _bounded(right, of_right[..., :, None, :], system.wide),
    ]


def _nearest_to_a_turn(a: Array) -> Errors:
    """The smallest first entry of a column that is reflected: its sign decides theirs."""
    heads: list[Array] = []

    def signs(column: Array) -> Array:
        heads.append(np.abs(column[0, 0]))
        return np.where(column[:1] < 0, 1.0, -1.0)

    def unit(rows: int, columns: int) -> Array:
        eye = np.eye(rows, columns).reshape((rows, columns) + (1,) * (a.ndim - 2))
        return np.broadcast_to(eye, (rows, columns, *a.shape[2:]))

    orthogonal.qr(matrices.PLAIN, a, unit, signs, full=False)
    return np.asarray(np.min([np.full(a.shape[2:], np.inf), *heads], axis=0))


def qr(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> list[Value]:
    """|dR| <= triu((F + F') |R|) with F the perturbation times |R^-1|; that of Q is the rest of that of the matrix."""
    if equation.params["pivoting"]:
        raise UnsupportedPrimitive("qr with pivoting", "error bounds")
    (a,) = inputs
    m, n = a.v.shape[-3:-1]
    q, r = lapack.qr(float64(a.v), bool(equation.params["full_matrices"]))
    fmt = system.format(equation.outputs[0].dtype)
    if m < n or equation.params["full_matrices"]:
        return [_bounded(x, np.full(x.shape, np.inf), system.wide) for x in (q, r)]
    a_in, q_in, r_in = map(matrices.inward, (float64(a.v), q, r))
    e_in = matrices.inward(np.broadcast_to(a.e, a.v.shape))
    unit = np.broadcast_to(np.eye(n).reshape((n, n) + (1,) * (r_in.ndim - 2)), r_in.shape)
    inverse = np.abs(matrices.substitute(matrices.PLAIN, r_in, unit, lower=False, unit=False))
    own = SPECTRUM_CHARGE * m * (fmt.u + FORMATS["float64"].u) * np.sqrt((a_in**2).sum(axis=0, keepdims=True))
    columns = own + np.sqrt((e_in**2).sum(axis=0, keepdims=True)) + m * system.eta(fmt)
    relative = np.einsum("ik...,kj...->ij...", np.broadcast_to(columns, r_in.shape), inverse)
    both = relative + np.swapaxes(relative, 0, 1)
    turning = _nearest_to_a_turn(a_in) <= 4 * _moved(system, equation, a)
    small = (both.sum(axis=1).max(axis=0, initial=0) < MATRIX_REACH) & ~turning
    of_r = matrices.triangle(np.einsum("ik...,kj...->ij...", both, np.abs(r_in)), lower=False)
    of_q = np.broadcast_to(relative.sum(axis=0, keepdims=True), q_in.shape) + np.einsum(
        "ik...,kj...->ij...", np.abs(q_in), both
    )
    errors = (np.where(small, 2 * e, np.inf) for e in (of_q, of_r))
    return [_bounded(x, matrices.outward(e), system.wide) for x, e in zip((q, r), errors, strict=True)]


SPECTRAL: dict[str, Rule] = {"eigh": eigh, "svd": svd, "qr": qr}
